"""Counted warnings about what was decoded."""

from __future__ import annotations

from legonn.search.files import Lines
from legonn.search.translator import Translator

__all__ = ["Notes"]

SHOWN = 5
LONG = 300  # tokens


class Notes:
    """Counts lines without a token, very long ones, and those with what the source vocabulary lacks."""

    def __init__(self) -> None:
        self.empty: list[str] = []
        self.long: list[str] = []
        self.unknown: list[str] = []

    def look(self, translator: Translator, lines: Lines) -> None:
        """Look at some lines."""
        for number, text in zip(lines.numbers, lines.texts, strict=True):
            place = f"{lines.name}:{number}"
            count = len(translator.codec.split(text))
            if count == 0 or not text.strip():
                self.empty.append(place)
            if count > LONG:
                self.long.append(f"{place} ({count})")
            unknown = translator.unknown(text)
            if unknown:
                seen = ", ".join(dict.fromkeys(repr(token.strip("\u2581")) for token in unknown))
                self.unknown.append(f"{place} ({seen})")

    def warnings(self) -> list[str]:
        """One message for each kind that occurred, with the first places."""
        kinds = [
            (self.empty, "empty lines gave empty translations"),
            (
                self.long,
                f"lines have more than {LONG} tokens: slow, and no model for sentences has seen the like; split them",
            ),
            (self.unknown, "lines have tokens that the source vocabulary lacks, read as <unk>"),
        ]
        return [
            f"warning: {len(places)} {what}: {_first(places)}" for places, what in kinds if places
        ]


def _first(places: list[str]) -> str:
    more = len(places) - SHOWN
    return ", ".join(places[:SHOWN]) + (f" and {more} more" if more > 0 else "")
