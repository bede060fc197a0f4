"""Work that is begun before what comes earlier is done, so that no process of a pool waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["Begun", "pipelined"]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Begun(Generic[R]):
    """Something that others may be working on.

    Attributes
    ----------
    batches : int
        How many pieces of work it is; without any it counts as one, as it is kept in memory, too.
    finish : callable
        Waits for it, or does it, and gives the result; called once.
    """

    batches: int
    finish: Callable[[], R]


def pipelined(
    items: Iterable[T], begin: Callable[[T], Begun[R]], *, ahead: int
) -> Iterator[tuple[T, R]]:
    """Each item with the result of what `begin` made of it, in their order.

    Parameters
    ----------
    ahead : int
        An item is finished when so many batches of later ones are begun; 0: one after the other.
    """
    waiting: deque[tuple[T, Begun[R]]] = deque()
    for item in items:
        waiting.append((item, begin(item)))
        while (
            waiting and sum(max(1, begun.batches) for _, begun in islice(waiting, 1, None)) >= ahead
        ):
            first, begun = waiting.popleft()
            yield first, begun.finish()
    for first, begun in waiting:
        yield first, begun.finish()
