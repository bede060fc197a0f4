"""Work in several processes: its order, and a process that dies."""

from __future__ import annotations

import os

import pytest

from legonn.audio.parallel import mapped
from legonn.errors import LegonnError


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_results_come_in_order(jobs: int) -> None:
    assert list(mapped(str, range(40), jobs)) == [str(i) for i in range(40)]


def test_a_process_that_is_killed_is_told() -> None:
    with pytest.raises(LegonnError, match="was killed, perhaps for want of memory: .* --nj 1"):
        list(mapped(os._exit, [1, 1], 2))
