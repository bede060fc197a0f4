"""Cutting: pieces that make up the recording, cuts where it is quiet, and against an exhaustive search."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from legonn.audio.cutting import cheapest_cuts, cut, limits, quietness

RATE = 8000


def tone(seconds: float, level: float = 0.5) -> NDArray[np.float32]:
    return np.float32(level) * np.sin(0.3 * np.arange(round(seconds * RATE), dtype=np.float32))


def joined(*parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """With a little noise, as pauses have it."""
    samples = np.concatenate(parts)
    noise = np.random.default_rng(0).uniform(-1e-3, 1e-3, len(samples))
    return (samples + noise).astype(np.float32)


def pause(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 4055])
@pytest.mark.parametrize("longest", [4.0, 5.3, 30.0])
@pytest.mark.parametrize("times", [0, 0.3, 0.999, 1.0, 1.0001, 1.01, 1.5, 1.999, 2.001, 3.7])
def test_pieces_are_the_recording_and_none_is_too_long_or_too_short(
    rate: int, longest: float, times: float
) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, round(longest * rate * times))
    pieces = cut(samples, rate, longest=longest)
    assert np.array_equal(np.concatenate([samples[a:b] for a, b in pieces]), samples)
    assert max(b - a for a, b in pieces) <= longest * rate
    if len(pieces) > 1:
        assert min(b - a for a, b in pieces) >= 2.0 * rate - rate / 100
    assert (len(pieces) == 1) == (len(samples) <= longest * rate)


def test_a_cut_falls_inside_the_pause_between_two_tones() -> None:
    pieces = cut(joined(tone(5), pause(0.5), tone(28)), RATE, longest=30.0)
    ((first, middle), (_, end)) = pieces
    assert (first, end) == (0, 33.5 * RATE)
    assert 5.15 * RATE <= middle <= 5.35 * RATE  # away from both tones


@pytest.mark.parametrize(
    ("trained", "whole", "piece"),
    [
        (None, 30.0, 30.0),
        (12.0, 15.0, 12.0),
        (12.34, 15.4, 12.34),
        (3.5, 4.4, 4.0),
        (1.0, 4.0, 4.0),
    ],
)
def test_what_is_a_little_longer_than_training_stays_whole(
    trained: float | None, whole: float, piece: float
) -> None:
    assert limits(trained) == (whole, piece)
    samples = np.random.default_rng(1).uniform(-1, 1, round(whole * RATE) + 1)
    assert cut(samples[:-1], RATE, longest=piece, whole=whole) == [(0, len(samples) - 1)]
    pieces = cut(samples, RATE, longest=piece, whole=whole)
    assert len(pieces) == 2 and max(end - start for start, end in pieces) <= piece * RATE


def test_every_cut_finds_its_pause_where_the_first_must_be_early_for_the_second() -> None:
    # The longest pause is at 10 s; after it none could be reached within 12 s, after the one at 7 s it can.
    samples = joined(tone(7), pause(0.4), tone(2.6), pause(0.8), tone(8), tone(0.1), tone(10))
    middles = [end / RATE for _, end in cut(samples, RATE, longest=12.0)[:-1]]
    assert any(10.0 <= middle <= 10.8 for middle in middles)
    samples = joined(tone(7), pause(0.4), tone(11), pause(0.4), tone(7))
    assert [end / RATE for _, end in cut(samples, RATE, longest=12.0)[:-1]] == pytest.approx(
        [7.2, 18.6], abs=0.1
    )


def test_a_short_gap_in_a_word_is_no_pause() -> None:
    samples = joined(tone(3), pause(0.06), tone(3), pause(0.5), tone(3))
    ((_, middle), _) = cut(samples, RATE, longest=8.0)
    assert 6.06 * RATE < middle < 6.56 * RATE


def test_a_pause_between_quiet_words_is_found_after_loud_ones() -> None:
    loud, quiet = tone(8), tone(8, level=0.01)
    samples = joined(loud, pause(0.5), quiet, pause(0.5), quiet)
    cuts = [end / RATE for _, end in cut(samples, RATE, longest=9.0)[:-1]]
    assert cuts == pytest.approx([8.25, 16.75], abs=0.25)


def test_two_cuts_in_noisy_pauses_are_better_than_one_in_a_tone() -> None:
    samples = joined(tone(5), pause(0.5), tone(3), pause(0.5), tone(5))
    noisy = samples + np.random.default_rng(4).uniform(-0.4, 0.4, len(samples))
    cuts = [end / RATE for _, end in cut(noisy, RATE, longest=8.0)[:-1]]
    assert cuts == pytest.approx([5.25, 8.75], abs=0.2)


def test_an_offset_hides_no_pause() -> None:
    samples = joined(tone(5, level=0.1), pause(0.5), tone(5, level=0.1)) + np.float32(0.5)
    ((_, middle), _) = cut(samples, RATE, longest=9.0)
    assert 5.1 * RATE < middle < 5.4 * RATE


def test_silence_is_cut_into_as_few_pieces_as_can_be() -> None:
    assert len(cut(np.zeros(61 * RATE), RATE, longest=30.0)) == 3


def test_no_limit_cuts_nothing() -> None:
    assert cut(pause(100), RATE, longest=float("inf")) == [(0, 100 * RATE)]


@pytest.mark.parametrize(("longest", "shortest"), [(3.9, 2.0), (float("nan"), 2.0), (4.0, 0.0)])
def test_pieces_that_cannot_be(longest: float, shortest: float) -> None:
    with pytest.raises(ValueError, match="the longest is twice the shortest"):
        cut(pause(10), RATE, longest=longest, shortest=shortest)


def test_quietness_is_the_level_around_a_place_relative_to_the_whole() -> None:
    """Against NumPy, place by place."""
    samples = np.random.default_rng(2).normal(size=100 * 8) * np.repeat(np.arange(100), 8)
    power = samples.reshape(100, 8).var(axis=1)
    wanted = [
        np.sqrt(power[max(0, place - 15) : place + 15].mean() / power.mean())
        for place in range(101)
    ]
    assert quietness(samples, 8) == pytest.approx(np.array(wanted))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("least", "most", "last"), [(2, 4, 4), (2, 5, 4), (3, 7, 7), (1, 6, 6)])
def test_no_other_cuts_are_cheaper(seed: int, least: int, most: int, last: int) -> None:
    """Against every way to cut."""
    costs = np.random.default_rng(seed).uniform(size=15)

    def legal(places: tuple[int, ...]) -> bool:
        steps = np.diff([0, *places, 14])
        return min(steps) >= least and max(steps) <= most and steps[-1] <= last

    every = [
        places
        for count in range(1, 14)
        for places in itertools.combinations(range(1, 14), count)
        if legal(places)
    ]
    best = min(every, key=lambda places: costs[list(places)].sum())
    assert cheapest_cuts(costs, least=least, most=most, last=last) == list(best)


def test_a_long_recording_needs_memory_for_its_frames_only() -> None:
    samples = np.random.default_rng(3).random(600 * 16000, np.float32)  # 38 MB; ten minutes
    tracemalloc.start()
    try:
        pieces = cut(samples, 16000, longest=30.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(pieces) >= 20
    assert peak < samples.nbytes / 3
