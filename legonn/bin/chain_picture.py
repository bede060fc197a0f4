"""Draw the README's picture of LegoNN chains: `python -m legonn.bin.chain_picture`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

__all__ = ["get_parser", "main"]


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m legonn.bin.chain_picture",
        description="Draw LegoNN chains as SVG: three encoders, one decoder.",
    )
    parser.add_argument(
        "--output", default="docs/chain.svg", metavar="F", help="the picture (default: %(default)s)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draw and write."""
    args = get_parser().parse_args(argv)

    from legonn.data.atomic import write_atomic
    from legonn.report.chain import draw_chain

    write_atomic(args.output, draw_chain())
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
