"""The service's options: what can't be is told."""

from __future__ import annotations

from typing import Any

import pytest

from legonn.errors import ConfigError
from legonn.serving.options import ServingOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch": 0}, "max_batch is 0; it must be at least 1"),
        ({"max_wait_ms": -1.0}, "max_wait_ms is -1.0; it must be at least 0"),
        ({"max_wait_ms": float("nan")}, "max_wait_ms is nan; it must be at least 0"),
        ({"body_seconds": 0.0}, "body_seconds is 0.0; it must be more than 0"),
        ({"body_seconds": float("inf")}, "body_seconds is inf; it must be more than 0"),
        ({"max_queue": 8}, "max_texts is 32; it must be at most max_queue, 8"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ServingOptions(**options)


def test_the_edges_are_legal() -> None:
    options = ServingOptions(max_wait_ms=0.0, body_seconds=0.1, max_texts=1, max_queue=1)
    assert (options.max_wait_ms, options.body_seconds) == (0.0, 0.1)
