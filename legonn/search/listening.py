"""Recordings in, texts out: heard window by window, decoded in pieces, joined again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from legonn.audio.hearing import Heard, ahead, windows
from legonn.audio.recordings import Utterance
from legonn.progress import Progress
from legonn.search import alignment
from legonn.search.files import Writer
from legonn.search.journal import Journal
from legonn.search.pipeline import Begun, pipelined
from legonn.search.translator import EMPTY, Hypothesis, Transcriber

__all__ = ["Tally", "begin_window", "decode_recordings", "join"]


@dataclass
class Tally:
    """What became of recordings.

    Attributes
    ----------
    total, bad, cut : int
        All; those that could not be decoded; those that were cut.
    seconds : float
        Of sound that was decoded.
    """

    total: int = 0
    bad: int = 0
    cut: int = 0
    seconds: float = 0.0

    def add(self, window: Iterable[Heard]) -> None:
        """Count some more."""
        for heard in window:
            self.total += 1
            self.bad += bool(heard.fault)
            self.cut += len(heard.spans) > 1
            self.seconds += heard.seconds

    def messages(self, longest: float) -> Iterator[str]:
        """What of it should be told."""
        if self.cut:
            yield f"{self.cut} of {self.total} recordings are longer than {longest:g} s: cut at quiet places, joined"
        if self.bad:
            yield f"{self.bad} of {self.total} recordings could not be decoded"


def decode_recordings(
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    *,
    longest: float,
    size: int,
    writer: Writer,
    times: IO[str] | None,
    journal: Journal,
    progress: Progress,
    whole: float | None = None,
) -> Tally:
    """Decode recordings and write what was found, in their order; a bad one gets an empty text, and is told.

    Those that the journal has are left out, but counted.

    Parameters
    ----------
    longest, whole : float
        Seconds of a piece, and of a recording that isn't cut, see `legonn.audio.cutting.cut`.
    size : int
        Pieces searched at a time, about.
    times : text file, optional
        Gets lines `<utt-id> <start> <end> <text>`, one a piece, in seconds of the recording or segment.
    progress : Progress
        Told each recording.
    """
    tally = Tally(**journal.facts)
    left = utterances[journal.done :]
    rate = transcriber.sound.sample_rate

    def begin(window: Sequence[Heard]) -> Begun[list[list[list[Hypothesis]]]]:
        for fault in filter(None, (one.fault for one in window)):
            progress.tell(f"warning: {fault}")
        return begin_window(transcriber, window, progress.add)

    heard = windows(left, sample_rate=rate, longest=longest, whole=whole, size=size)
    coming = ahead(heard)
    for window, found in pipelined(coming, begin, ahead=transcriber.ahead):
        ids = [one.utterance.utt_id for one in window]
        writer.write(ids, [join(pieces) for pieces in found])
        if times is not None:
            times.writelines(_time_lines(window, found))
        tally.add(window)
        journal.mark(len(window), **dataclasses.asdict(tally))
    return tally


def begin_window(
    transcriber: Transcriber,
    window: Sequence[Heard],
    on_done: Callable[[int], None] = lambda count: None,
) -> Begun[list[list[list[Hypothesis]]]]:
    """Begin to find the hypotheses of each piece of each recording, the best first; what is aligned, in seconds too.

    Parameters
    ----------
    on_done : callable
        Told the number of recordings finished since the last time: their share, as pieces of all are searched together.
    """
    pieces = [piece for heard in window for piece in heard.pieces()]
    done = told = 0

    def share(count: int) -> None:
        nonlocal done, told
        done += count
        whole = len(window) * done // len(pieces) if pieces else len(window)
        on_done(whole - told)
        told = whole

    begun = transcriber.start(pieces, share)

    def finish() -> list[list[list[Hypothesis]]]:
        found = iter(begun.finish())
        return [
            [_timed(next(found), start, end) for start, end in heard.times()] for heard in window
        ]

    return Begun(begun.batches, finish)


def _timed(found: Sequence[Hypothesis], start: float, end: float) -> list[Hypothesis]:
    """A piece's hypotheses, with the times of what is aligned."""
    return [
        one
        if one.alignment is None
        else dataclasses.replace(one, alignment=one.alignment.timed(start, end))
        for one in found
    ]


def join(pieces: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """A recording's hypotheses: of one piece all, of several the best of each as one, of none an empty one.

    Their texts are joined by blanks. Their scores are summed, so that a recording which was cut compares with no other.
    """
    if len(pieces) == 1:
        return list(pieces[0])
    if not pieces:
        return [EMPTY]
    best = [found[0] for found in pieces]
    names = dict.fromkeys(name for one in best for name in one.scores)
    return [
        Hypothesis(
            text=" ".join(one.text for one in best if one.text),
            tokens=tuple(token for one in best for token in one.tokens),
            ids=tuple(token_id for one in best for token_id in one.ids),
            score=sum(one.score for one in best),
            scores={name: sum(one.scores.get(name, 0.0) for one in best) for name in names},
            alignment=alignment.join(one.alignment for one in best),
        )
    ]


def _time_lines(
    window: Sequence[Heard], found: Sequence[Sequence[Sequence[Hypothesis]]]
) -> Iterator[str]:
    for heard, pieces in zip(window, found, strict=True):
        for (start, end), piece in zip(heard.times(), pieces, strict=True):
            yield f"{heard.utterance.utt_id} {start:.2f} {end:.2f} {piece[0].text}\n"
