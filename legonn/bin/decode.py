"""`legonn decode`: translate with a trained system, or with one composed of two systems' parts."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from legonn.bin.system_options import add_system_options, check_system_options, load_system
from legonn.errors import ConfigError
from legonn.search.options import MODES, DecodingOptions

if TYPE_CHECKING:
    from legonn.search.files import Lines
    from legonn.search.translator import Translator

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  echo "Ein Mann liest." | legonn decode --system exp/lego
  legonn decode --encoder exp/fr --decoder exp/de:valid.acc.best.pth --input in.fr --output out.en
  legonn decode --system exp/lego --config conf/decode.yaml --input data/t/text.tc.de --output out
      makes out/1best_recog/{text,token,score}, as ESPnet does
"""

OPTION_HELP = {
    "mode": "the decoder; the decoder with the last interface's CTC; or that interface alone",
    "beam_size": "hypotheses kept at each step",
    "length_penalty": "finished hypotheses compare by score / tokens**X; 0 favours short ones",
    "ctc_weight": "of the CTC score in mode joint, 0 to 1",
    "maxlenratio": "most tokens a position the decoder reads; negative: a count; 0: 2 K + 10",
    "minlenratio": "fewest tokens a position the decoder reads; negative: a count",
    "nbest": "hypotheses of each line, <n>best_recog",
    "batch_size": "lines of equal length searched together",
    "precision": "fp32, bf16, or auto: bf16 where the processor is fast at it",
}
# Lines read ahead are sorted by length within such a window, then written in their own order.
BATCHES_PER_WINDOW = 16


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn decode",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group(
        "system (EXP is an experiment folder, or folder:checkpoint; M may be a module too)"
    )
    add_system_options(group)
    _add_files(parser.add_argument_group("files"))
    group = parser.add_argument_group("decoding")
    group.add_argument("--config", metavar="F", help="YAML file of the options below")
    for field in dataclasses.fields(DecodingOptions):
        group.add_argument(
            f"--{field.name}",
            type=type(field.default),
            choices=MODES if field.name == "mode" else None,
            help=f"{OPTION_HELP[field.name]} (default: {field.default})",
        )
    group.add_argument("--num_threads", type=int, default=1, help="(default: %(default)s)")
    group.add_argument("--ngpu", type=int, default=0, choices=(0, 1), help="(default: %(default)s)")
    return parser


def _add_files(group: Any) -> None:
    group.add_argument("--input", default="-", metavar="F", help="text; - is standard input")
    group.add_argument(
        "--output",
        default="-",
        metavar="F",
        help="a folder for Kaldi input, a file for plain lines; - is standard output",
    )
    group.add_argument(
        "--input_format",
        default="auto",
        choices=("auto", "kaldi", "lines"),
        help="kaldi: <utt-id> <text>; auto: kaldi for files named text, text.*, and with keys",
    )
    group.add_argument("--key_file", metavar="F", help="decode only the ids that begin its lines")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.num_threads < 1:
        parser.error(f"--num_threads {args.num_threads}: give at least 1")
    check_system_options(args)
    options = DecodingOptions.load(args.config, _overrides(args))

    import torch

    from legonn.search.files import open_writer, read_input
    from legonn.search.translator import Translator

    if args.ngpu and not torch.cuda.is_available():
        raise ConfigError("--ngpu 1: PyTorch finds no GPU here; leave it out to decode on the CPU")
    torch.set_num_threads(args.num_threads)
    streaming = (args.input, args.output) == ("-", "-") and args.input_format != "kaldi"
    # Faults of the input are told before the model is loaded.
    lines = (
        None
        if streaming
        else read_input(args.input, form=args.input_format, key_file=args.key_file)
    )
    system, notes = load_system(args)
    _tell(notes)
    if args.ngpu:
        system.chain.cuda()
    translator = Translator(system, options)
    if lines is None:
        _decode_stream(translator)
        return 0
    with open_writer(args.output, ids=lines.ids is not None, nbest=options.nbest) as writer:
        _decode_file(translator, lines, writer)
    return 0


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(DecodingOptions)]
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _tell(messages: Iterable[str]) -> None:
    for message in messages:
        print(f"legonn decode: {message}", file=sys.stderr)


def _decode_file(translator: Translator, lines: Lines, writer: Any) -> None:
    from legonn.progress import Progress
    from legonn.search.notes import Notes

    notes = Notes()
    with Progress(len(lines.texts)) as progress:
        for window in lines.windows(BATCHES_PER_WINDOW * translator.options.batch_size):
            notes.look(translator, window)
            writer.write(window, translator.translate(window.texts, progress.add))
    _tell([*notes.warnings(), progress.summary()])


def _decode_stream(translator: Translator) -> None:
    from legonn.search.files import open_writer, stream_lines
    from legonn.search.notes import Notes

    notes = Notes()
    with open_writer("-", ids=False) as writer:
        for arrived in stream_lines(sys.stdin.buffer):
            notes.look(translator, arrived)
            for part in arrived.windows(translator.options.batch_size):
                writer.write(part, translator.translate(part.texts))
    _tell(notes.warnings())


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
