"""The command line of `legonn decode`, and what its help says."""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import Any

from legonn.bin.decoding_options import add_decoding_options, add_device_options
from legonn.bin.input_options import add_input_options, add_max_seconds
from legonn.bin.system_options import add_system_options
from legonn.data.atomic import is_stream

__all__ = ["check", "make_parser"]

MANY = 2000  # inputs, that pay for the start of more processes

EPILOG = """\
examples:
  echo "Ein Mann liest." | legonn decode --system exp/lego
  legonn decode --encoder exp/fr --decoder exp/de:valid.acc.best.pth --input in.fr --output out.en
  legonn decode --system exp/lego --config conf/decode.yaml --input data/t/text.tc.de --output out
      makes out/1best_recog/{text,token,score}, as ESPnet does
  legonn decode --encoder exp/asr --decoder exp/de --input a.wav b.flac
      prints <utt-id> <text>
  legonn decode --system exp/asr --input data/t/wav.scp --output out --times out/times
  legonn decode --system exp/asr --input talk.mp3 --times talk.srt > talk.txt
  legonn decode --system exp/lego --input in.fr --output out.en --nbest 5 --jsonl out.jsonl
  legonn decode --encoder exp/asr --decoder exp/de --ensemble exp/asr --mode joint --input a.wav
      the borrowed decoder and the encoder's own, together
  legonn decode --system exp/asr --lm exp/lm --lm_weight 0.3 --input a.wav

--jsonl:
  A line an input, in the order of the input:
      {"id": ..., "hypotheses": [{"text", "tokens", "score", "scores", "alignment"}, ...]}
  id: the utterance's, or of plain lines the line's number, from 1. The best of --nbest hypotheses comes first. score is
  what they are compared by; scores are each scorer's own log-probability of the whole in nats, not weighted,
  {"decoder": ..., "ctc": ...}, of an ensemble with decoder_2 and on, of a language model with lm; of ctc_greedy,
  ctc_path is that of one path.
  alignment has for each token its first and its last position in the last interface, from 0: [[0, 1], [3, 3], ...],
  where CTC's best path of these tokens puts them. It is null where there is none: the interface has fewer positions
  than the tokens need, or the system is a plain encoder-decoder. Of audio, seconds has [start, end] of each token, as
  if positions shared the sound equally, right to a twentieth of a second; of a recording that was cut,
  positions count on from piece to piece. Of what can't be decoded the line has "error": "<why>" before its hypotheses,
  and score is null.

lines that can't be decoded:
  A line that isn't UTF-8, or has more than --max_tokens tokens, is told, with file and line, and its output is empty;
  the others are decoded, and then the exit status is 1. Of an empty line the output is empty, and that is no fault.
  Ids must be there, once each, and UTF-8.

--resume true:
  Files grow as <name>.tmp until all is decoded, and decode.journal in the output folder, or <file>.journal beside an
  output file, says what of them is whole. A run that was stopped goes on from there with the same command and --resume
  true, and the files become what they would have been. What came to its end with --resume true is not decoded again.

audio:
  Each recording or segment is brought to the system's sample rate, and one channel. What is longer than --max_seconds,
  or by default a quarter longer than the longest recording that the encoder was trained on (of a module `legonn
  inspect` shows it), is cut at its quietest places; the texts of the pieces are joined by blanks, their scores are
  summed, and --nbest gives only the best. No context crosses a cut. --times has a line a piece,
      <utt-id> <start> <end> <text>
  in seconds, with two decimals, from the start of the recording, or of the segment where there are segments. A FILE.srt
  or FILE.vtt gets subtitles instead, a cue a piece, of one recording: cues of several have no common clock.
  Silence isn't decoded: a silent recording has an empty text, and that is no fault; a silent piece has no line.
  What can't be decoded (absent, damaged, shorter than 0.1 s) gets an empty text and a warning, the others are decoded;
  then the exit status is 1.
"""


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn decode",
        description=description,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_system_options(parser)
    _add_files(parser.add_argument_group("files"))
    group = parser.add_argument_group("decoding")
    add_decoding_options(group)
    add_max_seconds(group)
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
        metavar="N",
        help="decode so many batches at a time, each on --num_threads threads, with a copy of the system (default: 1; "
        f"of a file of {MANY:,} inputs or more as many as keep all cores busy)",
    )
    add_device_options(group)
    return parser


def _add_files(group: Any) -> None:
    add_input_options(group)
    group.add_argument(
        "--output",
        default="-",
        metavar="F",
        help="a folder for audio and Kaldi text, a file for plain lines; - is standard output",
    )
    group.add_argument(
        "--times",
        metavar="F",
        help="of audio: where to write when what was said; F.srt and F.vtt become subtitles",
    )
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


def _boolean(word: str) -> bool:
    if word not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r}: give true or false")
    return word == "true"


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a message where options can't be, or not together."""
    for name in ("num_threads", "num_processes", "max_tokens"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: give at least 1")
    if args.num_processes is not None and args.num_processes > 1 and args.ngpu:
        parser.error(f"--num_processes {args.num_processes}: a GPU is decoded on by one process")
    if args.resume and args.output == "-":
        parser.error("--resume true: name an --output; standard output can't be resumed")
    if args.jsonl == "-":
        parser.error("--jsonl -: name a file; standard output has the texts")
    if args.times == "-":
        parser.error("--times -: name a file; standard output has the texts")
    for one, other in itertools.combinations(("output", "jsonl", "times"), 2):
        names = getattr(args, one), getattr(args, other)
        if None not in names and _is_one_file(*names):
            parser.error(
                f"--{one} {names[0]} and --{other} {names[1]} are one place: give each its own"
            )


def _is_one_file(*names: str) -> bool:
    """Whether names, however they are spelled, lead to one place, where the one's content would replace the other's."""
    first = Path(names[0])
    if "-" in names or is_stream(first) and not first.is_dir():
        return False
    return len(set(map(os.path.realpath, names))) == 1
