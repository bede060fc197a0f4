"""Outputs of utterances, as one list and back."""

from __future__ import annotations

import torch

from legonn.search.nested import flat, rows_of, unflat

OUTPUTS = [["a", "b"], [], ["c"]]


def test_all_are_there_with_their_utterance() -> None:
    assert flat(OUTPUTS) == ["a", "b", "c"]
    assert rows_of(OUTPUTS, torch.device("cpu")).tolist() == [0, 0, 2]


def test_what_was_made_of_them_is_by_utterance_again() -> None:
    assert unflat(map(str.upper, flat(OUTPUTS)), OUTPUTS) == [["A", "B"], [], ["C"]]
    assert unflat([], [[], []]) == [[], []]
