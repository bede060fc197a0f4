"""The service on a socket, until a signal ends it."""

from __future__ import annotations

import signal
import socket

import uvicorn

from legonn.errors import ConfigError
from legonn.serving.app import Service
from legonn.serving.protocol import TimedProtocol

__all__ = ["Server", "bind", "run"]


def bind(host: str, port: int) -> socket.socket:
    """Open a socket; port 0 is any that is free.

    Raises
    ------
    ConfigError
        If the address is no address of this machine, or in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"can't listen at {host}, port {port}: {error}; give another --port or --host"
        ) from error


class Server(uvicorn.Server):
    """uvicorn's, which ends when the model can't be loaded, and takes nothing new once it is told to end."""

    def __init__(self, service: Service) -> None:
        config = uvicorn.Config(
            service.app,
            http=TimedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        config.timeout_keep_alive = service.serving.body_seconds  # type: ignore[assignment]
        super().__init__(config)
        self.service = service
        service.on_fault = self.end

    def end(self) -> None:
        """Finish what is queued, refuse what is new, return from `run`."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Once from `run`."""
        self.service.batcher.refuse()
        await super().shutdown(sockets)


def run(service: Service, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; a second SIGINT leaves requests unanswered.

    Raises
    ------
    Exception
        What loading the model raised.
    """
    server = Server(service)
    # uvicorn raises a signal once more when it has shut down; these take it then, and what comes before it starts.
    former = {
        number: signal.signal(number, server.handle_exit)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if service.batcher.fault is not None:
        raise service.batcher.fault
