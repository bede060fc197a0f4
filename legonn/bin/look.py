"""`legonn look`: a page that shows what crosses a system's interfaces."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from legonn.bin.system_options import add_system_options, check_system_options, load_system

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  echo "Ein Mann liest." | legonn look --system exp/lego --output look.html
  legonn look --encoder exp/fr --decoder modules/de_decoder --input in.fr --most 20 --output look.html
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn look",
        description="Write an HTML page that shows, for sentences of text, the most probable tokens at each position "
        "of each interface, the best path through them, and what the decoder made of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_system_options(parser, together=False)
    add = parser.add_argument
    add("--input", default="-", metavar="F", help="text, one sentence a line; - is standard input")
    add("--output", type=Path, required=True, metavar="F.html", help="the page")
    add("--most", type=int, default=50, help="sentences to show (default: %(default)s)")
    add("--top", type=int, default=4, help="tokens of each position (default: %(default)s)")
    add("--beam_size", type=int, default=5, help="of the decoder (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Look and write."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.most < 1 or args.top < 1:
        parser.error("--most and --top are at least 1")
    check_system_options(args)

    from legonn.data.atomic import write_atomic
    from legonn.errors import DataError
    from legonn.report.marginals import look, render_looks
    from legonn.search.files import read_input

    lines = [line for line in read_input(args.input).texts if line.strip()][: args.most]
    if not lines:
        raise DataError(f"{args.input} has no sentence to look at")
    system, notes = load_system(args)
    looks = look(system, lines, top=args.top, beam_size=args.beam_size)
    write_atomic(args.output, render_looks(looks, title=f"What crosses in {system.name}"))
    print("\n".join([*notes, f"{args.output}: {len(looks)} sentences"]))
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
