"""Lines in, texts out: decoded window by window, written in their order."""

from __future__ import annotations

from collections.abc import Iterator

from legonn.progress import Progress
from legonn.search.files import Lines, Writer
from legonn.search.journal import Journal
from legonn.search.notes import Notes
from legonn.search.pipeline import Begun, pipelined
from legonn.search.translator import Hypothesis, Translator

__all__ = ["decode_lines", "decode_stream"]


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

    def begin(window: Lines) -> Begun[list[list[Hypothesis]]]:
        return translator.start(notes.look(translator, window), progress.add)

    notes.look(translator, lines.part(0, journal.done))
    windows = lines.part(journal.done).windows(size)
    for window, found in pipelined(windows, begin, ahead=translator.ahead):
        writer.write(window.ids, found)
        journal.mark(len(found))


def decode_stream(
    translator: Translator, parts: Iterator[Lines], *, writer: Writer, notes: Notes
) -> None:
    """Decode lines as they come."""
    size = translator.options.batch_size
    for window in (window for arrived in parts for window in arrived.windows(size)):
        writer.write(window.ids, translator.translate(notes.look(translator, window)))
