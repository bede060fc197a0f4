"""Is there speech in a recording? What stands against it, and what is only odd."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from legonn.audio.archive import archive_place
from legonn.audio.parallel import mapped
from legonn.audio.recordings import Samples, Utterance, list_utterances, read_sound
from legonn.audio.truncation import is_unended, missing_bytes
from legonn.data.check import FileReport
from legonn.data.filter import LONGEST, SHORTEST
from legonn.errors import DataError
from legonn.progress import Progress

__all__ = [
    "RecordingsReport",
    "SoundReport",
    "check_recordings",
    "check_samples",
    "check_sound",
    "check_sounds",
    "is_silent",
]

SILENCE = 10 ** (-70 / 20)  # root mean square; quiet rooms have -60 dB
CLIPPED = 0.001  # share of samples at full scale
BLOCK = 1 << 20  # samples that are squared at a time: of hours there is only one copy
UNFINISHED = 10000  # bytes; no header is so long


@dataclass(frozen=True)
class SoundReport:
    """What one utterance's sound is like.

    Attributes
    ----------
    utterance : Utterance
        Whose.
    seconds : float
        Its length; 0 when unreadable.
    sample_rate, channels : int
        Of the file; 0 when unreadable.
    faults : tuple of str
        Why it can't be used: `file:line: what; remedy`.
    oddities : tuple of str
        Kinds that are only warned of, keys of `REMEDIES`.
    """

    utterance: Utterance
    seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    faults: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()


@dataclass
class RecordingsReport(FileReport):
    """What the recordings of a folder are like, all together.

    Attributes
    ----------
    sounds : list of SoundReport
        One an utterance.
    """

    sounds: list[SoundReport] = field(default_factory=list)

    def listen(self, utterances: Collection[Utterance], *, jobs: int) -> list[SoundReport]:
        """Check recordings, in several processes, and show how many are done; those that can't be used are returned."""
        with Progress(len(utterances), command="legonn validate", unit="recording") as progress:
            for sound in check_sounds(utterances, jobs=jobs):
                self.sounds.append(sound)
                progress.add(1)
        return [sound for sound in self.sounds if sound.faults]

    def summary(self) -> str:
        """The recordings in a few figures."""
        seconds = [sound.seconds for sound in self.sounds]
        return (
            f"{self.path.name} {sum(seconds) / 3600:.2f} h, {min(seconds, default=0):.1f} to "
            f"{max(seconds, default=0):.1f} s"
        )


def check_recordings(
    folder: str | Path,
    *,
    allow_pipes: bool = False,
    skip_bad: int = 0,
    sample_rate: int | None = None,
    jobs: int = 1,
) -> RecordingsReport:
    """Check `wav.scp`, `segments` and every sound that they lead to.

    Parameters
    ----------
    folder : path
        With a `wav.scp`.
    allow_pipes : bool
        Run the commands in it.
    skip_bad : int
        So many bad recordings are warned of, more are faults.
    sample_rate : int, optional
        Hertz that they should have; None: that of most of them.
    jobs : int
        Processes.
    """
    folder = Path(folder)
    report = RecordingsReport(
        folder / ("segments" if (folder / "segments").exists() else "wav.scp")
    )
    listed = list_utterances(folder, allow_pipes=allow_pipes)
    report.ids = listed.lines
    report.faults += listed.faults
    bad = report.listen(listed.utterances.values(), jobs=jobs)
    faults = [fault for sound in bad for fault in sound.faults]
    if len(bad) > skip_bad:
        report.faults += faults
    else:
        report.warnings += [f"{fault} (left out in stage 3)" for fault in faults]
    report.warnings += _warnings(report, sample_rate)
    return report


REMEDIES = {
    "stereo": "have several channels; stage 3 mixes them into one",
    "clipped": f"have more than {CLIPPED:.1%} of their samples at full scale; record them at a lower level",
    "long": f"are longer than {LONGEST:.0f} s; cut them with segments, or stage 4 drops them from training sets, "
    "as long as --max_wav_duration isn't more",
    "unended": "stop without Ogg's mark of an end; if they were cut off, copy them again",
}


def _warnings(report: RecordingsReport, sample_rate: int | None) -> Iterator[str]:
    """A line for each kind of oddity, with the places of all that have it."""
    kinds = sorted({oddity for sound in report.sounds for oddity in sound.oddities})
    for kind in kinds:
        odd = [sound for sound in report.sounds if kind in sound.oddities]
        yield f"{report.path}: {_counted(odd)} {REMEDIES[kind]}"
    rates = Counter(sound.sample_rate for sound in report.sounds if sound.sample_rate)
    wanted = sample_rate or (rates.most_common(1)[0][0] if rates else 0)
    for rate in sorted(rates.keys() - {wanted}):
        odd = [sound for sound in report.sounds if sound.sample_rate == rate]
        yield (
            f"{report.path}: {_counted(odd)} have {rate} Hz, not {wanted}; stage 3 resamples them"
            + (", which brings back nothing of what they lack above" if rate < wanted else "")
        )


def _counted(sounds: Sequence[SoundReport]) -> str:
    """`3 recordings (lines 1-2, 7)`."""
    numbers = sorted(int(sound.utterance.place.rpartition(":")[2]) for sound in sounds)
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)
    return f"{len(numbers)} recordings ({'line' if len(numbers) == 1 else 'lines'} {shown})"


def check_sounds(utterances: Iterable[Utterance], *, jobs: int = 1) -> Iterator[SoundReport]:
    """Check many, in order, in several processes."""
    return mapped(check_sound, utterances, jobs)


def check_sound(utterance: Utterance) -> SoundReport:
    """Read an utterance whole, and look at its samples."""
    try:
        samples, rate = read_sound(utterance)
    except DataError as error:
        return SoundReport(utterance, faults=(str(error),))
    seconds = len(samples) / rate
    faults = check_samples(utterance, samples, rate)
    oddities = list(_oddities(samples, seconds))
    whole = utterance.is_file and not utterance.is_segment
    if whole and not faults and is_unended(Path(utterance.source)):
        oddities.append("unended")
    return SoundReport(utterance, seconds, rate, samples.shape[1], faults, tuple(oddities))


def check_samples(
    utterance: Utterance, samples: Samples, rate: int, *, allow_silence: bool = False
) -> tuple[str, ...]:
    """What stands against an utterance whose samples (N, channels) have been read: `file:line: what; remedy`."""
    faults = _faults(utterance, samples, len(samples) / rate, allow_silence=allow_silence)
    return tuple(f"{utterance.where}: {fault}" for fault in faults)


def _faults(
    utterance: Utterance, samples: Samples, seconds: float, *, allow_silence: bool
) -> Iterator[str]:
    missing = _missing(utterance)
    if missing:
        yield f"cut off: {missing} bytes are missing of what its header says; copy it again"
    if not len(samples):
        if utterance.start and not missing:
            yield f"the recording ends before the segment's start, {utterance.start} s; mend segments"
        elif not missing:
            yield "no samples; record it again, or leave it out" + _unfinished(utterance)
        return
    if seconds < SHORTEST:
        yield f"{seconds:.3f} s, too short for a word; leave it out"
    if utterance.end is not None and seconds < utterance.end - (utterance.start or 0) - 0.1:
        yield f"the recording ends before the segment's {utterance.end} s; mend segments"
    level = _level(samples)
    if not math.isfinite(level):
        yield "samples that are no numbers (NaN or infinite); write the file again"
    elif level < SILENCE:
        if not allow_silence:
            yield "silence; leave it out"
    elif samples.shape[1] > 1 and _level(samples.mean(axis=1)) < SILENCE:
        yield "channels that cancel each other when they are mixed; keep one of them"


def _missing(utterance: Utterance) -> int:
    """Bytes; of a segment with an end it matters only whether that is there."""
    if utterance.path is None or utterance.end is not None:
        return 0
    archived = archive_place(utterance.source)
    return missing_bytes(utterance.path, 0 if archived is None else archived[1])


def _unfinished(utterance: Utterance) -> str:
    """What to do where the header says that there is nothing, and much follows."""
    if not utterance.is_file or os.path.getsize(utterance.source) < UNFINISHED:
        return ""
    return (
        ", unless its header was never finished, as when a recorder is killed: then write the file anew, for example "
        "with ffmpeg"
    )


def is_silent(samples: Samples, rate: int) -> bool:
    """Whether nobody can be heard in any tenth of a second of samples (N,)."""
    short = max(1, rate // 10)
    return all(_level(samples[i : i + short]) < SILENCE for i in range(0, len(samples), short))


def _level(samples: Samples) -> float:
    """Root mean square; no finite number where a sample is none."""
    blocks = (samples[i : i + BLOCK] for i in range(0, len(samples), BLOCK))
    squares = sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks)
    return math.sqrt(squares / samples.size)


def _oddities(samples: Samples, seconds: float) -> Iterator[str]:
    if samples.shape[1] > 1:
        yield "stereo"
    if seconds > LONGEST:
        yield "long"
    if len(samples) and np.mean(np.abs(samples) >= 0.999) > CLIPPED:
        yield "clipped"
