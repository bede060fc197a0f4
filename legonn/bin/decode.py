"""`legonn decode`: text from text or from speech, with a trained system, or with one composed of two systems' parts."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legonn.bin.decoding_options import (
    add_decoding_options,
    add_device_options,
    decoding_options,
    prepare_device,
)
from legonn.bin.system_options import add_system_options, check_system_options, load_system
from legonn.errors import ConfigError

if TYPE_CHECKING:
    from legonn.audio.recordings import Utterance
    from legonn.search.files import Lines
    from legonn.search.translator import Transcriber, Translator

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  echo "Ein Mann liest." | legonn decode --system exp/lego
  legonn decode --encoder exp/fr --decoder exp/de:valid.acc.best.pth --input in.fr --output out.en
  legonn decode --system exp/lego --config conf/decode.yaml --input data/t/text.tc.de --output out
      makes out/1best_recog/{text,token,score}, as ESPnet does
  legonn decode --encoder exp/asr --decoder exp/de --input a.wav b.flac
      prints <utt-id> <text>
  legonn decode --system exp/asr --input data/t/wav.scp --output out --times out/times

audio:
  Each recording or segment is brought to the system's sample rate, and one channel. What is longer than --max_seconds
  is cut at its quietest places; the texts of the pieces are joined by blanks, their scores are summed, and --nbest
  gives only the best. No context crosses a cut. --times has a line a piece,
      <utt-id> <start> <end> <text>
  in seconds, with two decimals, from the start of the recording, or of the segment where there are segments.
  What can't be decoded (absent, damaged, shorter than 0.1 s) gets an empty text and a warning, the others are decoded;
  then the exit status is 1.
"""

# Inputs read ahead are sorted by length within such a window, then written in their own order.
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
    add_decoding_options(group)
    group.add_argument(
        "--max_seconds",
        type=float,
        default=30.0,
        metavar="X",
        help="longest audio decoded whole: the longest the model was trained on (default: %(default)s)",
    )
    add_device_options(group)
    return parser


def _add_files(group: Any) -> None:
    group.add_argument(
        "--input",
        nargs="+",
        default=["-"],
        metavar="F",
        help="text; - is standard input. Or audio: files, folders of them, wav.scp or the folder that holds it",
    )
    group.add_argument(
        "--output",
        default="-",
        metavar="F",
        help="a folder for audio and Kaldi text, a file for plain lines; - is standard output",
    )
    group.add_argument(
        "--input_format",
        default="auto",
        choices=("auto", "kaldi", "lines"),
        help="of text. kaldi: <utt-id> <text>; auto: kaldi for files named text, text.*, and with keys",
    )
    group.add_argument("--key_file", metavar="F", help="decode only the ids that begin its lines")
    group.add_argument("--times", metavar="F", help="of audio: where to write when what was said")
    group.add_argument(
        "--allow_pipes", action="store_true", help="run the commands that wav.scp holds"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.num_threads < 1:
        parser.error(f"--num_threads {args.num_threads}: give at least 1")
    check_system_options(args)
    options = decoding_options(args)

    from legonn.audio.cutting import SHORTEST
    from legonn.audio.inputs import check_kind
    from legonn.search.translator import Transcriber, Translator

    if not args.max_seconds >= 2 * SHORTEST:
        parser.error(f"--max_seconds {args.max_seconds:g}: give at least {2 * SHORTEST:g}")
    prepare_device(args)
    # Faults of the input are told before the model is loaded.
    given = _read_input(args)
    system, notes = load_system(args)
    check_kind(system.source, system.name, args.input, sound=isinstance(given, dict))
    _tell(notes)
    if args.ngpu:
        system.chain.cuda()
    if isinstance(given, dict):
        return _decode_sound(Transcriber(system, options), given, args)
    if given is None:
        _decode_stream(Translator(system, options))
    else:
        _decode_file(Translator(system, options), given, args.output)
    return 0


def _read_input(args: argparse.Namespace) -> Lines | dict[str, Utterance] | None:
    """Lines of text; recordings by id; None: standard input, as it comes."""
    from legonn.audio.inputs import find_recordings, is_sound
    from legonn.search.files import read_input

    if is_sound(args.input, args.input_format):
        return find_recordings(args.input, allow_pipes=args.allow_pipes, key_file=args.key_file)
    (path,) = args.input
    if args.times is not None:
        raise ConfigError(f"--times is for audio, and --input {path} is read as text: leave it out")
    if (path, args.output) == ("-", "-") and args.input_format != "kaldi":
        return None
    return read_input(path, form=args.input_format, key_file=args.key_file)


def _tell(messages: Iterable[str]) -> None:
    for message in messages:
        print(f"legonn decode: {message}", file=sys.stderr)


def _decode_file(translator: Translator, lines: Lines, output: str) -> None:
    from legonn.progress import Progress
    from legonn.search.files import open_writer
    from legonn.search.notes import Notes

    notes, options = Notes(), translator.options
    with (
        open_writer(output, ids=lines.ids is not None, nbest=options.nbest) as writer,
        Progress(len(lines.texts)) as progress,
    ):
        for window in lines.windows(BATCHES_PER_WINDOW * options.batch_size):
            notes.look(translator, window)
            writer.write(window.ids, translator.translate(window.texts, progress.add))
    _tell([*notes.warnings(), progress.summary()])


def _decode_stream(translator: Translator) -> None:
    from legonn.search.files import open_writer, stream_lines
    from legonn.search.notes import Notes

    notes = Notes()
    with open_writer("-", ids=False) as writer:
        for arrived in stream_lines(sys.stdin.buffer):
            notes.look(translator, arrived)
            for part in arrived.windows(translator.options.batch_size):
                writer.write(part.ids, translator.translate(part.texts))
    _tell(notes.warnings())


def _decode_sound(
    transcriber: Transcriber, utterances: dict[str, Utterance], args: argparse.Namespace
) -> int:
    from legonn.progress import Progress
    from legonn.search.files import open_whole, open_writer
    from legonn.search.listening import decode_recordings

    with (
        open_writer(args.output, ids=True, nbest=transcriber.options.nbest) as writer,
        open_whole(Path(args.times)) if args.times else contextlib.nullcontext() as times,
        Progress(len(utterances), unit="recording") as progress,
    ):
        tally = decode_recordings(
            transcriber,
            utterances.values(),
            longest=args.max_seconds,
            size=BATCHES_PER_WINDOW * transcriber.options.batch_size,
            writer=writer,
            times=times,
            progress=progress,
        )
    _tell([progress.summary(tally.seconds), *tally.messages(args.max_seconds)])
    return 1 if tally.bad else 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
