"""Drop the pairs of a data folder that training can't use: empty or over-long on one side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from legonn.data.folder import read_text, write_text
from legonn.errors import DataError

__all__ = ["Filtered", "get_parser", "keep", "main"]


@dataclass(frozen=True)
class Filtered:
    """What a filter kept and dropped, as ids in the order of the first file.

    Attributes
    ----------
    kept, too_short, too_long : tuple of str
        Every id is in one of them; a pair with both faults counts as too short.
    """

    kept: tuple[str, ...]
    too_short: tuple[str, ...]
    too_long: tuple[str, ...]


def keep(
    sides: Sequence[Mapping[str, str]], *, min_length: int = 1, max_length: int = 0
) -> Filtered:
    """Choose the ids whose texts have legal lengths on all sides.

    Parameters
    ----------
    sides : sequence of mapping
        {id: text} for each language, all with the same ids.
    min_length, max_length : int
        In characters; a max_length of 0 is no limit.
    """
    kept, short, long = [], [], []
    for utt_id in sides[0]:
        lengths = [len(side[utt_id]) for side in sides]
        if min(lengths) < min_length:
            short.append(utt_id)
        elif max_length and max(lengths) > max_length:
            long.append(utt_id)
        else:
            kept.append(utt_id)
    return Filtered(tuple(kept), tuple(short), tuple(long))


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="legonn.data.filter", description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="data folder")
    parser.add_argument("--output", type=Path, required=True, help="data folder to write")
    parser.add_argument("--files", nargs="+", required=True, help="e.g. text.tc.de text.tc.en")
    parser.add_argument("--min_length", type=int, default=1, help="characters (default 1)")
    parser.add_argument("--max_length", type=int, default=0, help="characters; 0: no limit")
    return parser


def _report(folder: Path, reason: str, ids: Sequence[str]) -> None:
    if ids:
        shown = ", ".join(ids[:10]) + (", ..." if len(ids) > 10 else "")
        print(f"{folder}: warning: {len(ids)} pairs dropped, {reason}: {shown}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    sides = [read_text(args.input / name) for name in args.files]
    if any(side.keys() != sides[0].keys() for side in sides):
        raise DataError(f"{args.input}: ids differ between {', '.join(args.files)}; see validate")
    result = keep(sides, min_length=args.min_length, max_length=args.max_length)
    _report(args.input, f"shorter than {args.min_length} characters", result.too_short)
    _report(args.input, f"longer than {args.max_length} characters", result.too_long)
    if not result.kept:
        raise DataError(f"{args.input}: no pair is left; see --min_length and --max_length")
    for name, side in zip(args.files, sides, strict=True):
        write_text(args.output / name, {utt_id: side[utt_id] for utt_id in result.kept})
    print(f"{args.output}: {len(result.kept)} of {len(sides[0])} pairs kept")
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
