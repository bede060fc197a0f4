"""Noise and reverberation: their ratios are what was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from legonn.audio.room import add_noise, reverberate

RATE = 16000


def power(x: NDArray[np.float32]) -> float:
    return float(np.mean(np.square(x, dtype=np.float64)))


@pytest.fixture
def tone() -> NDArray[np.float32]:
    return np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)


@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_noise_has_the_power_that_was_asked_for(tone: NDArray[np.float32], snr: float) -> None:
    noise = add_noise(tone, snr=snr, random=np.random.default_rng(1)) - tone
    assert 10 * np.log10(power(tone) / power(noise)) == pytest.approx(snr, abs=0.01)


def test_noise_falls_by_three_decibels_an_octave(tone: NDArray[np.float32]) -> None:
    noise = add_noise(tone, snr=0.0, random=np.random.default_rng(1)) - tone
    spectrum = np.square(np.abs(np.fft.rfft(noise)))  # a bin a hertz
    octaves = [spectrum[low : 2 * low].mean() for low in (250, 500, 1000, 2000)]
    falls = 10 * np.log10(np.divide(octaves[:-1], octaves[1:]))
    assert falls == pytest.approx([3.01, 3.01, 3.01], abs=0.8)


def test_silence_stays_silent() -> None:
    silence = np.zeros(100, np.float32)
    assert np.array_equal(add_noise(silence, snr=0, random=np.random.default_rng(1)), silence)
    wet = reverberate(
        silence, seconds=0.1, direct=0, sample_rate=RATE, random=np.random.default_rng(1)
    )
    assert np.array_equal(wet, silence)


def test_a_room_answers_a_click_with_a_tail_that_decays_by_sixty_decibels() -> None:
    click = np.zeros(RATE, np.float32)
    click[0] = 1
    wet = reverberate(
        click, seconds=0.5, direct=0.0, sample_rate=RATE, random=np.random.default_rng(1)
    )
    tail = wet[1:] / wet[0]
    assert np.sum(np.square(tail)) == pytest.approx(1.0, rel=1e-3)  # 0 dB under the direct sound
    assert power(wet) == pytest.approx(power(click), rel=1e-3)
    # 0.5 s for 60 dB: 12 dB each tenth of a second.
    tenths = [power(tail[i * 1600 : (i + 1) * 1600]) for i in range(4)]
    assert 10 * np.log10(np.divide(tenths[:-1], tenths[1:])) == pytest.approx([12.0] * 3, abs=0.8)
    assert np.abs(tail[8000:]).max() < 1e-6
