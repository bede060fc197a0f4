"""The benchmark of loading: both load the same weights, and rows follow from what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

LoadTool = Callable[[str], ModuleType]


@pytest.fixture
def bench(load_tool: LoadTool, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With a small decoder."""
    module = load_tool("bench_module")
    small = {"width": 16, "heads": 2, "feedforward": 32, "layers": 1}
    monkeypatch.setattr(module, "VOCABULARY", 20)
    monkeypatch.setattr(module, "CONFIG", {"decoder_conf": small, "ingestor_conf": {"layers": 1}})
    return module


def test_both_load_the_same(bench: ModuleType, tmp_path: Path) -> None:
    size = bench.prepare(tmp_path)
    ours, theirs = bench.load_module(tmp_path), bench.load_checkpoint(tmp_path)
    wanted = dict(theirs.named_parameters())
    assert ours.weights().keys() == wanted.keys()
    assert all(torch.equal(weight, wanted[name]) for name, weight in ours.weights().items())
    assert size > 4 * ours.parameters()
    seconds = bench.measure(tmp_path, 2)
    assert list(seconds) == ["legonn", "torch"] and all(len(s) == 2 for s in seconds.values())


def test_rows_follow_from_what_was_measured(bench: ModuleType) -> None:
    seconds = {"legonn": [0.2, 0.1, 0.3], "torch": [0.1, 0.1, 0.1]}
    time, memory = bench.rows(seconds, {"legonn": 30.0, "torch": 40.0}, 2**20)
    assert (time["value"], time["peer_value"], time["ratio"]) == (0.2, 0.1, 2.0)
    assert (time["ratio_low"], time["ratio_high"]) == (1.0, 3.0)
    assert (memory["value"], memory["ratio"]) == (30.0, 0.75)
    assert time["shape"] == "a decoder of 1.0 MiB, fp32" and time["bench"] == "module"


def test_figures_replace_the_old_ones_of_this_bench_only(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "benchmarks.json"
    path.write_text('[{"bench": "train", "shape": "any"}]')
    monkeypatch.setattr(bench, "memory_of", lambda system, folder: 10.0)
    assert bench.main(["--rounds", "1", "--output", str(path)]) == 0
    found = json.loads(path.read_text())
    assert [row["bench"] for row in found] == ["train", "module", "module"]
    assert bench.main(["--rounds", "1", "--output", str(path)]) == 0
    assert len(json.loads(path.read_text())) == 3
