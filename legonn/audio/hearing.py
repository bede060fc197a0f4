"""Recordings as a system hears them: one channel, its sample rate, in pieces that it can hear at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from legonn.audio.check import check_samples, is_silent
from legonn.audio.cutting import cut
from legonn.audio.recordings import Samples, Utterance, read_sound
from legonn.audio.resampling import resample
from legonn.errors import DataError

__all__ = ["Heard", "ahead", "hear", "windows"]

WINDOW = 600.0  # seconds of sound, or one recording that is longer; each window that is begun is in memory
T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """One recording.

    Attributes
    ----------
    utterance : Utterance
        Whose.
    samples : ndarray
        (N,), full scale 1; none where there is a fault.
    rate : int
        Hertz.
    spans : tuple of (int, int)
        Start and end of each piece in samples, see `cut`; silent ones are left out, and where there is a fault, all.
    fault : str
        Why it can't be decoded: `file: what; remedy`.
    is_cut : bool
        Whether its pieces, silent ones included, are several.
    """

    utterance: Utterance
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    rate: int = 1
    spans: tuple[tuple[int, int], ...] = ()
    fault: str = ""
    is_cut: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate

    def pieces(self) -> list[Samples]:
        """Their samples."""
        return [self.samples[start:end] for start, end in self.spans]

    def times(self) -> list[tuple[float, float]]:
        """Start and end of each piece in seconds."""
        return [(start / self.rate, end / self.rate) for start, end in self.spans]


def hear(
    utterance: Utterance, *, sample_rate: int, longest: float, whole: float | None = None
) -> Heard:
    """Read a recording whole; what is wrong with it is told, not raised.

    Parameters
    ----------
    utterance : Utterance
        Of any rate and number of channels.
    sample_rate : int
        Hertz that the system hears.
    longest, whole : float
        Seconds of a piece, and of a recording that isn't cut, see `cut`.
    """
    try:
        samples, rate = read_sound(utterance)
        faults = check_samples(utterance, samples, rate, allow_silence=True)
        if faults:
            return Heard(utterance, fault=faults[0])
        samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
        samples = resample(samples, rate, sample_rate)
    except DataError as error:
        return Heard(utterance, fault=str(error))
    except MemoryError:
        fault = f"{utterance.where}: there isn't memory enough for it; cut it, or name parts of it in segments"
        return Heard(utterance, fault=fault)
    spans = cut(samples, sample_rate, longest=longest, whole=whole)
    said = [span for span in spans if not is_silent(samples[slice(*span)], sample_rate)]
    return Heard(utterance, samples, sample_rate, tuple(said), is_cut=len(spans) > 1)


def windows(
    utterances: Iterable[Utterance],
    *,
    sample_rate: int,
    longest: float,
    size: int,
    whole: float | None = None,
) -> Iterator[list[Heard]]:
    """Hear recordings in order, some at a time: up to about `size` pieces, and `WINDOW` seconds."""
    window: list[Heard] = []
    count, seconds = 0, 0.0
    for utterance in utterances:
        heard = hear(utterance, sample_rate=sample_rate, longest=longest, whole=whole)
        window.append(heard)
        count += max(1, len(heard.spans))
        seconds += heard.seconds
        if count >= size or seconds >= WINDOW:
            yield window
            window, count, seconds = [], 0, 0.0
    if window:
        yield window


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; while one is worked on, a thread makes the next."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item
