"""Another sample rate."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["resample"]


def resample(samples: NDArray[np.float32], before: int, after: int) -> NDArray[np.float32]:
    """Resample along the first axis, with a polyphase filter.

    Parameters
    ----------
    samples : ndarray
        (N, ...) at `before` hertz.

    Returns
    -------
    ndarray
        (ceil(N * after / before), ...) at `after` hertz.
    """
    if before == after or not len(samples):
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(before, after)
    up, down = after // common, before // common
    return np.asarray(resample_poly(samples, up, down, window=_low_pass(max(up, down))), np.float32)


@lru_cache(maxsize=16)
def _low_pass(rate: int) -> NDArray[np.float32]:
    """The filter that `resample_poly` would make anew for each recording."""
    from scipy.signal import firwin

    return np.asarray(firwin(20 * rate + 1, 1 / rate, window=("kaiser", 5.0)), np.float32)
