"""`legonn compose`: a system from parts of different origin, as an experiment folder."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

__all__ = ["get_parser", "main"]

EPILOG = """\
M is a module (folder, file, or hf:owner/name on the Hugging Face Hub), an experiment, or one checkpoint of it
(exp/x:valid.acc.best.pth).

example:
  legonn compose --encoder modules/fr_encoder --decoder modules/de_decoder --output exp/fr_de
  echo "Un homme lit." | legonn decode --system exp/fr_de
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn compose",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--encoder", required=True, metavar="M", help="with its length controller and head")
    add("--bridge", action="append", default=[], metavar="M", help="in between; may be repeated")
    add("--decoder", required=True, metavar="M", help="with its ingestor")
    add("--output", type=Path, required=True, metavar="EXP", help="the folder to make")
    add(
        "--length_ratio",
        type=float,
        metavar="X",
        help="interface positions an input token, in place of the encoder's own",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Check that the parts fit, join them, write the folder."""
    args = get_parser().parse_args(argv)
    from legonn.environment import quiet_imports

    with quiet_imports():
        from legonn.system import System
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        system = System.compose(
            encoder=args.encoder,
            bridges=args.bridge,
            decoder=args.decoder,
            length_ratio=args.length_ratio,
        )
    for message in caught:
        print(f"legonn compose: warning: {message.message}", file=sys.stderr)
    system.save(args.output)
    print(f"{args.output}: {system.parameters() / 1e6:.2f} M parameters, from {system.name}")
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
