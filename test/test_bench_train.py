"""The training benchmark: equal shapes, and rows whose figures follow from what was measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def bench(load_tool: LoadTool) -> ModuleType:
    return load_tool("bench_train")


@pytest.fixture
def small(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A shape that takes a second."""
    for name, value in {"WIDTH": 16, "HEADS": 2, "HIDDEN": 32, "VOCABULARY": 50}.items():
        monkeypatch.setattr(bench, name, value)
    return bench


def arguments(bench: ModuleType, *more: str) -> argparse.Namespace:
    options = ["--rounds", "2", "--batches", "2", "--sentences", "3", "--precision", "fp32", *more]
    parsed: argparse.Namespace = bench.parse(options)
    return parsed


def test_batches_are_those_of_espnets_iterators(bench: ModuleType) -> None:
    (uids, batch), *others = bench.make_batches(3, 5)
    assert len(uids) == 5 and len(others) == 2
    assert set(batch) == {"src_text", "src_text_lengths", "text", "text_lengths"}
    for name in ("src_text", "text"):
        tokens, lengths = batch[name], batch[f"{name}_lengths"]
        assert tokens.shape == (5, int(lengths.max()))
        for row, size in zip(tokens, lengths.tolist(), strict=True):
            assert (row[:size] >= 2).all() and (row[:size] < bench.VOCABULARY - 1).all()
            assert (row[size:] == -1).all()


def test_batches_of_speech(bench: ModuleType) -> None:
    ((_, batch),) = bench.make_batches(1, 5, "asr")
    assert set(batch) == {"speech", "speech_lengths", "text", "text_lengths"}
    assert batch["speech_lengths"].tolist() == [3500 * n for n in batch["text_lengths"].tolist()]
    assert batch["speech"].shape == (5, int(batch["speech_lengths"].max()))


@pytest.mark.parametrize("system", ["espnet", "hybrid", "lego"])
def test_speech_is_trained(small: ModuleType, system: str) -> None:
    batches = small.make_batches(1, 2, "asr")
    runner = small.Runner(system, "fp32", "asr")
    before = [p.clone() for p in runner.model.parameters()]
    assert runner.round(batches) > 0
    assert not all(map(torch.equal, before, runner.model.parameters()))


def test_batches_repeat(bench: ModuleType) -> None:
    first, second = (bench.make_batches(1, 3)[0][1]["text"] for _ in range(2))
    assert first.tolist() == second.tolist()


def test_the_peers_have_one_shape(bench: ModuleType) -> None:
    """Parameters of the plain encoder-decoder and ESPnet's, at the full shape: within 3 %."""
    sizes = {
        system: sum(p.numel() for p in bench.build(system, "fp32").parameters())
        for system in ("espnet", "attention")
    }
    assert sizes["attention"] == pytest.approx(sizes["espnet"], rel=0.03)


def test_rows_follow_from_what_was_measured(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tools/bench_train.py", "--rounds", "3"])
    speeds = {
        "espnet": [100.0, 200.0, 100.0],
        "attention": [250.0, 400.0, 210.0],
        "lego": [90.0, 100.0, 120.0],
    }
    memory = {"espnet": 400.0, "attention": 100.0, "lego": 300.0}
    rows = bench.rows(arguments(bench), speeds, memory)
    figures = {(row["system"], row["metric"]): row for row in rows}
    assert len(rows) == len(figures) == 4
    speed = figures["attention", "target tokens per second"]
    assert (speed["value"], speed["peer_value"]) == (250.0, 100.0)
    # Paired by round: 2.5, 2.0, 2.1.
    assert (speed["ratio"], speed["ratio_low"], speed["ratio_high"]) == (2.1, 2.0, 2.5)
    peak = figures["lego", "peak memory of training, MiB"]
    assert (peak["value"], peak["peer_value"], peak["ratio"]) == (300.0, 400.0, 0.75)
    for row in rows:
        assert row["bench"] == "train" and row["peer"] == "espnet2.tasks.mt"
        assert row["command"] == "python tools/bench_train.py --rounds 3"
        assert {"shape", "revision", "versions", "processor"} <= set(row)
        assert "3 sentences a batch" in row["shape"] and "legonn fp32" in row["shape"]
        assert {"torch", "espnet"} <= set(row["versions"])


def test_it_measures_every_system_in_every_round(
    small: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []
    round_ = small.Runner.round

    def noted(runner: object, batches: list[object]) -> float:
        order.append(runner.name)  # type: ignore[attr-defined]
        seconds: float = round_(runner, batches)
        return seconds

    init = small.Runner.__init__

    def named(runner: object, system: str, precision: str, task: str) -> None:
        init(runner, system, precision, task)
        runner.name = system  # type: ignore[attr-defined]

    monkeypatch.setattr(small.Runner, "__init__", named)
    monkeypatch.setattr(small.Runner, "round", noted)
    speeds = small.measure(arguments(small))
    systems = list(small.SYSTEMS["mt"])
    assert order == 3 * systems  # a warm-up of each, then interleaved
    assert list(speeds) == systems
    assert all(len(found) == 2 and min(found) > 0 for found in speeds.values())
    assert "round 2/2" in capsys.readouterr().out


def test_figures_replace_the_old_ones_of_this_bench_only(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "benchmarks.json"
    output.write_text('[{"bench": "search", "shape": "any", "value": 1}]')
    monkeypatch.setattr(bench, "peak_memory", lambda system, args: 100.0)
    speeds = {"espnet": [100.0], "attention": [250.0], "lego": [90.0]}
    monkeypatch.setattr(bench, "measure", lambda args: speeds)
    monkeypatch.setattr(
        sys, "argv", ["bench_train.py", "--num_threads", "1", "--output", str(output)]
    )
    assert bench.main() == 0
    assert bench.main() == 0
    rows = json.loads(output.read_text())
    assert rows[0] == {"bench": "search", "shape": "any", "value": 1}
    assert [row["system"] for row in rows[1:]] == ["attention", "attention", "lego", "lego"]
    assert all(row["bench"] == "train" for row in rows[1:])
