"""Noise and reverberation, made from random numbers alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_noise", "reverberate"]

Signal = NDArray[np.float32]


def add_noise(speech: Signal, *, snr: float, random: np.random.Generator) -> Signal:
    """Add pink noise, which falls by 3 dB an octave as rooms' and streets' noise roughly does.

    Parameters
    ----------
    speech : ndarray
        Samples (N,).
    snr : float
        Ratio of mean powers in dB; speech without any power stays as it is.
    """
    power = float(np.mean(np.square(speech), dtype=np.float64))
    if power == 0:
        return speech
    noise = _pink(len(speech), random)
    gain = np.sqrt(power / 10 ** (snr / 10) / np.mean(np.square(noise), dtype=np.float64))
    return (speech + gain * noise).astype(np.float32)


def _pink(count: int, random: np.random.Generator) -> Signal:
    """White noise (N,) whose spectrum is divided by the root of the frequency, mean power not fixed."""
    from scipy.fft import irfft, next_fast_len, rfft

    # A transform of such a length is some times as fast as one of any other.
    size = next_fast_len(max(2, count), real=True)
    spectrum = rfft(random.standard_normal(size))
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return irfft(spectrum, size)[:count].astype(np.float32)


def reverberate(
    speech: Signal, *, seconds: float, direct: float, sample_rate: int, random: np.random.Generator
) -> Signal:
    """Let a room answer: noise that decays by 60 dB in so many seconds, after the direct sound.

    Parameters
    ----------
    speech : ndarray
        Samples (N,).
    seconds : float
        Reverberation time (RT60).
    direct : float
        Energy of the direct sound over that of the answer, in dB.
    sample_rate : int
        Hertz.

    Returns
    -------
    ndarray
        (N,): cut where the speech ends, of the speech's power.
    """
    from scipy.signal import fftconvolve

    count = max(1, round(seconds * sample_rate))
    tail = random.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[0] = 0
    energy = np.sum(np.square(tail))
    response = tail * np.sqrt(10 ** (-direct / 10) / energy) if energy > 0 else tail
    response[0] = 1
    wet = fftconvolve(speech.astype(np.float64), response)[: len(speech)]
    before, after = np.sum(np.square(speech, dtype=np.float64)), np.sum(np.square(wet))
    return (wet * np.sqrt(before / after) if after > 0 else wet).astype(np.float32)
