"""Build `.venv` with the exact versions of tools/constraints.txt; `make` calls this.

    python3 tools/setup_venv.py

The packages are installed as listed, without resolving. `.venv/complete` is written last, so that
an interrupted run is noticed and done again. Needs Python 3.10 or newer, and a package registry.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "complete"
LOG = VENV / "install.log"
CONSTRAINTS = ROOT / "tools" / "constraints.txt"
INPUTS = (ROOT / "setup.py", CONSTRAINTS)

INSTALLERS = ("pip", "setuptools", "wheel")
# Loads every compiled part that has broken before: torchaudio against another torch, for one.
SMOKE_TEST = "import torch, torchaudio, sentencepiece, legonn.cli"
FILE_LINE = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (\S+\.(?:whl|tar\.gz))( \([\d.]+ .?B\))?"
)
NO_PIP = """\
error: {python} can't make virtual environments: it has neither ensurepip nor pip.
On Debian or Ubuntu an administrator installs python3-venv. Without one, use any other Python:
    make PYTHON=/path/to/python3"""


class SetupError(RuntimeError):
    """What stopped the installation, for the person who started it."""


def main() -> int:
    """Bring `.venv` up to date, or say what to do."""
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make demo` and `make test` in two windows
        try:
            if not is_current():
                build()
        except (SetupError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\ninterrupted; the next make starts the installation again", file=sys.stderr)
            return 130
    return 0


def is_current() -> bool:
    """Whether a finished `.venv` is newer than what it is made from."""
    if not STAMP.exists():
        return False
    return all(path.stat().st_mtime <= STAMP.stat().st_mtime for path in INPUTS)


def build() -> None:
    """Make `.venv`, or update a finished one."""
    start = time.monotonic()
    if STAMP.exists():
        STAMP.unlink()
        say("setup.py or tools/constraints.txt changed: updating .venv")
    else:
        say("making .venv: 3 GB to download, 6 GB on disk, once")
        shutil.rmtree(VENV, ignore_errors=True)
        create()
    LOG.write_text("")
    pins = {pin.split("==")[0]: pin for pin in read_pins()}
    pip("install", *(pins[name] for name in INSTALLERS))
    as_listed = ("--no-deps", "--no-build-isolation")
    pip("install", *as_listed, "--requirement", str(CONSTRAINTS), files=len(pins))
    pip("install", *as_listed, "--editable", str(ROOT))
    call([str(PYTHON), "-c", SMOKE_TEST])
    temporary = STAMP.with_suffix(".tmp")
    temporary.write_text("")
    temporary.replace(STAMP)
    say(f"done in {time.monotonic() - start:.0f} s")


def create() -> None:
    """Make an empty `.venv` that has some pip."""
    if importlib.util.find_spec("ensurepip"):
        venv.create(VENV, with_pip=True, symlinks=True)
    elif importlib.util.find_spec("pip"):  # Debian's python3-pip without its python3-venv
        venv.create(VENV, symlinks=True)
        pip_pin = next(pin for pin in read_pins() if pin.startswith("pip=="))
        call([sys.executable, "-m", "pip", "--python", str(PYTHON), "install", pip_pin])
    else:
        raise SetupError(NO_PIP.format(python=sys.executable))


def read_pins() -> list[str]:
    """The lines of the constraints file that hold for this Python, without their markers."""
    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines())
    return [pin for line in lines if line for pin, holds in [parse(line)] if holds]


def parse(line: str) -> tuple[str, bool]:
    """Split ``name==version; marker``; tell whether the marker holds here."""
    pin, _, marker = line.partition(";")
    return pin.strip(), all(holds(clause) for clause in marker.split(" and ") if clause.strip())


def holds(clause: str) -> bool:
    """Evaluate the two kinds of clause that the constraints file uses."""
    variable, operator, value = clause.split()
    value = value.strip("\"'")
    if variable == "sys_platform":
        return sys.platform == value
    wanted = tuple(int(part) for part in value.split("."))
    return (sys.version_info[:2] < wanted) == (operator == "<")


def pip(*arguments: str, files: int = 0) -> None:
    """Run `.venv`'s pip, and show the files it fetches as "3 of `files`"."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    call([*command, *arguments], files=files)


def call(command: list[str], *, files: int = 0) -> None:
    """Run `command` with its output in the log; where it fails, show the log's end."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop(
        "PYTHONPATH", None
    )  # another project's packages would hide what is missing here
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        cwd=ROOT,
    )
    assert process.stdout is not None
    last: deque[str] = deque(maxlen=15)
    seen = 0
    with LOG.open("a") as log:
        for line in process.stdout:
            log.write(line)
            last.append(line)
            if not files:
                continue
            if found := FILE_LINE.match(line):
                seen += 1
                name = found[1].rpartition("/")[2]
                show(f"{seen:4d} of {files}  {name}{found[2] or ''}", seen)
            elif line.startswith("Installing collected packages"):
                say("unpacking (a minute or two)")
    if process.wait():
        raise SetupError("".join(last) + f"error: the installation failed; all of it: {LOG}")


def show(text: str, count: int) -> None:
    """Rewrite one line of a terminal; elsewhere print each 20th."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text[:100]}", end="", flush=True)
    elif count % 20 == 0:
        print(text, flush=True)


def say(text: str) -> None:
    """Print a line of its own."""
    start = "\r\033[K" if sys.stdout.isatty() else ""
    print(f"{start}setup: {text}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
