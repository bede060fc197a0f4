"""What Prometheus is told: requests by status, the queue, the batches, how long an answer took."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["CountRequests", "Metrics"]

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one service.

    Parameters
    ----------
    paths : collection of str
        Counted by name; all others together as `other`, so that strangers can't make counters.
    """

    def __init__(self, paths: Collection[str]) -> None:
        self.paths = frozenset(paths)
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "legonn_requests", "Requests answered", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "legonn_request_seconds",
            "From a request's head to the end of its answer",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "legonn_batch_texts", "Texts decoded together", buckets=SIZES, registry=self.registry
        )
        self._queue = Gauge(
            "legonn_queue_texts", "Texts waiting to be decoded", registry=self.registry
        )

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Ask this for the queue's length when the metrics are read."""
        self._queue.set_function(length)

    def count_batch(self, size: int) -> None:
        """Note a batch of so many texts."""
        self._batches.observe(size)

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Note an answer."""
        name = path if path in self.paths else "other"
        self._requests.labels(name, str(status)).inc()
        self._seconds.labels(name).observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)


class CountRequests:
    """An ASGI layer that notes each answer; the outermost, so that it sees them all."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self.metrics.count_request(scope["path"], status, time.perf_counter() - start)
