"""How training asks the system for memory."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Of glibc's malloc.h; the values are C ints.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
MOST = 2**31 - 1
STEP = 2**28  # 256 MiB


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for what it allocates next.

    glibc gives large blocks back to the system and asks for them again. Each page of a new block is then filled with
    zeros at its first use: half of the time of every operation on scores over a vocabulary, whose tensors are
    megabytes. A training repeats the same sizes, so what it keeps is what it needs.

    Returns
    -------
    bool
        False where the C library is not glibc; then nothing has changed.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return all(
        mallopt(option, value) == 1
        for option, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, MOST), (TOP_PAD, STEP))
    )
