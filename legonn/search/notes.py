"""What is said about the lines that are decoded: those that can't be, and counted warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from legonn.search.files import Lines
from legonn.search.translator import Translator

__all__ = ["Notes"]

SHOWN = 5
LONG = 300  # tokens
# Of a line's tokens, from so many on, the share of single characters. Of captions in 300 or 2,000 pieces no line has
# more than 0.8 as it was written, and every one has 1 in capitals.
SPELLED_TOKENS, SPELLED = 10, 0.9


class Notes:
    """Finds the lines that can't be decoded; counts very long ones, and those with what the encoder hasn't learned.

    Parameters
    ----------
    longest : int
        Most tokens of a line that is decoded.
    tell : callable
        Told each line that isn't UTF-8 or is longer, with file and line. Empty ones are named in `warnings`.

    Attributes
    ----------
    total, bad : int
        Lines; those among them that can't be decoded. An empty one is no fault.
    """

    def __init__(self, *, longest: int, tell: Callable[[str], None]) -> None:
        self.longest = longest
        self.tell = tell
        self.total = self.bad = 0
        self.empty: list[str] = []
        self.long: list[str] = []
        self.unknown: list[str] = []
        self.spelled: list[str] = []

    def look(self, translator: Translator, lines: Lines) -> list[tuple[str, str]]:
        """Look at some lines: of each what is to be decoded, and why it can't be, one of them empty."""
        return [
            self._look(translator, f"{lines.name}:{number}", text, lines.faults.get(number, ""))
            for number, text in zip(lines.numbers, lines.texts, strict=True)
        ]

    def _look(self, translator: Translator, place: str, text: str, fault: str) -> tuple[str, str]:
        self.total += 1
        tokens = translator.codec.split(text)
        if len(tokens) > self.longest:
            fault = f"{len(tokens)} tokens, more than --max_tokens {self.longest}: split it"
        if fault:
            self.bad += 1
            fault = f"{place}: {fault}"
            self.tell(f"warning: {fault}; its output is empty")
            return "", fault
        if not tokens or not text.strip():
            self.empty.append(place)
            return "", ""
        if len(tokens) > LONG:
            self.long.append(f"{place} ({len(tokens)})")
        unknown = translator.unknown(tokens)
        if unknown:
            seen = ", ".join(dict.fromkeys(repr(token.strip("\u2581")) for token in unknown))
            self.unknown.append(f"{place} ({seen})")
        if translator.codec.has_words and _spelled(tokens):
            self.spelled.append(place)
        return text, ""

    def warnings(self) -> list[str]:
        """One message for each kind that occurred, with the first places, then how many lines could not be decoded."""
        kinds = [
            (self.empty, "empty lines gave empty translations"),
            (
                self.long,
                f"lines have more than {LONG} tokens: slow, and no model for sentences has seen the like; split them",
            ),
            (self.unknown, "lines have tokens that the source vocabulary lacks, read as <unk>"),
            (
                self.spelled,
                "lines are read letter by letter, where the encoder learned words and parts of words: are they in "
                "capitals, or in another language",
            ),
        ]
        told = [
            f"warning: {len(places)} {what}: {_first(places)}" for places, what in kinds if places
        ]
        if self.bad:
            told.append(f"{self.bad} of {self.total} lines could not be decoded")
        return told


def _spelled(tokens: Sequence[str]) -> bool:
    single = sum(len(token.strip("\u2581")) <= 1 for token in tokens)
    return len(tokens) >= SPELLED_TOKENS and single >= SPELLED * len(tokens)


def _first(places: list[str]) -> str:
    more = len(places) - SHOWN
    return ", ".join(places[:SHOWN]) + (f" and {more} more" if more > 0 else "")
