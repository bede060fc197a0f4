"""Batches of requests that want different numbers of hypotheses: each gets what it gets alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from legonn.search import DecodingOptions, Translator
from legonn.serving.engine import Ask, Engine
from legonn.system import System


@pytest.fixture(scope="module")
def system(experiment: Path) -> System:
    return System.load(experiment)


def test_each_gets_what_it_gets_offline(system: System) -> None:
    engine = Engine(system, DecodingOptions(beam_size=3))
    asks = [Ask("unu", 1), Ask("doi trei", 3), Ask(" ", 2), Ask("cinci unu doi", 1), Ask("doi", 3)]
    for ask, found in zip(asks, engine(asks), strict=True):
        options = DecodingOptions(beam_size=3, nbest=ask.nbest)
        (alone,) = Translator(system, options).translate([ask.text])
        assert [one.text for one in found] == [one.text for one in alone]
        assert [one.score for one in found] == pytest.approx([one.score for one in alone], abs=1e-5)


def test_those_that_want_as_many_are_searched_together(system: System) -> None:
    engine = Engine(system, DecodingOptions(beam_size=3))
    searched = []

    class Noting(Translator):
        def translate(self, lines: Any, on_done: Any = lambda count: None) -> Any:
            searched.append((self.options.nbest, list(lines)))
            return super().translate(lines, on_done)

    for nbest in (1, 2):
        options = DecodingOptions(beam_size=3, nbest=nbest)
        engine._translators[nbest] = Noting(system, options)
    engine([Ask("unu", 2), Ask("doi", 1), Ask("trei", 2)])
    assert searched == [(2, ["unu", "trei"]), (1, ["doi"])]


def test_the_weights_are_converted_once(system: System) -> None:
    engine = Engine(system, DecodingOptions(beam_size=3, precision="int8"))
    engine([Ask("unu", nbest) for nbest in (1, 2, 3)])
    chains = [translator.chain for translator in engine._translators.values()]
    assert len(chains) == 3 and all(chain is chains[0] for chain in chains)
    assert chains[0] is not system.chain
