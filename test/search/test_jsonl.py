"""One JSON object a line: what is in it, by eye."""

from __future__ import annotations

import io
import json
import os

from legonn.search import Hypothesis
from legonn.search.alignment import Alignment
from legonn.search.files import Outcome
from legonn.search.jsonl import JsonLines
from legonn.search.translator import EMPTY


def hypothesis(alignment: Alignment | None) -> Hypothesis:
    scores = {"decoder": -1.23456789, "ctc": -2.0}
    return Hypothesis("é b", ("é", "b"), (3, 4), -0.5, scores, alignment)


def written(*outcomes: Outcome) -> list[str]:
    file = io.StringIO()
    JsonLines(file, first=7).write(outcomes)
    return file.getvalue().splitlines()


def test_a_line_is_an_input_with_all_its_hypotheses() -> None:
    found = [hypothesis(Alignment(((0, 2), (4, 4)), 6)), hypothesis(None)]
    (line,) = written(Outcome(found, "u1"))
    assert line == (
        '{"id": "u1", "hypotheses": ['
        '{"text": "é b", "tokens": ["é", "b"], "score": -0.5, "scores": {"decoder": -1.234568, "ctc": -2.0}, '
        '"alignment": [[0, 2], [4, 4]]}, '
        '{"text": "é b", "tokens": ["é", "b"], "score": -0.5, "scores": {"decoder": -1.234568, "ctc": -2.0}, '
        '"alignment": null}]}'
    )


def test_lines_without_ids_are_counted_and_what_is_empty_has_an_empty_alignment() -> None:
    first, second = map(json.loads, written(Outcome([hypothesis(None)]), Outcome([EMPTY])))
    assert (first["id"], second["id"]) == (7, 8)
    assert second["hypotheses"] == [
        {"text": "", "tokens": [], "score": 0.0, "scores": {}, "alignment": []}
    ]


def test_what_could_not_be_decoded_says_why_and_has_no_score() -> None:
    name = os.fsdecode(b"\xff.wav")  # no UTF-8
    unheard = Outcome([EMPTY], "u2", f"{name}: no such file")
    assert written(Outcome([EMPTY], "u1"), unheard) == [
        '{"id": "u1", "hypotheses": ['
        '{"text": "", "tokens": [], "score": 0.0, "scores": {}, "alignment": []}]}',
        '{"id": "u2", "error": "\N{REPLACEMENT CHARACTER}.wav: no such file", "hypotheses": ['
        '{"text": "", "tokens": [], "score": null, "scores": {}, "alignment": []}]}',
    ]


def test_what_was_heard_has_seconds() -> None:
    timed = Alignment(((0, 2), (4, 4)), 6).timed(1.0, 2.0)
    (line,) = map(json.loads, written(Outcome([hypothesis(timed)], "u1")))
    assert line["hypotheses"][0]["seconds"] == [[1.0, 1.5], [1.667, 1.833]]
