"""Curves over training pairs: which points they have, and a picture with them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from legonn.errors import DataError
from legonn.report.curve import Point, curves, draw_curves
from legonn.report.results_page import Cell
from legonn.scoring import Score


def row(system: str, score: float, **fields: Any) -> Score:
    return Score(
        **{
            "experiment": "E5",
            "recipe": "multi30k",
            "system": system,
            "test_set": "test",
            "metric": "bleu",
            "score": score,
            "signature": "s",
            "sentences": 10,
            "seed": 1,
            **fields,
        }
    )


ROWS = [
    row("plain,5000", 32.0),
    row("plain,5000", 34.0, seed=2),
    row("plain,1000", 20.0, low=18.5, high=21.0),
    row("tuned,1000", 25.0, low=24.0, high=26.0),
    row("tuned,5000", 35.0, low=34.0, high=36.0),
    row("tuned,5000", 90.0, metric="chrf"),
    row("tuned,5000", 80.0, test_set="val"),
    row("once,5000", 11.0),
    row("named,later", 12.0),
    row("5000", 13.0),
]


def test_points_are_sorted_by_size_and_join_seeds() -> None:
    found = curves(ROWS, metric="bleu", test_set="test")
    assert found == {
        "plain": [
            Point(1000, Cell(score=20.0, seeds=(1,), low=18.5, high=21.0)),
            Point(5000, Cell(score=33.0, seeds=(1, 2), deviation=2**0.5)),
        ],
        "tuned": [
            Point(1000, Cell(score=25.0, seeds=(1,), low=24.0, high=26.0)),
            Point(5000, Cell(score=35.0, seeds=(1,), low=34.0, high=36.0)),
        ],
    }


def test_a_picture_has_a_line_and_a_legend_for_each() -> None:
    picture = draw_curves(ROWS, metric="bleu", test_set="test")
    ElementTree.fromstring(picture)
    assert picture == draw_curves(ROWS, metric="bleu", test_set="test")
    # Texts are drawn as glyphs; matplotlib writes what they say in a comment.
    said = re.findall(r"<!-- (.*) -->", picture)
    assert {"plain", "tuned", "1,000", "5,000", "BLEU on test", "training pairs"} <= set(said)
    assert "once" not in said


def test_nothing_to_draw_is_told() -> None:
    with pytest.raises(DataError, match=r"no system NAME,PAIRS has ter on test for two numbers"):
        draw_curves(ROWS, metric="ter", test_set="test")
