"""`legonn decode`: text from text or from speech, with a trained system, or with one composed of two systems' parts."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legonn.bin.system_options import (
    add_system_options,
    check_system_options,
    load_chain,
    load_system,
)
from legonn.errors import ConfigError
from legonn.search.options import MODES, DecodingOptions

if TYPE_CHECKING:
    from legonn.audio.recordings import Utterance
    from legonn.search.files import Lines, Writer
    from legonn.search.journal import Journal
    from legonn.search.pool import Pool
    from legonn.search.translator import Transcriber, Translator
    from legonn.system import System

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
  legonn decode --system exp/lego --input in.fr --output out.en --nbest 5 --jsonl out.jsonl

--jsonl:
  A line an input, in the order of the input:
      {"id": ..., "hypotheses": [{"text", "tokens", "score", "scores", "alignment"}, ...]}
  id: the utterance's, or of plain lines the line's number, from 1. The best of --nbest hypotheses comes first. score is
  what they are compared by; scores are each scorer's own log-probability of the whole in nats, not weighted,
  {"decoder": ..., "ctc": ...}; of ctc_greedy, ctc_path is that of one path. alignment has for each token its first and
  its last position in the last interface, from 0: [[0, 1], [3, 3], ...], where CTC's best path of these tokens puts
  them. It is null where there is none: the interface has fewer positions than the tokens need, or the system is a plain
  encoder-decoder. Of audio, seconds has [start, end] of each token, as if positions shared the sound equally; of a
  recording that was cut, positions count on from piece to piece.

lines that can't be decoded:
  A line that is empty, isn't UTF-8, or has more than --max_tokens tokens is told, with file and line, and its output is
  empty; the others are decoded, and then the exit status is 1. Ids must be there, once each, and UTF-8.

--resume true:
  Files grow as <name>.tmp until all is decoded, and decode.journal in the output folder, or <file>.journal beside an
  output file, says what of them is whole. A run that was stopped goes on from there with the same command and --resume
  true, and the files become what they would have been. What came to its end with --resume true is not decoded again.

audio:
  Each recording or segment is brought to the system's sample rate, and one channel. What is longer than --max_seconds
  is cut at its quietest places; the texts of the pieces are joined by blanks, their scores are summed, and --nbest
  gives only the best. No context crosses a cut. --times has a line a piece,
      <utt-id> <start> <end> <text>
  in seconds, with two decimals, from the start of the recording, or of the segment where there are segments.
  What can't be decoded (absent, damaged, shorter than 0.1 s) gets an empty text and a warning, the others are decoded;
  then the exit status is 1.
"""

OPTION_HELP = {
    "mode": "beam search with the decoder (attention), or with it and the last interface's CTC (joint); the decoder's "
    "best token at each step (greedy); that interface alone, its best path (ctc_greedy) or its most probable outputs "
    "(ctc_beam); or these, scored again by the decoder (rescore)",
    "beam_size": "hypotheses kept at each step, or in ctc_beam and rescore at each position",
    "length_penalty": "finished hypotheses compare by score / tokens**X; 0 favours short ones",
    "ctc_weight": "of the CTC score in modes joint and rescore, 0 to below 1",
    "maxlenratio": "most tokens a position the decoder reads; negative: a count; 0: 2 K + 10",
    "minlenratio": "fewest tokens a position the decoder reads; negative: a count",
    "nbest": "hypotheses of each line, <n>best_recog",
    "pre_beam_ratio": "in mode joint, X * beam_size next tokens of the decoder's choice are looked at",
    "ctc_beam_ratio": "and X * beam_size of CTC's choice; in ctc_beam and rescore so many of each position",
    "patience": "done when X * beam_size hypotheses are; 0: when no better one can come",
    "batch_size": "inputs of similar length searched together",
    "batch_tokens": "most of them by memory: positions of the longest x beam_size x inputs; 0: no such limit. Where "
    "memory runs out all the same a batch is decoded in halves",
    "precision": "fp32, bf16, int8 (weights and inputs of linear layers, on a CPU), or auto: bf16 where the processor "
    "is fast at it",
}
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
    group.add_argument("--config", metavar="F", help="YAML file of the options below")
    for field in dataclasses.fields(DecodingOptions):
        group.add_argument(
            f"--{field.name}",
            type=type(field.default),
            choices=MODES if field.name == "mode" else None,
            help=f"{OPTION_HELP[field.name]} (default: {field.default})",
        )
    group.add_argument(
        "--max_seconds",
        type=float,
        default=30.0,
        metavar="X",
        help="longest audio decoded whole: the longest the model was trained on (default: %(default)s)",
    )
    group.add_argument(
        "--max_tokens",
        type=int,
        default=1000,
        metavar="N",
        help="longest line of text that is decoded, in tokens (default: %(default)s)",
    )
    group.add_argument(
        "--num_processes",
        type=int,
        default=1,
        metavar="N",
        help="decode so many batches at a time, each on --num_threads threads, with a copy of the system (default: "
        "%(default)s)",
    )
    group.add_argument("--num_threads", type=int, default=1, help="(default: %(default)s)")
    group.add_argument("--ngpu", type=int, default=0, choices=(0, 1), help="(default: %(default)s)")
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
        "--jsonl", metavar="F", help="write all hypotheses, their scores and alignments here, too"
    )
    group.add_argument(
        "--resume",
        type=_boolean,
        default=False,
        metavar="{true,false}",
        help="go on where a run of the same options was stopped (default: false)",
    )
    group.add_argument(
        "--allow_pipes", action="store_true", help="run the commands that wav.scp holds"
    )


def _boolean(word: str) -> bool:
    if word not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r}: give true or false")
    return word == "true"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = get_parser()
    args = parser.parse_args(argv)
    for name in ("num_threads", "num_processes", "max_tokens"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: give at least 1")
    if args.num_processes > 1 and args.ngpu:
        parser.error(f"--num_processes {args.num_processes}: a GPU is decoded on by one process")
    if args.resume and args.output == "-":
        parser.error("--resume true: name an --output; standard output can't be resumed")
    if args.jsonl == "-":
        parser.error("--jsonl -: name a file; standard output has the texts")
    check_system_options(args)
    options = DecodingOptions.load(args.config, _overrides(args))

    import torch

    from legonn.audio.cutting import SHORTEST
    from legonn.audio.inputs import check_kind
    from legonn.search.files import check_output
    from legonn.search.journal import open_journal
    from legonn.search.translator import Transcriber, Translator

    if not args.max_seconds >= 2 * SHORTEST:
        parser.error(f"--max_seconds {args.max_seconds:g}: give at least {2 * SHORTEST:g}")
    if args.ngpu and not torch.cuda.is_available():
        raise ConfigError("--ngpu 1: PyTorch finds no GPU here; leave it out to decode on the CPU")
    torch.set_num_threads(args.num_threads)
    # Faults of the input are told before the model is loaded.
    given = _read_input(args)
    system, notes = load_system(args)
    check_kind(system.source, system.name, args.input, sound=isinstance(given, dict))
    _tell(notes)
    if args.ngpu:
        system.chain.cuda()
    with contextlib.ExitStack() as stack:
        searched: dict[str, Any] = {"aligned": args.jsonl is not None, "tell": _tell_one}
        if args.num_processes > 1:
            searched["decode"] = stack.enter_context(_pool(args, options))
        if given is None:
            return _decode_stream(Translator(system, options, **searched), args)
        if isinstance(given, dict):
            folder = True
            decode = partial(_decode_sound, Transcriber(system, options, **searched), given)
        else:
            folder = given.ids is not None
            decode = partial(_decode_file, Translator(system, options, **searched), given)
        check_output(args.output, ids=folder)
        about = _about(system, options, given, args)
        journal = stack.enter_context(
            open_journal(args.output, about, folder=folder, resume=args.resume)
        )
        if journal.status is not None:
            _tell([f"--resume true: {args.output} is complete; nothing to do"])
            return journal.status
        if journal.done:
            _tell([f"--resume true: {journal.done} inputs are done"])
        status = decode(args, journal)
        journal.end(status)
    return status


def _pool(args: argparse.Namespace, options: DecodingOptions) -> Pool:
    from legonn.search.pool import Pool

    return Pool(
        partial(load_chain, args),
        options,
        aligned=args.jsonl is not None,
        processes=args.num_processes,
        threads=args.num_threads,
        tell=_tell_one,
    )


def _about(
    system: System,
    options: DecodingOptions,
    given: Lines | dict[str, Utterance],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """What a run has in common with one that it may resume."""
    from legonn.part import stored, weights_sha256
    from legonn.search.journal import fingerprint

    weights = {name: value.detach() for name, value in stored(system.chain).items()}
    items = [given.ids, given.texts] if not isinstance(given, dict) else map(repr, given.values())
    return {
        **dataclasses.asdict(options),
        **{name: getattr(args, name) for name in ("max_seconds", "max_tokens", "ngpu")},
        "system": fingerprint([system.config, weights_sha256(weights)]),
        "input": fingerprint(items),
    }


@contextlib.contextmanager
def _open_outputs(
    args: argparse.Namespace, journal: Journal, *, ids: bool, nbest: int
) -> Iterator[Writer]:
    """What `--output` and `--jsonl` name."""
    from legonn.search.files import Several, open_writer
    from legonn.search.jsonl import JsonLines

    with contextlib.ExitStack() as stack:
        texts = open_writer(args.output, ids=ids, nbest=nbest, open_file=journal.open)
        writers = [stack.enter_context(texts)]
        if args.jsonl:
            file = stack.enter_context(journal.open(Path(args.jsonl)))
            writers.append(JsonLines(file, first=journal.done + 1))
        yield Several(*writers)


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
    return read_input(path, form=args.input_format, key_file=args.key_file, tolerant=True)


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(DecodingOptions)]
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _tell_one(message: str) -> None:
    _tell([message])


def _tell(messages: Iterable[str]) -> None:
    for message in messages:
        print(f"legonn decode: {message}", file=sys.stderr)


def _decode_file(
    translator: Translator, lines: Lines, args: argparse.Namespace, journal: Journal
) -> int:
    from legonn.progress import Progress
    from legonn.search.notes import Notes
    from legonn.search.reading import decode_lines

    options = translator.options
    with (
        _open_outputs(args, journal, ids=lines.ids is not None, nbest=options.nbest) as writer,
        Progress(len(lines.texts) - journal.done) as progress,
    ):
        notes = Notes(longest=args.max_tokens, tell=progress.tell)
        decode_lines(
            translator,
            lines,
            size=BATCHES_PER_WINDOW * options.batch_size,
            writer=writer,
            notes=notes,
            journal=journal,
            progress=progress,
        )
    _tell([*notes.warnings(), progress.summary()])
    return 1 if notes.bad else 0


def _decode_stream(translator: Translator, args: argparse.Namespace) -> int:
    from legonn.search.files import stream_lines
    from legonn.search.journal import Journal
    from legonn.search.notes import Notes
    from legonn.search.reading import decode_stream

    nbest = translator.options.nbest
    notes = Notes(longest=args.max_tokens, tell=_tell_one)
    with _open_outputs(args, Journal(None, {}), ids=False, nbest=nbest) as writer:
        decode_stream(translator, stream_lines(sys.stdin.buffer), writer=writer, notes=notes)
    _tell(notes.warnings())
    return 1 if notes.bad else 0


def _decode_sound(
    transcriber: Transcriber,
    utterances: dict[str, Utterance],
    args: argparse.Namespace,
    journal: Journal,
) -> int:
    from legonn.progress import Progress
    from legonn.search.listening import decode_recordings

    options = transcriber.options
    with (
        _open_outputs(args, journal, ids=True, nbest=options.nbest) as writer,
        journal.open(Path(args.times)) if args.times else contextlib.nullcontext() as times,
        Progress(len(utterances) - journal.done, unit="recording") as progress,
    ):
        tally = decode_recordings(
            transcriber,
            list(utterances.values()),
            longest=args.max_seconds,
            size=BATCHES_PER_WINDOW * options.batch_size,
            writer=writer,
            times=times,
            journal=journal,
            progress=progress,
        )
    _tell([progress.summary(tally.seconds), *tally.messages(args.max_seconds)])
    return 1 if tally.bad else 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
