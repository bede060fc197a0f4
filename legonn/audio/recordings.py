"""Kaldi's speech folders: `wav.scp`, with or without `segments`, and the samples they lead to."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legonn.audio.resampling import resample
from legonn.data.folder import read_lines
from legonn.errors import DataError

__all__ = ["Utterance", "read_sound", "read_utterances"]

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """Where an utterance's samples are.

    Attributes
    ----------
    utt_id : str
        Its id.
    source : str
        A file, or a command that ends in `|` and writes one to its standard output.
    start, end : float or None
        Seconds, of a segment; None is the recording's beginning, its end.
    place : str
        `file:line` that names it, for messages; of a file that was named by itself, the file.
    """

    utt_id: str
    source: str
    place: str
    start: float | None = None
    end: float | None = None

    @property
    def where(self) -> str:
        """What messages begin with: the place, and the file it leads to."""
        return self.source if self.place == self.source else f"{self.place}: {self.source}"

    @property
    def is_pipe(self) -> bool:
        """Whether reading it runs a command."""
        return self.source.endswith("|")

    @property
    def is_segment(self) -> bool:
        """Whether it is a part of a recording."""
        return self.start is not None or self.end is not None


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
    folder = Path(folder)
    faults: list[str] = []
    recordings: dict[str, Utterance] = {}
    for place, utt_id, rest in _entries(folder / "wav.scp", faults):
        if utt_id in recordings:
            faults.append(f"{place}: id {utt_id} again; ids name one line each")
        elif not rest:
            faults.append(f"{place}: no file after the id; write <utt-id> <file>")
        elif rest.endswith("|") and not allow_pipes:
            faults.append(
                f"{place}: a command, which would run with your rights; look at it, then --allow_pipes"
            )
        else:
            recordings[utt_id] = Utterance(utt_id, _find(rest, folder), place)
    segments = folder / "segments"
    found = _segments(segments, recordings, faults) if segments.is_file() else recordings
    if faults:
        raise DataError(f"{len(faults)} faults in {folder}; mend them and run again:", faults)
    return found


def _find(source: str, folder: Path) -> str:
    if source.endswith("|") or Path(source).exists():
        return source
    beside = [place / source for place in (folder, folder.parent)]
    return str(next((path for path in beside if path.exists()), source))


def _entries(path: Path, faults: list[str]) -> Iterator[tuple[str, str, str]]:
    """Place, id and rest of each line that can be read."""
    if not path.is_file():
        faults.append(f"{path}: no such file; make it, or mend the name")
        return
    for number, line in read_lines(path):
        try:
            utt_id, _, rest = line.decode("utf-8").partition(" ")
        except UnicodeDecodeError as error:
            faults.append(f"{path}:{number}: not UTF-8 at byte {error.start + 1}")
            continue
        if utt_id:
            yield f"{path}:{number}", utt_id, rest.strip()
        else:
            faults.append(f"{path}:{number}: no id; write <utt-id> ...")


def _segments(
    path: Path, recordings: dict[str, Utterance], faults: list[str]
) -> dict[str, Utterance]:
    found: dict[str, Utterance] = {}
    for place, utt_id, rest in _entries(path, faults):
        words = rest.split()
        try:
            recording, start, end = words[0], float(words[1]), float(words[2])
        except (IndexError, ValueError):
            faults.append(f"{place}: write <utt-id> <recording-id> <start> <end>, in seconds")
            continue
        if utt_id in found:
            faults.append(f"{place}: id {utt_id} again; ids name one line each")
        elif recording not in recordings:
            faults.append(f"{place}: recording {recording} isn't in wav.scp; add it there")
        elif not 0 <= start < end:
            faults.append(f"{place}: from {start} to {end}: the start comes first, and from 0 on")
        else:
            found[utt_id] = Utterance(utt_id, recordings[recording].source, place, start, end)
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
    import soundfile

    try:
        with soundfile.SoundFile(_open(utterance)) as file:
            rate = file.samplerate
            start = round((utterance.start or 0) * rate)
            if start:
                file.seek(min(start, file.frames))
            count = -1 if utterance.end is None else max(0, round(utterance.end * rate) - start)
            samples = file.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{utterance.where}: no sound that can be read ({error.error_string})"
        ) from error
    except (OSError, MemoryError) as error:  # no right to read it; a header of the impossible
        raise DataError(f"{utterance.where}: can't be read ({error})") from error
    if sample_rate is not None and sample_rate != rate:
        return resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def _open(utterance: Utterance) -> str | io.BytesIO:
    """What soundfile can open."""
    if utterance.is_pipe:
        command = utterance.source.removesuffix("|")
        status, output, said = _run(command)
        if status:
            raise DataError(f"{utterance.place}: the command ends with {status}: {said or command}")
        return io.BytesIO(output)
    path = Path(utterance.source)
    if not path.is_file():
        raise DataError(f"{utterance.where}: no such file")
    return str(path)


@lru_cache(maxsize=1)
def _run(command: str) -> tuple[int, bytes, str]:
    """Exit status, output, and the last line of its errors; kept for the next segment of the same recording."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False
    )
    said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return done.returncode, done.stdout, " ".join(said)
