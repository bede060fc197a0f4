"""What the benchmarks of this folder note of a run, and where: rows of benchmarks.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["add_rows", "origin", "print_rows"]


def origin(*packages: str) -> dict[str, Any]:
    """Command, revision, versions and kind of processor: what every row says of itself.

    `packages` are those of the peer or the service, whose versions count beside legonn's own.
    """
    import torch

    from legonn.environment import PACKAGES, revision, versions

    return {
        "command": " ".join(["python", *sys.argv]),
        "revision": revision(),
        "versions": versions([*PACKAGES, *packages]),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def print_rows(found: Sequence[Mapping[str, Any]]) -> None:
    """One line for each row: what was measured, of the system, of its peer, and their ratio."""
    for row in found:
        columns = [
            f"{row['system']:32}",
            f"{row['metric']:30}",
            f"{row['value']:>9}",
            f"{row['peer']} {row['peer_value']}",
            f"ratio {row['ratio']}",
        ]
        if "ratio_low" in row:
            columns.append(f"({row['ratio_low']} to {row['ratio_high']})")
        print("  ".join(columns))


def add_rows(path: Path | None, found: Sequence[Mapping[str, Any]]) -> None:
    """Put rows into a file, in the place of those of the same benchmark, shape and peer; without a file do nothing."""
    from legonn.data.atomic import write_atomic

    if path is None:
        return
    old = json.loads(path.read_text()) if path.exists() else []

    def measured(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["bench"], row["shape"], row.get("peer")

    replaced = {measured(row) for row in found}
    kept = [row for row in old if measured(row) not in replaced]
    write_atomic(path, json.dumps([*kept, *found], indent=2) + "\n")
