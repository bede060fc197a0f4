"""`legonn publish`: a module on the Hugging Face Hub, where every place that takes a module finds it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

__all__ = ["get_parser", "main"]

EPILOG = """\
`hf auth login` first, or set HF_TOKEN. The folder's README.md becomes the model card.

example:
  legonn publish modules/de_decoder --to hf:me/legonn-de-en-decoder
  legonn compose --encoder exp/fr --decoder hf:me/legonn-de-en-decoder --output exp/fr_de
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn publish",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("module", type=Path, metavar="DIR", help="a module's folder")
    add(
        "--to",
        required=True,
        metavar="hf:OWNER/NAME",
        help="made if it isn't there; @branch may follow",
    )
    add("--private", action="store_true", help="a repository that is made is private")
    add("--message", default="", help="of the commit")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Check the module, upload it, print what to cite."""
    args = get_parser().parse_args(argv)
    from legonn.hub import publish

    print(publish(args.module, args.to, private=args.private, message=args.message))
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
