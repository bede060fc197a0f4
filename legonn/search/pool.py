"""Several processes that decode batches, each with a copy of the system."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from legonn.chain import Chain
from legonn.errors import LegonnError
from legonn.search.beam import Found
from legonn.search.decoding import decode_batch, prepare
from legonn.search.memory import Halving
from legonn.search.options import DecodingOptions

__all__ = ["Pool"]

Results = list[list[Found]]


class Pool:
    """Decodes batches in processes of its own; what it gives doesn't depend on how many there are.

    Parameters
    ----------
    load : callable
        Gives the chain; called in each process, so it must be picklable.
    options : DecodingOptions
        How.
    aligned : bool
        See `decode_batch`.
    processes, threads : int
        How many processes; threads of each.
    tell : callable
        Told once when memory runs out, and batches are halved.

    Attributes
    ----------
    ahead : int
        Batches that keep all processes busy.
    """

    def __init__(
        self,
        load: Callable[[], Chain],
        options: DecodingOptions,
        *,
        aligned: bool = False,
        processes: int,
        threads: int = 1,
        tell: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.ahead = 2 * processes
        self.tell: Callable[[str], None] | None = tell
        self.executor = ProcessPoolExecutor(
            processes,
            # A fork would inherit PyTorch's threads in whatever state they are.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(load, options, aligned, threads),
        )

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.executor.shutdown(cancel_futures=True)

    def __call__(self, batches: Sequence[Sequence[Tensor]]) -> Iterator[Results]:
        """Begin to decode inputs (T,) in batches, short ones first; their hypotheses come in their order.

        Raises
        ------
        LegonnError
            When a process fails, or dies.
        """
        # The longest first, so that no process is left with one when the others have done.
        with _told():
            futures = [
                self.executor.submit(_decode, [one.numpy() for one in batch])
                for batch in reversed(batches)
            ]
        return map(self._result, reversed(futures))

    def _result(self, future: Future[tuple[Results, list[str]]]) -> Results:
        with _told():
            found, messages = future.result()
        if messages and self.tell is not None:
            self.tell(messages[0])
            self.tell = None
        return found


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong in a process, as one message."""
    try:
        yield
    except LegonnError:
        raise
    except BrokenProcessPool as error:
        raise LegonnError(
            "a decoding process died, perhaps for want of memory: give fewer --num_processes, or a smaller "
            "--batch_size"
        ) from error
    except Exception as error:
        raise LegonnError(f"a decoding process failed: {type(error).__name__}: {error}") from error


# Of a process of the pool.
_decoder: Callable[[list[Tensor]], Results]
_messages: list[str] = []


def _begin(
    load: Callable[[], Chain], options: DecodingOptions, aligned: bool, threads: int
) -> None:
    """Make a process ready; what goes wrong here is told with the first batch."""
    global _decoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        decode = partial(_decode_with, prepare(load(), options), options, aligned)
        _decoder = Halving(decode, _messages.append)
    except Exception as error:
        _decoder = partial(_raise, error)


def _leave_with_parent() -> None:
    """A parent that was killed tells nobody."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _decode(sources: Sequence[Any]) -> tuple[Results, list[str]]:
    """The hypotheses of a batch, and what is to be told of it."""
    return _decoder([torch.from_numpy(one) for one in sources]), _messages


def _decode_with(
    chain: Chain, options: DecodingOptions, aligned: bool, sources: Sequence[Tensor]
) -> Results:
    return decode_batch(chain, sources, options, aligned=aligned)


def _raise(error: Exception, sources: list[Tensor]) -> Results:
    raise error
