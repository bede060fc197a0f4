"""The socket and the signals."""

from __future__ import annotations

import signal
import socket
import threading
from typing import Any

import pytest

from legonn.errors import ConfigError
from legonn.search import DecodingOptions
from legonn.serving.app import Service
from legonn.serving.options import ServingOptions
from legonn.serving.server import bind, run


def service(load: Any) -> Service:
    return Service(load, name="x", decoding=DecodingOptions(), serving=ServingOptions())


def test_an_address_in_use_is_told() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"can't listen at 127.0.0.1, port {port}: .*in use"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("256.1.1.1", 0)])
def test_no_address_is_told(host: str, port: int) -> None:
    with pytest.raises(ConfigError, match=f"can't listen at {host}, port {port}"):
        bind(host, port)


def test_a_socket_of_version_6() -> None:
    try:
        listening = bind("::1", 0)
    except ConfigError:
        pytest.skip("no IPv6 here")
    with listening:
        assert listening.family == socket.AF_INET6


def test_what_loading_raised_is_raised() -> None:
    def load() -> Any:
        raise ConfigError("exp/x has no checkpoint yet")

    before = signal.getsignal(signal.SIGTERM)
    with bind("127.0.0.1", 0) as listening, pytest.raises(ConfigError, match="no checkpoint yet"):
        run(service(load), listening)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(echo: Any, number: int) -> None:
    served = service(lambda: echo)

    def send() -> None:
        while served.batcher.state != "ready":
            pass
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    with bind("127.0.0.1", 0) as listening:
        sender = threading.Thread(target=send)
        sender.start()
        run(served, listening)
        sender.join()
    assert served.batcher.state == "closing"
