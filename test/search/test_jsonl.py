"""One JSON object a line: what is in it, by eye."""

from __future__ import annotations

import io
import json
import os

from legonn.search import Hypothesis
from legonn.search.alignment import Alignment
from legonn.search.jsonl import JsonLines
from legonn.search.translator import EMPTY


def hypothesis(alignment: Alignment | None) -> Hypothesis:
    scores = {"decoder": -1.23456789, "ctc": -2.0}
    return Hypothesis("é b", ("é", "b"), (3, 4), -0.5, scores, alignment)


def written(*hypotheses: list[Hypothesis], ids: list[str] | None = None) -> list[str]:
    file = io.StringIO()
    JsonLines(file, first=7).write(ids, hypotheses)
    return file.getvalue().splitlines()


def test_a_line_is_an_input_with_all_its_hypotheses() -> None:
    (line,) = written([hypothesis(Alignment(((0, 2), (4, 4)), 6)), hypothesis(None)], ids=["u1"])
    assert line == (
        '{"id": "u1", "hypotheses": ['
        '{"text": "é b", "tokens": ["é", "b"], "score": -0.5, "scores": {"decoder": -1.234568, "ctc": -2.0}, '
        '"alignment": [[0, 2], [4, 4]]}, '
        '{"text": "é b", "tokens": ["é", "b"], "score": -0.5, "scores": {"decoder": -1.234568, "ctc": -2.0}, '
        '"alignment": null}]}'
    )


def test_lines_without_ids_are_counted_and_what_is_empty_has_an_empty_alignment() -> None:
    first, second = map(json.loads, written([hypothesis(None)], [EMPTY]))
    assert (first["id"], second["id"]) == (7, 8)
    assert second["hypotheses"] == [
        {"text": "", "tokens": [], "score": 0.0, "scores": {}, "alignment": []}
    ]


def test_what_could_not_be_decoded_says_why_and_has_no_score() -> None:
    file = io.StringIO()
    name = os.fsdecode(b"\xff.wav")  # no UTF-8
    JsonLines(file).write(["u1", "u2"], [[EMPTY], [EMPTY]], ["", f"{name}: no such file"])
    assert file.getvalue().splitlines() == [
        '{"id": "u1", "hypotheses": ['
        '{"text": "", "tokens": [], "score": 0.0, "scores": {}, "alignment": []}]}',
        '{"id": "u2", "error": "\N{REPLACEMENT CHARACTER}.wav: no such file", "hypotheses": ['
        '{"text": "", "tokens": [], "score": null, "scores": {}, "alignment": []}]}',
    ]


def test_what_was_heard_has_seconds() -> None:
    timed = Alignment(((0, 2), (4, 4)), 6).timed(1.0, 2.0)
    (line,) = map(json.loads, written([hypothesis(timed)], ids=["u1"]))
    assert line["hypotheses"][0]["seconds"] == [[1.0, 1.5], [1.667, 1.833]]
