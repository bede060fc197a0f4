"""Errors by how often a word was met: counted by eye."""

from __future__ import annotations

import pytest

from legonn.errors import DataError
from legonn.scoring.frequency import Band, by_frequency, count_words

COUNTS = {"a": 50, "dog": 49, "runs": 10, "fast": 3, "today": 2, "again": 1}
REFS = ["A dog runs fast.", "a zebra runs today again"]


def test_words_are_counted_as_they_are_scored() -> None:
    counts = count_words(["A dog, a Dog.", "dog"])
    assert counts == {"a": 2, "dog": 3}
    assert count_words(["A dog, a"], normaliser="none") == {"A": 1, "dog,": 1, "a": 1}


def test_the_bands() -> None:
    lost = ["a dog runs fast", "a runs today again and again"]  # no zebra; two words made up
    other = ["a cat ran fast", "a zebra runs"]
    bands = by_frequency(refs=REFS, systems=[lost, other], counts=COUNTS)
    assert bands == [
        Band(0, 0, 1, (1, 0)),
        Band(1, 2, 2, (0, 2)),
        Band(3, 9, 1, (0, 0)),
        Band(10, 49, 3, (0, 2)),
        Band(50, None, 2, (0, 0)),
    ]


def test_what_is_shown() -> None:
    assert [Band(0, 0, 4, ()).label, Band(1, 2, 4, ()).label, Band(50, None, 4, ()).label] == [
        "0",
        "1 to 2",
        "50 or more",
    ]
    assert Band(0, 0, 4, (1, 4)).shares() == ["25.0", "100.0"]
    assert Band(0, 0, 0, (0, 0)).shares() == ["", ""]


def test_nothing_was_met() -> None:
    with pytest.raises(DataError, match="no word in the training text"):
        by_frequency(refs=REFS, systems=[REFS], counts={})
