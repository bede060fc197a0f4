"""How far a stage has come."""

from __future__ import annotations

from pathlib import Path

import progress
import pytest

# As ESPnet's trainer logs.
LOG = """\
[host] 2026-01-01 (trainer:336) INFO: 1/4epoch started
[host] 2026-01-01 (trainer:811) INFO: 1epoch:train:1-50batch: iter_time=0.1, loss=3.0
[host] 2026-01-01 (trainer:811) INFO: 1epoch:train:51-100batch: iter_time=0.1, loss=2.0
[host] 2026-01-01 (trainer:394) INFO: 1epoch results: [train] loss=2.5, [valid] loss=2.0
[host] 2026-01-01 (trainer:324) INFO: 2/4epoch started. Estimated time to finish: 3 minutes
[host] 2026-01-01 (trainer:811) INFO: 2epoch:train:1-50batch: iter_time=0.1, loss=1.0
"""


def test_epochs_count_with_the_part_that_is_done(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(LOG)
    assert progress.count_epochs(str(log)) == (1.5, 4)


def test_an_epoch_with_results_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(LOG + "INFO: 2epoch results: [train] loss=1.0\n")
    assert progress.count_epochs(str(log)) == (2, 4)


def test_before_the_first_epoch_there_is_nothing(tmp_path: Path) -> None:
    assert progress.count_epochs(str(tmp_path / "train.log")) == (0.0, 0.0)


def test_lines_of_all_files_count(tmp_path: Path) -> None:
    (tmp_path / "text.1").write_text("a\nb\n")
    (tmp_path / "text.2").write_text("c\nhalf a line")
    assert progress.count_lines(f"{tmp_path}/text.*") == (3, 0.0)


def test_files_count(tmp_path: Path) -> None:
    (tmp_path / "stats.1").mkdir()
    (tmp_path / "stats.1/.done").touch()
    (tmp_path / "stats.2").mkdir()
    assert progress.count_files(f"{tmp_path}/stats.*/.done") == (1, 0.0)


def test_the_time_left_follows_the_speed_since_the_start() -> None:
    estimate = progress.Estimate(total=10, began=100.0)
    assert estimate.line(4, 160.0, "epochs") == "4 of 10 epochs, 1:00 so far, about 1:30 left"


def test_a_resumed_stage_is_not_taken_for_a_fast_one() -> None:
    # Six of ten were there at the start; two more took a minute.
    estimate = progress.Estimate(total=10, began=0.0, first=6)
    assert estimate.line(8, 60.0, "lines") == "8 of 10 lines, 1:00 so far, about 1:00 left"


def test_nothing_done_yet_gives_no_estimate() -> None:
    assert progress.Estimate(total=3, began=0.0).line(0, 5.0, "jobs") == "0 of 3 jobs, 0:05 so far"


def test_times_have_hours_where_there_are_some() -> None:
    assert [progress.clock(s) for s in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]


def test_what_training_warns_of_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "train.log"
    watch = progress.Watch(
        count=lambda: progress.count_epochs(str(log)),
        total=0,
        name="stage 11",
        unit="epochs",
        warnings=lambda: progress.find_warnings(str(log)),
    )
    log.write_text(f"[host] 2026-01-01 (schedule:9) WARNING: max_steps is 5\n{LOG}")
    watch.say(0.0)
    log.write_text(f"{log.read_text()}[host] 2026-01-01 (trainer:9) WARNING: nan\n")
    watch.say(1.0)
    watch.end()
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "warning" in line] == [
        "stage 11: warning: max_steps is 5",
        "stage 11: warning: nan",
    ]
