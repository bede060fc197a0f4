"""Lines in, texts out: decoded window by window, written in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from legonn.progress import Progress
from legonn.search.files import Lines, Outcome, Writer
from legonn.search.journal import Journal
from legonn.search.notes import Notes
from legonn.search.pipeline import Begun, pipelined
from legonn.search.translator import Hypothesis, Translator

__all__ = ["decode_lines", "decode_stream"]

Looked = tuple[Lines, list[tuple[str, str]]]  # what is decoded, and of each line text and fault


def decode_lines(
    translator: Translator,
    lines: Lines,
    *,
    size: int,
    writer: Writer,
    notes: Notes,
    journal: Journal,
    progress: Progress,
) -> None:
    """Decode lines and write what was found; those that the journal has are only looked at.

    Parameters
    ----------
    size : int
        Lines of a window, in which those of similar length are searched together.
    progress : Progress
        Told each line.
    """

    def look(window: Lines) -> Looked:
        return window, notes.look(translator, window)

    def begin(looked: Looked) -> Begun[list[list[Hypothesis]]]:
        return translator.start([text for text, _ in looked[1]], progress.add)

    look(lines.part(0, journal.done))
    windows = map(look, lines.part(journal.done).windows(size))
    for looked, found in pipelined(windows, begin, ahead=translator.ahead):
        writer.write(_outcomes(looked, found))
        journal.mark(len(found))


def decode_stream(
    translator: Translator, parts: Iterator[Lines], *, writer: Writer, notes: Notes
) -> None:
    """Decode lines as they come."""
    size = translator.options.batch_size
    for window in (window for arrived in parts for window in arrived.windows(size)):
        looked = notes.look(translator, window)
        found = translator.translate([text for text, _ in looked])
        writer.write(_outcomes((window, looked), found))


def _outcomes(looked: Looked, found: Sequence[Sequence[Hypothesis]]) -> list[Outcome]:
    window, texts = looked
    ids = repeat(None, len(texts)) if window.ids is None else window.ids
    return [
        Outcome(hypotheses, utt_id, fault)
        for hypotheses, utt_id, (_, fault) in zip(found, ids, texts, strict=True)
    ]
