"""The page that shows what crosses an interface."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from legonn.errors import ConfigError
from legonn.report.marginals import Crossing, Look, Position, look, render_looks
from legonn.system import System

# b is certain, then the blank likely, then nothing known of three tokens.
CROSSING = Crossing(
    "text",
    (
        Position((("▁b", 1.0), ("", 0.0)), 0.0),
        Position((("", 0.6), ("<&>", 0.4)), 0.67),
        Position((("▁", 1 / 3), ("▁b", 1 / 3)), math.log(3)),
    ),
    "b",
)


def test_a_crossing_tells_its_blanks_and_its_entropy() -> None:
    assert CROSSING.blanks() == pytest.approx(1 / 3)
    assert CROSSING.entropy() == pytest.approx((0.67 + math.log(3)) / 3)


def test_a_page_shows_each_position_and_escapes_what_it_shows() -> None:
    page = render_looks([Look("a < b", (CROSSING,), "o & o")], title="t <i>")
    assert "<title>t &lt;i&gt;</title>" in page and "a &lt; b" in page and "o &amp; o" in page
    cells = re.findall(r'title="([\d.]+)">([^<]*)</td>', page)
    assert cells == [
        *(("1.000", "b"), ("0.600", "·"), ("0.333", "▁")),
        *(("0.000", "·"), ("0.400", "&lt;&amp;&gt;"), ("0.333", "b")),
    ]
    assert re.findall(r"<th>(\d+)</th>", page) == ["1", "2", "3"]
    assert "text: 3 positions, 33% blank, 0.59 nats a position" in page


def test_a_look_is_what_the_chain_computes(experiment: Path) -> None:
    system = System.load(experiment)
    line = "unu doi trei"
    (found,) = look(system, [line], top=3, beam_size=2)
    ids = torch.as_tensor(system.source.encode(line))  # type: ignore[union-attr]
    marginals = system.chain.encode(ids[None], torch.tensor([len(ids)])).marginals[0]
    (crossing,) = found.crossings
    assert len(crossing.positions) == marginals.log_probs.size(1) == 2 * len(ids)
    for k, position in enumerate(crossing.positions):
        probabilities = sorted(marginals.probs()[0, k].tolist(), reverse=True)[:3]
        assert [p for _, p in position.best] == pytest.approx(probabilities, abs=1e-6)
        best = int(marginals.log_probs[0, k].argmax())
        assert position.best[0][0] == ("" if best == 0 else system.target.tokens[best])
    assert crossing.greedy == system.target.decode(marginals.greedy()[0])
    assert found.output == system.translate([line], beam_size=2)[0].text
    assert found.source == line and crossing.name == "text"


def test_a_plain_encoder_decoder_has_nothing_to_look_at(plain_experiment: Path) -> None:
    with pytest.raises(ConfigError, match="has no interface: there are no marginals of text"):
        look(System.load(plain_experiment), ["unu"])
