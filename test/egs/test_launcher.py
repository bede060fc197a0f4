"""The job launchers, run.pl and slurm.pl."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import launcher
import pytest

UTILS = Path(launcher.__file__).parent
RUN = [sys.executable, str(UTILS / "run.pl")]
SLURM = [sys.executable, str(UTILS / "slurm.pl")]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; only a hang ends in the error."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited for two minutes"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_the_command_line_is_kaldis() -> None:
    jobs = launcher.parse(
        ["--gpu", "2", "--num-threads", "3", "JOB=2:4", "log/x.JOB.log", "echo", "--gpu", "JOB"]
    )
    assert (jobs.options.gpu, jobs.options.num_threads) == (2, 3)
    assert (jobs.variable, jobs.numbers) == ("JOB", (2, 3, 4))
    assert jobs.command == ("echo", "--gpu", "JOB")
    assert jobs.log_of(3) == Path("log/x.3.log")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["only.log"], "give a log and a command"),
        (["JOB=3:1", "x.JOB.log", "true"], "the last number is smaller"),
        (["JOB=1:2", "x.log", "true"], "2 jobs can't share one log; put JOB in it"),
    ],
)
def test_wrong_command_lines_are_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        launcher.parse(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


def test_each_job_gets_its_number_and_its_log(tmp_path: Path) -> None:
    done = run(*RUN, "JOB=1:3", f"{tmp_path}/logs/x.JOB.log", "sh", "-c", "echo 'job  JOB'")
    assert done.returncode == 0
    for number in (1, 2, 3):
        lines = (tmp_path / f"logs/x.{number}.log").read_text().splitlines()
        assert f"job  {number}" in lines
        assert "(0)" in lines[-1]


def test_a_failed_job_fails_the_whole_and_shows_its_log(tmp_path: Path) -> None:
    command = "echo doing JOB; exit $((JOB - 1))"
    done = run(*RUN, "JOB=1:2", f"{tmp_path}/x.JOB.log", "sh", "-c", command)
    assert done.returncode == 1
    assert "| doing 2" in done.stderr and "doing 1" not in done.stderr
    assert done.stderr.endswith("run.pl: 1 of 2 jobs failed\n")


def test_a_command_that_is_not_there_fails(tmp_path: Path) -> None:
    done = run(*RUN, f"{tmp_path}/x.log", "no-such-command")
    assert done.returncode == 1
    assert "no-such-command: No such file or directory" in done.stderr


def test_jobs_run_side_by_side(tmp_path: Path) -> None:
    # Each job waits for the other's sign: one after the other would never end.
    command = f"touch {tmp_path}/JOB; while [ ! -e {tmp_path}/$((3 - JOB)) ]; do sleep 0.01; done"
    assert run(*RUN, "JOB=1:2", f"{tmp_path}/x.JOB.log", "sh", "-c", command).returncode == 0


def test_max_jobs_run_limits_them(tmp_path: Path) -> None:
    command = f"mkdir {tmp_path}/alone && sleep 0.05 && rmdir {tmp_path}/alone"
    done = run(*RUN, "--max_jobs_run", "1", "JOB=1:3", f"{tmp_path}/x.JOB.log", "sh", "-c", command)
    assert done.returncode == 0


def test_run_pl_has_one_node(tmp_path: Path) -> None:
    done = run(*RUN, "--num_nodes", "2", f"{tmp_path}/x.log", "true")
    assert done.returncode == 2
    assert "needs CMD_BACKEND=slurm" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_jobs_end_when_their_launcher_is_killed(tmp_path: Path) -> None:
    command = f"echo $$ >{tmp_path}/pid.tmp; mv {tmp_path}/pid.tmp {tmp_path}/pid; exec sleep 600"
    process = subprocess.Popen([*RUN, f"{tmp_path}/x.log", "sh", "-c", command])
    wait_until((tmp_path / "pid").exists)
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_jobs_end_when_the_recipe_is_killed(tmp_path: Path) -> None:
    recipe = subprocess.Popen(["sleep", "600"])
    command = f"echo $$ >{tmp_path}/pid.tmp; mv {tmp_path}/pid.tmp {tmp_path}/pid; exec sleep 600"
    process = subprocess.Popen(
        [*RUN, f"{tmp_path}/x.log", "sh", "-c", command],
        env={**os.environ, "LEGONN_RECIPE_PID": str(recipe.pid)},
    )
    wait_until((tmp_path / "pid").exists)
    recipe.kill()
    recipe.wait()
    assert process.wait() == 1
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())))


# What Slurm does with a job array, in a few lines: runs the script for each number, one by one.
FAKE_SBATCH = """#!/bin/sh
echo "$@" >>"$FAKE/calls"
echo 77
for last; do :; done
case "$*" in *--array=*) numbers="1 2" ;; *) numbers=1 ;; esac
status=0
for number in $numbers; do SLURM_ARRAY_TASK_ID=$number bash "$last" || status=$?; done
exit $status
"""


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """An environment with a stand-in for sbatch and scancel."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", FAKE_SBATCH), ("scancel", '#!/bin/sh\necho $1 >"$FAKE/ended"\n')):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE": str(tmp_path)}


def test_slurm_runs_an_array_with_what_the_jobs_need(tmp_path: Path, slurm: dict[str, str]) -> None:
    done = run(
        *SLURM, "--gpu", "2", "--num_threads", "4", "--num_nodes", "3", "JOB=1:2",
        f"{tmp_path}/x.JOB.log", "sh", "-c", "echo 'it''s  JOB' \"$0\"", "a b",
        **slurm, SLURM_OPTIONS="--partition=gpu --account='my group'",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    call = (tmp_path / "calls").read_text()
    for option in ("--array=1-2", "--gres=gpu:2", "--cpus-per-task=4", "--nodes=3", "--wait"):
        assert option in call
    assert "--partition=gpu --account=my group" in call
    for number in (1, 2):
        assert f"its  {number} a b" in (tmp_path / f"x.{number}.log").read_text()


def test_slurm_without_jobs_to_number_runs_one(tmp_path: Path, slurm: dict[str, str]) -> None:
    done = run(*SLURM, f"{tmp_path}/x.log", "echo", "JOB", "", **slurm)
    assert done.returncode == 0, done.stderr
    assert "--array" not in (tmp_path / "calls").read_text()
    assert "JOB \n" in (tmp_path / "x.log").read_text()


def test_slurm_shows_the_log_of_the_job_that_failed(tmp_path: Path, slurm: dict[str, str]) -> None:
    command = "echo doing JOB; exit $((JOB - 1))"
    done = run(*SLURM, "JOB=1:2", f"{tmp_path}/x.JOB.log", "sh", "-c", command, **slurm)
    assert done.returncode == 1
    assert "| doing 2" in done.stderr and "doing 1" not in done.stderr


def test_slurm_jobs_are_cancelled_with_the_recipe(tmp_path: Path, slurm: dict[str, str]) -> None:
    recipe = subprocess.Popen(["sleep", "600"])
    process = subprocess.Popen(
        [*SLURM, f"{tmp_path}/x.log", "sh", "-c", f"touch {tmp_path}/began; sleep 600"],
        env={**os.environ, **slurm, "LEGONN_RECIPE_PID": str(recipe.pid)},
        start_new_session=True,
    )
    try:
        wait_until((tmp_path / "began").exists)
        recipe.kill()
        recipe.wait()
        assert process.wait() == 1
        assert (tmp_path / "ended").read_text() == "77\n"
    finally:
        os.killpg(process.pid, 9)  # the stand-in's own job


def test_slurm_without_sbatch_says_so(tmp_path: Path) -> None:
    done = run(*SLURM, f"{tmp_path}/x.log", "true", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "CMD_BACKEND=local runs here" in done.stderr
