"""The queue: what is decoded together, what is refused, who is spared another's fault."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from legonn.serving.batcher import Batcher, Refused

Doubling = Batcher[int, int]


class Doubler:
    """Doubles numbers, and fails at 13; keeps the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        assert self.gate.wait(20)
        if 13 in numbers:
            raise ArithmeticError("13")
        return [2 * number for number in numbers]


def play(
    script: Callable[[Doubling, Doubler], Awaitable[None]],
    *,
    max_batch: int = 8,
    max_wait: float = 0.02,
    max_queue: int = 100,
) -> list[list[int]]:
    """Run a script against a loaded batcher; give the batches."""
    decode = Doubler()

    async def main() -> None:
        batcher = Doubling(max_batch=max_batch, max_wait=max_wait, max_queue=max_queue)
        batcher.start(lambda: decode)
        while batcher.state == "loading":
            await asyncio.sleep(0)
        try:
            await script(batcher, decode)
        finally:
            decode.gate.set()
            await batcher.close()

    asyncio.run(main())
    return decode.batches


async def occupied(batcher: Doubling, decode: Doubler) -> asyncio.Task[list[int]]:
    """Let the thread hold a batch of its own until the gate opens."""
    decode.gate.clear()
    task = asyncio.create_task(batcher.ask([0]))
    while not decode.batches:
        await asyncio.sleep(0.001)
    return task


def test_what_comes_together_is_decoded_together() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        answers = await asyncio.gather(*(batcher.ask([i, 10 * i]) for i in (1, 2, 3)))
        assert answers == [[2, 20], [4, 40], [6, 60]]

    assert play(script) == [[1, 10, 2, 20, 3, 30]]


def test_a_batch_has_a_most_and_a_request_may_have_several() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        assert await batcher.ask([1, 2, 3, 4, 5]) == [2, 4, 6, 8, 10]

    assert play(script, max_batch=2) == [[1, 2], [3, 4], [5]]


def test_a_full_batch_waits_for_nobody() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        assert await asyncio.wait_for(batcher.ask([1, 2]), 20) == [2, 4]

    assert play(script, max_batch=2, max_wait=1e6) == [[1, 2]]


def test_what_comes_during_a_batch_is_the_next_one() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        first = await occupied(batcher, decode)
        others = [asyncio.create_task(batcher.ask([i])) for i in (1, 2, 3)]
        await asyncio.sleep(0.001)  # the event loop goes on while the thread decodes
        assert batcher.waiting == 3
        decode.gate.set()
        assert await asyncio.gather(first, *others) == [[0], [2], [4], [6]]

    assert play(script) == [[0], [1, 2, 3]]


def test_more_than_the_queue_holds_is_refused_whole_and_the_rest_is_answered() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        first = await occupied(batcher, decode)
        second = asyncio.create_task(batcher.ask([1, 2]))
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="too many texts are waiting") as refused:
            await batcher.ask([3, 4])
        assert refused.value.retry_after >= 1
        third = asyncio.create_task(batcher.ask([5]))
        await asyncio.sleep(0)
        decode.gate.set()
        assert [await one for one in (first, second, third)] == [[0], [2, 4], [10]]

    assert play(script, max_queue=3) == [[0], [1, 2, 5]]


def test_who_leaves_is_dropped_from_the_queue() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        first = await occupied(batcher, decode)
        leaving = asyncio.create_task(batcher.ask([1, 2, 3]))
        staying = asyncio.create_task(batcher.ask([4]))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert batcher.waiting == 1
        decode.gate.set()
        assert [await one for one in (first, staying)] == [[0], [8]]

    assert play(script, max_queue=4) == [[0], [4]]


def test_who_leaves_while_it_is_decoded_disturbs_nobody() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        first = await occupied(batcher, decode)
        first.cancel()
        await asyncio.wait([first])
        decode.gate.set()
        assert await batcher.ask([7]) == [14]

    assert play(script) == [[0], [7]]


def test_one_fault_is_one_askers() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        answers = await asyncio.gather(
            *(batcher.ask(numbers) for numbers in ([1], [13, 2], [3])), return_exceptions=True
        )
        assert answers[0] == [2] and answers[2] == [6]
        assert isinstance(answers[1], ArithmeticError)
        assert await batcher.ask([4]) == [8]

    assert play(script) == [[1, 13, 2, 3], [1], [13], [2], [3], [4]]


def test_an_output_too_few_is_a_fault() -> None:
    async def main() -> None:
        batcher = Doubling(max_batch=2, max_wait=0.0, max_queue=9)
        batcher.start(lambda: lambda numbers: [])
        while batcher.state == "loading":
            await asyncio.sleep(0)
        with pytest.raises(ValueError, match="0 outputs of 1 inputs"):
            await batcher.ask([1])
        await batcher.close()

    asyncio.run(main())


def test_closing_answers_what_waits_and_refuses_what_comes() -> None:
    async def script(batcher: Doubling, decode: Doubler) -> None:
        first = await occupied(batcher, decode)
        second = asyncio.create_task(batcher.ask([1]))
        await asyncio.sleep(0)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="shutting down"):
            await batcher.ask([2])
        decode.gate.set()
        await closing
        assert (first.result(), second.result()) == ([0], [2])

    assert play(script, max_wait=1e6, max_batch=1) == [[0], [1]]


def test_nothing_is_taken_before_it_is_loaded() -> None:
    gate = threading.Event()

    def load() -> Doubler:
        assert gate.wait(20)
        return Doubler()

    async def main() -> None:
        batcher = Doubling(max_batch=2, max_wait=0.0, max_queue=9)
        batcher.start(load)
        with pytest.raises(Refused, match="the model is being loaded"):
            await batcher.ask([1])
        gate.set()
        while batcher.state == "loading":
            await asyncio.sleep(0.001)
        assert await batcher.ask([1]) == [2]
        await batcher.close()

    asyncio.run(main())


def test_why_loading_failed_is_kept_and_told() -> None:
    def load() -> Any:
        raise OSError("no such file")

    async def main() -> None:
        batcher = Doubling(max_batch=2, max_wait=0.0, max_queue=9)
        told = asyncio.Event()
        batcher.start(load, told.set)
        await asyncio.wait_for(told.wait(), 20)
        assert str(batcher.fault) == "no such file"
        with pytest.raises(Refused):
            await batcher.ask([1])
        await batcher.close()

    asyncio.run(main())


def test_batches_are_told() -> None:
    sizes: list[int] = []

    async def main() -> None:
        batcher = Doubling(max_batch=2, max_wait=0.0, max_queue=9, on_batch=sizes.append)
        batcher.start(Doubler)
        while batcher.state == "loading":
            await asyncio.sleep(0)
        await batcher.ask([1, 2, 3])
        await batcher.close()

    asyncio.run(main())
    assert sizes == [2, 1]
