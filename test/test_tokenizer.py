"""Text to ids and back; token lists with faults."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from legonn.errors import ConfigError
from legonn.tokenizer import TextCodec, file_sha256, read_token_list

LETTERS = ("<blank>", "<unk>", "<space>", "a", "b", "<sos/eos>")
WORDS = ("<blank>", "<unk>", "one", "two", "<sos/eos>")


def write(path: Path, *tokens: str) -> Path:
    path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return path


def test_a_token_list_is_read_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "tokens.txt", "<blank>", "<unk>", "▁ä", "\u2028", "<sos/eos>")
    assert read_token_list(path) == ("<blank>", "<unk>", "▁ä", "\u2028", "<sos/eos>")


@pytest.mark.parametrize(
    "tokens",
    [
        ("<unk>", "<blank>", "a", "<sos/eos>"),
        ("<blank>", "<unk>", "a"),
        ("<blank>", "<unk>", "<sos/eos>"),
        ("",),
    ],
)
def test_a_list_of_another_form_is_refused(tmp_path: Path, tokens: tuple[str, ...]) -> None:
    with pytest.raises(
        ConfigError, match="tokens.txt is no token list: it must start with <blank>, <unk>"
    ):
        read_token_list(write(tmp_path / "tokens.txt", *tokens))


def test_repeated_tokens_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "tokens.txt", "<blank>", "<unk>", "b", "a", "b", "a", "<sos/eos>")
    with pytest.raises(ConfigError, match="tokens.txt repeats tokens: 'a', 'b'"):
        read_token_list(path)


def test_an_absent_list_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no token list at .*tokens.txt: run stage 5 first"):
        read_token_list(tmp_path / "tokens.txt")


def test_a_list_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokens.txt").write_bytes(b"<blank>\n<unk>\n\xff\n<sos/eos>\n")
    with pytest.raises(ConfigError, match="tokens.txt"):
        read_token_list(tmp_path / "tokens.txt")


def test_characters() -> None:
    codec = TextCodec(token_type="char", tokens=LETTERS)
    assert codec.split("ab a") == ["a", "b", "<space>", "a"]
    ids = codec.encode("ab xa")
    assert ids.tolist() == [3, 4, 2, 1, 3] and ids.dtype == np.int64
    assert codec.decode([0, 3, 4, 2, 3, 5]) == "ab a"
    assert codec.encode("").shape == (0,)


@pytest.mark.parametrize("token_type", ["word", "phn"])
def test_words(token_type: str) -> None:
    codec = TextCodec(token_type=token_type, tokens=WORDS)
    assert codec.encode(" two  one six ").tolist() == [3, 2, 1]
    assert codec.decode([3, 2, 1, 4]) == "two one <unk>"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("bpe") / "bpe.model"
    with model.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["one two", "two three", "three one two"] * 3),
            model_writer=stream,
            vocab_size=20,
            hard_vocab_limit=False,
            num_threads=1,
            minloglevel=2,
        )
    return model


def bpe(model: Path) -> TextCodec:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    known = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    special = ("<unk>", "<s>", "</s>")
    tokens = ["<blank>", "<unk>", *(token for token in known if token not in special), "<sos/eos>"]
    return TextCodec(token_type="bpe", tokens=tokens, model=model)


def test_pieces_are_sentencepieces_own(pieces: Path) -> None:
    codec = bpe(pieces)
    golden = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    assert codec.split("two one") == golden.encode("two one", out_type=str)
    assert codec.decode(codec.encode("three two")) == "three two"
    assert 1 in codec.encode("two Ω")


def test_a_codec_travels_to_data_loading_processes(pieces: Path) -> None:
    codec = bpe(pieces)
    wanted = codec.encode("one three").tolist()
    assert pickle.loads(pickle.dumps(codec)).encode("one three").tolist() == wanted


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bpe.model"
    path.write_bytes(content)
    codec = TextCodec(token_type="bpe", tokens=LETTERS, model=path)
    with pytest.raises(ConfigError, match="bpe.model is no sentencepiece model"):
        codec.encode("a")


def test_an_absent_model_is_named(tmp_path: Path) -> None:
    codec = TextCodec(token_type="bpe", tokens=LETTERS, model=tmp_path / "bpe.model")
    with pytest.raises(ConfigError, match="bpe.model is no sentencepiece model"):
        codec.encode("a")


def test_bpe_and_only_bpe_has_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token type bpe with sentencepiece model None"):
        TextCodec(token_type="bpe", tokens=LETTERS)
    with pytest.raises(ConfigError, match="token type char with .*bpe and only bpe needs one"):
        TextCodec(token_type="char", tokens=LETTERS, model=tmp_path / "m")


def test_an_unknown_token_type_lists_the_legal_ones() -> None:
    with pytest.raises(ConfigError, match="token type is 'byte'; legal are bpe, char, word, phn"):
        TextCodec(token_type="byte", tokens=LETTERS)


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    """Golden: FIPS 180's example, SHA-256 of "abc"."""
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x").startswith("ba7816bf8f01cfea414140de5dae2223")
    assert file_sha256(None) == ""


def learn(folder: Path, text: str, size: int, kind: str) -> TextCodec:
    (folder / "text").write_text(text)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"),
        model_prefix=str(folder / "bpe"),
        vocab_size=size,
        model_type=kind,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "bpe.model"))
    pieces = [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    tokens = ["<blank>", "<unk>", *pieces, "<sos/eos>"]
    return TextCodec(token_type="bpe", tokens=tokens, model=folder / "bpe.model")


@pytest.fixture(scope="module")
def unigrams(tmp_path_factory: pytest.TempPathFactory) -> TextCodec:
    words = ["walk", "walks", "walked", "walking", "talk", "talks", "talked", "talking", "king"]
    text = "\n".join(" ".join(words[i:] + words[:i]) for i in range(9))
    return learn(tmp_path_factory.mktemp("unigrams"), text, 24, "unigram")


def test_segmentations_are_drawn_by_their_probability(unigrams: TextCodec) -> None:
    """Golden: every segmentation of the word, from the pieces' own scores."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(unigrams.model))
    known = {model.id_to_piece(i): model.get_score(i) for i in range(3, model.get_piece_size())}

    def segmentations(rest: str) -> list[list[str]]:
        if not rest:
            return [[]]
        return [
            [rest[:n], *more]
            for n in range(1, len(rest) + 1)
            if rest[:n] in known
            for more in segmentations(rest[n:])
        ]

    alpha = 0.3
    found = {
        tuple(one): alpha * sum(known[piece] for piece in one) for one in segmentations("▁talks")
    }
    assert 1 < len(found) <= 64
    total = sum(np.exp(score) for score in found.values())
    numbers = (np.arange(20000) + 0.5) / 20000  # every twenty-thousandth part of what can be drawn
    drawn: dict[tuple[str, ...], int] = {}
    for number in numbers:
        ids = unigrams.sample("talks", alpha=alpha, draw=partial(np.full, fill_value=number))
        pieces = tuple(unigrams.tokens[i] for i in ids)
        drawn[pieces] = drawn.get(pieces, 0) + 1
    assert drawn.keys() <= found.keys()
    for pieces, score in found.items():
        assert drawn.get(pieces, 0) / 20000 == pytest.approx(np.exp(score) / total, abs=1e-3)


def test_the_best_segmentation_is_drawn_first_and_text_stays_the_same(unigrams: TextCodec) -> None:
    text = "walking king talked"
    best = unigrams.sample(text, alpha=1.0, draw=np.zeros)
    assert best.tolist() == unigrams.encode(text).tolist()
    assert (
        unigrams.decode(unigrams.sample(text, alpha=0.0, draw=lambda n: np.full(n, 0.999))) == text
    )
    assert unigrams.sample("", alpha=1.0, draw=np.zeros).shape == (0,)


def test_only_unigrams_can_be_sampled(tmp_path: Path) -> None:
    words = TextCodec(token_type="word", tokens=WORDS)
    with pytest.raises(
        ConfigError, match="tokens of type word can't be sampled: make the list with"
    ):
        words.sample("one", alpha=1.0, draw=np.zeros)
    pairs = learn(tmp_path, "one two one two three\n" * 5, 16, "bpe")
    with pytest.raises(
        ConfigError, match="bpe.model can't be sampled: make the list with --bpemode"
    ):
        pairs.sample("one", alpha=1.0, draw=np.zeros)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (LETTERS, False),
        (WORDS, True),
        (("<blank>", "<unk>", "\u2581a", "\u2581", "n", "\u2581an", "ing", "<sos/eos>"), False),
        (("<blank>", "<unk>", "\u2581a", "n", "\u2581an", "ing", "ed", "<sos/eos>"), True),
    ],
)
def test_a_list_of_letters_is_told_from_one_of_words(tokens: tuple[str, ...], words: bool) -> None:
    assert TextCodec(token_type="word", tokens=tokens).has_words == words
