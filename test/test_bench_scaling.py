"""The benchmark of longer files, of a tiny system."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def bench(load_tool: LoadTool) -> ModuleType:
    return load_tool("bench_scaling")


def test_lines_are_repeated_under_numbers(bench: ModuleType, tmp_path: Path) -> None:
    bench.write_lines(tmp_path / "in", ["a b", "c"], 5)
    assert (tmp_path / "in").read_text() == "a b\nc\n1 a b\n1 c\n2 a b\n"


def test_rows_follow_from_what_was_measured(bench: ModuleType) -> None:
    speeds = bench.rows({1000: (10.0, 300.0), 10000: (50.0, 330.0)}, ["--mode", "greedy"])
    assert [(row["metric"], row["value"], row["ratio"]) for row in speeds] == [
        ("lines per second", 100.0, 1.0),
        ("lines per second", 200.0, 2.0),
        ("peak memory, MiB", 300.0, 1.0),
        ("peak memory, MiB", 330.0, 1.1),
    ]


def test_files_are_decoded(
    bench: ModuleType, experiment: Path, corpus: Any, tmp_path: Path
) -> None:
    output = tmp_path / "benchmarks.json"
    command = ["--input", str(corpus.folder / "valid.src"), "--lines", "3", "--output", str(output)]
    assert bench.main([*command, "--", "--system", str(experiment), "--mode", "greedy"]) == 0
    rate, memory = json.loads(output.read_text())
    assert rate["value"] > 0 and memory["value"] > 100
