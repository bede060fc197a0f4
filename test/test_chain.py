"""The chain's losses: a sum of documented terms, the same in a batch, alone and padded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from legonn.chain import Chain
from legonn.errors import ConfigError
from legonn.factory import build_chain

V = 11
PHONES = 8
Config = Callable[..., dict[str, Any]]
Batch = dict[str, Tensor]
BEAMCONV = {"ingestor": "beamconv", "ingestor_conf": {"layers": 1, "beam": 2, "embedding_width": 5}}
BRIDGE = {
    "bridges": [{"width": 16, "heads": 2, "feedforward": 32, "dropout": 0.0, "length_ratio": 1.2}],
    "interface_token_lists": {"text_phn": [str(i) for i in range(PHONES)]},
}


@pytest.fixture
def make(chain_config: Config) -> Callable[..., Chain]:
    def build(**options: Any) -> Chain:
        torch.manual_seed(0)
        return build_chain(chain_config(**options), source_size=V, target_size=V).eval()

    return build


def batch_of(*pairs: tuple[list[int], list[int]], padding: int = 0) -> Batch:
    """A batch as the collate function gives it, padded with -1; `padding` adds columns."""
    out: Batch = {}
    for name, rows in zip(("src_text", "text"), zip(*pairs, strict=True), strict=True):
        size = max(map(len, rows)) + padding
        out[name] = torch.tensor([[*row, *[-1] * (size - len(row))] for row in rows])
        out[f"{name}_lengths"] = torch.tensor([len(row) for row in rows])
    return out


PAIRS = (
    ([2, 3, 4, 5, 6], [4, 4, 7]),
    ([5, 2, 9], [8, 3]),
    ([7, 7, 2, 3], [3, 9, 9, 2]),
)


def numbers(stats: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in stats.items()}


SYSTEMS = pytest.mark.parametrize(
    "options",
    [
        {},
        BEAMCONV,
        {"system": "attention"},
        {"system": "hybrid"},
        {"ctc_weight": 0.3, "ce_weight": 2.0},
    ],
    ids=["wemb", "beamconv", "attention", "hybrid", "weights"],
)


@SYSTEMS
def test_a_batch_is_the_mean_of_its_utterances_weighted_by_tokens(
    make: Callable[..., Chain], options: dict[str, Any]
) -> None:
    chain = make(**options)
    loss, stats, weight = chain(**batch_of(*PAIRS))
    singles = [chain(**batch_of(pair)) for pair in PAIRS]
    assert [float(w) for _, _, w in singles] == [4, 3, 5]  # <eos> included
    assert float(weight) == 12
    mean = sum(single * w for single, _, w in singles) / 12
    torch.testing.assert_close(loss, mean.reshape(loss.shape), atol=1e-5, rtol=1e-5)
    for name in set(stats) - {"infeasible"}:  # that one is a share of utterances
        wanted = sum(float(one[name]) * float(w) for _, one, w in singles) / 12
        assert float(stats[name]) == pytest.approx(wanted, abs=1e-5)


@SYSTEMS
def test_padding_changes_no_loss(make: Callable[..., Chain], options: dict[str, Any]) -> None:
    chain = make(**options)
    loss, stats, weight = chain(**batch_of(*PAIRS))
    padded_loss, padded_stats, padded_weight = chain(**batch_of(*PAIRS, padding=4))
    torch.testing.assert_close(padded_loss, loss, atol=1e-6, rtol=1e-6)
    assert numbers(padded_stats) == pytest.approx(numbers(stats), abs=1e-6)
    assert float(padded_weight) == float(weight)


def test_the_loss_is_the_sum_of_its_terms(make: Callable[..., Chain]) -> None:
    for ctc_weight, ce_weight in ((1.0, 1.0), (0.3, 2.0), (0.0, 1.0)):
        chain = make(ctc_weight=ctc_weight, ce_weight=ce_weight)
        loss, stats, _ = chain(**batch_of(*PAIRS))
        found = numbers(stats)
        wanted = ce_weight * found["loss_ce"] + ctc_weight * found["loss_ctc"]
        assert loss.item() == pytest.approx(wanted, rel=1e-6)
        assert found["loss"] == pytest.approx(wanted, rel=1e-6)
        assert set(found) == {"loss", "loss_ce", "loss_ctc", "infeasible", "acc"}


@pytest.mark.parametrize("system", ["lego", "hybrid"])
def test_a_decoder_can_wait_for_ctc(make: Callable[..., Chain], system: str) -> None:
    def slopes(ctc_first: float) -> tuple[float, dict[str, Any]]:
        chain = make(system=system, chain_conf={"ctc_first": ctc_first}).train()
        loss, stats, _ = chain(**batch_of(*PAIRS))
        loss.backward()
        return float(stats["loss_ctc"]), {n: p.grad for n, p in chain.named_parameters()}

    ctc, always = slopes(0.0)
    _, learns = slopes(100.0)
    _, waits = slopes(ctc / 2)
    decoder = [name for name in always if name.startswith("decoder.blocks")]
    assert decoder and all(torch.equal(learns[name], always[name]) for name in decoder)
    assert all(not waits[name].any() for name in decoder)
    assert any(slope.any() for name, slope in waits.items() if name.startswith("head"))
    chain = make(system=system, chain_conf={"ctc_first": ctc / 2}).eval()
    loss, stats, _ = chain(**batch_of(*PAIRS))
    assert loss.item() == pytest.approx(float(stats["loss_ce"] + stats["loss_ctc"]), rel=1e-6)


def test_waiting_needs_ctc_and_nats(make: Callable[..., Chain]) -> None:
    with pytest.raises(ConfigError, match="ctc_first waits for CTC, which --system attention"):
        make(system="attention", chain_conf={"ctc_first": 2.0})
    with pytest.raises(ConfigError, match="ctc_first is -1.0; it is 0 or more"):
        make(chain_conf={"ctc_first": -1.0})


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_terms_are_pytorchs_losses(make: Callable[..., Chain], smoothing: float) -> None:
    """Golden: PyTorch's `cross_entropy` and `ctc_loss`, utterance by utterance."""
    chain = make(chain_conf={"label_smoothing": smoothing})
    ce, ctc, right = 0.0, 0.0, 0
    for source, target in PAIRS:
        encoded = chain.encode(torch.tensor([source]), torch.tensor([len(source)]))
        prefix = torch.tensor([[V - 1, *target]])
        logits, _ = chain.decoder(encoded.memory, encoded.lengths, prefix, torch.tensor([1]))
        wanted = torch.tensor([*target, V - 1])
        ce += float(
            functional.cross_entropy(logits[0], wanted, label_smoothing=smoothing, reduction="sum")
        )
        right += int((logits[0].argmax(-1) == wanted).sum())
        (marginals,) = encoded.marginals
        ctc += float(
            functional.ctc_loss(
                marginals.log_probs[0],
                torch.tensor(target),
                marginals.lengths[0],
                torch.tensor(len(target)),
                reduction="sum",
            )
        )
    stats = numbers(chain(**batch_of(*PAIRS))[1])
    assert stats["loss_ce"] == pytest.approx(ce / 12, rel=1e-5)
    assert stats["loss_ctc"] == pytest.approx(ctc / 12, rel=1e-5)
    assert stats["acc"] == pytest.approx(right / 12)


def test_a_plain_encoder_decoder_has_no_ctc(make: Callable[..., Chain]) -> None:
    chain = make(system="attention")
    assert chain.head is None and chain.ingestor is None and len(chain.bridges) == 0
    assert chain.encoder.length_control is None
    loss, stats, _ = chain(**batch_of(*PAIRS))
    assert set(stats) == {"loss", "loss_ce", "acc"}
    assert loss.item() == pytest.approx(float(stats["loss_ce"]))
    encoded = chain.encode(torch.tensor([[2, 3]]), torch.tensor([2]))
    assert encoded.marginals == () and encoded.lengths.tolist() == [2]


def test_a_hybrid_decoder_attends_to_the_states_that_ctc_reads(make: Callable[..., Chain]) -> None:
    chain = make(system="hybrid")
    assert chain.head is not None and chain.ingestor is None
    assert chain.encoder.length_control is None
    source, lengths = torch.tensor([[2, 3, 4]]), torch.tensor([3])
    encoded = chain.encode(source, lengths)
    assert torch.equal(encoded.memory, chain.encoder(source, lengths)[0])
    (marginals,) = encoded.marginals
    assert torch.equal(marginals.log_probs, chain.head(encoded.memory, lengths).log_probs)
    loss, stats, _ = chain(**batch_of(*PAIRS))
    assert loss.item() == pytest.approx(float(stats["loss_ce"] + stats["loss_ctc"]))


def test_without_ctc_weight_its_loss_is_still_watched(make: Callable[..., Chain]) -> None:
    chain = make(ctc_weight=0.0)
    loss, stats, _ = chain(**batch_of(*PAIRS))
    assert loss.item() == pytest.approx(float(stats["loss_ce"]))
    assert float(stats["loss_ctc"]) > 0


def test_the_share_of_infeasible_utterances_is_counted(make: Callable[..., Chain]) -> None:
    # K = 3 for two source tokens at ratio 1.5: "3 3" needs 3, "3 3 3" needs 5.
    chain = make()
    batch = batch_of(([2, 3], [3, 3]), ([2, 3], [3, 3, 3]), ([2, 3], [3, 4, 3, 4]), ([2, 3], [3]))
    _, stats, _ = chain(**batch)
    assert float(stats["infeasible"]) == 0.5


def test_an_infeasible_utterance_adds_nothing_to_ctc(make: Callable[..., Chain]) -> None:
    chain = make()
    feasible, lost = ([2, 3], [3, 4]), ([2, 3], [3, 3, 3])
    alone = numbers(chain(**batch_of(feasible))[1])["loss_ctc"] * 3
    both = numbers(chain(**batch_of(feasible, lost))[1])["loss_ctc"] * 7
    assert both == pytest.approx(alone, rel=1e-5)


@pytest.fixture
def bridged(make: Callable[..., Chain]) -> tuple[Chain, Batch]:
    chain = make(**BRIDGE, chain_conf={"encoder_target": "text_phn"})
    phones = torch.tensor([[2, 3, 3], [4, 5, -1], [6, -1, -1]])
    batch = {**batch_of(*PAIRS), "text_phn": phones, "text_phn_lengths": torch.tensor([3, 2, 1])}
    return chain, batch


def test_a_bridge_puts_a_second_interface_into_the_loss(bridged: tuple[Chain, Batch]) -> None:
    chain, batch = bridged
    loss, stats, weight = chain(**batch)
    found = numbers(stats)
    assert chain.interface_targets() == ["text_phn", "text"]
    assert set(found) == {
        "loss",
        "acc",
        "loss_ce",
        "loss_ctc",
        "infeasible",
        "loss_ctc_text_phn",
        "infeasible_text_phn",
    }
    total = found["loss_ce"] + found["loss_ctc"] + found["loss_ctc_text_phn"]
    assert loss.item() == pytest.approx(total, rel=1e-6)
    encoded = chain.encode(batch["src_text"], batch["src_text_lengths"])
    assert [m.log_probs.size(2) for m in encoded.marginals] == [PHONES, V]
    golden = functional.ctc_loss(
        encoded.marginals[0].log_probs.transpose(0, 1),
        batch["text_phn"].clamp(min=0),
        encoded.marginals[0].lengths,
        batch["text_phn_lengths"],
        reduction="sum",
    )
    assert found["loss_ctc_text_phn"] == pytest.approx(float(golden / weight), rel=1e-5)


def test_every_module_of_a_bridged_chain_learns(bridged: tuple[Chain, Batch]) -> None:
    chain, batch = bridged
    chain(**batch)[0].backward()
    idle = [name for name, p in chain.named_parameters() if p.grad is None]
    assert idle == []


def test_a_bridged_chain_needs_its_targets(bridged: tuple[Chain, Batch]) -> None:
    chain, batch = bridged
    del batch["text_phn"]
    with pytest.raises(KeyError, match="text_phn"):
        chain(**batch)


@SYSTEMS
def test_bf16_is_close_to_fp32(make: Callable[..., Chain], options: dict[str, Any]) -> None:
    stats, gradients = [], []
    for precision in ("fp32", "bf16"):
        chain = make(**options, precision=precision)
        loss, found, _ = chain(**batch_of(*PAIRS))
        loss.backward()
        stats.append(numbers(found))
        gradients.append(
            torch.cat([p.grad.flatten() for p in chain.parameters() if p.grad is not None])
        )
    for name in ("loss", "loss_ce"):
        assert stats[1][name] == pytest.approx(stats[0][name], rel=0.02)
    if "beamconv" not in str(options):  # a changed order of the best p changes its gradient
        assert functional.cosine_similarity(gradients[0], gradients[1], dim=0).item() > 0.99


def test_parameters_stay_in_fp32_under_bf16(make: Callable[..., Chain]) -> None:
    chain = make(precision="bf16")
    loss, _, weight = chain(**batch_of(*PAIRS))
    loss.backward()
    assert {p.dtype for p in chain.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in chain.parameters() if p.grad is not None} == {torch.float32}
    assert loss.dtype == weight.dtype == torch.float32


def test_stats_carry_no_graph(make: Callable[..., Chain]) -> None:
    loss, stats, weight = make()(**batch_of(*PAIRS))
    assert loss.requires_grad
    assert not any(value.requires_grad for value in [*stats.values(), weight])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@SYSTEMS
def test_a_gpu_gives_the_cpus_losses(make: Callable[..., Chain], options: dict[str, Any]) -> None:
    chain = make(**options)
    wanted = numbers(chain(**batch_of(*PAIRS))[1])
    moved = {name: value.cuda() for name, value in batch_of(*PAIRS).items()}
    assert numbers(chain.cuda()(**moved)[1]) == pytest.approx(
        wanted, rel=1e-5
    )  # fp16 would miss it


def test_nothing_is_collected_for_text(make: Callable[..., Chain]) -> None:
    assert make().collect_feats(**batch_of(*PAIRS)) == {}


AGREEING = {"chain_conf": {"ctc_consistency": 0.5, "ce_consistency": 2.0}}


@pytest.mark.parametrize("options", [{}, {"system": "attention"}], ids=["wemb", "attention"])
def test_passes_without_noise_agree(make: Callable[..., Chain], options: dict[str, Any]) -> None:
    batch = batch_of(*PAIRS)
    once, *_ = make(**options).train()(**batch)
    loss, stats, weight = make(**options, **AGREEING).train()(**batch)
    torch.testing.assert_close(loss, once, atol=1e-5, rtol=1e-5)
    assert float(weight) == 24  # two passes of 12 tokens
    assert float(stats["ce_disagreement"]) == pytest.approx(0.0, abs=1e-5)
    assert ("ctc_disagreement" in stats) == (not options)


def test_disagreement_is_part_of_the_loss_in_training_alone(make: Callable[..., Chain]) -> None:
    noisy = {f"{part}_conf": {"dropout": 0.5} for part in ("encoder", "decoder")}
    chain = make(**noisy, **AGREEING).train()
    names = [str(number) for number in range(len(PAIRS))]
    loss, stats, _ = chain(utt_id=names, **batch_of(*PAIRS))
    found = numbers(stats)
    assert found["ctc_disagreement"] > 0.01 and found["ce_disagreement"] > 0.01
    terms = found["loss_ce"] + found["loss_ctc"]
    terms += 0.5 * found["ctc_disagreement"] + 2.0 * found["ce_disagreement"]
    assert float(loss) == pytest.approx(terms, rel=1e-5)
    assert "ctc_disagreement" not in chain.eval()(**batch_of(*PAIRS))[1]


@pytest.mark.parametrize("kept", ["ctc", "ce"])
def test_a_disagreement_without_weight_is_not_computed(
    make: Callable[..., Chain], kept: str
) -> None:
    chain = make(chain_conf={f"{kept}_consistency": 0.5}).train()
    _, stats, _ = chain(**batch_of(*PAIRS))
    assert [name for name in stats if "disagreement" in name] == [f"{kept}_disagreement"]
