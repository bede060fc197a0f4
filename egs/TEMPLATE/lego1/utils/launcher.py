"""Job launchers with the interface of Kaldi's, which espnet2.bin.launch calls:

    run.pl [--gpu N] [--num_threads N] [JOB=1:4] logs/x.JOB.log command ... JOB ...

`run.pl` runs the jobs here, side by side; `slurm.pl` runs them as one Slurm job array. Both wait
for all, and end with 1 when one has failed, showing the end of its log. Both end their jobs when
the recipe that started them is gone: a recipe that is run again must not meet its own ghosts.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Jobs", "die_with_parent", "end", "main_local", "main_slurm", "parse"]

SHOWN_LINES = 20


@dataclass(frozen=True)
class Jobs:
    """What a launcher was asked to run.

    Attributes
    ----------
    options : Namespace
        gpu, num_threads, num_nodes, max_jobs_run, mem, time.
    variable : str
        Name that stands for the job's number, as in JOB=1:4; empty for a single job.
    numbers : tuple of int
        The jobs' numbers.
    log : str
        Path of the log, with the variable in it.
    command : tuple of str
        The command, with the variable in it.
    """

    options: argparse.Namespace
    variable: str
    numbers: tuple[int, ...]
    log: str
    command: tuple[str, ...]

    def filled(self, text: str, number: int) -> str:
        """Put a job's number in place of the variable."""
        return text.replace(self.variable, str(number)) if self.variable else text

    def log_of(self, number: int) -> Path:
        """The log of one job."""
        return Path(self.filled(self.log, number))


def get_parser(name: str) -> argparse.ArgumentParser:
    """Describe the options before the log; hyphens and underscores are one."""
    parser = argparse.ArgumentParser(
        prog=name, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpu", type=int, default=0, help="GPUs a node")
    parser.add_argument("--num_threads", "--num-threads", type=int, default=1)
    parser.add_argument("--num_nodes", "--num-nodes", type=int, default=1, help="slurm.pl only")
    parser.add_argument(
        "--max_jobs_run", "--max-jobs-run", type=int, default=0, help="at a time; 0: all"
    )
    parser.add_argument("--mem", default="", help="slurm.pl only: memory a node, as 4G")
    parser.add_argument("--time", default="", help="slurm.pl only: time limit, as 24:00:00")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="[JOB=1:N] log command ...")
    return parser


def parse(argv: Sequence[str], *, name: str = "run.pl") -> Jobs:
    """Read a launcher's command line; a wrong one ends the program with its usage."""
    parser = get_parser(name)
    options = parser.parse_args(argv)
    rest = list(options.rest)
    variable, numbers = "", tuple(range(1, 2))
    if rest and (found := re.fullmatch(r"(\w+)=(\d+)(?::(\d+))?", rest[0])):
        first, last = int(found[2]), int(found[3] or found[2])
        if first > last:
            parser.error(f"{rest[0]}: the last number is smaller than the first")
        variable, numbers = found[1], tuple(range(first, last + 1))
        rest = rest[1:]
    if len(rest) < 2:
        parser.error("give a log and a command")
    if len(numbers) > 1 and variable not in rest[0]:
        parser.error(f"{rest[0]}: {len(numbers)} jobs can't share one log; put {variable} in it")
    return Jobs(options, variable, numbers, rest[0], tuple(rest[1:]))


def report(jobs: Jobs, failed: Sequence[int], *, name: str) -> int:
    """Show the ends of the failed jobs' logs; give the exit status."""
    for number in failed:
        log = jobs.log_of(number)
        print(f"{name}: job failed, log is in {log}:", file=sys.stderr)
        if log.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            print("\n".join(f"  | {line}" for line in lines[-SHOWN_LINES:]), file=sys.stderr)
    if failed:
        print(f"{name}: {len(failed)} of {len(jobs.numbers)} jobs failed", file=sys.stderr)
    return 1 if failed else 0


def die_with_parent() -> None:
    """Let the kernel end this job when its launcher is killed (Linux; elsewhere it lives on)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _recipe_is_gone() -> bool:
    """Whether the recipe that called, with launchers between it and us, was killed."""
    pid = os.environ.get("LEGONN_RECIPE_PID")
    if not pid:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S")


class LocalRun:
    """Runs jobs as processes of this machine."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.waiting = list(jobs.numbers)
        self.running: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self.failed: list[int] = []

    def run(self) -> int:
        """Run all; give the exit status."""
        limit = self.jobs.options.max_jobs_run or len(self.waiting)
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < limit:
                    self._start(self.waiting.pop(0))
                self._collect()
                if _recipe_is_gone():
                    return self._stop(1)
                time.sleep(0.05)
        except BaseException:
            self._stop(1)
            raise
        return report(self.jobs, sorted(self.failed), name="run.pl")

    def _start(self, number: int) -> None:
        command = [self.jobs.filled(word, number) for word in self.jobs.command]
        log = self.jobs.log_of(number)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as file:
            file.write(f"# {shlex.join(command)}\n# started {_stamp()}\n#\n".encode())
            file.flush()
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    preexec_fn=die_with_parent,
                )
            except OSError as error:
                file.write(f"{command[0]}: {error.strerror}\n".encode())
                self.failed.append(number)
                return
        self.running[number] = (process, time.time())

    def _collect(self) -> None:
        for number, (process, began) in list(self.running.items()):
            status = process.poll()
            if status is None:
                continue
            del self.running[number]
            with self.jobs.log_of(number).open("a", encoding="utf-8") as file:
                file.write(f"# ended {_stamp()} ({status}), {time.time() - began:.0f} seconds\n")
            if status != 0:
                self.failed.append(number)

    def _stop(self, status: int) -> int:
        for process, _ in self.running.values():
            process.kill()
        for process, _ in self.running.values():
            process.wait()
        return status


def main_local(argv: Sequence[str] | None = None) -> int:
    """Run jobs on this machine."""
    jobs = parse(sys.argv[1:] if argv is None else argv, name="run.pl")
    if jobs.options.num_nodes > 1:
        print("run.pl: --num_nodes > 1 needs CMD_BACKEND=slurm, see cmd.sh", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return LocalRun(jobs).run()


def slurm_script(jobs: Jobs) -> str:
    """Write the batch script: a job array where there are several jobs."""
    number = '"${SLURM_ARRAY_TASK_ID}"'

    def quoted(word: str) -> str:
        if not jobs.variable:
            return shlex.quote(word)
        return number.join(shlex.quote(part) if part else "" for part in word.split(jobs.variable))

    log = quoted(jobs.log)
    command = " ".join(quoted(word) or "''" for word in jobs.command)
    return (
        "#!/usr/bin/env bash\n"
        f"mkdir -p -- $(dirname -- {log})\n"
        f"exec >{log} 2>&1 </dev/null\n"
        'echo "# started $(date +%Y-%m-%dT%H:%M:%S) on $(hostname)"\n'
        f"{command}\n"
        "status=$?\n"
        'echo "# ended $(date +%Y-%m-%dT%H:%M:%S) (${status})"\n'
        "exit ${status}\n"
    )


def slurm_command(jobs: Jobs, script: Path, *, extra: str = "") -> list[str]:
    """Give the sbatch command that runs the script and waits for its end."""
    options = jobs.options
    command = ["sbatch", "--parsable", "--wait", f"--job-name={script.stem}", "--output=/dev/null"]
    command += [f"--nodes={options.num_nodes}", "--ntasks-per-node=1"]
    command += [f"--cpus-per-task={options.num_threads}"]
    command += [f"--gres=gpu:{options.gpu}"] if options.gpu else []
    command += [f"--mem={options.mem}"] if options.mem else []
    command += [f"--time={options.time}"] if options.time else []
    if jobs.variable:
        limit = f"%{options.max_jobs_run}" if options.max_jobs_run else ""
        command.append(f"--array={jobs.numbers[0]}-{jobs.numbers[-1]}{limit}")
    return [*command, *shlex.split(extra), str(script)]


def main_slurm(argv: Sequence[str] | None = None) -> int:
    """Run jobs with Slurm; SLURM_OPTIONS goes to sbatch as it is."""
    jobs = parse(sys.argv[1:] if argv is None else argv, name="slurm.pl")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    first = jobs.log_of(jobs.numbers[0])
    script = first.parent / "q" / f"{first.stem}.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(slurm_script(jobs), encoding="utf-8")
    for number in jobs.numbers:
        jobs.log_of(number).unlink(missing_ok=True)
    command = slurm_command(jobs, script, extra=os.environ.get("SLURM_OPTIONS", ""))
    try:
        status = wait_for_slurm(command)
    except FileNotFoundError:
        print(
            "slurm.pl: sbatch isn't on this machine; CMD_BACKEND=local runs here", file=sys.stderr
        )
        return 2
    if status == 0:
        return 0
    failed = [number for number in jobs.numbers if not _succeeded(jobs.log_of(number))]
    return report(jobs, failed, name="slurm.pl") or 1


def wait_for_slurm(command: Sequence[str], *, poll: float = 0.5) -> int:
    """Run `sbatch --parsable --wait`; give its status, or cancel the job when we are stopped."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    job = process.stdout.readline().strip().split(";")[0]
    try:
        while process.poll() is None:
            if _recipe_is_gone():
                sys.exit(1)
            time.sleep(poll)
    except BaseException:
        if job:
            subprocess.run(["scancel", job], check=False)
        process.kill()
        raise
    return process.returncode


def _succeeded(log: Path) -> bool:
    """Whether a Slurm job's log ends with the line of success."""
    if not log.is_file():
        return False
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return bool(lines) and lines[-1].startswith("# ended") and lines[-1].endswith("(0)")


def end(main: Callable[[], int]) -> None:
    """Run a launcher's main function as a program."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
