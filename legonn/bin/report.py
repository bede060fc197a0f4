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
        "--curve",
        metavar="F",
        help="also draw an SVG of the scores over training pairs, of systems named NAME,PAIRS: "
        "for --test_set, by --metric",
    )
    add("--test_set", metavar="S", help="the test set of --curve")
    add(
        "--metric", default="bleu", metavar="M", help="the metric of --curve (default: %(default)s)"
    )
    add(
        "--check",
        action="store_true",
        help="write nothing; exit with 1 unless the page is what the results file gives",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Render, then write or compare."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.curve and not args.test_set:
        parser.error("--curve needs --test_set: one curve shows one test set")

    from legonn.data.atomic import write_atomic
    from legonn.report.results_page import render_results
    from legonn.scoring.results import read_results

    preface = read_page(Path(args.preface)) if args.preface else ""
    scores = read_results(args.results)
    made = {Path(args.output): render_results(scores, preface=preface)}
    if args.curve:
        from legonn.report.curve import draw_curves

        made[Path(args.curve)] = draw_curves(scores, metric=args.metric, test_set=args.test_set)
    stale = [path for path, text in made.items() if not path.exists() or read_page(path) != text]
    for path in stale:
        if args.check:
            print(f"{path} isn't what {args.results} gives; run without --check", file=sys.stderr)
        else:
            write_atomic(path, made[path])
    return 1 if args.check and stale else 0


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
