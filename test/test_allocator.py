"""Memory that is kept is not zeroed again."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from legonn.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.empty(8_000_000, dtype=np.float64).fill(1)  # 64 MB, 15,600 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

kept = keep_freed_memory() if sys.argv[1] == "keep" else None
faults()
print(kept, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_kept_memory_is_used_again_without_page_faults(environment: dict[str, str]) -> None:
    counts = {}
    for manner in ("keep", "plain"):
        command = [sys.executable, "-c", CODE, manner]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        said, counts[manner] = done.stdout.split()
        assert said == ("True" if manner == "keep" else "None")
    assert int(counts["keep"]) < 50
    assert int(counts["plain"]) > 20 * int(counts["keep"])
