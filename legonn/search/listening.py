"""Recordings in, texts out: heard window by window, decoded in pieces, joined again."""

from __future__ import annotations

import dataclasses
import html
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from legonn.audio.hearing import Heard, ahead, hear, windows
from legonn.audio.recordings import Utterance
from legonn.errors import ConfigError, DataError
from legonn.progress import Progress
from legonn.search import alignment
from legonn.search.files import Outcome, Writer, put
from legonn.search.journal import Journal
from legonn.search.pipeline import Begun, pipelined
from legonn.search.translator import EMPTY, Hypothesis, Transcriber

__all__ = [
    "Tally",
    "begin_window",
    "check_times",
    "decode_recordings",
    "join",
    "time_lines",
    "transcribe",
]

Said = Iterable[tuple[str, float, float, str]]  # of each piece: id, start and end in seconds, text


@dataclass
class Tally:
    """What became of recordings.

    Attributes
    ----------
    total, bad, cut, silent : int
        All; those that could not be decoded; those that were cut; those in which nobody is heard.
    seconds : float
        Of sound that was decoded.
    """

    total: int = 0
    bad: int = 0
    cut: int = 0
    silent: int = 0
    seconds: float = 0.0

    def add(self, window: Iterable[Heard]) -> None:
        """Count some more."""
        for heard in window:
            self.total += 1
            self.bad += bool(heard.fault)
            self.cut += heard.is_cut
            self.silent += not (heard.spans or heard.fault)
            self.seconds += heard.seconds

    def messages(self, longest: float) -> Iterator[str]:
        """What of it should be told."""
        if self.cut:
            yield f"{self.cut} of {self.total} recordings are longer than {longest:g} s: cut at quiet places, joined"
        if self.silent:
            yield f"{self.silent} of {self.total} recordings are silent: their texts are empty"
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
    times_suffix: str = "",
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
        Told the recordings that are done, of a long one its parts.
    times_suffix : str
        `.srt` and `.vtt` make `times` subtitles, see `check_times`.
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
        writer.write(
            [
                Outcome(join(pieces), heard.utterance.utt_id, heard.fault)
                for heard, pieces in zip(window, found, strict=True)
            ]
        )
        if times is not None:
            put(times, "".join(time_lines(window, found, times_suffix)))
        tally.add(window)
        journal.mark(len(window), **dataclasses.asdict(tally))
    return tally


def begin_window(
    transcriber: Transcriber,
    window: Sequence[Heard],
    on_done: Callable[[float], None] = lambda count: None,
) -> Begun[list[list[list[Hypothesis]]]]:
    """Begin to find the hypotheses of each piece of each recording, the best first; what is aligned, in seconds too.

    Parameters
    ----------
    on_done : callable
        Told how many recordings were finished since the last time: a share of the window, no whole number, as pieces of
        all are searched together, and one recording may have many.
    """
    pieces = [piece for heard in window for piece in heard.pieces()]

    def share(count: int) -> None:
        on_done(len(window) * count / len(pieces) if pieces else len(window))

    begun = transcriber.start(pieces, share)

    def finish() -> list[list[list[Hypothesis]]]:
        found = iter(begun.finish())
        return [
            [_timed(next(found), start, end) for start, end in heard.times()] for heard in window
        ]

    return Begun(begun.batches, finish)


def transcribe(
    transcriber: Transcriber, recordings: Iterable[Any], *, longest: float, whole: float
) -> list[list[Hypothesis]]:
    """Each recording's hypotheses, the best first.

    Parameters
    ----------
    recordings : iterable
        Waveforms, as `Transcriber.transcribe` takes them, and paths of sound files.
    longest, whole : float
        Seconds of a file's piece, and of a file that isn't cut, see `legonn.audio.cutting.cut`.

    Raises
    ------
    DataError
        Naming all files that can't be heard; see also `Transcriber.transcribe`.
    """
    rate = transcriber.sound.sample_rate
    given = [
        _hear(Path(one), sample_rate=rate, longest=longest, whole=whole)
        if isinstance(one, (str, os.PathLike))
        else one
        for one in recordings
    ]
    files = [one for one in given if isinstance(one, Heard)]
    faults = [one.fault for one in files if one.fault]
    if faults:
        raise DataError(
            f"{len(faults)} of {len(given)} recordings can't be decoded; mend them, or leave them out:",
            faults,
        )
    # Files' pieces come last, and nothing stands in their places: waveforms keep the numbers that messages tell.
    nothing = np.zeros(0, np.float32)
    waveforms = [nothing if isinstance(one, Heard) else one for one in given]
    pieces = [piece for one in files for piece in one.pieces()]
    found = transcriber.transcribe([*waveforms, *pieces])
    of_pieces = iter(found[len(given) :])
    return [
        join([next(of_pieces) for _ in one.spans]) if isinstance(one, Heard) else hypotheses
        for one, hypotheses in zip(given, found, strict=False)
    ]


def _hear(path: Path, **limits: Any) -> Heard:
    """A sound file, which is never a command, as it might be in a `wav.scp`."""
    utterance = Utterance(path.stem, str(path), str(path))
    if utterance.is_pipe:
        return Heard(utterance, fault=f"{path}: a command; run it, and name the file that it makes")
    return hear(utterance, **limits)


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


def check_times(path: str, recordings: int) -> None:
    """Raise a ConfigError if that is a file of subtitles by its name, and not of one recording."""
    if Path(path).suffix.lower() in SUBTITLES and recordings != 1:
        raise ConfigError(
            f"--times {path}: subtitles are of one recording, as those of several have no common clock, and --input "
            f"names {recordings}: give one, or a name that doesn't end in {' or '.join(SUBTITLES)}; or call it "
            'for each, for f in talks/*.flac; do legonn decode ... --input "$f" --times "${f%.*}.srt"; done'
        )


def time_lines(
    window: Sequence[Heard], found: Sequence[Sequence[Sequence[Hypothesis]]], suffix: str = ""
) -> Iterator[str]:
    """What a file of times, whose name ends in `suffix`, gets of some recordings, and of what their pieces say."""
    return SUBTITLES.get(suffix.lower(), _plain)(_said(window, found))


def _said(window: Sequence[Heard], found: Sequence[Sequence[Sequence[Hypothesis]]]) -> Said:
    for heard, pieces in zip(window, found, strict=True):
        for (start, end), piece in zip(heard.times(), pieces, strict=True):
            yield heard.utterance.utt_id, start, end, piece[0].text


def _plain(said: Said) -> Iterator[str]:
    for utt_id, start, end, text in said:
        yield f"{utt_id} {start:.2f} {end:.2f} {text}\n"


def _srt(said: Said) -> Iterator[str]:
    cues = (one for one in said if one[3])
    for number, (_, start, end, text) in enumerate(cues, 1):
        yield f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"


def _vtt(said: Said) -> Iterator[str]:
    yield "WEBVTT\n\n"
    for _, start, end, text in said:
        if text:
            escaped = html.escape(text, quote=False)
            yield f"{_clock(start, '.')} --> {_clock(end, '.')}\n{escaped}\n\n"


SUBTITLES = {".srt": _srt, ".vtt": _vtt}


def _clock(seconds: float, point: str) -> str:
    """`01:02:03.456`."""
    rest, thousandths = divmod(round(1000 * seconds), 1000)
    minutes = rest // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest % 60:02d}{point}{thousandths:03d}"
