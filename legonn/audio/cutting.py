"""Where to cut a recording that is longer than a model can hear at once: at its quietest places.

Each piece is then decoded by itself, so context is lost: nothing that was said before a cut helps to understand what
comes after it, and a word that a cut goes through is heard in two halves.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHORTEST", "cheapest_cuts", "cut", "limits", "quietness"]

SHORTEST = 2.0  # seconds; less gives a model little to go by
FRAMES_PER_SECOND = 100
PAUSE = (
    15  # frames to each side of a cut that shall be quiet, so that it isn't made in a word's stop
)
# What a cut costs by itself, as a level: one fewer is worth 40 dB below the recording's.
EACH_CUT = 0.01
UNTOLD = 30.0  # seconds decoded whole where nothing says what a system was trained on
# A test set's longest recording is by chance a little longer than training's, and loses less by its length than by a
# cut. Pieces aren't longer, as all of them would be: at 1.3 the search took half as long again (tools/BENCHMARKS.md).
MARGIN = 1.25


def cut(
    samples: NDArray[np.floating],
    rate: int,
    *,
    longest: float,
    whole: float | None = None,
    shortest: float = SHORTEST,
) -> list[tuple[int, int]]:
    """Divide a recording into pieces that a model can hear.

    The sum of the levels around the cuts, above that of the quietest place, is the smallest possible. Takes time in
    proportion to the recording's length, and memory for its frames alone, a hundred a second.

    Parameters
    ----------
    samples : ndarray
        (N,), of any scale; a constant offset doesn't matter.
    rate : int
        Hertz.
    longest, shortest : float
        Seconds of a piece; `longest` is at least twice `shortest`. A piece is shorter than `shortest` only where the
        whole recording is, or by less than a frame.
    whole : float, optional
        Seconds up to which a recording isn't cut, `longest` or more; by default `longest`.

    Returns
    -------
    list of (int, int)
        Start and end of each piece in samples, in order. The first starts at 0, each starts where the one before it
        ends, and the last ends at N.
    """
    if not longest >= 2 * shortest > 0:
        raise ValueError(f"pieces of {shortest} to {longest} s: the longest is twice the shortest")
    if len(samples) <= max(longest, whole or 0.0) * rate:
        return [(0, len(samples))]
    hop = rate // FRAMES_PER_SECOND
    levels = quietness(samples, hop)
    limit = int(longest * rate)
    places = cheapest_cuts(
        levels - levels.min() + EACH_CUT,  # a pause costs nothing for the noise that is everywhere
        least=int(shortest * rate) // hop,
        most=limit // hop,
        last=(limit - len(samples) % hop) // hop,  # it has what is after the last whole frame, too
    )
    edges = [0, *(place * hop for place in places), len(samples)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def limits(trained: float | None) -> tuple[float, float]:
    """Up to how many seconds a recording is decoded whole, and how many a piece of a longer one has at most.

    Parameters
    ----------
    trained : float or None
        Seconds of the longest that the system was trained on; None where that isn't known.
    """
    if trained is None:
        return UNTOLD, UNTOLD
    piece = max(2 * SHORTEST, trained)
    return max(piece, round(MARGIN * trained, 1)), piece


def quietness(samples: NDArray[np.floating], hop: int) -> NDArray[np.float64]:
    """How loud it is around each place between two frames of `hop` samples, relative to the whole.

    Returns
    -------
    ndarray
        (n + 1,) for n whole frames: root mean square of `PAUSE` frames to each side, 1 for the recording's own.
    """
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)  # (n, hop), a view
    # Each frame without its mean, which may be a microphone's constant offset.
    power = np.einsum("ij,ij->i", frames, frames) / hop - np.square(frames.mean(axis=1))
    sums = np.concatenate([[0.0], np.cumsum(power.clip(min=0), dtype=np.float64)])
    places = np.arange(len(sums))
    low, high = (places - PAUSE).clip(min=0), (places + PAUSE).clip(max=len(power))
    around = (sums[high] - sums[low]).clip(min=0) / (high - low)
    mean = sums[-1] / len(power)
    return np.sqrt(around / mean) if mean > 0 else np.zeros(len(sums))


def cheapest_cuts(costs: NDArray[np.float64], *, least: int, most: int, last: int) -> list[int]:
    """The cuts of the smallest sum of costs, by dynamic programming.

    Parameters
    ----------
    costs : ndarray
        (n + 1,): of a cut at each place from 0 to n, the ends; these two cost nothing.
    least, most : int
        Places from one cut to the next, the ends included; n is more than `most`, which is at least twice `least`.
    last : int
        Most places from the last cut to the end: `most`, or a little less.

    Returns
    -------
    list of int
        In order, without the ends.
    """
    end = len(costs) - 1
    best, before = _best_before(costs.tolist(), least, most)
    place = min(range(end - last, end - least + 1), key=best.__getitem__)
    places = []
    while place > 0:
        places.append(place)
        place = before[place]
    return places[::-1]


def _best_before(costs: Sequence[float], least: int, most: int) -> tuple[list[float], list[int]]:
    """For each place the smallest sum of costs of cuts up to one there, and the cut before it."""
    best, before = [0.0], [0]
    # Places from which the next cut may be this one, of rising sums: the first is the best of them. Each enters and
    # leaves once, so all takes linear time.
    window: deque[int] = deque()
    for place in range(1, len(costs)):
        entering = place - least
        if entering >= 0:
            while window and best[window[-1]] >= best[entering]:
                window.pop()
            window.append(entering)
        if window and window[0] < place - most:
            window.popleft()
        best.append(best[window[0]] + costs[place] if window else math.inf)
        before.append(window[0] if window else 0)
    return best, before
