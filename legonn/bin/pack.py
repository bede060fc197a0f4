"""`legonn pack`: an experiment's parts as modules that can be moved, published and composed."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legonn.part import Part
    from legonn.scoring import Score

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  legonn pack exp/lego --output modules           modules/lego_encoder, modules/lego_decoder
  legonn pack exp/lego --output modules --part decoder --zip --dtype bfloat16
  legonn inspect modules/lego_decoder.zip
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn pack",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("experiment", metavar="EXP", help="an experiment folder, or folder:checkpoint")
    add("--output", type=Path, required=True, metavar="DIR", help="the modules go in here")
    add(
        "--part",
        action="append",
        choices=("encoder", "bridge", "decoder"),
        help="only this part; may be repeated (default: all)",
    )
    add("--checkpoint", metavar="F", help="in the folder (default: the average of the best)")
    add(
        "--average",
        type=int,
        metavar="N",
        help="the average of the N best by valid acc, where training kept it (keep_nbest_models)",
    )
    add("--name", metavar="NAME", help="in the modules' names (default: the experiment's)")
    add("--zip", action="store_true", help="each module as one file")
    add(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        default="float32",
        help="how weights are stored; 16 bits halve the size (default: %(default)s)",
    )
    add("--license", default="not stated", help="of the weights, for the model card")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Pack the parts; none is written unless all can be."""
    args = get_parser().parse_args(argv)
    from legonn.errors import ConfigError

    if args.average is not None and args.checkpoint is not None:
        raise ConfigError("--average and --checkpoint name the weights twice: give one of them")
    if args.average is not None:
        args.checkpoint = f"valid.acc.ave_{args.average}best.pth"

    from legonn.environment import quiet_imports

    with quiet_imports():
        from legonn.experiment import find_checkpoint, split_checkpoint
        from legonn.module import write_module
        from legonn.part import lent
        from legonn.report.card import model_card
        from legonn.system import System
    system = System.load(args.experiment, args.checkpoint)
    folder, named = split_checkpoint(args.experiment)
    name = args.name or Path(os.path.abspath(folder)).name  # of `.` too
    scores = read_scores(folder, find_checkpoint(folder, args.checkpoint or named))
    parts = [lent(part) for part in system.parts()]
    if parts[0].writes is not None and parts[-1].reads is None:  # a hybrid's
        parts = parts[:-1]
        print(
            f"left out: the decoder of {args.experiment} reads states of its encoder, which no other has"
        )
    wanted = _plan(parts, args, name)
    for path, part in wanted:
        card = model_card(part, scores, title=path.name, license_name=args.license)
        rows = [score.to_dict() for score in scores]
        write_module(part, path, card=card, scores=rows, dtype=args.dtype)
        print(f"{path}: {part.kind}, {part.parameters() / 1e6:.2f} M parameters")
    return 0


def _plan(parts: Sequence[Part], args: argparse.Namespace, name: str) -> list[tuple[Path, Part]]:
    """Where each part goes."""
    from legonn.errors import ConfigError

    bridges = [part for part in parts if part.kind == "bridge"]
    plan = []
    for part in parts:
        if args.part and part.kind not in args.part:
            continue
        number = f"{bridges.index(part) + 1}" if part in bridges and len(bridges) > 1 else ""
        plan.append((args.output / f"{name}_{part.kind}{number}{'.zip' if args.zip else ''}", part))
    if not plan:
        raise ConfigError(f"{args.experiment} has no {', '.join(args.part)}")
    there = [str(path) for path, _ in plan if path.exists()]
    if there:
        raise ConfigError(f"{', '.join(there)}: there already; remove, or give another --output")
    return plan


def read_scores(folder: Path, checkpoint: Path) -> list[Score]:
    """What stage 13 measured of an experiment with this checkpoint, sorted by test set and decoding."""
    from legonn.scoring.results import read_results

    found: list[tuple[str, Score]] = []
    for path in sorted(folder.glob("*/*/score.json")):
        decoded = _decoded_with(path.with_name(".done"), folder)
        if decoded.resolve() == checkpoint.resolve():  # averages and `latest` are links
            found += [(path.parts[-3], score) for score in read_results(path)]
        else:
            print(f"left out: {path}, which is of {decoded.name}", file=sys.stderr)
    if len({decoding for decoding, _ in found}) < 2:
        return [score for _, score in found]
    # Of several decodings each says which it is of.
    return [replace(score, test_set=f"{score.test_set}, {decoding}") for decoding, score in found]


def _decoded_with(stamp: Path, folder: Path) -> Path:
    """The checkpoint that stage 12 decoded with; the average of the best, where its stamp names none."""
    from legonn.experiment import find_checkpoint, split_checkpoint

    text = stamp.read_text(encoding="utf-8") if stamp.exists() else ""
    found = re.search(r"--system (\S+)", text)
    name = split_checkpoint(found[1])[1] if found else None
    return find_checkpoint(folder) if name is None else folder / name


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
