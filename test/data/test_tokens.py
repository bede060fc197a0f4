"""Token lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.data.tokens import TokenListOptions, load, missing_characters, tokens, train, write
from legonn.errors import ConfigError, DataError

SENTENCES = ["the cat sat", "the dog sat", "a cat and a dog", "the end", "cats and dogs"] * 4
SMALL = TokenListOptions(size=24, mode="bpe")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.tc.en"
    path.write_text("".join(f"u{i} {s}\n" for i, s in enumerate(SENTENCES)), encoding="utf-8")
    return path


def test_the_list_has_espnets_form(text: Path, tmp_path: Path) -> None:
    listed = write(train([text], options=SMALL), tmp_path / "list")
    assert listed[:2] == ["<blank>", "<unk>"] and listed[-1] == "<sos/eos>"
    assert len(listed) == 24
    assert not {"<s>", "</s>"} & set(listed)
    written = (tmp_path / "list/tokens.txt").read_text(encoding="utf-8")
    assert written == "".join(f"{token}\n" for token in listed)


def test_the_same_text_gives_the_same_bytes_in_another_folder(text: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "copy"
    other.parent.mkdir()
    other.write_bytes(text.read_bytes())
    for path, name in ((text, "one"), (other, "two")):
        write(train([path], options=SMALL), tmp_path / name)
    for name in ("bpe.model", "bpe.vocab", "tokens.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_vocabulary_file_is_sentencepieces(text: Path, tmp_path: Path) -> None:
    # Golden: the .vocab that sentencepiece itself writes for the same text and options.
    import sentencepiece

    write(train([text], options=SMALL), tmp_path / "list")
    plain = tmp_path / "plain.txt"
    plain.write_text("".join(f"{s}\n" for s in SENTENCES), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(plain), model_prefix=str(tmp_path / "spm"), vocab_size=24, model_type="bpe", num_threads=1,
        character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    assert (tmp_path / "list/bpe.vocab").read_bytes() == (tmp_path / "spm.vocab").read_bytes()


def test_ids_of_utterances_are_not_learned(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("QQQ ab\nQQQ\tbc\n", encoding="utf-8")
    listed = tokens(train([path], options=TokenListOptions(mode="char")))
    assert sorted(listed[2:-1]) == ["a", "b", "c", "\u2581"]
    listed = tokens(train([path], options=TokenListOptions(mode="char"), kaldi=False))
    assert "Q" in listed


@pytest.mark.parametrize("mode", ["unigram", "bpe", "char", "word"])
def test_a_size_that_is_too_large_names_the_largest_legal_one(text: Path, mode: str) -> None:
    with pytest.raises(ConfigError, match=r"the largest legal value is \d+") as error:
        train([text], options=TokenListOptions(size=5000, mode=mode))
    largest = int(str(error.value).split()[-1])
    assert train([text], options=TokenListOptions(size=largest, mode=mode)).get_piece_size() == (
        largest
    )
    with pytest.raises(ConfigError):
        train([text], options=TokenListOptions(size=largest + 1, mode=mode))


def test_a_size_that_is_too_small_names_the_smallest(text: Path) -> None:
    with pytest.raises(ConfigError, match="give at least 14"):  # 11 characters and 3 symbols
        train([text], options=TokenListOptions(size=8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "bpee", "size": 9}, "give one of unigram, bpe, char, word"),
        ({"mode": "bpe"}, "give at least 4"),
        ({"mode": "char", "character_coverage": 0.5}, "give 0.98 to 1"),
    ],
)
def test_illegal_options_say_what_is_legal(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TokenListOptions(**options)  # type: ignore[arg-type]


def test_text_that_is_not_utf8_is_told_with_all_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a \xff\nb good\nc \xe4\n")
    with pytest.raises(DataError) as error:
        train([path], options=TokenListOptions(size=10))
    assert error.value.items == [
        f"{path}:1: not UTF-8 at byte 3",
        f"{path}:3: not UTF-8 at byte 3",
    ]


def test_an_empty_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no text to learn tokens from"):
        train([path], options=TokenListOptions(size=10))


def test_missing_characters_are_counted_with_their_lines(text: Path, tmp_path: Path) -> None:
    processor = train([text], options=SMALL)
    other = tmp_path / "other"
    other.write_text("a the cat\nb zoo z\nc Ä cat\n", encoding="utf-8")
    counts, lines = missing_characters(processor, other)
    assert dict(counts) == {"z": 2, "Ä": 1}
    assert lines["z"] == [2] and lines["Ä"] == [3]


def test_a_text_of_known_characters_misses_none(text: Path) -> None:
    counts, lines = missing_characters(train([text], options=SMALL), text)
    assert not counts and not lines


def test_a_written_list_loads(text: Path, tmp_path: Path) -> None:
    listed = write(train([text], options=SMALL), tmp_path)
    assert tokens(load(tmp_path)) == listed


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "bpe.model").unlink(), "bpe.model is missing"),
        (lambda folder: (folder / "bpe.model").write_bytes(b"<html>"), "no sentencepiece model"),
        (lambda folder: (folder / "tokens.txt").write_bytes(b"<blank>\n"), "isn't the list of"),
    ],
)
def test_a_spoilt_list_is_refused(text: Path, tmp_path: Path, spoil: object, message: str) -> None:
    write(train([text], options=SMALL), tmp_path)
    assert callable(spoil)
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load(tmp_path)
