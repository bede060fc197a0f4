"""What crosses an interface, for what is told of it and for its page."""

from __future__ import annotations

import math

import pytest

from legonn.report.marginals import Crossing, Position


@pytest.fixture
def crossing() -> Crossing:
    """b is certain, then the blank likely, then nothing known of three tokens."""
    return Crossing(
        "text",
        (
            Position((("▁b", 1.0), ("", 0.0)), 0.0),
            Position((("", 0.6), ("<&>", 0.4)), 0.67),
            Position((("▁", 1 / 3), ("▁b", 1 / 3)), math.log(3)),
        ),
        "b",
    )
