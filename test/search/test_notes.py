"""Lines that can't be decoded, and counted warnings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from legonn.search.files import Lines
from legonn.search.notes import Notes

# A letter is a token, and a zero-width space is none.
TRANSLATOR: Any = SimpleNamespace(
    unknown=lambda tokens: [c for c in tokens if c in "ΩßX"],
    codec=SimpleNamespace(split=lambda text: list(text.replace("\u200b", "")), has_words=False),
)


def make_notes(longest: int = 1000) -> tuple[Notes, list[str]]:
    told: list[str] = []
    return Notes(longest=longest, tell=told.append), told


def test_the_first_places_of_each_kind_are_named() -> None:
    notes, told = make_notes()
    notes.look(TRANSLATOR, Lines("in", [4, 5, 6], ["a", " ", "ΩaßΩ"]))
    notes.look(TRANSLATOR, Lines("in", range(7, 14), ["X"] * 7))
    assert notes.warnings() == [
        "warning: 1 empty lines gave empty translations: in:5",
        "warning: 8 lines have tokens that the source vocabulary lacks, read as <unk>: "
        "in:6 ('Ω', 'ß'), in:7 ('X'), in:8 ('X'), in:9 ('X'), in:10 ('X') and 3 more",
    ]
    assert (told, notes.bad) == ([], 0)


def test_lines_without_a_token_and_very_long_ones_are_counted() -> None:
    notes, _ = make_notes()
    notes.look(TRANSLATOR, Lines("in", [1, 2, 3], ["\u200b", "a" * 300, "b" * 301]))
    first, second = notes.warnings()
    assert first == "warning: 1 empty lines gave empty translations: in:1"
    assert second.startswith("warning: 1 lines have more than 300 tokens")
    assert second.endswith("split them: in:3 (301)")


def test_bad_lines_are_told_at_once_and_become_empty() -> None:
    notes, told = make_notes(longest=3)
    lines = Lines("in", [7, 8, 9, 10], ["abc", "abcd", "", ""], faults={9: "not UTF-8 at byte 3"})
    long, encoded = (
        "in:8: 4 tokens, more than --max_tokens 3: split it",
        "in:9: not UTF-8 at byte 3",
    )
    looked = notes.look(TRANSLATOR, lines)
    assert looked == [("abc", ""), ("", long), ("", encoded), ("", "")]
    assert told == [f"warning: {fault}; its output is empty" for fault in (long, encoded)]
    assert (notes.bad, notes.total) == (2, 4)
    assert notes.warnings() == [
        "warning: 1 empty lines gave empty translations: in:10",
        "2 of 4 lines could not be decoded",
    ]


def test_good_input_gives_none() -> None:
    notes, told = make_notes()
    assert notes.look(TRANSLATOR, Lines("in", [1], ["a"])) == [("a", "")]
    assert notes.warnings() == told == []


def test_lines_that_fall_apart_into_letters_are_named() -> None:
    pieces: Any = SimpleNamespace(
        unknown=lambda tokens: [],
        codec=SimpleNamespace(split=lambda text: text.split("|"), has_words=True),
    )
    notes, told = make_notes()
    capitals = "\u2581T|W|O|\u2581|D|O|G|S|\u2581P|L|A|Y"
    lines = [
        capitals,
        "\u2581Two|\u2581d|o|g|s|\u2581p|l|ay|.",
        "a|b|c|d|e|f|g|h|i|jk",
        "a|b|c|d|e|f|g|h|ij|kl",
        "a|b",
    ]
    notes.look(pieces, Lines("in", range(1, 6), lines))
    (warning,) = notes.warnings()
    assert warning.startswith(
        "warning: 2 lines are read letter by letter, where the encoder learned words"
    )
    assert warning.endswith("in another language: in:1, in:3")
    assert told == []


def test_a_list_of_letters_reads_letters() -> None:
    notes, _ = make_notes()
    notes.look(TRANSLATOR, Lines("in", [1], ["abcdefghijklmnop"]))
    assert notes.warnings() == []
