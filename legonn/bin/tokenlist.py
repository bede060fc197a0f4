"""`legonn tokenlist`: learn subword tokens from text, or check a text against a token list."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from legonn.errors import ConfigError

__all__ = ["get_parser", "main"]

EPILOG = """\
It writes bpe.model, bpe.vocab and tokens.txt (<blank>, <unk>, tokens, <sos/eos>) to --output. The
same text and options give the same bytes. Examples:
  legonn tokenlist --text data/train/text.tc.en --output data/en_token_list/bpe_unigram2000 \\
      --nbpe 2000 --check_text data/val/text.tc.en
  legonn tokenlist --output data/en_token_list/bpe_unigram2000 --check_text other.txt
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn tokenlist",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--text", nargs="+", default=[], help="files to learn from; none: check only"
    )
    parser.add_argument("--output", required=True, type=Path, help="folder of the token list")
    parser.add_argument(
        "--input_format", choices=("kaldi", "lines"), default="kaldi", help="kaldi: <id> <text>"
    )
    parser.add_argument(
        "--nbpe", type=int, default=0, help="lines of tokens.txt; 0: all (char, word)"
    )
    parser.add_argument("--bpemode", default="unigram", help="unigram (default), bpe, char or word")
    parser.add_argument("--character_coverage", type=float, default=1.0, help="0.98 to 1 (default)")
    parser.add_argument(
        "--input_sentence_size", type=int, default=0, help="lines drawn from a large text; 0: all"
    )
    parser.add_argument("--seed", type=int, default=1, help="of that draw (default 1)")
    parser.add_argument(
        "--prefix",
        default="",
        help="of the files in --output, to check: src_ in the module of an encoder, for what it reads",
    )
    parser.add_argument(
        "--check_text", nargs="+", default=[], help="warn of characters that the list lacks"
    )
    return parser


def warn_of_missing(processor: object, path: str, *, kaldi: bool, shown: int = 10) -> None:
    """Print a counted warning with the lines of each missing character."""
    from legonn.data.tokens import missing_characters

    counts, lines = missing_characters(processor, path, kaldi=kaldi)
    if not counts:
        return
    print(
        f"legonn tokenlist: warning: {path}: {len(counts)} characters, {counts.total()} "
        "occurrences, are not in the token list and become <unk>:",
        file=sys.stderr,
    )
    for character, count in counts.most_common():
        numbers = ", ".join(map(str, lines[character][:shown]))
        more = ", ..." if len(lines[character]) > shown else ""
        print(
            f"  {character!r} U+{ord(character):04X}: {count} times, lines {numbers}{more}",
            file=sys.stderr,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    from legonn.data import tokens

    if not args.text and not args.check_text:
        raise ConfigError("nothing to do: give --text to learn from, or --check_text to check")
    if args.text and args.prefix:
        raise ConfigError("--prefix is of a list that is there, to be checked: drop it, or --text")
    for path in [*args.text, *args.check_text]:
        if not Path(path).is_file():
            raise ConfigError(f"{path}: no such file")
    kaldi = args.input_format == "kaldi"
    if args.text:
        options = tokens.TokenListOptions(
            size=args.nbpe,
            mode=args.bpemode,
            character_coverage=args.character_coverage,
            input_sentence_size=args.input_sentence_size,
            seed=args.seed,
        )
        processor = tokens.train(args.text, options=options, kaldi=kaldi)
        listed = tokens.write(processor, args.output)
        print(f"{args.output}: {len(listed)} tokens ({args.bpemode}) from {', '.join(args.text)}")
    else:
        processor = tokens.load(args.output, args.prefix)
    for path in args.check_text:
        warn_of_missing(processor, path, kaldi=kaldi)
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
