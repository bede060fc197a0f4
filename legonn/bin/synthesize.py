"""`legonn synthesize`: a text becomes a speech corpus, with many voices of espeak-ng."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["get_parser", "main"]

EPILOG = """\
  legonn synthesize --text data/train/text.tc.en --output data/train_spoken --nj 2
  legonn synthesize --text data/test/text.tc.en --output data/test_spoken --seed 3 --snr 5 20 --reverb 0.1 0.5

Another seed gives other speakers: use one for training and another for tests. Of a hundred, a quarter have an
accent and variant of the first hundred's, at another rate and pitch. The same options give the same samples. A
killed run goes on with the same command. What is spoken so is not what people say: state it wherever a figure
stands. Recipes do; by hand, legonn score --synthetic.
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn synthesize",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--text",
        required=True,
        type=Path,
        metavar="F",
        help="lines '<utt-id> <text>', in --language",
    )
    add(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="Kaldi folder to make: wav.scp, utt2spk, the recordings in wav/, and the text, as text.tc.<language> "
        "unless its name begins with text.",
    )
    add(
        "--language",
        help="de, en, fr or ro (default: that of a file text.<case>.<language>, else en)",
    )
    add("--voices", type=int, default=100, help="speakers (default: %(default)s)")
    add("--seed", type=int, default=1, help="of speakers, rates, rooms (default: %(default)s)")
    add("--snr", type=float, nargs=2, metavar=("LOW", "HIGH"), help="add noise at LOW to HIGH dB")
    add(
        "--reverb",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="rooms that reverberate for LOW to HIGH seconds (RT60)",
    )
    add("--sample_rate", type=int, default=16000, help="hertz (default: %(default)s)")
    add("--format", default="flac", help="flac, wav or opus (default: %(default)s)")
    add("--nj", type=int, default=1, help="processes (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)

    from legonn.audio.corpus import Manner, synthesize_corpus
    from legonn.data.folder import look_like_ids, read_text
    from legonn.progress import Progress

    manner = Manner(
        language=args.language or _language(args.text),
        voices=args.voices,
        seed=args.seed,
        sample_rate=args.sample_rate,
        format=args.format,
        snr=tuple(args.snr) if args.snr else None,
        reverb=tuple(args.reverb) if args.reverb else None,
    )
    texts = read_text(args.text)
    if not look_like_ids(list(texts)):
        print(
            f"legonn synthesize: warning: {args.text}: the first word of each line is its id, and isn't spoken; few of "
            "these look like ids",
            file=sys.stderr,
        )
    total = len(texts)
    with Progress(total, command="legonn synthesize", unit="recording") as progress:
        made = synthesize_corpus(
            args.text, args.output, manner, jobs=args.nj, progress=progress.add
        )
    hours = sum(recording.seconds for recording in made) / 3600
    print(
        f"{args.output}: {hours:.2f} h of synthetic speech; {progress.summary()}", file=sys.stderr
    )
    return 0


def _language(text: Path) -> str:
    """By its name."""
    from legonn.audio.voices import ACCENTS
    from legonn.data.folder import is_named_text

    ending = text.suffix.removeprefix(".")
    return ending if is_named_text(text) and ending in ACCENTS else "en"


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
