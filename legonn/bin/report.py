"""`legonn report`: RESULTS.md from a results file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["get_parser", "main"]


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn report",
        description="Make a results page in Markdown from a results file that `legonn score "
        "--results` filled. The same file gives the same page, byte for byte.",
    )
    add = parser.add_argument
    add("--results", required=True, metavar="F", help="the results file (JSON)")
    add("--output", default="RESULTS.md", metavar="F", help="the page (default: %(default)s)")
    add("--preface", metavar="F", help="Markdown to put at the top, in place of a heading")
    add(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 unless the page is what the results file gives",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Render, then write or compare."""
    args = get_parser().parse_args(argv)

    from legonn.data.atomic import write_atomic
    from legonn.report.results_page import render_results
    from legonn.scoring.results import read_results

    preface = read_page(Path(args.preface)) if args.preface else ""
    page = render_results(read_results(args.results), preface=preface)
    output = Path(args.output)
    if not args.check:
        write_atomic(output, page)
        return 0
    if output.exists() and read_page(output) == page:
        return 0
    print(f"{output} isn't what {args.results} gives; run without --check", file=sys.stderr)
    return 1


def read_page(path: Path) -> str:
    """Read a text file as it is, line ends too.

    Raises
    ------
    DataError
        When it can't be read or isn't UTF-8.
    """
    from legonn.errors import DataError

    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}") from error


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
