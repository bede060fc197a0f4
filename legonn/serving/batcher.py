"""A bounded queue whose inputs one thread decodes in batches, so that the event loop never waits for a search."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Batcher", "Refused"]

Input = TypeVar("Input")
Output = TypeVar("Output")


class Refused(Exception):
    """Inputs are not taken now.

    Parameters
    ----------
    reason : str
        One sentence.
    retry_after : int
        Seconds after which to try again.
    """

    def __init__(self, reason: str, retry_after: int = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass
class _Waiting(Generic[Input, Output]):
    one: Input
    output: asyncio.Future[Output]
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[Input, Output]):
    """Collects inputs of concurrent requests. All methods are the event loop's; only decoding has a thread.

    Parameters
    ----------
    max_batch : int
        Inputs decoded together.
    max_wait : float
        Seconds that the first of them waits for others.
    max_queue : int
        Inputs waiting.
    on_batch : callable
        Told the size of each batch.

    Attributes
    ----------
    state : {"new", "loading", "ready", "closing"}
        Only when ready are inputs taken; what waits is decoded when closing, too.
    fault : Exception or None
        Why loading failed.
    """

    def __init__(
        self,
        *,
        max_batch: int,
        max_wait: float,
        max_queue: int,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.max_batch = max_batch
        self.max_wait = max_wait
        self.max_queue = max_queue
        self.on_batch = on_batch
        self.state = "new"
        self.fault: Exception | None = None
        self._queue: deque[_Waiting[Input, Output]] = deque()
        self._changed = asyncio.Event()
        self._seconds_each = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decoding")
        self._work: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Inputs in the queue."""
        return len(self._queue)

    def start(
        self,
        load: Callable[[], Callable[[Sequence[Input]], Sequence[Output]]],
        on_fault: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin loading, and then to decode.

        Parameters
        ----------
        load : callable
            Called in the thread; gives what decodes a batch there, an output for each input.
        on_fault : callable
            Told when it raises; the exception is kept in `fault`.
        """
        self.state = "loading"
        self._work = asyncio.create_task(self._run(load, on_fault))

    async def ask(self, inputs: Sequence[Input]) -> list[Output]:
        """Decode inputs, with those of others; when this is cancelled, what still waits is dropped.

        Raises
        ------
        Refused
            If not ready, or if they don't all fit into the queue.
        Exception
            What the decoding of one of them raised.
        """
        added = self._add(inputs)
        try:
            return await asyncio.gather(*(waiting.output for waiting in added))
        finally:
            for waiting in added:
                waiting.output.cancel()  # unless it is done
            if any(waiting.output.cancelled() for waiting in added):
                self._queue = deque(one for one in self._queue if not one.output.done())

    def refuse(self) -> None:
        """Take no more inputs; what waits is decoded."""
        self.state = "closing"
        self._changed.set()

    async def close(self) -> None:
        """Decode what waits, and end the thread."""
        self.refuse()
        if self._work is not None:
            await self._work
        self._thread.shutdown()

    def _add(self, inputs: Sequence[Input]) -> list[_Waiting[Input, Output]]:
        if self.state != "ready":
            closing = self.state == "closing"
            raise Refused(
                "the service is shutting down" if closing else "the model is being loaded"
            )
        if len(self._queue) + len(inputs) > self.max_queue:
            left = math.ceil(len(self._queue) * self._seconds_each)
            raise Refused("too many texts are waiting", retry_after=max(1, left))
        loop = asyncio.get_running_loop()
        added = [_Waiting[Input, Output](one, loop.create_future()) for one in inputs]
        self._queue.extend(added)
        self._changed.set()
        return added

    async def _run(
        self,
        load: Callable[[], Callable[[Sequence[Input]], Sequence[Output]]],
        on_fault: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            decode = await loop.run_in_executor(self._thread, load)
        except Exception as error:
            self.fault = error
            self.refuse()
            on_fault()
            return
        if self.state == "loading":
            self.state = "ready"
        while await self._due():
            batch = [self._queue.popleft() for _ in range(min(self.max_batch, len(self._queue)))]
            if batch:  # else those who asked have gone
                await self._decode(decode, batch)

    async def _decode(
        self,
        decode: Callable[[Sequence[Input]], Sequence[Output]],
        batch: Sequence[_Waiting[Input, Output]],
    ) -> None:
        self.on_batch(len(batch))
        start = time.monotonic()
        loop = asyncio.get_running_loop()
        inputs = [waiting.one for waiting in batch]
        outputs = await loop.run_in_executor(self._thread, _each, decode, inputs)
        self._seconds_each = (time.monotonic() - start) / len(batch)
        for waiting, output in zip(batch, outputs, strict=True):
            _settle(waiting.output, output)

    async def _due(self) -> bool:
        """Wait for a batch; False when there will be no more."""
        while not self._queue:
            if self.state == "closing":
                return False
            await self._change()
        while (left := self._seconds_left()) > 0:
            await self._change(left)
        return True

    def _seconds_left(self) -> float:
        """How long the first input may still wait for others."""
        if not 0 < len(self._queue) < self.max_batch or self.state == "closing":
            return 0.0
        return self._queue[0].since + self.max_wait - time.monotonic()

    async def _change(self, timeout: float | None = None) -> None:
        self._changed.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout)


def _each(
    decode: Callable[[Sequence[Input]], Sequence[Output]], inputs: Sequence[Input]
) -> list[Output | Exception]:
    """An output or an exception for each: one that can't be decoded spoils no other's."""
    try:
        outputs = list(decode(inputs))
        if len(outputs) != len(inputs):
            raise ValueError(f"{len(outputs)} outputs of {len(inputs)} inputs")
        return [*outputs]
    except Exception as error:
        if len(inputs) == 1:
            return [error]
        return [output for one in inputs for output in _each(decode, [one])]


def _settle(future: asyncio.Future[Output], output: Output | Exception) -> None:
    if future.done():  # cancelled while it was decoded
        return
    if isinstance(output, Exception):
        future.set_exception(output)
    else:
        future.set_result(output)
