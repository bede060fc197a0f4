"""The encoder: front end, two groups of layers, and the length controller between them."""

from __future__ import annotations

import pytest
import torch

from legonn.encoder import LegoEncoder, Stack, TextFrontEnd
from legonn.factory import TextEncoderConfig
from legonn.layers import Block, sinusoids

PART = {"width": 8, "heads": 2, "feedforward": 16, "dropout": 0.0, "attention_dropout": 0.0}


def encoder(length_control: bool = True, **options: float) -> LegoEncoder:
    torch.manual_seed(0)
    config = TextEncoderConfig(**{**PART, "layers_before": 1, "layers_after": 1, **options})  # type: ignore[arg-type]
    return config.build(vocabulary=9, length_control=length_control).eval()


def test_the_front_end_is_a_scaled_embedding_plus_position() -> None:
    front = TextFrontEnd(vocabulary=9, width=8, dropout=0.0)
    tokens = torch.tensor([[3, 5, 3]])
    x, lengths = front(tokens, torch.tensor([3]))
    for i, token in enumerate([3, 5, 3]):
        wanted = front.embedding.weight[token] * 8**0.5 + sinusoids(torch.tensor([i]), 8)[0]
        torch.testing.assert_close(x[0, i], wanted)
    assert lengths.tolist() == [3]


def test_embeddings_and_positions_are_of_one_size() -> None:
    front = TextFrontEnd(vocabulary=2000, width=64, dropout=0.0)
    scaled = front.embedding.weight * front.scale
    assert scaled.pow(2).mean().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("word_dropout", [0.0, 0.3])
def test_word_dropout_reads_tokens_as_unknown_in_training_only(word_dropout: float) -> None:
    torch.manual_seed(0)
    front = TextFrontEnd(vocabulary=9, width=8, dropout=0.0, word_dropout=word_dropout)
    tokens, lengths = torch.full((1, 4000), 5), torch.tensor([4000])
    with torch.no_grad():
        known = front.eval()(tokens, lengths)[0]
        unknown = front(torch.full_like(tokens, 1), lengths)[0]
        seen = front.train()(tokens, lengths)[0]
    lost = (seen == unknown).all(-1)
    assert torch.equal(seen[~lost], known[~lost])
    assert lost.float().mean().item() == pytest.approx(word_dropout, abs=0.03)


@pytest.mark.parametrize("length_control", [True, False])
def test_lengths_and_width(length_control: bool) -> None:
    model = encoder(length_control, length_ratio=1.5)
    states, lengths, none = model(torch.randint(2, 8, (2, 5)), torch.tensor([5, 2]))
    assert lengths.tolist() == ([8, 3] if length_control else [5, 2])
    assert states.shape == (2, int(lengths.max()), 8)
    assert none is None and model.output_size() == 8


@pytest.mark.parametrize("length_control", [True, False])
@pytest.mark.parametrize("padding", [-1, 0, 7])
def test_batched_and_padded_is_single(length_control: bool, padding: int) -> None:
    model = encoder(length_control)
    long, short = torch.randint(2, 8, (1, 6)), torch.randint(2, 8, (1, 4))
    batch = torch.cat([long, torch.cat([short, torch.full((1, 2), padding)], dim=1)])
    together, lengths, _ = model(batch, torch.tensor([6, 4]))
    for row, alone in enumerate((long, short)):
        single, size, _ = model(alone, torch.tensor([alone.size(1)]))
        assert size.item() == lengths[row].item()
        torch.testing.assert_close(
            together[row : row + 1, : int(size)], single, atol=1e-6, rtol=1e-5
        )


def test_the_length_controller_stands_between_two_groups_of_layers() -> None:
    seen: list[tuple[str, int]] = []
    model = encoder(length_ratio=2.0)
    for name in ("before", "length_control", "after"):
        getattr(model, name).register_forward_hook(
            lambda _module, inputs, _output, name=name: seen.append((name, inputs[0].size(1)))
        )
    model(torch.randint(2, 8, (1, 3)), torch.tensor([3]))
    assert seen == [("before", 3), ("length_control", 3), ("after", 6)]


def test_an_empty_stack_passes_through() -> None:
    x = torch.randn(1, 3, 8)
    assert Stack([])(x, torch.tensor([3])) is x


def test_a_stack_runs_its_blocks_in_order() -> None:
    torch.manual_seed(0)
    blocks = [
        Block(width=8, heads=2, feedforward=16, dropout=0.0, attention_dropout=0.0).eval()
        for _ in range(2)
    ]
    x = torch.randn(1, 3, 8)
    wanted = blocks[1](blocks[0](x, None), None)
    assert torch.equal(Stack(blocks)(x, torch.tensor([3])), wanted)
