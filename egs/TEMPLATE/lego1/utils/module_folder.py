#!/usr/bin/env python3
"""Print the folder of a module that is one file, or on the Hugging Face Hub: its token list is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch and unpack it where that is to be done."""
    from legonn.hub import locate
    from legonn.module import describe

    (module,) = sys.argv[1:] if argv is None else argv
    print(describe(locate(module))[1])
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    sys.exit(run(main))
