#!/usr/bin/env python3
"""Tell how far a stage has come, until the stage ends this program.

On a terminal one line that renews itself, elsewhere a line every 30 seconds. Counts what the stage
leaves on disk, so it needs nothing of the programs that it watches. Of a training's log, warnings are shown as well.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = [
    "Estimate",
    "Watch",
    "count_epochs",
    "count_files",
    "count_lines",
    "find_warnings",
    "main",
]


def count_files(pattern: str) -> tuple[float, float]:
    """How many files there are; how many there will be isn't known here."""
    return len(glob.glob(pattern)), 0.0


def count_lines(pattern: str) -> tuple[float, float]:
    """How many lines the files have, all together."""
    total = 0
    for name in glob.glob(pattern):
        try:
            total += Path(name).read_bytes().count(b"\n")
        except FileNotFoundError:  # renamed since
            continue
    return total, 0.0


def count_epochs(pattern: str) -> tuple[float, float]:
    """How many epochs ESPnet's training log has finished, parts of one included, and of how many.

    A part is known from the second epoch on, when the log has told how many batches one has.
    """
    text = _text(pattern)
    started = re.findall(r"(\d+)/(\d+)epoch started", text)
    batches = [(int(e), int(b)) for e, b in re.findall(r"(\d+)epoch:train:\d+-(\d+)batch", text)]
    if not started:
        return 0.0, 0.0
    epoch, total = int(started[-1][0]), int(started[-1][1])
    if re.search(rf"\b{epoch}epoch results:", text):
        return epoch, total
    whole = max((batch for e, batch in batches if e < epoch), default=0)
    now = max((batch for e, batch in batches if e == epoch), default=0)
    return epoch - 1 + (min(now / whole, 0.99) if whole else 0.0), total


def find_warnings(pattern: str) -> list[str]:
    """What a training's log warns of, each once."""
    return list(dict.fromkeys(re.findall(r"\(\w+:\d+\) WARNING: (.*)", _text(pattern))))


def _text(pattern: str) -> str:
    return "\n".join(
        Path(name).read_text(encoding="utf-8", errors="replace") for name in glob.glob(pattern)
    )


COUNTERS: dict[str, Callable[[str], tuple[float, float]]] = {
    "files": count_files,
    "lines": count_lines,
    "epochs": count_epochs,
}


class Estimate:
    """Time left, from the speed since the first look: a resumed stage starts above zero.

    Parameters
    ----------
    total : float
        Where the count ends.
    began : float
        Time of the start, seconds.
    first : float
        The count then.
    """

    def __init__(self, *, total: float, began: float, first: float = 0.0) -> None:
        self.total = total
        self.began = began
        self.first = first

    def line(self, count: float, now: float, unit: str) -> str:
        """Write the state in words."""
        of = f" of {self.total:g}" if self.total else ""
        text = f"{count:.{0 if count == int(count) else 1}f}{of} {unit}"
        text += f", {clock(now - self.began)} so far"
        if count > self.first and count < self.total:
            left = (now - self.began) * (self.total - count) / (count - self.first)
            text += f", about {clock(left)} left"
        return text


def clock(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Watch:
    """Prints the state of a stage every few seconds."""

    def __init__(
        self,
        *,
        count: Callable[[], tuple[float, float]],
        total: float,
        name: str,
        unit: str,
        warnings: Callable[[], list[str]] = list,
    ) -> None:
        self.count = count
        self.warnings = warnings
        self.warned: set[str] = set()
        self.name = name
        self.unit = unit
        self.terminal = sys.stderr.isatty()
        self.estimate = Estimate(total=total, began=time.time(), first=count()[0])

    def run(self, *, parent: int) -> None:
        """Print until the recipe, our parent, ends us, or is gone itself."""
        spoken = time.time()
        while os.getppid() == parent:
            time.sleep(0.5)
            if time.time() - spoken >= (2 if self.terminal else 30):
                spoken = time.time()
                self.say(spoken)

    def say(self, now: float) -> None:
        """Print the state once, and what there is of new warnings before it."""
        self.warn()
        count, total = self.count()
        self.estimate.total = total or self.estimate.total
        text = f"{self.name}: {self.estimate.line(count, now, self.unit)}"
        if self.terminal:
            sys.stderr.write(f"\r\033[K{text}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def warn(self) -> None:
        """Print each warning once."""
        for message in self.warnings():
            if message not in self.warned:
                self.warned.add(message)
                self.clear()
                print(f"{self.name}: warning: {message}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave a clean line behind, and no warning unsaid."""
        self.clear()
        self.warn()

    def clear(self) -> None:
        """Take the state's line from a terminal."""
        if self.terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", choices=tuple(COUNTERS), required=True)
    parser.add_argument("--pattern", required=True, help="of the files to look at")
    parser.add_argument("--total", type=float, default=0, help="0: the files tell (epochs)")
    parser.add_argument("--name", required=True, help="the stage")
    parser.add_argument("--unit", required=True, help="what is counted")
    args = parser.parse_args(argv)
    counter = COUNTERS[args.count]
    watch = Watch(
        count=lambda: counter(args.pattern),
        total=args.total,
        name=args.name,
        unit=args.unit,
        warnings=lambda: find_warnings(args.pattern) if args.count == "epochs" else [],
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        watch.run(parent=os.getppid())
    except KeyboardInterrupt:
        pass
    finally:
        watch.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
