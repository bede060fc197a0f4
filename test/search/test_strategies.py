"""Decoding a batch: each mode, batched and alone, and what a plain encoder-decoder can't do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from legonn.chain import Chain
from legonn.ensemble import Ensemble
from legonn.errors import ConfigError
from legonn.factory import build_chain
from legonn.language_model import LanguageModel
from legonn.search import MODES, DecodingOptions, decode_batch
from legonn.search.alignment import align
from legonn.search.decoding import prepare
from legonn.search.strategies import Attention, Joint

MakeChain = Callable[..., Chain]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ingestor", ["wemb", "beamconv"])
def test_batched_equals_single(make_chain: MakeChain, mode: str, ingestor: str) -> None:
    chain = make_chain(ingestor=ingestor)
    rows = torch.randint(2, 6, (6, 7), generator=torch.Generator().manual_seed(0))
    sources = [row[:length] for row, length in zip(rows, (3, 7, 1, 5, 7, 2), strict=True)]
    options = DecodingOptions(mode=mode, beam_size=3)
    together = decode_batch(chain, sources, options)
    assert len({found[0].ids for found in together}) > 1
    for row, found in zip(sources, together, strict=True):
        (alone,) = decode_batch(chain, [row], options)
        assert found[0].ids == alone[0].ids
        assert found[0].score == pytest.approx(alone[0].score, abs=1e-5)
        assert found[0].scores == pytest.approx(alone[0].scores, abs=1e-4)


@pytest.mark.parametrize("mode", ["attention", "joint", "ctc_beam", "rescore"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_best_are_different_hypotheses(
    make_chain: MakeChain, mode: str, precision: str
) -> None:
    """Of a vocabulary so small that decoder and CTC propose the same tokens."""
    sources = [torch.tensor([2, 5, 3, 3, 4]), torch.tensor([4, 2])]
    options = DecodingOptions(mode=mode, beam_size=5, nbest=5, precision=precision)
    for found in decode_batch(prepare(make_chain(), options), sources, options):
        assert len({one.ids for one in found}) == len(found) == 5
        assert found == sorted(found, key=lambda one: -one.score)


def test_bf16_is_near_fp32(make_chain: MakeChain) -> None:
    sources = [torch.tensor([2, 5, 3, 3, 4])]
    options = [DecodingOptions(mode="joint", precision=precision) for precision in ("fp32", "bf16")]
    found = [decode_batch(prepare(make_chain(), one), sources, one)[0][0] for one in options]
    assert found[0].score == pytest.approx(found[1].score, abs=0.05)
    assert found[0].score != found[1].score


@pytest.mark.parametrize("mode", MODES)
def test_int8_gives_each_input_what_it_gives_alone(make_chain: MakeChain, mode: str) -> None:
    chain = make_chain()
    rows = torch.randint(2, 6, (6, 7), generator=torch.Generator().manual_seed(0))
    sources = [row[:length] for row, length in zip(rows, (3, 7, 1, 5, 7, 2), strict=True)]
    options = DecodingOptions(mode=mode, beam_size=3, precision="int8")
    prepared = prepare(chain, options)
    together = decode_batch(prepared, sources, options)
    single = [decode_batch(prepared, [source], options)[0] for source in sources]
    assert [found[0].ids for found in together] == [found[0].ids for found in single]
    exact = decode_batch(chain, sources, DecodingOptions(mode=mode, beam_size=3))
    assert all(one[0].score != other[0].score for one, other in zip(together, exact, strict=True))


def test_int8_is_near_fp32(make_chain: MakeChain) -> None:
    chain = make_chain()
    source = torch.randint(2, 6, (8, 7), generator=torch.Generator().manual_seed(0))
    fp32, int8 = (
        one.encode(source, torch.full((8,), 7)).marginals[-1].probs()
        for one in (chain, prepare(chain, DecodingOptions(precision="int8")))
    )
    assert 0 < (fp32 - int8).abs().mean().item() < 0.01


def test_a_chain_must_be_prepared_for_int8(make_chain: MakeChain) -> None:
    with pytest.raises(ValueError, match="isn't prepared for precision int8"):
        decode_batch(make_chain(), [torch.tensor([2])], DecodingOptions(precision="int8"))


@pytest.mark.parametrize("encoder", ["speech", "conformer"])
def test_recordings_of_any_length_together_equal_each_alone(encoder: str) -> None:
    """A conformer's convolutions would look at the padding, so it hears each alone."""
    part = {"width": 16, "heads": 2, "feedforward": 32}
    config = {
        "encoder": encoder,
        "encoder_conf": {**part, "layers_before": 1, "layers_after": 1, "length_ratio": 0.5},
        "decoder_conf": {**part, "layers": 1},
    }
    torch.manual_seed(0)
    chain = build_chain(config, source_size=0, target_size=7).eval()
    assert chain.encoder.sees_padding == (encoder == "conformer")
    generator = torch.Generator().manual_seed(1)
    sounds = [torch.randn(n, generator=generator) for n in (16000, 4000, 9000)]
    options = DecodingOptions(mode="joint", beam_size=2, maxlenratio=-6.0)
    for sound, found in zip(sounds, decode_batch(chain, sounds, options), strict=True):
        (alone,) = decode_batch(chain, [sound], options)
        assert found[0].ids == alone[0].ids
        assert found[0].scores == pytest.approx(alone[0].scores, abs=1e-3)


def test_a_minimum_that_ctc_forbids_is_dropped(make_chain: MakeChain) -> None:
    chain = make_chain(
        encoder_conf={"width": 16, "heads": 2, "feedforward": 32, "length_ratio": 0.5}
    )
    options = DecodingOptions(mode="joint", minlenratio=-4.0, maxlenratio=-5.0)
    sources = [
        torch.tensor([2, 3]),
        torch.tensor([2, 5, 3, 3, 4, 2, 3, 5, 2, 4, 2, 3]),
    ]  # K = 1 and 6
    one, six = decode_batch(chain, sources, options)
    assert len(one[0].ids) <= 1
    assert len(six[0].ids) in (4, 5)


def test_joint_looks_no_further_than_ctc_can_emit(
    make_chain: MakeChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same hypotheses, and the same scores, as with the limit that the options give."""
    chain = make_chain()
    sources = [torch.tensor([2, 5, 3, 3, 4]), torch.tensor([4, 2])]
    options = DecodingOptions(mode="joint", beam_size=4, nbest=4)
    lengths = torch.tensor([5, 2])
    encoded = chain.encode(torch.tensor([[2, 5, 3, 3, 4], [4, 2, 0, 0, 0]]), lengths)
    positions = encoded.marginals[-1].lengths.tolist()
    assert Joint(chain, options).limits(encoded) == [(0, count) for count in positions]
    limited = decode_batch(chain, sources, options)
    monkeypatch.setattr(Joint, "limits", Attention.limits)
    assert Joint(chain, options).limits(encoded) == [(0, 2 * count + 10) for count in positions]
    assert decode_batch(chain, sources, options) == limited


@pytest.mark.parametrize("system", ["lego", "attention"])
def test_the_score_is_what_the_decoder_gives_in_one_pass(
    make_chain: MakeChain, system: str
) -> None:
    """The golden value comes from the uncached forward pass of training."""
    chain = make_chain(system=system)
    source = torch.tensor([[2, 5, 3, 3, 4]])
    options = DecodingOptions(mode="attention", beam_size=4, nbest=3, length_penalty=0.5)
    (found,) = decode_batch(chain, list(source), options)
    assert len(found) == 3
    assert found[0].score >= found[1].score >= found[2].score
    encoded = chain.encode(source, torch.tensor([5]))
    for one in found:
        prefix = torch.tensor([[chain.sos, *one.ids]])
        wanted = torch.tensor([*one.ids, chain.eos])
        states = chain.decoder.states(encoded.memory, encoded.lengths, prefix)
        log_probs = chain.decoder.output(states)[0].log_softmax(dim=-1)
        total = log_probs.gather(1, wanted[:, None]).sum().item()
        assert one.scores["decoder"] == pytest.approx(total, abs=1e-4)
        assert one.score == pytest.approx(total / len(wanted) ** 0.5, abs=1e-4)


def test_joint_weighs_the_decoder_against_ctc(make_chain: MakeChain) -> None:
    chain = make_chain()
    source = torch.tensor([[2, 5, 3, 3, 4]])
    options = DecodingOptions(mode="joint", ctc_weight=0.25)
    (found,) = decode_batch(chain, list(source), options)
    one = found[0]
    total = 0.75 * one.scores["decoder"] + 0.25 * one.scores["ctc"]
    assert one.score == pytest.approx(total / (len(one.ids) + 1), abs=1e-5)
    marginals = chain.encode(source, torch.tensor([5])).marginals[-1]
    ctc = -marginals.ctc_loss(torch.tensor([one.ids]), torch.tensor([len(one.ids)])).item()
    assert one.scores["ctc"] == pytest.approx(ctc, abs=1e-3)


def test_joint_without_ctc_is_attention(make_chain: MakeChain) -> None:
    chain = make_chain()
    source = torch.tensor([[2, 5, 3], [4, 4, 2]])
    joint = decode_batch(chain, list(source), DecodingOptions(mode="joint", ctc_weight=0.0))
    assert joint == decode_batch(chain, list(source), DecodingOptions(mode="attention"))


@pytest.mark.parametrize(
    ("conf", "mode"),
    [
        ({}, "joint"),
        ({"system": "hybrid"}, "joint"),
        ({"system": "attention"}, "attention"),
        ({"ctc_weight": 0.0}, "attention"),
    ],
)
def test_auto_asks_the_interface_that_was_learned(
    make_chain: MakeChain, conf: dict[str, object], mode: str
) -> None:
    chain = make_chain(**conf)
    sources = [torch.tensor([2, 5, 3]), torch.tensor([4, 4, 2])]
    found = decode_batch(chain, sources, DecodingOptions())
    assert found == decode_batch(chain, sources, DecodingOptions(mode=mode))
    assert ("ctc" in found[0][0].scores) == (mode == "joint")


def test_ctc_greedy_shows_the_interface(make_chain: MakeChain) -> None:
    chain = make_chain()
    source = torch.tensor([[2, 5, 3, 3]])
    (found,) = decode_batch(chain, list(source), DecodingOptions(mode="ctc_greedy"))
    marginals = chain.encode(source, torch.tensor([4])).marginals[-1]
    best = marginals.log_probs[0].amax(dim=-1)
    assert found[0].ids == tuple(marginals.greedy()[0])
    assert found[0].scores["ctc_path"] == pytest.approx(best.sum().item())
    assert found[0].score == pytest.approx(best.mean().item())


def forward_score(chain: Chain, source: torch.Tensor, ids: tuple[int, ...]) -> float:
    """The decoder's log-probability of one output, by the forward pass of training."""
    encoded = chain.encode(source[None], torch.tensor([len(source)]))
    prefix, wanted = torch.tensor([[chain.sos, *ids]]), torch.tensor([*ids, chain.eos])
    states = chain.decoder.states(encoded.memory, encoded.lengths, prefix)
    log_probs = chain.decoder.output(states)[0].log_softmax(dim=-1)
    return log_probs.gather(1, wanted[:, None]).sum().item()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("fewest", "most"), [(0.0, 0.0), (-2.0, -3.0), (-5.0, 0.0)])
def test_greedy_is_a_beam_of_one(
    make_chain: MakeChain, seed: int, fewest: float, most: float
) -> None:
    chain = make_chain(seed)
    chain.decoder.output.bias.data[chain.eos] += 1.0  # so that they end at different times
    rows = torch.randint(2, 6, (9, 7), generator=torch.Generator().manual_seed(seed))
    sources = [row[: 1 + i % 7] for i, row in enumerate(rows)]
    limits = {"minlenratio": fewest, "maxlenratio": most, "length_penalty": 0.5}
    greedy = decode_batch(chain, sources, DecodingOptions(mode="greedy", **limits))  # type: ignore[arg-type]
    beam = decode_batch(chain, sources, DecodingOptions(mode="attention", beam_size=1, **limits))  # type: ignore[arg-type]
    assert [row[0].ids for row in greedy] == [row[0].ids for row in beam]
    for one, other in zip(greedy, beam, strict=True):
        assert one[0].score == pytest.approx(other[0].score, abs=1e-5)
        assert one[0].scores == pytest.approx(other[0].scores, abs=1e-4)


def test_ctc_beam_gives_log_probabilities_of_outputs(make_chain: MakeChain) -> None:
    """PyTorch's CTC loss is the golden value: a beam of all outputs is exact."""
    chain = make_chain(encoder_conf={"width": 16, "heads": 2, "feedforward": 32, "length_ratio": 1})
    source = torch.tensor([2, 5, 3])
    options = DecodingOptions(mode="ctc_beam", beam_size=200, nbest=9)
    (found,) = decode_batch(chain, [source], options)
    marginals = chain.encode(source[None], torch.tensor([3])).marginals[-1]
    assert len(found) == 9
    assert found == sorted(found, key=lambda one: -one.score)
    for one in found:
        loss = marginals.ctc_loss(torch.tensor([one.ids]).long(), torch.tensor([len(one.ids)]))
        assert one.scores == {"ctc": one.score}
        assert one.score == pytest.approx(-loss.item(), abs=1e-4)


def test_rescoring_compares_ctcs_best_by_what_the_decoder_gives(make_chain: MakeChain) -> None:
    chain = make_chain()
    source = torch.tensor([2, 5, 3, 3, 4])
    ctc = DecodingOptions(mode="ctc_beam", beam_size=6, nbest=6)
    first = {one.ids: one.score for one in decode_batch(chain, [source], ctc)[0]}
    options = DecodingOptions(
        mode="rescore", beam_size=6, nbest=6, ctc_weight=0.25, length_penalty=0.5
    )
    (found,) = decode_batch(chain, [source], options)
    assert {one.ids for one in found} == first.keys()
    assert [one.ids for one in found] != list(first)  # the decoder has another opinion
    assert found == sorted(found, key=lambda one: -one.score)
    for one in found:
        decoder = forward_score(chain, source, one.ids)
        assert one.scores == pytest.approx({"decoder": decoder, "ctc": first[one.ids]}, abs=1e-4)
        total = 0.75 * decoder + 0.25 * first[one.ids]
        assert one.score == pytest.approx(total / (len(one.ids) + 1) ** 0.5, abs=1e-4)


def test_rescoring_gives_the_best_of_more_than_it_is_asked_for(make_chain: MakeChain) -> None:
    chain = make_chain()
    sources = [torch.tensor([2, 5, 3, 3, 4]), torch.tensor([4])]
    options = DecodingOptions(mode="rescore", beam_size=6, nbest=6)
    best = DecodingOptions(mode="rescore", beam_size=6)
    for many, (one,) in zip(
        decode_batch(chain, sources, options), decode_batch(chain, sources, best), strict=True
    ):
        assert one == many[0]


@pytest.mark.parametrize("mode", MODES)
def test_hypotheses_are_aligned_where_that_is_asked_for(make_chain: MakeChain, mode: str) -> None:
    chain = make_chain()
    source = torch.tensor([2, 5, 3, 3])
    options = DecodingOptions(mode=mode, beam_size=3, maxlenratio=-3.0)
    (found,) = decode_batch(chain, [source], options, aligned=True)
    assert [dataclasses.replace(one, alignment=None) for one in found] == decode_batch(
        chain, [source], options
    )[0]
    marginals = chain.encode(source[None], torch.tensor([4])).marginals[-1]
    ((expected,),) = align(marginals, [[found[0].ids]])
    assert found[0].alignment == expected
    assert expected is not None and expected.positions == int(marginals.lengths)


def test_a_plain_encoder_decoder_aligns_nothing(make_chain: MakeChain) -> None:
    chain = make_chain(system="attention")
    ((one,),) = decode_batch(chain, [torch.tensor([2, 3])], DecodingOptions(), aligned=True)
    assert one.alignment is None


@pytest.mark.parametrize("mode", ["joint", "ctc_greedy", "ctc_beam", "rescore"])
def test_a_plain_encoder_decoder_has_no_interface(make_chain: MakeChain, mode: str) -> None:
    chain = make_chain(system="attention")
    with pytest.raises(ConfigError, match=f"mode is '{mode}'.*Use mode attention"):
        decode_batch(chain, [torch.tensor([2, 3])], DecodingOptions(mode=mode))


def test_length_limits_hold(make_chain: MakeChain) -> None:
    chain = make_chain()
    source = torch.randint(2, 6, (4, 6), generator=torch.Generator().manual_seed(1))
    options = DecodingOptions(minlenratio=-3, maxlenratio=-4, nbest=5)
    found = [one for row in decode_batch(chain, list(source), options) for one in row]
    assert len(found) == 20
    assert {len(one.ids) for one in found} <= {3, 4}


SHORT = {"width": 16, "heads": 2, "feedforward": 32, "layers_before": 1, "length_ratio": 0.5}


@pytest.fixture
def trio(make_chain: MakeChain) -> Ensemble:
    """Of other weights, other numbers of positions, and a plain encoder-decoder."""
    others = [make_chain(seed=1, encoder_conf=SHORT), make_chain(seed=2, system="attention")]
    return Ensemble(make_chain(), others).eval()


@pytest.mark.parametrize("mode", ["attention", "joint"])
def test_an_ensemble_adds_what_each_decoder_gives(trio: Ensemble, mode: str) -> None:
    """The golden values come from the uncached forward pass of each chain alone."""
    source = torch.tensor([2, 5, 3, 3, 4])
    options = DecodingOptions(mode=mode, ctc_weight=0.25, ensemble_weights=(1, 2, 5), nbest=3)
    (found,) = decode_batch(trio, [source], options)
    assert len(found) == 3
    first, *others = trio.members()
    for one in found:
        golden = [forward_score(chain, source, one.ids) for chain in (first, *others)]
        names = ["decoder", "decoder_2", "decoder_3"]
        assert [one.scores[name] for name in names] == pytest.approx(golden, abs=1e-3)
        total = (golden[0] + 2 * golden[1] + 5 * golden[2]) / 8
        if mode == "joint":
            total = 0.75 * total + 0.25 * one.scores["ctc"]
        assert one.score == pytest.approx(total / (len(one.ids) + 1), abs=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_an_ensemble_gives_each_input_what_it_gives_alone(trio: Ensemble, precision: str) -> None:
    rows = torch.randint(2, 6, (6, 7), generator=torch.Generator().manual_seed(0))
    sources = [row[:length] for row, length in zip(rows, (3, 7, 1, 5, 7, 2), strict=True)]
    options = DecodingOptions(mode="joint", beam_size=3, precision=precision)
    prepared = prepare(trio, options)
    together = decode_batch(prepared, sources, options)
    assert len({found[0].ids for found in together}) > 1
    for source, found in zip(sources, together, strict=True):
        (alone,) = decode_batch(prepared, [source], options)
        assert found[0].ids == alone[0].ids
        assert found[0].scores == pytest.approx(
            alone[0].scores, abs=0.2 if precision == "bf16" else 1e-4
        )


@pytest.mark.parametrize("mode", ["attention", "joint"])
def test_a_chain_with_itself_decodes_as_alone(make_chain: MakeChain, mode: str) -> None:
    chain, options = make_chain(), DecodingOptions(mode=mode, nbest=4)
    sources = [torch.tensor([2, 5, 3, 3, 4]), torch.tensor([4, 2])]
    twice = decode_batch(Ensemble(chain, [chain]), sources, options)
    for found, alone in zip(twice, decode_batch(chain, sources, options), strict=True):
        assert [one.ids for one in found] == [one.ids for one in alone]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone])


def test_an_ensemble_drops_a_minimum_that_ctc_forbids(make_chain: MakeChain) -> None:
    ensemble = Ensemble(make_chain(encoder_conf=SHORT), [make_chain(seed=1)])
    options = DecodingOptions(mode="joint", minlenratio=-4.0, maxlenratio=-5.0)
    sources = [torch.tensor([2, 3]), torch.tensor([2, 5, 3, 3, 4, 2, 3, 5, 2, 4, 2, 3])]
    one, six = decode_batch(ensemble, sources, options)
    assert len(one[0].ids) <= 1
    assert len(six[0].ids) in (4, 5)


@pytest.mark.parametrize("mode", sorted({*MODES} - {"auto", "attention", "joint"}))
def test_other_modes_have_no_place_for_an_ensemble(trio: Ensemble, mode: str) -> None:
    with pytest.raises(ConfigError, match=f"mode is '{mode}'.*only in mode attention or joint$"):
        prepare(trio, DecodingOptions(mode=mode))


def test_each_member_has_its_weight(make_chain: MakeChain, trio: Ensemble) -> None:
    with pytest.raises(
        ConfigError, match="ensemble_weights has 2 numbers, and decoders that score are 3"
    ):
        prepare(trio, DecodingOptions(ensemble_weights=(1, 2)))
    with pytest.raises(
        ConfigError, match="has 2 numbers, and decoders that score are 1.*each --ensemble$"
    ):
        prepare(make_chain(), DecodingOptions(ensemble_weights=(1, 2)))


@pytest.fixture(params=["seq_rnn", "transformer"])
def advised(
    request: pytest.FixtureRequest, make_chain: MakeChain, lm_network: Callable[[str, int], Any]
) -> Ensemble:
    """Two chains, and a language model of the same tokens."""
    network = lm_network(request.param, 7)
    with torch.no_grad():  # as `make_chain`
        for parameter in network.parameters():
            parameter.mul_(2)
    model = LanguageModel(network, "_?abcd$", "lm").eval()
    return Ensemble(make_chain(), [make_chain(seed=1)], language_model=model).eval()


@pytest.mark.parametrize("mode", ["attention", "joint"])
def test_a_language_models_score_is_added(advised: Ensemble, mode: str) -> None:
    """The golden values come from the network's uncached pass over the whole."""
    options = DecodingOptions(mode=mode, ctc_weight=0.25, lm_weight=0.7, nbest=3)
    (found,) = decode_batch(advised, [torch.tensor([2, 5, 3, 3, 4])], options)
    assert len(found) == 3 and advised.language_model is not None
    for one in found:
        prefix, wanted = torch.tensor([6, *one.ids]), torch.tensor([*one.ids, 6])
        with torch.no_grad():
            logits, _ = advised.language_model.lm(prefix[None], None)
        golden = -torch.nn.functional.cross_entropy(logits[0], wanted, reduction="sum").item()
        assert one.scores["lm"] == pytest.approx(golden, abs=1e-3)
        total = (one.scores["decoder"] + one.scores["decoder_2"]) / 2
        if mode == "joint":
            total = 0.75 * total + 0.25 * one.scores["ctc"]
        assert one.score == pytest.approx((total + 0.7 * golden) / (len(one.ids) + 1), abs=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_with_a_language_model_each_input_gives_what_it_gives_alone(
    advised: Ensemble, precision: str
) -> None:
    rows = torch.randint(2, 6, (4, 7), generator=torch.Generator().manual_seed(0))
    sources = [row[:length] for row, length in zip(rows, (3, 7, 1, 5), strict=True)]
    options = DecodingOptions(mode="joint", beam_size=3, lm_weight=0.7, precision=precision)
    prepared = prepare(advised, options)
    for source, found in zip(sources, decode_batch(prepared, sources, options), strict=True):
        (alone,) = decode_batch(prepared, [source], options)
        assert found[0].ids == alone[0].ids
        assert found[0].scores == pytest.approx(
            alone[0].scores, abs=0.2 if precision == "bf16" else 1e-4
        )


def test_other_modes_have_no_place_for_a_language_model(advised: Ensemble) -> None:
    alone = Ensemble(advised.members()[1], language_model=advised.language_model)
    for mode in {*MODES} - {"auto", "attention", "joint"}:
        with pytest.raises(
            ConfigError, match=f"mode is '{mode}', and a language model .*: leave out --lm$"
        ):
            prepare(alone, DecodingOptions(mode=mode))
