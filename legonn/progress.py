"""How far a long job has come, on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, TextIO

__all__ = ["Progress"]


class Progress:
    """A bar on a terminal; elsewhere, as in a job's log, a line every `interval` seconds.

    Parameters
    ----------
    total : int
        Items to do.
    command, unit : str
        What a line of a log begins with, and what an item is called.
    stream : TextIO, optional
        Standard error by default.
    interval : float
        Seconds.
    clock : callable
        Seconds now; for tests.
    """

    def __init__(
        self,
        total: int,
        *,
        command: str = "legonn decode",
        unit: str = "line",
        stream: TextIO | None = None,
        interval: float = 30.0,
        clock: Any = time.monotonic,
    ) -> None:
        self.total = total
        self.command = command
        self.unit = unit
        self.done = 0.0
        self.stream = stream or sys.stderr
        self.interval = interval
        self.clock = clock
        self.began = self.told = clock()
        self.bar: Any = None

    def __enter__(self) -> Progress:
        if self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.total, file=self.stream, unit=self.unit, leave=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def add(self, count: float) -> None:
        """Note that `count` more are done; of a long one it may be a part."""
        self.done += count
        if self.bar is not None:
            self.bar.n = _rounded(self.done)
            self.bar.update(0)
            return
        now = self.clock()
        if self.done and now - self.told >= self.interval:
            self.told = now
            left = (now - self.began) * max(0.0, self.total - self.done) / self.done
            print(
                f"{self.command}: {_rounded(self.done)}/{self.total} {self.unit}s, {left:.0f} s left",
                file=self.stream,
                flush=True,
            )

    def tell(self, message: str) -> None:
        """Print a line in between, above the bar where there is one."""
        line = f"{self.command}: {message}"
        if self.bar is not None:
            self.bar.write(line, file=self.stream)
        else:
            print(line, file=self.stream, flush=True)

    def summary(self, sound: float | None = None) -> str:
        """What was done, and how fast; `sound` is how many seconds of it, where it was recordings."""
        seconds = self.clock() - self.began
        done = round(self.done)
        if sound is not None:
            speed = sound / max(seconds, 1e-3)
            return (
                f"{done:,} {self.unit}s, {_duration(sound)}, in {_duration(seconds)}: "
                f"{speed:,.{0 if speed >= 10 else 1}f} times real time"
            )
        each = 1000 * seconds / max(1, done)
        return f"{done} {self.unit}s in {seconds:.1f} s, {each:.1f} ms a {self.unit}"


def _rounded(done: float) -> float:
    """To hundredths; a whole number without a point."""
    hundredths = round(100 * done)
    return hundredths / 100 if hundredths % 100 else hundredths // 100


def _duration(seconds: float) -> str:
    if seconds >= 1800:
        return f"{seconds / 3600:.2f} h"
    return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
