"""The benchmark of beam search: legonn's part of it, and the rows; its peers are no dependency."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from legonn.system import System

LoadTool = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def bench(load_tool: LoadTool) -> ModuleType:
    return load_tool("bench_generate")


def test_what_is_measured_is_what_the_system_writes(bench: ModuleType, experiment: Path) -> None:
    args = bench.get_parser().parse_args(["--batch_size", "2"])
    system: Any = System.load(experiment)
    lines = ["abc", "c", "ba"]
    decode = bench.ours(system.chain, "fp32", 0, args)
    found = system.translate(lines, mode="attention", beam_size=4, patience=1)
    assert decode([system.source.encode(line).tolist() for line in lines]) == [
        list(one.ids) for one in found
    ]


def test_the_random_one_writes_as_many_tokens_as_asked(bench: ModuleType, experiment: Path) -> None:
    args = bench.get_parser().parse_args([])
    decode = bench.ours(System.load(experiment).chain, "fp32", 7, args)
    assert [len(ids) for ids in decode([[2, 3], [4]])] == [7, 7]


def test_each_of_ours_by_each_peer(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_peer_version", lambda peer: {peer.split()[0]: "1"})
    seconds = {
        "legonn fp32": [1.0, 3.0],
        "ctranslate2 int8": [2.0, 3.0],
        "transformers fp32": [4.0, 9.0],
    }
    first, second = bench.rows(seconds, "a shape", 8)
    assert (first["peer"], first["value"], first["peer_value"]) == ("ctranslate2 int8", 2.0, 1.6)
    assert (first["ratio_low"], first["ratio"], first["ratio_high"]) == (1.0, 1.5, 2.0)
    assert (second["peer"], second["ratio"]) == ("transformers fp32", 3.5)
    assert second["versions"]["transformers"] == "1"
