"""Positions per token of a training set, and whether CTC can emit it: the end of stage 10."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from legonn.cli import run

__all__ = ["get_parser", "main"]

LIMIT = 0.01


def get_parser() -> argparse.ArgumentParser:
    """Arguments of `legonn stats`."""
    parser = argparse.ArgumentParser(
        prog="legonn stats",
        description="Print how many interface positions each target token gets, and the length ratio that can "
        "emit 99.9 % of the training set; refuse a ratio that can't emit more than 1 % of it.",
    )
    parser.add_argument(
        "--stats_dir", type=Path, required=True, help="of stage 10, with train/*_shape"
    )
    parser.add_argument(
        "--config", type=Path, help="training YAML: its encoder's length_ratio is checked"
    )
    parser.add_argument("--length_ratio", type=float, help="K/T to check in place of the config's")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write <stats_dir>/length_stats.json."""
    args = get_parser().parse_args(argv)
    from legonn.data.atomic import write_atomic
    from legonn.data.lengths import measure_lengths
    from legonn.errors import DataError

    ratio, is_lego = _ratio(args)
    stats = measure_lengths(args.stats_dir / "train", ratio)
    write_atomic(
        args.stats_dir / "length_stats.json", json.dumps(dataclasses.asdict(stats), indent=2) + "\n"
    )
    low, middle, high = stats.positions_per_token
    print(
        f"length ratio {ratio:g}: {low:.2f} / {middle:.2f} / {high:.2f} positions a token (1, 50, 99 %); "
        f"{stats.infeasible:.2%} of {stats.utterances} targets can't be emitted; "
        f"ratio {stats.covering_ratio:.2f} covers 99.9 %"
    )
    if is_lego and stats.infeasible > LIMIT:
        raise DataError(
            f"length_ratio {ratio:g} leaves {stats.infeasible:.1%} of the training set without enough "
            f"positions for CTC (limit {LIMIT:.0%}). Set encoder_conf: length_ratio to "
            f"{stats.covering_ratio:.2f} or more, or filter these utterances, which need most",
            list(stats.worst),
        )
    return 0


def _ratio(args: argparse.Namespace) -> tuple[float, bool]:
    """The ratio to check, and whether the system has an interface to check it for."""
    if args.length_ratio is not None:
        return args.length_ratio, True
    default = 1.5
    if args.config is None:
        return default, True
    from legonn.config import read_config

    config = read_config(args.config)
    ratio = (config.get("encoder_conf") or {}).get("length_ratio", default)
    return float(ratio), config.get("system", "lego") == "lego"


if __name__ == "__main__":
    raise SystemExit(run(main))
