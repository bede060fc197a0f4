"""A job of a stage runs once for its inputs."""

from __future__ import annotations

from pathlib import Path

import once


def run(tmp_path: Path, script: str) -> int:
    return once.main([str(tmp_path / "out"), str(tmp_path / "key"), "sh", "-c", script])


def test_a_finished_job_is_not_run_again(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one\n")
    script = f"echo x >>{tmp_path}/runs; echo result >{tmp_path}/out/text"
    assert run(tmp_path, script) == 0
    assert run(tmp_path, script) == 0
    assert (tmp_path / "runs").read_text() == "x\n"
    assert (tmp_path / "out/text").read_text() == "result\n"
    assert (tmp_path / "out/.done").read_text() == "one\n"
    assert float((tmp_path / "out/.seconds").read_text()) >= 0


def test_another_key_runs_it_again_from_nothing(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one\n")
    run(tmp_path, f"touch {tmp_path}/out/old")
    (tmp_path / "key").write_text("two\n")
    assert run(tmp_path, f"touch {tmp_path}/out/new") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".done",
        ".seconds",
        "new",
    ]


def test_a_failed_job_leaves_no_stamp_and_passes_its_status_on(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one\n")
    assert run(tmp_path, f"touch {tmp_path}/out/part; exit 3") == 3
    assert not (tmp_path / "out/.done").exists()


def test_what_a_cut_off_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("one\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/part").write_text("half")
    assert run(tmp_path, "true") == 0
    assert not (tmp_path / "out/part").exists()
