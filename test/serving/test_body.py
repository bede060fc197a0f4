"""Bodies within limits: what comes through, what is answered to the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from legonn.serving.body import BodyLimits

NEVER = "never"  # the client keeps silent
LEAVES = {"type": "http.disconnect"}


def parts(*sizes: int, more: bool = False) -> list[Any]:
    """Messages of a body in parts."""
    last = len(sizes) - 1
    return [
        {"type": "http.request", "body": b"x" * size, "more_body": more or i < last}
        for i, size in enumerate(sizes)
    ]


class Layer:
    """A layer with limits of 10 bytes, 0.05 s and 2 requests at a time, over an application that keeps the bodies."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.taken = 0
        self.limits = BodyLimits(self.app, max_body=10, body_seconds=0.05, max_requests=2)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"detail": ""}'})

    async def request(
        self, messages: Sequence[Any], headers: Sequence[tuple[bytes, bytes]] = (), **scope: Any
    ) -> tuple[int, str, dict[bytes, bytes]]:
        """Status, detail and headers of the answer."""
        left, sent = list(messages), []

        async def receive() -> Any:
            self.taken += 1
            message = left.pop(0)
            if message is NEVER:
                await asyncio.Event().wait()
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        about = {"type": "http", "method": "POST", "headers": list(headers), **scope}
        await self.limits(about, receive, send)
        start, body = sent
        return start["status"], json.loads(body["body"])["detail"], dict(start["headers"])


def ask(*messages: Any, **options: Any) -> tuple[Layer, int, str, dict[bytes, bytes]]:
    layer = Layer()
    return (layer, *asyncio.run(layer.request(messages, **options)))


def test_a_body_in_parts_comes_through_whole() -> None:
    layer, status, _, _ = ask(*parts(4, 0, 6))
    assert (status, layer.bodies) == (200, [b"x" * 10])


@pytest.mark.parametrize("sizes", [(11,), (6, 5), (5, 5, 5, 5), (10, 0, 1)])
def test_too_large_a_body_is_413_without_being_announced(sizes: tuple[int, ...]) -> None:
    layer, status, detail, headers = ask(*parts(*sizes))
    assert (status, detail) == (413, "the body is larger than 10 bytes")
    assert headers[b"connection"] == b"close" and layer.bodies == []


def test_a_body_without_end_is_dropped_for_a_while_only() -> None:
    layer, status, _, _ = ask(*parts(*[9] * 100))
    assert (status, layer.taken) == (413, 9)  # 81 bytes, more than eight times the limit


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ([(b"content-length", b"81")], 0),
        ([(b"content-length", b"80")], 8),
        ([(b"content-length", b"11"), (b"expect", b"100-continue")], 0),
    ],
)
def test_of_what_is_announced_too_large_a_little_is_read(
    headers: list[tuple[bytes, bytes]], taken: int
) -> None:
    layer, status, _, _ = ask(*parts(*[10] * 8), headers=headers)
    assert (status, layer.taken) == (413, taken)


def test_a_body_that_does_not_end_in_time_is_408() -> None:
    layer, status, detail, headers = ask(*parts(4, more=True), NEVER)
    assert (status, detail) == (408, "the body did not arrive within 0.05 s")
    assert headers[b"connection"] == b"close" and layer.bodies == []


def test_a_late_body_that_is_too_large_already_is_413() -> None:
    assert ask(*parts(11, more=True), NEVER)[1] == 413
    assert ask(NEVER, headers=[(b"content-length", b"11")])[1] == 413


def test_a_client_that_leaves_in_its_body_is_noted() -> None:
    layer, status, _, _ = ask(*parts(4, more=True), LEAVES)
    assert (status, layer.bodies) == (499, [])


def test_what_has_no_body_is_not_held_up() -> None:
    layer, status, _, _ = ask(*parts(100), method="GET")
    assert (status, layer.bodies) == (200, [b"x" * 100])


def test_only_so_many_bodies_are_read_at_a_time() -> None:
    layer = Layer()

    async def main() -> None:
        slow = [asyncio.create_task(layer.request([NEVER])) for _ in range(2)]
        await asyncio.sleep(0)
        status, detail, headers = await layer.request(parts(1))
        assert (status, detail) == (503, "too many requests at a time")
        assert headers[b"retry-after"] == b"1"
        assert [one[0] for one in await asyncio.gather(*slow)] == [408, 408]
        assert (await layer.request(parts(1)))[0] == 200

    asyncio.run(main())
