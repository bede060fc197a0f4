"""Ingestors against plain loops; which gradients cross, and which never do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from legonn.encoder import Stack
from legonn.factory import LayerConfig, build_chain
from legonn.ingestor import BeamConv, Ingestor, WEmb
from legonn.interface import Marginals
from legonn.layers import sinusoids

V, D, K = 7, 8, 6
LAYER = LayerConfig(width=D, heads=2, feedforward=16, dropout=0.0, attention_dropout=0.0)


def wemb(layers: int = 0, **options: Any) -> WEmb:
    torch.manual_seed(0)
    built = WEmb(embedding=nn.Embedding(V, D), stack=LAYER.stack(layers), dropout=0.0, **options)
    return built.eval()


def beamconv(layers: int = 0, beam: int = 2, kernel: int = 3, embedding_width: int = 5) -> BeamConv:
    torch.manual_seed(0)
    return BeamConv(
        vocabulary=V,
        width=D,
        stack=LAYER.stack(layers),
        dropout=0.0,
        beam=beam,
        embedding_width=embedding_width,
        kernel=kernel,
    ).eval()


def marginals(batch: int = 1, size: int = K, lengths: list[int] | None = None) -> Marginals:
    random = torch.Generator().manual_seed(1)
    log_probs = (2 * torch.randn(batch, size, V, generator=random)).log_softmax(-1)
    return Marginals(log_probs, torch.tensor(lengths or [size] * batch))


def one_hot(ids: list[int]) -> Marginals:
    log_probs = torch.full((1, len(ids), V), -math.inf)
    for k, token in enumerate(ids):
        log_probs[0, k, token] = 0.0
    return Marginals(log_probs, torch.tensor([len(ids)]))


def convolved(convolution: nn.Conv1d, rows: list[Tensor]) -> list[Tensor]:
    """Golden: a convolution as a loop over positions and window places, zeros beyond the ends."""
    (kernel,) = convolution.kernel_size
    assert convolution.bias is not None
    out = []
    for k in range(len(rows)):
        total = convolution.bias.clone()
        for place in range(kernel):
            at = k + place - kernel // 2
            if 0 <= at < len(rows):
                total = total + convolution.weight[:, :, place] @ rows[at]
        out.append(total)
    return out


def weighted_rows(ingestor: WEmb, probs: Tensor) -> list[Tensor]:
    """Golden: probability times embedding, summed over tokens: (K, V) -> K of (D,)."""
    rows = []
    for k in range(probs.size(0)):
        row = torch.zeros(D)
        for v in range(V):
            row = row + probs[k, v] * ingestor.embedding.weight[v] * math.sqrt(D)
        rows.append(row)
    return rows


def test_wemb_is_the_expected_embedding() -> None:
    ingestor, given = wemb(), marginals()
    wanted = torch.stack(weighted_rows(ingestor, given.probs()[0]))
    torch.testing.assert_close(ingestor.embed(given)[0], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("receptive_field", [3, 5])
def test_a_receptive_field_mixes_neighbours(receptive_field: int) -> None:
    ingestor, given = wemb(receptive_field=receptive_field), marginals(lengths=[K - 1])
    assert ingestor.mix is not None
    real = weighted_rows(ingestor, given.probs()[0, : K - 1])
    wanted = torch.stack(convolved(ingestor.mix, real))
    torch.testing.assert_close(ingestor.embed(given)[0, : K - 1], wanted, atol=1e-5, rtol=1e-4)


def test_a_receptive_field_of_one_has_no_weights() -> None:
    assert wemb().mix is None


def test_one_hot_marginals_give_the_plain_embedding() -> None:
    ingestor, ids = wemb(), [0, 3, 3, 6]
    found = ingestor.embed(one_hot(ids))[0]
    torch.testing.assert_close(found, ingestor.embedding(torch.tensor(ids)) * math.sqrt(D))


@pytest.mark.parametrize("build", [wemb, beamconv])
def test_hidden_marginals_are_whole_positions_in_training_only(
    build: Callable[..., Ingestor],
) -> None:
    ingestor, given = build(), marginals(size=4000)
    ingestor.marginal_dropout = 0.25
    places = sinusoids(torch.arange(4000), D)
    whole, nothing = ingestor.norm(ingestor.embed(given) + places), ingestor.norm(places)
    assert torch.equal(ingestor(given)[0], whole[0])
    torch.manual_seed(0)
    seen = ingestor.train()(given)[0]
    hidden = (seen == nothing).all(-1)
    assert torch.equal(seen[~hidden], whole[0, ~hidden])
    assert hidden.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_a_window_must_have_a_middle() -> None:
    with pytest.raises(ValueError, match="a window of 4 positions has no middle"):
        wemb(receptive_field=4)


@pytest.mark.parametrize(("beam", "kernel"), [(1, 1), (2, 3), (3, 5)])
def test_beamconv_is_a_loop_over_positions(beam: int, kernel: int) -> None:
    ingestor, given = beamconv(beam=beam, kernel=kernel), marginals()
    rows = []
    for k in range(K):
        best = sorted(range(V), key=lambda v: -given.log_probs[0, k, v].item())[:beam]
        rows.append(torch.cat([ingestor.embedding.weight[v] for v in best]))
    wanted = torch.stack(convolved(ingestor.convolution, rows))
    torch.testing.assert_close(ingestor.embed(given)[0], wanted, atol=1e-5, rtol=1e-4)


def test_beamconv_sees_order_and_not_size() -> None:
    """Only indices cross: marginals of the same order give the same states, bit for bit."""
    ingestor, given = beamconv(layers=1), marginals()
    sharper = Marginals((3 * given.log_probs).log_softmax(-1), given.lengths)
    assert torch.equal(ingestor(given), ingestor(sharper))
    assert not torch.equal(wemb()(given), wemb()(sharper))


@pytest.mark.parametrize("build", [wemb, beamconv])
def test_positions_are_added_before_the_layers(build: Callable[..., Ingestor]) -> None:
    ingestor, given = build(layers=0), marginals()
    wanted = ingestor.norm(ingestor.embed(given) + sinusoids(torch.arange(K), D))
    torch.testing.assert_close(ingestor(given), wanted)


@pytest.mark.parametrize(
    "ingestor", [wemb(1), wemb(1, receptive_field=3), beamconv(1)], ids=["wemb", "r3", "beamconv"]
)
def test_batched_and_padded_is_single(ingestor: Ingestor) -> None:
    batch = marginals(2, lengths=[K, 4])
    together = ingestor(batch)
    for row, size in enumerate((K, 4)):
        alone = ingestor(Marginals(batch.log_probs[row : row + 1, :size], torch.tensor([size])))
        torch.testing.assert_close(together[row, :size], alone[0], atol=1e-6, rtol=1e-5)


def losses_of(chain_config: Callable[..., dict[str, Any]], **options: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    chain = build_chain(chain_config(**options), source_size=V, target_size=V).train()
    text, source = torch.randint(2, V - 1, (2, 4)), torch.randint(2, V - 1, (2, 5))
    loss, _, _ = chain(
        src_text=source,
        src_text_lengths=torch.tensor([5, 4]),
        text=text,
        text_lengths=torch.tensor([4, 3]),
    )
    loss.backward()
    return chain, loss


def gradients(module: nn.Module) -> dict[str, float]:
    """Largest absolute gradient by parameter; None counts as 0."""
    return {
        name: 0.0 if p.grad is None else p.grad.abs().max().item()
        for name, p in module.named_parameters()
    }


BEAMCONV = {"ingestor": "beamconv", "ingestor_conf": {"layers": 1, "beam": 2, "embedding_width": 5}}


def test_wemb_carries_the_decoders_loss_into_head_and_encoder(
    chain_config: Callable[..., dict[str, Any]],
) -> None:
    chain, _ = losses_of(chain_config, ctc_weight=0.0)
    assert all(gradients(chain.head).values())
    reached = gradients(chain.encoder)
    # Adding one constant to all keys changes no softmax: nothing else may have a gradient of zero.
    assert [name for name, size in reached.items() if size == 0] == []


def test_beamconv_carries_none_of_it(chain_config: Callable[..., dict[str, Any]]) -> None:
    chain, _ = losses_of(chain_config, ctc_weight=0.0, **BEAMCONV)
    assert set(gradients(chain.encoder).values()) == {0.0}
    assert set(gradients(chain.head).values()) == {0.0}
    assert min(gradients(chain.decoder).values()) > 0
    assert gradients(chain.ingestor)["embedding.weight"] > 0


@pytest.mark.parametrize("options", [{}, BEAMCONV], ids=["wemb", "beamconv"])
def test_ctc_reaches_the_encoder_and_never_the_decoder(
    chain_config: Callable[..., dict[str, Any]], options: dict[str, Any]
) -> None:
    chain, _ = losses_of(chain_config, ce_weight=0.0, **options)
    assert set(gradients(chain.decoder).values()) == {0.0}
    assert set(gradients(chain.ingestor).values()) == {0.0}
    assert min(gradients(chain.head).values()) > 0
    assert gradients(chain.encoder)["front_end.embedding.weight"] > 0


def test_a_tied_table_is_the_decoders_embedding(
    chain_config: Callable[..., dict[str, Any]],
) -> None:
    sizes = {}
    for tied in (True, False):
        config = chain_config(ingestor_conf={"layers": 1, "tie_embedding": tied})
        chain = build_chain(config, source_size=V, target_size=V)
        assert isinstance(chain.ingestor, WEmb)
        assert (chain.ingestor.embedding is chain.decoder.embedding) == tied
        sizes[tied] = sum(p.numel() for p in chain.parameters())
    assert sizes[False] - sizes[True] == V * 16


def test_an_ingestor_without_layers_is_legal() -> None:
    assert isinstance(wemb().stack, Stack) and len(wemb().stack.blocks) == 0


@pytest.mark.parametrize("make", [wemb, beamconv])
def test_another_timing_is_received_in_training_only(make: Callable[[], Ingestor]) -> None:
    ingestor, given = make(), marginals(batch=4)
    ingestor.retiming = 1.0
    assert ingestor.receive(given) is given  # evaluation
    ingestor.train()
    torch.manual_seed(0)
    received = ingestor.receive(given)
    assert received.lengths.tolist() != given.lengths.tolist()
    assert received.greedy() == given.greedy()
    ingestor.retiming = 0.0
    assert ingestor.receive(given) is given


@pytest.mark.parametrize("name", ["wemb", "beamconv"])
def test_a_chain_trains_on_other_timings(
    chain_config: Callable[..., dict[str, Any]], name: str
) -> None:
    """The decoder attends to as many states as it received; the encoder's CTC sees its own positions."""
    config = chain_config(ingestor=name, ingestor_conf={"layers": 1, "retiming": 2.0})
    torch.manual_seed(0)
    chain = build_chain(config, source_size=9, target_size=V)
    batch = torch.tensor([[3, 4, 5, 6], [3, 4, 5, 6]]), torch.tensor([4, 2])
    plain = chain.eval().encode(*batch)
    assert plain.lengths.tolist() == plain.marginals[0].lengths.tolist() == [6, 3]
    seen = []
    for _ in range(10):
        retimed = chain.train().encode(*batch)
        assert retimed.marginals[0].lengths.tolist() == [6, 3]
        assert retimed.memory.shape[:2] == (2, int(retimed.lengths.max()))
        seen.append(retimed.lengths.tolist())
    assert len(set(map(tuple, seen))) > 2
