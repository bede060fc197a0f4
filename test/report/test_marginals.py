"""What crosses an interface, and what decoders write from it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from legonn.audio.hearing import Heard
from legonn.audio.recordings import Utterance
from legonn.errors import ConfigError
from legonn.report.marginals import Crossing, Given, Look, Written, look, pieces
from legonn.search import DecodingOptions
from legonn.system import System

LINE = "unu doi trei"


def test_a_crossing_tells_its_blanks_and_its_entropy(crossing: Crossing) -> None:
    assert crossing.blanks() == pytest.approx(1 / 3)
    assert crossing.entropy() == pytest.approx((0.67 + math.log(3)) / 3)


def test_positions_share_the_sound_and_text_has_no_time(crossing: Crossing) -> None:
    heard = Look(Given(np.zeros(0, np.float32), "a", (1.0, 2.5)), (crossing,), ())
    assert heard.starts(crossing) == pytest.approx([1.0, 1.5, 2.0])
    assert Look(Given("b"), (crossing,), ()).starts(crossing) == []


def test_a_recordings_pieces_have_its_id_and_their_times() -> None:
    samples = np.arange(12, dtype=np.float32)
    first, second = pieces(Heard(Utterance("u", "", ""), samples, 10, ((0, 4), (4, 12))))
    assert (first.name, first.span, second.name, second.span) == ("u", (0, 0.4), "u", (0.4, 1.2))
    assert np.array_equal(first.source, samples[:4]) and np.array_equal(second.source, samples[4:])
    assert pieces(Heard(Utterance("u", "", ""), fault="no such file")) == []


def check(crossing: Crossing, system: System, source: torch.Tensor, top: int) -> None:
    """That it is what the chain computes of a source (T,)."""
    marginals = system.chain.encode(source[None], torch.tensor([len(source)])).marginals[0]
    assert len(crossing.positions) == marginals.log_probs.size(1)
    for k, position in enumerate(crossing.positions):
        row = marginals.probs()[0, k].tolist()
        assert [p for _, p in position.best] == pytest.approx(
            sorted(row)[: -top - 1 : -1], abs=1e-6
        )
        best = int(np.argmax(row))
        assert position.best[0][0] == ("" if best == 0 else system.target.tokens[best])
        assert position.entropy == pytest.approx(-sum(p * math.log(p) for p in row), abs=1e-4)
    assert crossing.greedy == system.target.decode(marginals.greedy()[0])


def test_a_look_is_what_the_chain_computes(experiment: Path) -> None:
    system = System.load(experiment)
    options = DecodingOptions(beam_size=2)
    (found,) = look({"d": system}, [Given(LINE, "u")], top=3, options=options)
    ids = torch.as_tensor(system.source.encode(LINE))  # type: ignore[union-attr]
    (crossing,) = found.crossings
    assert crossing.name == "text" and len(crossing.positions) == 2 * len(ids)
    check(crossing, system, ids, 3)
    assert found.outputs == (Written("d", system.translate([LINE], beam_size=2)[0].text),)
    assert found.given == Given(LINE, "u")


def test_two_decoders_write_from_the_first_ones_marginals(
    experiment: Path, other_decoder: Path
) -> None:
    systems = {"own": System.load(experiment)}
    systems["other"] = systems["own"].with_decoder(other_decoder)
    lines = [LINE, "patru"]
    options = {"mode": "attention", "beam_size": 2, "maxlenratio": -5.0}
    found = look(systems, [Given(x) for x in lines], options=DecodingOptions.load(None, options))
    wanted = [
        [
            one.text
            for one in System.compose(encoder=experiment, decoder=d).translate(lines, **options)
        ]
        for d in (experiment, other_decoder)
    ]
    assert wanted[0] != wanted[1]
    for i, one in enumerate(found):
        assert one.outputs == (Written("own", wanted[0][i]), Written("other", wanted[1][i]))
    alone = look({"own": systems["own"]}, [Given(x) for x in lines])
    assert [one.crossings for one in found] == [one.crossings for one in alone]


def test_of_recordings_it_is_what_the_chain_computes(hearing_experiment: Path) -> None:
    system = System.load(hearing_experiment)
    samples = np.random.default_rng(1).normal(size=8000).astype(np.float32) * 0.1
    options = {"mode": "attention", "beam_size": 2, "maxlenratio": -6.0}
    (found,) = look(
        {"d": system},
        [Given(samples, "a", (3.0, 4.0))],
        top=2,
        options=DecodingOptions.load(None, options),
    )
    check(found.crossings[0], system, torch.from_numpy(samples), 2)
    assert found.outputs == (Written("d", system.transcribe([samples], **options)[0].text),)
    # In one second 97 windows of 32 ms begin, 10 ms apart; (97 - 1) // 2 and so on leave 23 states, and half of them.
    assert found.starts(found.crossings[0]) == pytest.approx([3 + k / 12 for k in range(12)])


def test_a_plain_encoder_decoder_has_nothing_to_look_at(plain_experiment: Path) -> None:
    with pytest.raises(ConfigError, match="has no interface: there are no marginals to look at"):
        look({"d": System.load(plain_experiment)}, [Given("unu")])
