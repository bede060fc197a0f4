"""Services that run in a thread of the test, on a socket of their own."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from legonn.search import DecodingOptions, Hypothesis
from legonn.serving.app import Service
from legonn.serving.engine import Ask
from legonn.serving.options import ServingOptions
from legonn.serving.server import Server, bind

PATIENCE = 20.0  # seconds until a test that waits for something fails


def hypothesis(text: str, score: float = -1.0) -> Hypothesis:
    return Hypothesis(text, (), (), score, {})


@dataclass
class Echo:
    """An engine that answers in capitals, once its gate is open; it writes down what it was given.

    Attributes
    ----------
    gate : threading.Event
        Open unless a test clears it.
    batches : list
        The texts of each batch.
    """

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, asks: Sequence[Ask]) -> list[list[Hypothesis]]:
        self.batches.append([ask.text for ask in asks])
        assert self.gate.wait(PATIENCE)
        if any(ask.text == "bad" for ask in asks):
            raise ArithmeticError("bad")
        return [[hypothesis(ask.text.upper(), -i) for i in range(ask.nbest)] for ask in asks]


@dataclass(frozen=True)
class Running:
    """A service that listens."""

    service: Service
    server: Server
    address: tuple[str, int]
    thread: threading.Thread

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def post(self, *texts: str, **more: Any) -> httpx.Response:
        return self.post_raw(json.dumps({"texts": texts, **more}))

    def post_raw(self, body: Any, content_type: str = "application/json") -> httpx.Response:
        headers = {"Content-Type": content_type}
        return httpx.post(
            f"{self.url}/translate",
            content=body,
            headers=headers,
            timeout=PATIENCE,
            trust_env=False,
        )

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=PATIENCE, trust_env=False)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=PATIENCE)

    def metric(self, name: str) -> float:
        """A sample of /metrics; 0 where there is none."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.removeprefix(f"{name} "))
        return 0.0


@pytest.fixture
def echo() -> Iterator[Echo]:
    engine = Echo()
    yield engine
    engine.gate.set()


@pytest.fixture(scope="session", name="until")
def until_fixture() -> Callable[[Callable[[], object]], None]:
    return until


def until(true: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.005)


Serve = Callable[..., "contextlib.AbstractContextManager[Running]"]


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Serves an engine: `with serve(engine, max_queue=3) as running`."""

    @contextlib.contextmanager
    def serving(
        engine: Any, *, ready: bool = True, beam_size: int = 5, **options: Any
    ) -> Iterator[Running]:
        load = engine if not ready else lambda: engine
        service = Service(
            load,
            name="exp/x",
            decoding=DecodingOptions(beam_size=beam_size),
            serving=ServingOptions(**options),
        )
        server = Server(service)
        with bind("127.0.0.1", 0) as listening:
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            until(lambda: server.started)
            running = Running(service, server, listening.getsockname(), thread)
            if ready:
                until(lambda: service.batcher.state == "ready")
            try:
                yield running
            finally:
                server.end()
                thread.join(PATIENCE)
                assert not thread.is_alive()

    return serving
