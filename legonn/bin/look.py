"""`legonn look`: a page that shows what crosses a system's interfaces."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from legonn.bin.decoding_options import add_decoding_options, decoding_options
from legonn.bin.input_options import (
    add_input_options,
    add_max_seconds,
    audio_limits,
    check_max_seconds,
    read_given,
)
from legonn.bin.system_options import (
    add_system_options,
    check_system_options,
    load_system,
    load_with_decoders,
)

if TYPE_CHECKING:
    from legonn.audio.hearing import Heard
    from legonn.audio.recordings import Utterance
    from legonn.report.marginals import Given
    from legonn.search.files import Lines
    from legonn.search.options import DecodingOptions
    from legonn.tokenizer import TextCodec

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  echo "Ein Mann liest." | legonn look --system exp/lego --output look.html
  legonn look --encoder exp/fr --decoder modules/de_decoder --input in.fr --most 20 --output look.html
  legonn look --encoder exp/asr --decoder exp/de --input a.wav b.flac --output look.html
  legonn look --encoder exp/fr --decoder exp/wemb --also exp/beamconv --mode attention --input in.fr --output look.html
      what two decoders, each by itself, write from the same marginals

Recordings are read as `legonn decode` reads them: what is longer than --max_seconds is cut at its quietest places, and
each piece is shown by itself. What can't be heard is told and left out; then the exit status is 1.
"""
# Of several systems that decode as one, and of more hypotheses than the best.
WITHOUT = ("ensemble_weights", "lm_weight", "nbest")
MIXED = ("joint", "rescore")


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn look",
        description="Write an HTML page that shows, for sentences or recordings, the most probable tokens at each "
        "position of each interface, the best path through them, and what the decoder made of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_system_options(parser, together=False)
    group = parser.add_argument_group("page")
    add_input_options(group)
    add = group.add_argument
    add(
        "--also",
        metavar="M",
        action="append",
        default=[],
        help="show what this decoder, a module or an experiment's, writes from the same marginals, too. May be given "
        "several times",
    )
    add("--output", type=Path, required=True, metavar="F.html", help="the page")
    add("--most", type=int, default=50, help="sentences or pieces to show (default: %(default)s)")
    add("--top", type=int, default=4, help="tokens of each position (default: %(default)s)")
    group = parser.add_argument_group("decoding")
    add_decoding_options(group, without=WITHOUT)
    add_max_seconds(group)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Look and write."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.most < 1 or args.top < 1:
        parser.error("--most and --top are at least 1")
    check_max_seconds(parser, args)
    check_system_options(args)
    options = decoding_options(args)
    if options.mode.startswith("ctc_"):
        parser.error(f"--mode {options.mode} asks no decoder what to write: give another")

    from legonn.audio.hearing import hear
    from legonn.audio.inputs import check_kind
    from legonn.audio.source import Sound
    from legonn.data.atomic import write_atomic
    from legonn.report.marginals import look
    from legonn.report.marginals_page import render_looks
    from legonn.search.strategies import mode_for

    read = read_given(args)
    given = [] if isinstance(read, dict) else _sentences(read, args.most)
    system, notes = load_system(args)
    check_kind(system.source, system.name, args.input, sound=isinstance(read, dict))
    others, more = load_with_decoders(system, args.also)
    notes += more
    if not isinstance(system.source, Sound):
        given = _with_tokens(given, system.source)
    faults: list[str] = []
    if isinstance(read, dict) and isinstance(system.source, Sound):
        whole, longest = audio_limits(args, system.longest_seconds)
        hearing = partial(hear, sample_rate=system.source.sample_rate, whole=whole, longest=longest)
        given, faults = _heard(map(hearing, read.values()), args.most)
        notes += [f"warning: {fault}" for fault in faults]
    # One mode for all, whatever each would choose.
    options = dataclasses.replace(options, mode=mode_for(system.chain, options))
    looks = look({_decoder(args): system, **others}, given, top=args.top, options=options)
    page = render_looks(
        looks,
        title=f"What crosses in {system.name}",
        notes=[_decoded(options)],
    )
    write_atomic(args.output, page)
    for note in notes:
        print(note, file=sys.stderr)
    print(f"{args.output}: {_count(read, len(looks))}")
    return 1 if faults else 0


def _decoded(options: DecodingOptions) -> str:
    together = ", where CTC chooses along with the decoder" if options.mode in MIXED else ""
    return f"Decoded with mode {options.mode}{together}, and beam size {options.beam_size}."


def _decoder(args: argparse.Namespace) -> str:
    """What the page calls the system's own."""
    return str(args.decoder or ":".join(filter(None, [args.system, args.checkpoint])))


def _sentences(lines: Lines, most: int) -> list[Given]:
    from legonn.errors import DataError
    from legonn.report.marginals import Given

    ids = lines.ids or [""] * len(lines.texts)
    found = [Given(text, name) for name, text in zip(ids, lines.texts, strict=True) if text.strip()]
    if not found:
        raise DataError(f"{lines.name} has no sentence to look at")
    return found[:most]


def _with_tokens(given: list[Given], source: TextCodec) -> list[Given]:
    """Without lines of nothing but marks that have no token, as that of the byte order."""
    from legonn.errors import DataError

    found = [one for one in given if len(source.encode(str(one.source)))]
    if given and not found:
        raise DataError("there is no sentence with a token to look at")
    return found


def _heard(recordings: Iterable[Heard], most: int) -> tuple[list[Given], list[str]]:
    """The first pieces, and why what is left out among them can't be heard."""
    from legonn.errors import DataError
    from legonn.report.marginals import pieces

    found: list[Given] = []
    faults: list[str] = []
    for heard in recordings:
        faults += filter(None, [heard.fault])
        found += pieces(heard)
        if len(found) >= most:
            break
    if not found:
        raise DataError("there is no recording that can be heard:", faults)
    return found[:most], faults


def _count(read: Lines | dict[str, Utterance], shown: int) -> str:
    """What the page has, of how much."""
    if isinstance(read, dict):
        return f"{shown} pieces of {len(read)} recordings"
    total = sum(bool(text.strip()) for text in read.texts)
    return f"{shown} sentences" if shown == total else f"{shown} of {total} sentences"


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
