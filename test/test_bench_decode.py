"""The benchmark of decoding: both searches find the same, and rows follow from what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from legonn.data.folder import read_text
from legonn.system import System

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def bench(load_tool: LoadTool) -> ModuleType:
    return load_tool("bench_decode")


@pytest.fixture
def arguments(experiment: Path, corpus: Any) -> list[str]:
    return ["--system", str(experiment), "--input", str(corpus.folder / "valid.src")]


def test_both_find_the_same(
    bench: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without CTC: ESPnet's scorer of it ends at the few positions of this system; test_beam.py compares with it."""
    args = bench.get_parser().parse_args([*arguments, "--ctc_weight", "0"])
    lines = list(read_text(args.input).values())
    assert bench.compare(System.load(args.system), lines, args) == 0
    assert f"{len(lines)} of {len(lines)} equal" in capsys.readouterr().out


def test_rows_follow_from_what_was_measured(bench: ModuleType, arguments: list[str]) -> None:
    args = bench.get_parser().parse_args(arguments)
    seconds = {
        "legonn": [1.0, 2.0],
        "legonn, one thread": [3.0, 4.0],
        "espnet": [30.0, 50.0],
        "espnet, one thread": [40.0, 60.0],
    }
    # Two processes of one thread are the peer's better way, 20 and 30 s; two threads are legonn's.
    (row,) = bench.rows(seconds, 60, "lines", args)
    assert (row["value"], row["peer_value"]) == (20.0, 1.2)
    assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (15.0, 17.5, 20.0)


def test_figures_replace_those_of_the_same_shape(
    bench: ModuleType, arguments: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "benchmarks.json"
    path.write_text(
        json.dumps([{"bench": "train", "shape": ""}, {"bench": "decode", "shape": "x"}])
    )
    for _ in range(2):
        command = [*arguments, "--sentences", "4", "--rounds", "2", "--output", str(path)]
        assert bench.main(command) == 0
    found = json.loads(path.read_text())
    assert [row["bench"] for row in found] == ["train", "decode", "decode"]
    assert found[-1]["ratio"] > 0 and "beam 5, CTC weight 0.3" in found[-1]["shape"]
