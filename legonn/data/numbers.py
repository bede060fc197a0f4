"""Numbers in words, in one or two languages: a corpus made in seconds with `num2words`.

    siebenhundertzwölf                        seven hundred and twelve          a cardinal
    der siebenhundertzwölfte                  the seven hundred and twelfth     an ordinal
    im Jahr neunzehnhundertneunundneunzig     in the year nineteen ninety-nine  a year

The frame around ordinals and years says which is meant: Romanian and French read a year as they
read a cardinal (num2words knows no other way), and English doesn't. Validation and test numbers are
the same in all languages and in no training set of any: neither as a cardinal, nor as an ordinal,
nor as a year.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from legonn.data.folder import numbered_ids, write_text
from legonn.errors import ConfigError

__all__ = ["FRAMES", "Corpus", "Item", "draw", "get_parser", "main", "say"]

# What stands around the words of num2words, by language and kind.
FRAMES = {
    "de": {"cardinal": "{}", "ordinal": "der {}", "year": "im Jahr {}"},
    "en": {"cardinal": "{}", "ordinal": "the {}", "year": "in the year {}"},
    "fr": {"cardinal": "{}", "ordinal": "le {}", "year": "en l'an {}"},
    "ro": {"cardinal": "{}", "ordinal": "{}", "year": "în anul {}"},
}
# How much of a set each kind makes.
SHARES = {"cardinal": 0.55, "ordinal": 0.40, "year": 0.05}
YEARS = range(1100, 2100)
# Below, a number is a word of its own, which a model can't guess: always for training.
FIRST_HELD_OUT = 100


@dataclass(frozen=True)
class Item:
    """A number and how it is read: `kind` is a key of SHARES."""

    kind: str
    number: int


@dataclass(frozen=True)
class Corpus:
    """Items of the three sets; no number of one is in another."""

    train: tuple[Item, ...]
    val: tuple[Item, ...]
    test: tuple[Item, ...]


def say(item: Item, language: str) -> str:
    """Write a number in words.

    Raises
    ------
    ConfigError
        When num2words can't, in this language.
    """
    from num2words import num2words

    try:
        words = num2words(item.number, lang=language, to=item.kind)
    except (NotImplementedError, KeyError) as error:
        raise ConfigError(f"num2words has no {item.kind} for language {language!r}") from error
    return FRAMES[language][item.kind].format(words)


def plain_years(languages: Sequence[str]) -> list[str]:
    """Languages whose years num2words reads as cardinals."""
    frames = [(FRAMES[language], language) for language in languages]
    return [
        language
        for frame, language in frames
        if all(
            say(Item("year", year), language)
            == frame["year"].format(say(Item("cardinal", year), language))
            for year in (YEARS[0], 1999)
        )
    ]


def draw_numbers(kind: str, *, largest: int, random_state: random.Random) -> Iterator[int]:
    """Give the legal numbers of a kind, each once, in random order.

    One digit is as likely as five: drawn evenly, nine of ten numbers would have the most digits.
    """
    if kind == "year":
        yield from random_state.sample(YEARS, len(YEARS))
        return
    bounds = [0, *(10**digits for digits in range(1, len(str(largest)))), largest + 1]
    pools = [list(range(low, high)) for low, high in zip(bounds[:-1], bounds[1:], strict=True)]
    for pool in pools:
        random_state.shuffle(pool)
    while pools:
        pool = random_state.choice(pools)
        yield pool.pop()
        pools = [pool for pool in pools if pool]


def _stream(
    kind: str, *, largest: int, taboo: set[int], random_state: random.Random
) -> Iterator[Item]:
    for number in draw_numbers(kind, largest=largest, random_state=random_state):
        if number not in taboo:
            yield Item(kind, number)


def draw_items(
    count: int, *, largest: int, taboo: set[int], random_state: random.Random
) -> tuple[Item, ...]:
    """Draw different items, in the shares of SHARES while their numbers last.

    Raises
    ------
    ConfigError
        When there are not so many.
    """
    streams = {
        kind: _stream(kind, largest=largest, taboo=taboo, random_state=random_state)
        for kind in SHARES
    }
    chosen = [
        item
        for kind, share in SHARES.items()
        for item in islice(streams[kind], round(count * share))
    ]
    chosen += islice(chain.from_iterable(streams.values()), max(0, count - len(chosen)))
    if len(chosen) < count:
        raise ConfigError(
            f"{count} pairs can't be drawn from {len(chosen)} numbers: give fewer pairs, or a "
            f"--largest above {largest}"
        )
    random_state.shuffle(chosen)
    return tuple(chosen[:count])


def draw(
    train_pairs: int,
    *,
    heldout_pairs: int = 300,
    largest: int = 99999,
    seed: int = 1,
    train_seed: int = 1,
) -> Corpus:
    """Choose the numbers of a corpus.

    Parameters
    ----------
    train_pairs, heldout_pairs : int
        Pairs for training; for val and for test each.
    largest : int
        The largest cardinal and ordinal.
    seed : int
        Of the held-out numbers: one seed for all languages keeps them out of every training set.
    train_seed : int
        Of the training numbers.
    """
    taboo = set(range(FIRST_HELD_OUT))
    heldout = []
    for name in ("validation", "test"):
        state = random.Random(f"{name} {seed}")
        heldout.append(draw_items(heldout_pairs, largest=largest, taboo=taboo, random_state=state))
        taboo |= {item.number for item in heldout[-1]}
    taboo -= set(range(FIRST_HELD_OUT))
    state = random.Random(f"training {seed} {train_seed}")
    train = draw_items(train_pairs, largest=largest, taboo=taboo, random_state=state)
    return Corpus(train, *heldout)


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn.data.numbers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("data"))
    parser.add_argument("--src_lang", choices=tuple(FRAMES), default="de")
    parser.add_argument("--tgt_lang", choices=tuple(FRAMES), default="en", help="may be the same")
    parser.add_argument("--train_pairs", type=int, default=20000)
    parser.add_argument("--heldout_pairs", type=int, default=300, help="of val, and of test")
    parser.add_argument("--largest", type=int, default=99999, help="largest number")
    parser.add_argument("--seed", type=int, default=1, help="the same for all languages")
    return parser


def check(args: argparse.Namespace) -> None:
    """Refuse settings that no corpus can have."""
    if min(args.train_pairs, args.heldout_pairs) < 1:
        raise ConfigError("--train_pairs and --heldout_pairs: give at least 1 each")
    if args.largest < FIRST_HELD_OUT:
        raise ConfigError(f"--largest {args.largest}: give at least {FIRST_HELD_OUT}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    check(args)
    languages = tuple(dict.fromkeys((args.src_lang, args.tgt_lang)))
    for language in plain_years(languages):
        print(f"note: num2words has no way of its own to read years in {language}: as cardinals")
    corpus = draw(
        args.train_pairs,
        heldout_pairs=args.heldout_pairs,
        largest=args.largest,
        seed=args.seed,
        train_seed=tuple(FRAMES).index(args.src_lang),
    )
    for name in ("train", "val", "test"):
        items = getattr(corpus, name)
        ids = numbered_ids(name, len(items))
        folder = args.output / "_".join((name, *languages))
        if (
            name == "train" and len(languages) == 1
        ):  # what is spoken from it takes minutes: keep each size
            folder = folder.with_name(f"{folder.name}_{len(items)}")
        for language in languages:
            texts = {i: say(item, language) for i, item in zip(ids, items, strict=True)}
            write_text(folder / f"text.tc.{language}", texts)
        print(f"{folder}: {len(items)} {'pairs' if len(languages) > 1 else 'lines'}")
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
