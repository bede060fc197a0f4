"""Work on recordings in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from legonn.errors import LegonnError

__all__ = ["mapped"]

T = TypeVar("T")
R = TypeVar("R")
CHUNK = 16  # items that are sent together


def mapped(
    work: Callable[[T], R],
    items: Iterable[T],
    jobs: int,
    *,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[R]:
    """What `work` makes of each item, in their order.

    Parameters
    ----------
    work : callable
        Picklable; its result, too.
    jobs : int
        Processes; with one it runs in this.
    initializer, initargs : callable, tuple
        Called first in each process.

    Raises
    ------
    LegonnError
        When a process ends by itself, as where the system kills it for want of memory.
    """
    if jobs <= 1:
        if initializer is not None:
            initializer(*initargs)
        yield from map(work, items)
        return
    with ProcessPoolExecutor(jobs, initializer=initializer, initargs=initargs) as pool:
        try:
            yield from pool.map(work, items, chunksize=CHUNK)
        except BrokenProcessPool as error:
            raise LegonnError(
                "a process that works on recordings was killed, perhaps for want of memory: run the command again with "
                "fewer, --nj 1"
            ) from error
