"""Another sample rate."""

from __future__ import annotations

import math

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
    return np.asarray(resample_poly(samples, after // common, before // common), np.float32)
