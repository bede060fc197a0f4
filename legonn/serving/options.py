"""The options of the service. Without FastAPI and torch, so that `legonn serve --help` answers at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from legonn.errors import ConfigError

__all__ = ["ServingOptions"]


@dataclass(frozen=True)
class ServingOptions:
    """What the service takes, and how it makes batches.

    Attributes
    ----------
    max_batch : int
        Inputs that are taken from the queue together.
    max_wait_ms : float
        Milliseconds that the first input of a batch waits for others.
    max_queue : int
        Inputs waiting to be decoded, and requests at a time; more are refused with status 503.
    max_texts : int
        Of a request; at most `max_queue`.
    max_characters : int
        Of a text.
    max_body : int
        Bytes of a request's body.
    body_seconds : float
        In which a request's head, and then its body, must arrive; and that an idle connection stays open.
    """

    max_batch: int = 32
    max_wait_ms: float = 10.0
    max_queue: int = 1024
    max_texts: int = 32
    max_characters: int = 1000
    max_body: int = 262144
    body_seconds: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "body_seconds":
                legal, remedy = 0 < value < math.inf, "it must be more than 0"
            else:
                least = 0 if field.name == "max_wait_ms" else 1
                legal, remedy = least <= value < math.inf, f"it must be at least {least}"
            if not legal:
                raise ConfigError(f"{field.name} is {value!r}; {remedy}")
        if self.max_texts > self.max_queue:
            raise ConfigError(
                f"max_texts is {self.max_texts}; it must be at most max_queue, {self.max_queue}: "
                "a request with more would never be taken"
            )
