"""The corpus of numbers in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.data.folder import read_text
from legonn.data.numbers import Item, draw, main, plain_years, say
from legonn.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "number", "language", "words"),
    [
        ("cardinal", 712, "de", "siebenhundertzwölf"),
        ("cardinal", 712, "en", "seven hundred and twelve"),
        ("cardinal", 712, "ro", "șapte sute doisprezece"),
        ("cardinal", 712, "fr", "sept cent douze"),
        ("ordinal", 21, "de", "der einundzwanzigste"),
        ("ordinal", 21, "en", "the twenty-first"),
        ("ordinal", 21, "ro", "al douăzeci și unulea"),
        ("ordinal", 21, "fr", "le vingt et unième"),
        ("year", 1999, "de", "im Jahr neunzehnhundertneunundneunzig"),
        ("year", 1999, "en", "in the year nineteen ninety-nine"),
        ("year", 1999, "ro", "în anul o mie nouă sute nouăzeci și nouă"),
        ("year", 1999, "fr", "en l'an mille neuf cent quatre-vingt-dix-neuf"),
    ],
)
def test_numbers_are_said_as_a_person_would(
    kind: str, number: int, language: str, words: str
) -> None:
    assert say(Item(kind, number), language) == words


def test_languages_without_years_of_their_own_are_told() -> None:
    assert plain_years(["de", "en", "fr", "ro"]) == ["fr", "ro"]


def test_held_out_numbers_are_in_no_training_set_of_any_language() -> None:
    corpora = [draw(500, heldout_pairs=50, largest=9999, train_seed=seed) for seed in range(4)]
    assert len({(corpus.val, corpus.test) for corpus in corpora}) == 1
    val, test = ({item.number for item in items} for items in (corpora[0].val, corpora[0].test))
    assert not val & test
    heldout = val | test
    for corpus in corpora:
        assert not heldout & {item.number for item in corpus.train}
    assert len({corpus.train for corpus in corpora}) == 4


def test_small_numbers_are_not_held_out() -> None:
    corpus = draw(200, heldout_pairs=50, largest=999)
    assert min(item.number for item in corpus.val + corpus.test) >= 100


def test_items_are_different_and_as_many_as_asked() -> None:
    corpus = draw(1000, heldout_pairs=100, largest=9999)
    assert [len(corpus.train), len(corpus.val), len(corpus.test)] == [1000, 100, 100]
    assert len(set(corpus.train)) == 1000
    assert not set(corpus.val) & set(corpus.test)


def test_kinds_come_in_their_shares() -> None:
    kinds = [item.kind for item in draw(1000, heldout_pairs=10, largest=9999).train]
    counts = {kind: kinds.count(kind) for kind in ("cardinal", "ordinal", "year")}
    assert counts == {"cardinal": 550, "ordinal": 400, "year": 50}


def test_the_seed_decides() -> None:
    assert draw(50, largest=999, seed=1) == draw(50, largest=999, seed=1)
    assert draw(50, largest=999, seed=1).test != draw(50, largest=999, seed=2).test


def test_more_pairs_than_numbers_is_an_error_that_tells_how_many() -> None:
    with pytest.raises(ConfigError, match=r"5000 pairs can't be drawn from \d+ numbers"):
        draw(5000, heldout_pairs=10, largest=200)


def test_the_command_writes_parallel_folders(tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path), "--train_pairs", "30", "--heldout_pairs", "5"]
    for language in ("de", "ro"):
        assert main([*arguments, "--src_lang", language, "--largest", "999"]) == 0
    for name, count in (("train", 30), ("val", 5), ("test", 5)):
        source = read_text(tmp_path / f"{name}_de_en/text.tc.de")
        target = read_text(tmp_path / f"{name}_de_en/text.tc.en")
        assert list(source) == list(target) and len(source) == count
    # One test for both languages.
    assert read_text(tmp_path / "test_de_en/text.tc.en") == read_text(
        tmp_path / "test_ro_en/text.tc.en"
    )


def test_one_language_twice_is_a_corpus_of_its_own(tmp_path: Path) -> None:
    arguments = ["--output", str(tmp_path), "--heldout_pairs", "5", "--largest", "999"]
    assert main([*arguments, "--src_lang", "de", "--train_pairs", "30"]) == 0
    assert main([*arguments, "--src_lang", "en", "--train_pairs", "20"]) == 0
    assert len(read_text(tmp_path / "train_en_20/text.tc.en")) == 20
    held_out = read_text(tmp_path / "test_de_en/text.tc.en")
    assert read_text(tmp_path / "test_en/text.tc.en") == held_out
    assert not set(held_out.values()) & set(read_text(tmp_path / "train_en_20/text.tc.en").values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train_pairs", "0"], "give at least 1 each"),
        (["--largest", "20"], "give at least 100"),
    ],
)
def test_impossible_corpora_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main(arguments)
