"""`legonn score`: BLEU, chrF, TER, exact match, WER or CER, with intervals, alone or compared."""

from __future__ import annotations

import argparse
import functools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legonn.scoring import Alignments, Baseline, Labels, Metric, Pairs, Score

__all__ = ["get_parser", "main"]

DESCRIPTION = """\
Score hypotheses against references. Files are Kaldi text files (`<utt-id> <text>`, paired by id)
or plain lines (paired by line). Every id of the reference needs a hypothesis.
"""

EPILOG = """\
examples:
  legonn score --hyp exp/lego/decode/test/text --ref data/test/text.tc.en
  legonn score --hyp lego.txt --ref ref.txt --compare plain=plain.txt --metric bleu,exact
  legonn score --hyp exp/asr/decode/test/text --ref data/test/text.tc.en --metric wer,cer \\
      --utt2spk data/test/utt2spk --alignments errors.txt --train_text data/train/text.tc.en
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn score",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--hyp", required=True, metavar="F", help="the hypotheses of the system that is scored")
    add("--ref", required=True, metavar="F", help="the references")
    add(
        "--compare",
        nargs="+",
        action="extend",
        default=[],
        metavar="[NAME=]F",
        help="hypotheses of baselines: gives --hyp's difference from each, and a paired bootstrap",
    )
    add(
        "--metric",
        default="bleu,chrf,ter",
        metavar="M,M",
        help="of bleu, chrf, ter, exact, wer, cer (default: %(default)s)",
    )
    add(
        "--format",
        default="auto",
        choices=("auto", "kaldi", "lines"),
        help="form of all files. kaldi: <utt-id> <text>; auto: kaldi for files named text, text.*, and where lines "
        "begin with ids that hold a digit (default: %(default)s)",
    )
    add("--output", metavar="F", help="write the scores here, as a JSON list")
    add("--results", metavar="F", help="add them to this results file, or replace them there")
    add(
        "--utt2spk",
        metavar="F",
        help="lines `<utt-id> <speaker>`: intervals and p-values come of a bootstrap over speakers",
    )
    add(
        "--utt2group",
        metavar="F",
        help="lines `<utt-id> <group>`, say child or adult: groups are scored apart, too, as the test sets NAME:GROUP",
    )
    add(
        "--synthetic",
        action="store_true",
        help="the test set is synthetic speech (its data folder has a synthesis.yaml): signatures, modules and their "
        "cards say so",
    )
    add_error_options(parser.add_argument_group("error rates"))
    add_labels(parser.add_argument_group("recorded in the JSON"))
    return parser


def add_error_options(group: argparse._ArgumentGroup) -> None:
    """Add what concerns WER and CER alone."""
    add = group.add_argument
    add(
        "--normaliser",
        default="basic",
        choices=("basic", "none"),
        help="what both texts go through before wer and cer, and no other metric: basic (NFKC, lower case, "
        "punctuation removed but for apostrophes inside words, hyphens to blanks, white space collapsed, format "
        "characters that nobody sees removed) or none (white space collapsed only) (default: %(default)s)",
    )
    add(
        "--train_text",
        metavar="F",
        help="show what share of the words is wrong, by how often this text, of training, has the word",
    )
    add("--alignments", metavar="F", help="write --hyp's word errors here: confusions, utterances")
    add(
        "--worst",
        type=int,
        default=20,
        metavar="N",
        help="with --alignments: how many utterances, most errors first (default: %(default)s)",
    )


def add_labels(group: argparse._ArgumentGroup) -> None:
    """Add what a score records beside its figures."""
    add = group.add_argument
    add("--experiment", metavar="E", help="of the board: E1, E2, ...")
    add("--recipe", metavar="NAME", help="multi30k, numbers, ...")
    add("--system_name", metavar="NAME", help="the system's name in tables")
    add("--test_set", metavar="NAME", help="the test set's name")
    add("--seed", type=int, metavar="N", help="the training seed")
    add("--parameters", type=int, metavar="N", help="size of the system in weights")
    add("--train_seconds", type=float, metavar="S", help="time that training took")
    add("--decode_seconds", type=float, metavar="S", help="time that decoding took")
    add("--command", metavar="TEXT", help="what makes the figure again (default: this command)")


def main(argv: Sequence[str] | None = None) -> int:
    """Score, print a table, write JSON."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = get_parser().parse_args(arguments)

    from legonn.data.atomic import write_atomic
    from legonn.errors import DataError
    from legonn.scoring import add_results, get_metrics, read_groups, read_pairs, read_speakers
    from legonn.scoring.results import to_json
    from legonn.scoring.table import render_table

    names = [name.strip() for name in args.metric.split(",") if name.strip()]
    metrics = get_metrics(names, normaliser=args.normaliser)
    named = [split_name(text) for text in args.compare]
    pairs = read_pairs(
        ref=args.ref, hyps=[args.hyp, *(path for _, path in named)], format=args.format
    )
    speakers = read_speakers(args.utt2spk, pairs) if args.utt2spk else None
    labels = make_labels(args, command=shlex.join(["legonn", "score", *arguments]))
    baselines = [name for name, _ in named]
    score_part = functools.partial(measure_part, synthetic=args.synthetic)
    scores = score_part(pairs, range(len(pairs.refs)), metrics, baselines, labels, speakers)
    groups = read_groups(args.utt2group, pairs) if args.utt2group else ()
    kinds = sorted(set(groups))
    for group in kinds if len(kinds) > 1 else ():
        apart = replace(labels, test_set=f"{labels.test_set or 'all'}:{group}")
        mine = [place for place, name in enumerate(groups) if name == group]
        several = speakers is not None and len({speakers[place] for place in mine}) > 1
        if speakers and not several:
            print(f"{group}: one speaker, so its interval is over utterances", file=sys.stderr)
        try:
            scores += score_part(
                pairs, mine, metrics, baselines, apart, speakers if several else None
            )
        except DataError as error:
            raise DataError(f"group {group}: {error}") from error
    errors = find_errors(pairs, args.normaliser) if args.alignments or "wer" in names else None
    listing = errors.to_text(worst=args.worst) if errors and args.alignments else ""
    rare = (
        show_rare(pairs, [args.system_name or args.hyp, *baselines], args)
        if args.train_text
        else ""
    )
    if args.results:
        add_results(args.results, scores)
    if args.output:
        write_atomic(args.output, to_json(scores))
    if args.alignments:
        write_atomic(args.alignments, listing)
    by = "utterance id" if pairs.format == "kaldi" else "line"
    over = f", bootstrap over {len(set(speakers))} speakers" if speakers else ""
    what = "sentences of synthetic speech" if args.synthetic else "sentences"
    print(f"{len(pairs.refs)} {what}, paired by {by}{over}")
    print(render_table(scores))
    if errors and "wer" in names:
        print(errors.summary())
    if rare:
        print(rare)
    return 0


def measure_part(
    pairs: Pairs,
    places: Sequence[int],
    metrics: Sequence[Metric],
    baselines: Sequence[str],
    labels: Labels,
    speakers: Sequence[str] | None,
    *,
    synthetic: bool = False,
) -> list[Score]:
    """The scores of the first system on the sentences at `places`; the others are the baselines."""
    from legonn.scoring import measure

    def take(texts: Sequence[str]) -> list[str]:
        return [texts[place] for place in places]

    return measure(
        refs=take(pairs.refs),
        hyps=take(pairs.systems[0]),
        metrics=metrics,
        baselines=make_baselines(baselines, [take(system) for system in pairs.systems[1:]]),
        labels=labels,
        speakers=take(speakers) if speakers else None,
        synthetic=synthetic,
    )


def find_errors(pairs: Pairs, normaliser: str) -> Alignments:
    """The word errors of the first system; lines without ids are numbered."""
    from legonn.data.folder import numbered_ids
    from legonn.scoring import align_words

    names = pairs.ids or numbered_ids("line", len(pairs.refs))
    return align_words(hyps=pairs.systems[0], refs=pairs.refs, names=names, normaliser=normaliser)


def show_rare(pairs: Pairs, names: Sequence[str], args: argparse.Namespace) -> str:
    """A table: how much of the rare and of the frequent words each system got wrong."""
    from legonn.scoring import by_frequency, count_words, read_pairs
    from legonn.scoring.table import align

    texts = read_pairs(ref=args.train_text, hyps=[], format=args.format).refs
    counts = count_words(texts, normaliser=args.normaliser)
    bands = by_frequency(
        refs=pairs.refs, systems=pairs.systems, counts=counts, normaliser=args.normaliser
    )
    header = ["times in training", "words", *(f"{name}, % wrong" for name in names)]
    return align([header, *([band.label, str(band.words), *band.shares()] for band in bands)])


def split_name(text: str) -> tuple[str, str]:
    """Split `NAME=FILE`; a file's name stands for itself, even one with `=` in it."""
    name, equals, path = text.partition("=")
    if not equals or not name or Path(text).exists():
        return text, text
    return name, path


def make_baselines(names: Sequence[str], systems: Sequence[Sequence[str]]) -> list[Baseline]:
    """Put names and hypotheses together.

    Raises
    ------
    ConfigError
        When two baselines have one name, so that no table could tell them apart.
    """
    from legonn.errors import ConfigError
    from legonn.scoring import Baseline

    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"--compare names {', '.join(twice)} twice: give each its own NAME=F")
    return [Baseline(name, hyps) for name, hyps in zip(names, systems, strict=True)]


def make_labels(args: argparse.Namespace, *, command: str) -> Labels:
    """What to record, from the command line and from this machine."""
    from legonn.environment import revision, versions
    from legonn.scoring import Labels

    return Labels(
        experiment=args.experiment,
        recipe=args.recipe,
        system=args.system_name,
        test_set=args.test_set,
        seed=args.seed,
        parameters=args.parameters,
        train_seconds=args.train_seconds,
        decode_seconds=args.decode_seconds,
        command=args.command or command,
        revision=revision(),
        versions=versions(),
    )


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
