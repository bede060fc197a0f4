#!/usr/bin/env python3
"""Print what a YAML file sets, its bases included: one key a line, sorted, as JSON, to compare."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the settings of the file."""
    from legonn.config import read_config

    (file,) = sys.argv[1:] if argv is None else argv
    for key, value in sorted(read_config(Path(file)).items()):
        print(f"{key}: {json.dumps(value, sort_keys=True)}")
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    sys.exit(run(main))
