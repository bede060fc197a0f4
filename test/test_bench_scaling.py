"""The benchmark of longer files, of a tiny system."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def bench(load_tool: LoadTool) -> ModuleType:
    return load_tool("bench_scaling")


def test_lines_are_repeated_under_numbers(bench: ModuleType, tmp_path: Path) -> None:
    bench.write_lines(tmp_path / "in", ["a b", "c"], 5)
    assert (tmp_path / "in").read_text() == "a b\nc\n1 a b\n1 c\n2 a b\n"


def test_rows_follow_from_what_was_measured(bench: ModuleType) -> None:
    measured = {"1000 lines": (1000, 10.0, 300.0), "10000 lines": (10000, 50.0, 330.0)}
    speeds = bench.rows(measured, "lines", ["--mode", "greedy"])
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


def test_sounds_are_joined(bench: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    for name, level in (("a", 0.25), ("b", 0.5)):
        soundfile.write(tmp_path / f"{name}.wav", np.full(16000, level), 16000)
    lines = [f"{name} {tmp_path}/{name}.wav\n" for name in "ab"]
    (tmp_path / "speech" / "wav.scp").write_text("".join(lines))
    bench.write_sounds(tmp_path / "in", tmp_path / "speech", 1.5, 5 / 60)
    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert names == ["00000.wav", "00001.wav", "00002.wav"]
    second, rate = soundfile.read(tmp_path / "in" / "00001.wav")
    assert rate == 16000 and len(second) == 24000
    assert second[[0, 7999, 8000, 23999]].tolist() == pytest.approx(
        [0.5, 0.5, 0.25, 0.25], abs=1e-3
    )
