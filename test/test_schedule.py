"""A schedule that is as long as the training, or says that it isn't."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from legonn.bin.train import main
from legonn.cli import run
from legonn.trainer import REPORTED

SCHEDULE = {
    "scheduler": "tristagelr",
    "warmup_ratio": 0.1,
    "hold_ratio": 0.4,
    "decay_ratio": 0.5,
    "final_lr_scale": 0.05,
}


def configuration(corpus: Any, path: Path, max_steps: Any, **changes: Any) -> Path:
    conf = {key: value for key, value in SCHEDULE.items() if key != "scheduler"}
    config = yaml.safe_load((corpus.folder / "config.yaml").read_text())
    config |= {"scheduler": "tristagelr", "scheduler_conf": {**conf, "max_steps": max_steps}}
    path.write_text(yaml.safe_dump({**config, **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "updates"),
    [
        ({}, 18),  # 48 pairs, 8 a batch, 3 epochs
        ({"accum_grad": 4}, 3),  # of 6 batches 2 are left over
        ({"num_iters_per_epoch": 5}, 15),
    ],
)
def test_an_automatic_schedule_ends_with_the_training(
    corpus: Any, tmp_path: Path, changes: dict[str, Any], updates: int
) -> None:
    config = configuration(corpus, tmp_path / "train.yaml", "auto", **changes)
    assert run(main, corpus.options(tmp_path / "exp", "--config", str(config))) == 0
    written = yaml.safe_load((tmp_path / "exp/config.yaml").read_text())
    assert written["scheduler_conf"]["max_steps"] == updates
    with torch.serialization.safe_globals(REPORTED):
        state = torch.load(tmp_path / "exp/checkpoint.pth", weights_only=True)
    assert state["schedulers"][0]["_step_count"] == updates + 1
    (group,) = state["optimizers"][0]["param_groups"]
    assert group["lr"] == pytest.approx(0.05 * 0.01)  # the last of it


@pytest.mark.parametrize(
    ("max_steps", "message"),
    [
        (18, ""),
        (22, ""),
        (
            180,
            "max_steps is 180, and this training makes 18 updates (3 epochs of 6 batches): its learning rate doesn't",
        ),
        (6, "its learning rate is at its end before. Give max_steps=18, or max_steps=auto"),
    ],
)
def test_a_schedule_far_from_the_training_is_told(
    corpus: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, max_steps: int, message: str
) -> None:
    config = configuration(corpus, tmp_path / "train.yaml", max_steps)
    with caplog.at_level(logging.WARNING):
        assert run(main, corpus.options(tmp_path / "exp", "--config", str(config))) == 0
    warned = [record.getMessage() for record in caplog.records if record.module == "schedule"]
    assert message in "".join(warned) and bool(warned) == bool(message)


def test_what_cannot_be_counted_is_refused(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(corpus, tmp_path / "train.yaml", "auto", iterator_type="chunk")
    assert run(main, corpus.options(tmp_path / "exp", "--config", str(config))) == 2
    assert "max_steps=auto needs --train_shape_file" in capsys.readouterr().err


def test_statistics_need_no_schedule(corpus: Any, tmp_path: Path) -> None:
    config = configuration(corpus, tmp_path / "train.yaml", "auto")
    options = corpus.options(tmp_path / "stats", "--config", str(config), "--collect_stats", "true")
    assert run(main, options) == 0
    assert (tmp_path / "stats/train/text_shape").is_file()


def test_a_resumed_training_says_that_it_keeps_its_schedule(
    corpus: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configuration(corpus, tmp_path / "train.yaml", "auto")
    options = corpus.options(tmp_path / "exp", "--config", str(config), "--resume", "true")
    assert run(main, [*options, "--max_epoch", "1"]) == 0
    with caplog.at_level(logging.WARNING):
        assert run(main, [*options, "--max_epoch", "1"]) == 0
        assert "follows the schedule" not in caplog.text
        assert run(main, [*options, "--max_epoch", "2"]) == 0
    assert "follows the schedule of 6 updates that" in caplog.text
    assert "was begun with, not of 12" in caplog.text


def test_a_refused_schedule_leaves_the_experiment_as_it_was(corpus: Any, tmp_path: Path) -> None:
    config = configuration(corpus, tmp_path / "train.yaml", "auto", iterator_type="chunk")
    assert run(main, corpus.options(tmp_path / "exp", "--config", str(config))) == 2
    assert not (tmp_path / "exp/interface.yaml").exists()
