"""What benchmarks note: each shape's newest rows, and nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def rows(load_tool: LoadTool) -> ModuleType:
    return load_tool("benchmark_rows")


def row(bench: str, shape: str, value: float) -> dict[str, Any]:
    return {"bench": bench, "shape": shape, "value": value}


def test_rows_of_the_same_benchmark_shape_and_peer_are_replaced(
    rows: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "benchmarks.json"
    other = {**row("train", "a", 5), "peer": "another"}
    old = [row("train", "a", 1), row("train", "b", 2), row("serve", "a", 3), row("train", "a", 4)]
    rows.add_rows(path, [*old, other])
    assert json.loads(path.read_text()) == [*old, other]
    rows.add_rows(path, [row("train", "a", 6)])
    assert json.loads(path.read_text()) == [*old[1:3], other, row("train", "a", 6)]


def test_without_a_file_nothing_is_noted(
    rows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows.add_rows(None, [row("train", "a", 1)])
    assert not list(tmp_path.iterdir())


def test_a_row_says_how_it_was_measured(rows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tools/bench_module.py", "--rounds", "1"])
    found = rows.origin()
    assert found["command"] == "python tools/bench_module.py --rounds 1"
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert list(found) == ["command", "revision", "versions", "processor"]


def test_rows_are_printed_with_their_peer(
    rows: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        "system": "legonn",
        "metric": "seconds to load",
        "value": 0.5,
        "peer": "torch.load",
        "peer_value": 2.0,
    }
    ratios = {"ratio": 0.25, "ratio_low": 0.2, "ratio_high": 0.3}
    rows.print_rows([found | ratios, found | {"ratio": 4.0}])
    first, second = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    assert [x.strip() for x in first if x] == [
        "legonn",
        "seconds to load",
        "0.5",
        "torch.load 2.0",
        "ratio 0.25",
        "(0.2 to 0.3)",
    ]
    assert [x.strip() for x in second if x][-1] == "ratio 4.0"
