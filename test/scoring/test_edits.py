"""Counting the chunks of an alignment."""

from __future__ import annotations

import pytest
from jiwer import AlignmentChunk

from legonn.errors import ConfigError
from legonn.scoring.edits import Edits, align


def test_each_kind_is_counted_in_words() -> None:
    chunks = [
        AlignmentChunk("equal", 0, 4, 0, 4),
        AlignmentChunk("substitute", 4, 6, 4, 6),
        AlignmentChunk("delete", 6, 9, 6, 6),
        AlignmentChunk("insert", 9, 9, 6, 7),
    ]
    edits = Edits.of(chunks)
    assert edits == Edits(substitutions=2, deletions=3, insertions=1, hits=4)
    assert (edits.errors, edits.length, str(edits)) == (6, 9, "S 2  D 3  I 1")
    assert Edits.of([]) == Edits(0, 0, 0, 0)


def test_texts_are_normalised_and_cut() -> None:
    words = align(hyps=["Ab c!"], refs=["AB"])
    assert (words.references, words.hypotheses) == ([["ab"]], [["ab", "c"]])
    characters = align(hyps=["Ab c!"], refs=["A  b"], units="characters", normaliser="none")
    assert (characters.references, characters.hypotheses) == ([list("A b")], [list("Ab c!")])


def test_an_unknown_normaliser() -> None:
    with pytest.raises(ConfigError, match="unknown normaliser 'x'"):
        align(hyps=["a"], refs=["a"], normaliser="x")
