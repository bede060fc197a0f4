"""The benchmark of the service: what it counts, and one short run against a real one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def bench(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("bench_serve")


def test_what_clients_saw_is_counted(bench: ModuleType) -> None:
    tally = bench.Tally()
    tally.lost = 1
    for i in range(98):
        tally.answered(200, i / 1000, ["a", "b"], ["a", "b"])
    tally.answered(200, 5.0, ["a", "c"], ["a", "b"])
    tally.answered(200, 9.0, ["a"], ["a", "b"])
    tally.answered(503, 0.1, [], ["a"])
    assert tally.figures() == {
        "requests": 102,
        "lost": 1,
        "wrong": 2,
        "statuses": {"200": 100, "503": 1},
        "p50_ms": 49.0,
        "p99_ms": 5000.0,
    }
    assert tally.sentences == 199


def test_without_an_answer_there_is_no_latency(bench: ModuleType) -> None:
    assert math.isnan(bench.Tally().percentile(0.5))


def test_a_short_run_loses_nothing_and_is_noted(
    bench: ModuleType, experiment: Path, corpus: Any, tmp_path: Path
) -> None:
    path = tmp_path / "benchmarks.json"
    path.write_text(json.dumps([{"bench": "train", "shape": ""}]))
    command = ["--input", str(corpus.folder / "valid.src"), "--clients", "2", "--requests", "3"]
    command += ["--texts", "2", "--seconds", "20", "--output", str(path)]
    assert bench.main([*command, "--", "--system", str(experiment), "--beam_size", "2"]) == 0
    first, row = json.loads(path.read_text())
    assert first["bench"] == "train"
    assert (row["requests"], row["lost"], row["wrong"]) == (6, 0, 0)
    assert row["statuses"] == {"200": 6} and row["p99_ms"] >= row["p50_ms"] > 0
    assert row["shape"].startswith("2 clients, 2 texts a request, 20 s, 1 threads, --system ")


def test_a_service_that_does_not_start_says_why(bench: ModuleType, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="ended with 2: .*name either --system EXP"),
        bench.service(["--checkpoint", "x"]),
    ):
        pass
