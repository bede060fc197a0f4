#!/usr/bin/env python3
"""Run one job of a stage, unless it is done: once.py DIR KEY_FILE COMMAND ...

The command writes into DIR. DIR/.done is a copy of KEY_FILE, written after success only; what an
earlier, cut-off run left in DIR is removed first. DIR/.seconds is how long the command took.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from launcher import die_with_parent

__all__ = ["main"]


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    folder, key_file, *command = sys.argv[1:] if argv is None else argv
    stamp, key = Path(folder) / ".done", Path(key_file).read_bytes()
    if stamp.is_file() and stamp.read_bytes() == key:
        print(f"up to date: {folder}")
        return 0
    shutil.rmtree(folder, ignore_errors=True)
    Path(folder).mkdir(parents=True)
    began = time.time()
    status = subprocess.run(command, check=False, preexec_fn=die_with_parent).returncode
    if status == 0:
        write(Path(folder) / ".seconds", f"{time.time() - began:.1f}\n".encode())
        write(stamp, key)
    return status


if __name__ == "__main__":
    sys.exit(main())
