"""Drop the utterances of a data folder that training can't use: empty or over-long on one side."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from legonn.data.folder import read_text, write_text
from legonn.errors import DataError

SHORTEST, LONGEST = 0.1, 30.0  # seconds; a syllable takes about two of the first

__all__ = ["Filtered", "get_parser", "keep", "keep_sounds", "main"]

SOUND_FILES = ("wav.scp", "utt2num_samples", "utt2sha256", "utt2spk")


@dataclass(frozen=True)
class Filtered:
    """What a filter kept and dropped, as ids in the order of the first file.

    Attributes
    ----------
    kept, too_short, too_long : tuple of str
        Every id is in one of them; one with both faults counts as too short.
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
    lengths = {utt_id: [len(side[utt_id]) for side in sides] for utt_id in sides[0]}
    return _divide(lengths, min_length, max_length or math.inf)


def keep_sounds(
    samples: Mapping[str, str], ids: Sequence[str], *, fewest: float, most: float
) -> Filtered:
    """Choose those of `ids` whose recordings have legal lengths.

    Parameters
    ----------
    samples : mapping
        {id: number of samples}, as `utt2num_samples` has them.
    fewest, most : float
        In samples.
    """
    return _divide({utt_id: [int(samples[utt_id])] for utt_id in ids}, fewest, most)


def _divide(lengths: Mapping[str, Sequence[int]], fewest: float, most: float) -> Filtered:
    """By the shortest and the longest of each id."""
    kept, short, long = [], [], []
    for utt_id, all_of_it in lengths.items():
        if min(all_of_it) < fewest:
            short.append(utt_id)
        elif max(all_of_it) > most:
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
    group = parser.add_argument_group("folders with recordings, which have utt2num_samples")
    group.add_argument("--fs", type=int, help="hertz; without it recordings aren't looked at")
    group.add_argument("--min_seconds", type=float, default=SHORTEST, help="(default: %(default)s)")
    group.add_argument("--max_seconds", type=float, default=LONGEST, help="(default: %(default)s)")
    return parser


def _report(folder: Path, what: str, reason: str, ids: Sequence[str]) -> None:
    if ids:
        shown = ", ".join(ids[:10]) + (", ..." if len(ids) > 10 else "")
        print(f"{folder}: warning: {len(ids)} {what} dropped, {reason}: {shown}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    names = list(args.files)
    if args.fs:
        names += [name for name in SOUND_FILES if (args.input / name).exists()]
    columns = {name: read_text(args.input / name) for name in names}
    first = columns[names[0]]
    if any(column.keys() != first.keys() for column in columns.values()):
        raise DataError(f"{args.input}: ids differ between {', '.join(names)}; see validate")
    kept = _chosen(args, columns)
    for name, column in columns.items():
        write_text(args.output / name, {utt_id: column[utt_id] for utt_id in kept})
    print(f"{args.output}: {len(kept)} of {len(first)} {'recordings' if args.fs else 'pairs'} kept")
    return 0


def _chosen(args: argparse.Namespace, columns: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """The ids to keep; what is dropped is told."""
    sides = [columns[name] for name in args.files]
    result = keep(sides, min_length=args.min_length, max_length=args.max_length)
    _report(args.input, "pairs", f"shorter than {args.min_length} characters", result.too_short)
    _report(args.input, "pairs", f"longer than {args.max_length} characters", result.too_long)
    options = "--min_length and --max_length"
    if args.fs:
        fewest, most = (args.fs * seconds for seconds in (args.min_seconds, args.max_seconds))
        counts = columns["utt2num_samples"]
        result = keep_sounds(counts, result.kept, fewest=fewest, most=most)
        _report(args.input, "recordings", f"shorter than {args.min_seconds:g} s", result.too_short)
        _report(args.input, "recordings", f"longer than {args.max_seconds:g} s", result.too_long)
        options += ", --min_seconds and --max_seconds"
    if not result.kept:
        raise DataError(f"{args.input}: nothing is left; see {options}")
    return result.kept


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
