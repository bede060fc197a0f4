"""The page of the benchmarks: what it says is what the file has, and the one that is committed is up to date."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def tool(load_tool: LoadTool) -> ModuleType:
    return load_tool("benchmarks_page")


def test_a_table_for_each_shape(tool: ModuleType) -> None:
    row = {
        "bench": "decode", "peer": "p", "shape": "ten lines", "command": "c", "revision": "0123456789",
        "processor": "X", "versions": {"torch": "2", "numpy": "3"}, "system": "s", "metric": "lines per second",
        "value": 20.0, "peer_value": 1.5, "ratio": 13.3, "ratio_low": 12.0, "ratio_high": 14.25,
    }  # fmt: skip
    other = {**row, "shape": "more", "system": "t", "peer_value": None}
    other |= {"requests": 9, "lost": 1, "wrong": 2, "p50_ms": 1200.0, "p99_ms": 3400.0}
    page = tool.render([row, other], "# Top\n")
    assert page.splitlines() == [
        "# Top",
        "",
        "## Joint CTC/attention search",
        "",
        "**ten lines**",
        "",
        "| system | peer | metric | system's | peer's | ratio | rounds' least and most |",
        "| :-- | :-- | :-- | --: | --: | --: | --: |",
        "| s | p | lines per second | 20 | 1.5 | 13.3 | 12 to 14.25 |",
        "",
        "`c`, revision `0123456`; X; torch 2.",
        "",
        "**more**",
        "",
        "| system | peer | metric | system's | ratio | rounds' least and most |",
        "| :-- | :-- | :-- | --: | --: | --: |",
        "| t | p | lines per second | 20 | 13.3 | 12 to 14.25 |",
        "",
        "9 requests, 1 lost, 2 answered otherwise than offline; half of them within 1.2 s, 99 % within 3.4 s.",
        "",
        "`c`, revision `0123456`; X; torch 2.",
    ]


def test_the_committed_page_is_up_to_date(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0
