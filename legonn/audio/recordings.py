"""Kaldi's speech folders: `wav.scp`, with or without `segments`, and the samples they lead to."""

from __future__ import annotations

import io
import math
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legonn.audio.archive import archive_place, read_archive
from legonn.audio.resampling import resample
from legonn.data.folder import read_lines, split_id
from legonn.errors import DataError

__all__ = ["Listing", "Utterance", "list_utterances", "read_sound", "read_utterances"]

Samples = NDArray[np.float32]
# Hertz, of telephones and studios with much to spare; others are of damaged headers.
RATES = 1000, 384000
UNKNOWN = 1 << 60  # samples: that a file has so many means that it doesn't know


@dataclass(frozen=True)
class Utterance:
    """Where an utterance's samples are.

    Attributes
    ----------
    utt_id : str
        Its id.
    source : str
        A file; its place in a Kaldi archive, `x.ark:1234`; or a command that ends in `|` and writes a file to its
        standard output.
    start, end : float or None
        Seconds, of a segment; None is the recording's beginning, its end.
    channel : int or None
        Of a segment, from 0 on; None is all of them.
    place : str
        `file:line` that names it, for messages; of a file that was named by itself, the file.
    """

    utt_id: str
    source: str
    place: str
    start: float | None = None
    end: float | None = None
    channel: int | None = None

    @property
    def where(self) -> str:
        """What messages begin with: the place, and the file it leads to."""
        return self.source if self.place == self.source else f"{self.place}: {self.source}"

    @property
    def is_pipe(self) -> bool:
        """Whether reading it runs a command."""
        return self.source.endswith("|")

    @property
    def path(self) -> Path | None:
        """The file that has it, or the archive; None for a command."""
        if self.is_pipe:
            return None
        archived = archive_place(self.source)
        return Path(self.source) if archived is None else archived[0]

    @property
    def is_file(self) -> bool:
        """Whether its recording has a file for itself."""
        return self.path == Path(self.source)

    @property
    def is_segment(self) -> bool:
        """Whether it is a part of a recording."""
        return (self.start, self.end, self.channel) != (None, None, None)


@dataclass
class Listing:
    """What a folder's `wav.scp` and `segments` say.

    Attributes
    ----------
    utterances : dict of str to Utterance
        Those of lines without a fault, by id, in the file's order.
    lines : dict of str to int
        Each id's first line in `segments`, or where there is none in `wav.scp`; of lines with a fault, too.
    faults : list of str
        `file:line: what; remedy`.
    """

    utterances: dict[str, Utterance] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def entries(self, path: Path) -> Iterator[tuple[str, str, str]]:
        """Place, id and rest of each line of `path` that can be read and is the first of its id."""
        self.lines = {}
        if not path.is_file():
            self.faults.append(f"{path}: no such file; make it, or mend the name")
            return
        for number, line in read_lines(path):
            place = f"{path}:{number}"
            try:
                utt_id, rest = split_id(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                self.faults.append(f"{place}: not UTF-8 at byte {error.start + 1}")
                continue
            if not utt_id:
                self.faults.append(f"{place}: no id; write <utt-id> ...")
            elif utt_id in self.lines:
                self.faults.append(
                    f"{place}: id {utt_id} again, first in line {self.lines[utt_id]}; ids name one line each"
                )
            else:
                self.lines[utt_id] = number
                yield place, utt_id, rest.strip()


def read_utterances(folder: str | Path, *, allow_pipes: bool = False) -> dict[str, Utterance]:
    """Read a folder's `wav.scp`, and its `segments` where it has them.

    Parameters
    ----------
    folder : path
        Relative paths in `wav.scp` are looked up in the working folder, as Kaldi does, then in this one and
        the one that holds it.
    allow_pipes : bool
        Let `wav.scp` hold commands, which run with the reader's rights.

    Returns
    -------
    dict of str to Utterance
        By id, in the file's order.

    Raises
    ------
    DataError
        Naming every line at fault.
    """
    listed = list_utterances(folder, allow_pipes=allow_pipes)
    if listed.faults:
        raise DataError(
            f"{len(listed.faults)} faults in {folder}; mend them and run again:", listed.faults
        )
    return listed.utterances


def list_utterances(folder: str | Path, *, allow_pipes: bool = False) -> Listing:
    """As `read_utterances`, but lines with a fault are told beside the others."""
    folder = Path(folder)
    listed = Listing()
    recordings: dict[str, Utterance] = {}
    for place, utt_id, rest in listed.entries(folder / "wav.scp"):
        if not rest:
            listed.faults.append(f"{place}: no file after the id; write <utt-id> <file>")
        elif rest.endswith("|") and not allow_pipes:
            listed.faults.append(
                f"{place}: a command, which would run with your rights; look at it, then --allow_pipes"
            )
        else:
            recordings[utt_id] = Utterance(utt_id, _find(rest, folder), place)
    segments = folder / "segments"
    listed.utterances = (
        _segments(segments, recordings, listed) if segments.is_file() else recordings
    )
    return listed


def _find(source: str, folder: Path) -> str:
    if source.endswith("|") or os.path.exists(source):  # False where it can't be looked at, too
        return source
    path, ending = source, ""
    if (archived := archive_place(source)) is not None:
        path, ending = str(archived[0]), f":{archived[1]}"
        if os.path.exists(archived[0]):
            return source
    beside = [place / path for place in (folder, folder.parent)]
    return str(next((found for found in beside if os.path.exists(found)), path)) + ending


def _segments(
    path: Path, recordings: dict[str, Utterance], listed: Listing
) -> dict[str, Utterance]:
    """As Kaldi's `extract-segments` reads them: an end of -1 is the recording's, and a channel may follow."""
    found: dict[str, Utterance] = {}
    # wav.scp's faults are told there: segments of such a recording aren't faulty themselves.
    known = set(listed.lines)
    for place, utt_id, rest in listed.entries(path):
        words = rest.split()
        try:
            recording, start, end = words[0], float(words[1]), float(words[2])
            channel = int(words[3]) if len(words) > 3 else None
        except (IndexError, ValueError):
            listed.faults.append(
                f"{place}: write <utt-id> <recording-id> <start> <end>, in seconds, and for one of several channels "
                "its number, 0 or more"
            )
            continue
        to_the_end = end == -1
        if recording not in known:
            listed.faults.append(f"{place}: recording {recording} isn't in wav.scp; add it there")
        elif not (math.isfinite(start + end) and 0 <= start and (start < end or to_the_end)):
            listed.faults.append(
                f"{place}: from {start} to {end}: seconds, the start first, and from 0 on"
            )
        elif channel is not None and channel < 0:
            listed.faults.append(f"{place}: channel {channel}: they count from 0")
        elif recording in recordings:
            found[utt_id] = Utterance(
                utt_id,
                recordings[recording].source,
                place,
                start,
                None if to_the_end else end,
                channel,
            )
    return found


def read_sound(utterance: Utterance, *, sample_rate: int | None = None) -> tuple[Samples, int]:
    """Read an utterance's samples.

    Parameters
    ----------
    utterance : Utterance
        Of any format that soundfile reads.
    sample_rate : int, optional
        Hertz to resample to; None keeps the recording's.

    Returns
    -------
    ndarray, int
        Samples (N, channels), full scale 1, and hertz.

    Raises
    ------
    DataError
        When there is no such file, or no sound in it.
    """
    samples, rate = _read(utterance)
    if not RATES[0] <= rate <= RATES[1]:
        raise DataError(
            f"{utterance.where}: {rate} Hz, says its header; write the file anew with the true rate"
        )
    if utterance.channel is not None:
        if utterance.channel >= samples.shape[1]:
            raise DataError(
                f"{utterance.where}: it has no channel {utterance.channel}, as the first is 0; mend segments"
            )
        samples = samples[:, utterance.channel, None]
    if sample_rate is not None and sample_rate != rate:
        return resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def _read(utterance: Utterance) -> tuple[Samples, int]:
    """All channels of the recording, or of its segment."""
    import soundfile

    archived = None if utterance.is_pipe else archive_place(utterance.source)
    try:
        if archived is not None and os.path.isfile(archived[0]):
            samples, rate = _read_archive(utterance, *archived)
            if utterance.start is None:
                return samples, rate
            start, count = _span(utterance, rate)
            return samples[start:][:count].copy(), rate
        with soundfile.SoundFile(_open(utterance)) as file:
            start, count = _span(utterance, file.samplerate)
            if start:
                file.seek(min(start, file.frames))
            if count is None and file.frames >= UNKNOWN:
                raise DataError(
                    f"{utterance.where}: its header doesn't say how long it is, as of a live stream's; write the file "
                    "anew, for example with ffmpeg"
                )
            samples = file.read(-1 if count is None else count, dtype="float32", always_2d=True)
            return samples, file.samplerate
    except DataError:  # which is a ValueError
        raise
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{utterance.where}: no sound that can be read ({error.error_string})"
        ) from error
    # No right to read it; a header of the impossible; a format that doesn't say what it holds, as raw samples.
    except (OSError, MemoryError, OverflowError, TypeError, ValueError) as error:
        raise DataError(f"{utterance.where}: can't be read ({error})") from error


def _span(utterance: Utterance, rate: int) -> tuple[int, int | None]:
    """Its first sample, and how many they are; None is all that follow."""
    start = round((utterance.start or 0) * rate)
    return start, None if utterance.end is None else max(0, round(utterance.end * rate) - start)


def _read_archive(utterance: Utterance, path: Path, offset: int) -> tuple[Samples, int]:
    try:
        if utterance.start is None:  # seldom read twice, and not worth keeping
            return read_archive(path, offset)
        state = os.stat(path)
        return _archived(path, offset, state.st_size, state.st_mtime_ns)
    except DataError as error:
        raise DataError(f"{utterance.where}: {error}") from error


@lru_cache(maxsize=1)
def _archived(path: Path, offset: int, size: int, changed: int) -> tuple[Samples, int]:
    """An archive's recording, kept for its next segment while the file is the same; not to be written to."""
    samples, rate = read_archive(path, offset)
    samples.flags.writeable = False
    return samples, rate


def _open(utterance: Utterance) -> bytes | io.BytesIO:
    """What soundfile can open."""
    if utterance.is_pipe:
        command = utterance.source.removesuffix("|")
        status, output, said = _run(command)
        if status:
            raise DataError(f"{utterance.place}: the command ends with {status}: {said or command}")
        return io.BytesIO(output)
    if not os.path.isfile(utterance.source):
        raise DataError(f"{utterance.where}: no such file; mend its path")
    return os.fsencode(utterance.source)  # names in whatever encoding


@lru_cache(maxsize=1)
def _run(command: str) -> tuple[int, bytes, str]:
    """Exit status, output, and the last line of its errors; kept for the next segment of the same recording."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        stdin=subprocess.DEVNULL,  # or it takes what the caller's script reads
        capture_output=True,
        check=False,
    )
    said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return done.returncode, done.stdout, " ".join(said)
