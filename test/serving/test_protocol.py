"""Connections: who says nothing is cut off, who waits for an answer is not."""

from __future__ import annotations

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHos", GET + b"GET /"])
def test_a_head_that_does_not_come_closes_the_connection(
    echo: Any, serve: Any, said: bytes
) -> None:
    with serve(echo, body_seconds=1.0) as running, running.connect() as silent:
        silent.sendall(said)
        received = b""
        while piece := silent.recv(65536):
            received += piece
        assert received.startswith(b"HTTP/1.1 200") == said.startswith(GET)


def test_one_byte_now_and_then_does_not_help(echo: Any, serve: Any) -> None:
    with serve(echo, body_seconds=0.15) as running, running.connect() as slow:
        slow.settimeout(0.02)
        with pytest.raises((ConnectionError, StopIteration)):
            for byte in GET[:-4] + b"x" * 1000:
                slow.sendall(bytes([byte]))
                try:
                    if slow.recv(100) == b"":
                        raise StopIteration
                except TimeoutError:
                    pass


def test_waiting_for_an_answer_is_no_silence(echo: Any, serve: Any, until: Any) -> None:
    with serve(echo, body_seconds=1.0) as running, ThreadPoolExecutor(1) as clients:
        echo.gate.clear()
        waiting = clients.submit(running.post, "a")
        with running.connect() as silent:
            assert silent.recv(1) == b""  # longer than the limit
        echo.gate.set()
        assert waiting.result().status_code == 200


def test_who_does_not_read_is_cut_off(echo: Any, serve: Any) -> None:
    """Or its unsent answers would keep the service from ending."""
    with serve(echo, body_seconds=1.0) as running, running.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(30.0)
        with pytest.raises(ConnectionError):
            while True:
                deaf.sendall(GET * 1000)


def test_several_requests_on_one_connection(echo: Any, serve: Any) -> None:
    with serve(echo, body_seconds=5.0) as running:
        client = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=20)
        client.connect()
        connection = client.sock
        for _ in range(3):
            client.request("GET", "/")
            assert client.getresponse().read().startswith(b"{")
            assert client.sock is connection
        client.close()
