"""Bodies are read here, before any route sees the request: within so many bytes, and so many seconds."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimits", "refusal"]

# Of a body that is too large so many times the limit are read and dropped: most clients send all before they listen.
DRAINED = 8
GONE = 499  # what nginx logs when the client has left; nobody reads it


def refusal(
    status: int, detail: str, *, retry_after: int | None = None, close: bool = False
) -> JSONResponse:
    """An answer to a request that isn't served, in the form of FastAPI's own."""
    headers = {"connection": "close"} if close else {}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return JSONResponse({"detail": detail}, status, headers)


class _Refusal(Exception):
    def __init__(self, response: JSONResponse) -> None:
        self.response = response


class BodyLimits:
    """An ASGI layer that reads the whole body, or refuses the request and closes the connection.

    Parameters
    ----------
    app : ASGI application
        Gets requests with their bodies read.
    max_body : int
        Bytes; more are answered with status 413, whether or not the client says how many there will be.
    body_seconds : float
        Later ones are answered with status 408.
    max_requests : int
        With a body, at a time; more are answered with status 503. They bound the memory that bodies take.
    """

    def __init__(
        self, app: ASGIApp, *, max_body: int, body_seconds: float, max_requests: int
    ) -> None:
        self.app = app
        self.max_body = max_body
        self.body_seconds = body_seconds
        self.max_requests = max_requests
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        if self._running >= self.max_requests:
            busy = refusal(503, "too many requests at a time", retry_after=1, close=True)
            await busy(scope, receive, send)
            return
        self._running += 1
        try:
            body = await self._read(scope, receive)
            await self.app(scope, _replayed(body, receive), send)
        except _Refusal as refused:
            await refused.response(scope, receive, send)
        finally:
            self._running -= 1

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        headers = dict(scope["headers"])
        declared = int(headers.get(b"content-length", b"0"))
        too_large = refusal(413, f"the body is larger than {self.max_body} bytes", close=True)
        # A client that waits for leave to send has sent nothing yet.
        if declared > self.max_body * (1 if b"expect" in headers else DRAINED):
            raise _Refusal(too_large)
        body, late = _Body(self.max_body), False
        try:
            await asyncio.wait_for(body.collect(receive), self.body_seconds)
        except asyncio.TimeoutError:
            late = True
        if max(declared, body.size) > self.max_body:
            raise _Refusal(too_large)
        if late:
            detail = f"the body did not arrive within {self.body_seconds:g} s"
            raise _Refusal(refusal(408, detail, close=True))
        return b"".join(body.parts)


class _Body:
    """What has arrived: its size, and as long as that is within the limit its parts."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.parts: list[bytes] = []

    async def collect(self, receive: Receive) -> None:
        """Take messages until the body ends, or is far too large."""
        more = True
        while more and self.size <= DRAINED * self.limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refusal(refusal(GONE, "the client has left"))
            part = message.get("body", b"")
            more = message.get("more_body", False)
            self.size += len(part)
            self.parts.append(part)
            if self.size > self.limit:
                self.parts.clear()


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body, and then what comes after it: that the client has left."""
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again
