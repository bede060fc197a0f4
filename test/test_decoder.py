"""The decoder: cached steps, ESPnet's scorer methods and the full forward are one."""

from __future__ import annotations

import math

import pytest
import torch
from espnet.nets.scorer_interface import BatchScorerInterface

from legonn.decoder import Decoder
from legonn.factory import DecoderConfig

V, D, K = 9, 8, 5


def decoder(tie_output: bool = True, memory: int = D, **options: float) -> Decoder:
    torch.manual_seed(0)
    config = DecoderConfig(
        width=D,
        heads=2,
        feedforward=16,
        layers=2,
        dropout=0.0,
        attention_dropout=0.0,
        tie_output=tie_output,
        **options,
    )
    built = config.build(vocabulary=V, memory=memory).eval()
    for parameter in built.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, std=0.1)
    return built


PREFIXES = torch.tensor([[V - 1, 3, 5, 2], [V - 1, 4, 4, 7], [V - 1, 3, 2, 2]])


@pytest.mark.parametrize("tie_output", [True, False])
def test_cached_steps_are_the_full_forward(tie_output: bool) -> None:
    model, memory = decoder(tie_output), torch.randn(1, K, D)
    logits, lengths = model(
        memory.expand(3, -1, -1), torch.full((3,), K), PREFIXES, torch.full((3,), 4)
    )
    wanted = logits.log_softmax(-1)
    assert lengths.tolist() == [4, 4, 4]
    _, pairs = model.init_state(memory[0])
    past = None
    for i in range(PREFIXES.size(1)):
        scores, past = model.step(PREFIXES[:, i], past, pairs[None])
        torch.testing.assert_close(scores, wanted[:, i], atol=1e-5, rtol=1e-4)
        assert past.shape == (3, 2, 2, 2, i + 1, D // 2)  # (B, layers, 2, H, U, D/H)


def test_score_is_batch_score_and_the_forward() -> None:
    model, memory = decoder(), torch.randn(K, D)
    assert isinstance(model, BatchScorerInterface)
    logits, _ = model(
        memory[None].expand(3, -1, -1), torch.full((3,), K), PREFIXES, torch.full((3,), 4)
    )
    states = [model.init_state(memory)] * 3
    alone = list(states)
    for i in range(PREFIXES.size(1)):
        ys = PREFIXES[:, : i + 1]
        together, states = model.batch_score(ys, states, memory[None].expand(3, -1, -1))
        torch.testing.assert_close(together, logits[:, i].log_softmax(-1), atol=1e-5, rtol=1e-4)
        for row in range(3):
            score, alone[row] = model.score(ys[row], alone[row], memory)
            torch.testing.assert_close(score, together[row], atol=1e-5, rtol=1e-4)


def test_a_batch_of_different_utterances_keeps_each_its_memory() -> None:
    model, memories = decoder(), torch.randn(3, K, D)
    logits, _ = model(memories, torch.full((3,), K), PREFIXES, torch.full((3,), 4))
    states = [model.init_state(memory) for memory in memories]
    for i in range(PREFIXES.size(1)):
        scores, states = model.batch_score(PREFIXES[:, : i + 1], states, memories)
        torch.testing.assert_close(scores, logits[:, i].log_softmax(-1), atol=1e-5, rtol=1e-4)


def test_no_token_sees_the_future() -> None:
    model, memory = decoder(), torch.randn(1, K, D)
    other = PREFIXES[:1].clone()
    other[0, 2:] = 6
    found = [model.states(memory, torch.tensor([K]), prefix) for prefix in (PREFIXES[:1], other)]
    assert torch.equal(found[0][:, :2], found[1][:, :2])
    assert not torch.allclose(found[0][:, 2:], found[1][:, 2:])


def test_padding_of_memory_and_prefix_changes_nothing() -> None:
    model, memory = decoder(), torch.randn(1, K, D)
    alone = model.states(memory, torch.tensor([K]), PREFIXES[:1])
    wider = torch.cat([memory, torch.full((1, 3, D), 5.0)], dim=1)
    longer = torch.cat([PREFIXES[:1], torch.zeros(1, 2, dtype=torch.int64)], dim=1)
    padded = model.states(wider, torch.tensor([K]), longer)
    torch.testing.assert_close(padded[:, :4], alone, atol=1e-6, rtol=1e-5)


def test_tie_output_shares_the_projection_with_the_embedding() -> None:
    tied, free = decoder(True), decoder(False)
    assert tied.output.weight is tied.embedding.weight
    assert free.output.weight is not free.embedding.weight
    sizes = [sum(p.numel() for p in model.parameters()) for model in (tied, free)]
    assert sizes[1] - sizes[0] == V * D
    states = torch.randn(2, D)
    torch.testing.assert_close(
        tied.output(states), states @ tied.embedding.weight.T + tied.output.bias
    )


def test_memory_of_another_width_is_read() -> None:
    model = decoder(memory=6)
    assert model.states(torch.randn(1, K, 6), torch.tensor([K]), PREFIXES[:1]).shape == (1, 4, D)


def test_word_dropout_spares_the_first_token_and_evaluation() -> None:
    model = decoder(word_dropout=0.99)
    memory, lengths = torch.randn(1, K, D), torch.tensor([K])
    kept = model.states(memory, lengths, PREFIXES[:1])
    torch.manual_seed(0)
    lost = model.train().states(memory, lengths, PREFIXES[:1])
    unknown = PREFIXES[:1].clone()
    unknown[0, 1:] = Decoder.UNKNOWN
    torch.testing.assert_close(lost, model.eval().states(memory, lengths, unknown))
    torch.testing.assert_close(kept[:, 0], lost[:, 0])
    assert not torch.allclose(kept[:, 1:], lost[:, 1:])


def test_embeddings_are_scaled_and_placed() -> None:
    from legonn.layers import sinusoids

    model = decoder()
    x = model.embed(torch.tensor([[4]]), first=3)
    wanted = model.embedding.weight[4] * math.sqrt(D) + sinusoids(torch.tensor(3), D)
    torch.testing.assert_close(x[0, 0], wanted)
