#!/usr/bin/env python3
"""What a score records of its training, as options of `legonn score`: training_facts.py EXP

Seed from config.yaml, size and time from the logs, of all epochs, resumed or not. What isn't there
is left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["facts", "main", "seconds"]

UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}


def seconds(timespan: str) -> float:
    """Read ESPnet's "1 minute and 30.5 seconds"."""
    parts = re.findall(r"([\d.]+) (second|minute|hour|day)", timespan)
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def facts(folder: Path) -> dict[str, str]:
    """Give {option: value} of an experiment."""
    found: dict[str, str] = {}
    config = folder / "config.yaml"
    if config.is_file() and (seed := re.search(r"^seed: (\d+)$", config.read_text(), re.M)):
        found["seed"] = seed[1]
    text = "\n".join(
        log.read_text(encoding="utf-8", errors="replace")
        for log in sorted(folder.glob("train*.log"))
    )
    if sizes := re.findall(r"(\d+) parameters, precision", text):
        found["parameters"] = sizes[-1]  # of train.log, the latest run's
    # Both [train] and [valid] have a time; an epoch that a kill cut off is only in a later log.
    epochs = {
        epoch: sum(seconds(span) for span in re.findall(r"\btime=([^=,]+),", line))
        for epoch, line in re.findall(r"(\d+)epoch results: (.*)", text)
    }
    if epochs:
        found["train_seconds"] = f"{sum(epochs.values()):.0f}"
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the options."""
    (folder,) = sys.argv[1:] if argv is None else argv
    print(" ".join(f"--{name} {value}" for name, value in facts(Path(folder)).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
