"""What a score records of its training."""

from __future__ import annotations

from pathlib import Path

import pytest
import training_facts

RESULTS = (
    "(trainer:394) INFO: {}epoch results: [train] iter_time=0.002, train_time=1.3, time={}, "
    "total_count=8, [valid] loss=1.0, time={}, total_count=1\n"
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10.55 seconds", 10.55),
        ("1 minute and 30.5 seconds", 90.5),
        ("2 hours, 1 minute and 1 second", 7261.0),
    ],
)
def test_espnets_time_spans_are_read(text: str, seconds: float) -> None:
    assert training_facts.seconds(text) == pytest.approx(seconds)


def test_epochs_of_all_logs_count_once(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1\nseed: 7\nseed_other: 3\n")
    (tmp_path / "train.1.log").write_text(
        "(task:111) INFO: 5400000 parameters, precision bf16\n"
        + RESULTS.format(1, "1 minute and 5 seconds", "5 seconds")
    )
    (tmp_path / "train.log").write_text(RESULTS.format(2, "1 minute", "2 seconds"))
    assert training_facts.facts(tmp_path) == {
        "seed": "7",
        "parameters": "5400000",
        "train_seconds": "132",
    }


def test_the_size_is_the_latest_runs(tmp_path: Path) -> None:
    for name, size in (("train.1.log", 1), ("train.2.log", 2), ("train.log", 3)):
        (tmp_path / name).write_text(f"INFO: {size} parameters, precision bf16\n")
    assert training_facts.facts(tmp_path)["parameters"] == "3"


def test_an_empty_folder_tells_nothing(tmp_path: Path) -> None:
    assert training_facts.facts(tmp_path) == {}
