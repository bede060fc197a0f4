"""Kaldi archives of recordings: a `wav.scp` with `<utt-id> <file>.ark:<byte>`, as Kaldi and ESPnet write it."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legonn.errors import DataError

__all__ = ["archive_place", "read_archive"]

# What kaldiio reads as sound: WAV and FLAC as they are, and files of soundfile's with a length before them.
SOUNDS = (b"RIFF", b"fLaC", b"AUDIO")
PICKLED = b"PKL"


def archive_place(source: str) -> tuple[Path, int] | None:
    """File and byte of `x.ark:1234`; None for the name of a file."""
    found = re.fullmatch(r"(.+):(\d{1,18})", source)
    if found is None or os.path.exists(source):
        return None
    return Path(found[1]), int(found[2])


def read_archive(path: Path, offset: int) -> tuple[NDArray[np.float32], int]:
    """Read one recording of an archive with kaldiio.

    kaldiio would also unpickle what an archive holds, and so run code of whoever wrote it: here only sound is read.

    Returns
    -------
    ndarray, int
        Samples (N, channels), full scale 1, and hertz.

    Raises
    ------
    DataError
        When there is no sound; its message doesn't name the file.
    OSError
        When the file can't be read.
    """
    from kaldiio.matio import read_kaldi
    from kaldiio.python_wave import Error as WaveError

    with path.open("rb") as file:
        file.seek(offset)
        begin = file.read(max(map(len, SOUNDS)))
        if not begin.startswith(SOUNDS):
            what = "a pickled object, which isn't read" if begin.startswith(PICKLED) else "no sound"
            raise DataError(
                f"{what} at byte {offset}; name the recordings, not features or other numbers"
            )
        file.seek(offset)
        try:
            rate, samples = read_kaldi(file)
        # Each kind of fault has its own error there; soundfile's is a RuntimeError.
        except (
            AssertionError,
            EOFError,
            RuntimeError,
            ValueError,
            struct.error,
            WaveError,
        ) as error:
            raise DataError(f"no sound that can be read at byte {offset} ({error})") from error
    return _full_scale(samples if samples.ndim == 2 else samples[:, None]), int(rate)


def _full_scale(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """Whole numbers to -1 ... 1; those of 8 bits have their zero in the middle."""
    if not np.issubdtype(samples.dtype, np.integer):
        return samples.astype(np.float32)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    middle = half if np.issubdtype(samples.dtype, np.unsignedinteger) else 0.0
    return ((samples.astype(np.float64) - middle) / half).astype(np.float32)
