"""Where the recordings that this package makes are put, and how they are written."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legonn.errors import ConfigError

__all__ = [
    "FORMATS",
    "check_format",
    "encode",
    "recording_path",
    "stored_seconds",
    "write_recording",
]

# Of soundfile: FLAC loses nothing; Opus is a tenth of its size, and slower to write.
FORMATS = {"flac": ("FLAC", "PCM_16"), "wav": ("WAV", "PCM_16"), "opus": ("OGG", "OPUS")}
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
FOLDER = 1000  # recordings in one folder


def check_format(name: str, sample_rate: int, *, option: str = "--format") -> None:
    """Raise a `ConfigError` unless `name` is a key of `FORMATS` that takes this rate; `option` gave it."""
    if name not in FORMATS:
        raise ConfigError(f"{option} {name}: give one of {', '.join(FORMATS)}")
    if name == "opus" and sample_rate not in OPUS_RATES:
        raise ConfigError(
            f"{option} opus has no {sample_rate} Hz: give flac, or one of {', '.join(map(str, OPUS_RATES))} Hz"
        )


def recording_path(folder: Path, number: int, utt_id: str, format: str) -> Path:
    """`folder/wav/<thousands>/<utt-id>.<format>`; `number` counts from 0."""
    name = utt_id.replace("%", "%25").replace("/", "%2F")
    return folder / "wav" / f"{number // FOLDER:03d}" / f"{name}.{format}"


def encode(samples: NDArray[np.float32], sample_rate: int, format: str) -> bytes:
    """A file's content: samples (N,), full scale 1, as a key of `FORMATS`."""
    import soundfile

    file = io.BytesIO()
    container, subtype = FORMATS[format]
    soundfile.write(file, samples, sample_rate, format=container, subtype=subtype)
    return file.getvalue()


def stored_seconds(path: Path) -> float:
    """How long a recording is that was written; 0 where there is none, or after a loss of power an empty file."""
    import soundfile

    try:
        return float(soundfile.info(path).duration)
    except soundfile.LibsndfileError:
        return 0.0


def write_recording(path: Path, content: bytes) -> None:
    """Whole or not at all; not forced to the disk one by one, as recordings are many and can be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
