"""The benchmark of speech: recordings come back as they were made, and rows follow from what was measured."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

LoadTool = Callable[[str], ModuleType]


@pytest.fixture
def bench(load_tool: LoadTool, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """With a small model, and two recordings a batch."""
    bench_train = importlib.import_module("bench_train")
    for name, value in {"WIDTH": 16, "HEADS": 2, "HIDDEN": 32, "VOCABULARY": 50}.items():
        monkeypatch.setattr(bench_train, name, value)
    module = load_tool("bench_audio")
    monkeypatch.setattr(module, "SENTENCES", 2)
    return module


def test_all_recordings_are_read_as_they_were_made(bench: ModuleType, tmp_path: Path) -> None:
    import soundfile

    text = tmp_path / "text.tc.en"
    bench.write_texts(text, 4)
    assert bench.speak(text, tmp_path / "made", "synthesize") > 0
    batches = bench.Reader(tmp_path / "made").read()
    assert [len(ids) for ids, _ in batches] == [2, 2]
    places = dict(line.split() for line in (tmp_path / "made/wav.scp").read_text().splitlines())
    assert {utt_id for ids, _ in batches for utt_id in ids} == set(places)
    ids, batch = batches[0]
    samples, _ = soundfile.read(places[ids[0]], dtype="float32")
    assert np.array_equal(batch["speech"][0, : int(batch["speech_lengths"][0])], samples)
    (_, given), *_ = bench.with_tokens(batches)
    assert set(given) == {"speech", "speech_lengths", "text", "text_lengths"}


def test_rows_follow_from_what_was_measured(bench: ModuleType) -> None:
    args = bench.get_parser().parse_args(["--rounds", "3", "--batches", "2"])
    found = {
        "synthesize": [200.0, 300.0, 250.0],
        "synthesize with noise and rooms": [20.0, 30.0, 25.0],
        "reading": [0.02, 0.01, 0.03],
        "step": [0.4, 0.4, 0.4],
        "ahead": [0.5, 0.4, 0.44],
    }
    plain, noisy, reading, ahead = bench.rows(args, found)
    assert (plain["value"], plain["peer_value"], plain["ratio"]) == (250.0, 1.0, 250.0)
    assert (noisy["ratio_low"], noisy["ratio_high"]) == (20.0, 30.0)
    assert (reading["value"], reading["peer_value"], reading["ratio"]) == (20.0, 400.0, 0.05)
    assert (ahead["value"], ahead["peer"], ahead["ratio"]) == (440.0, "from memory", 1.1)
    assert plain["shape"] == "4 numbers in words, flac"


def test_a_run_measures_all(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.json"
    assert bench.main(["--rounds", "1", "--batches", "2", "--output", str(path)]) == 0
    rows = json.loads(path.read_text())
    assert [row["system"] for row in rows] == [
        *bench.MANNERS,
        "reading a batch",
        "a training step, read ahead",
    ]
    assert all(row["ratio"] > 0 for row in rows)


def test_a_text_file_is_spoken_in_place_of_numbers(bench: ModuleType, tmp_path: Path) -> None:
    text, path = tmp_path / "train" / "text.tc.en", tmp_path / "benchmarks.json"
    text.parent.mkdir()
    bench.write_texts(text, 3)
    arguments = ["--rounds", "1", "--text", str(text), "--output", str(path)]
    assert bench.main(arguments) == 0
    rows = json.loads(path.read_text())
    assert [(row["system"], row["shape"]) for row in rows] == [
        (name, "3 texts of train, flac") for name in bench.MANNERS
    ]
    assert all(row["ratio"] > 0 for row in rows)
