"""Text to tokens and back, the same code in training and in decoding.

ESPnet's `build_tokenizer` does as much, but importing it loads nltk and tries to download a pronunciation model.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from legonn.errors import ConfigError

__all__ = ["TOKEN_TYPES", "TextCodec", "file_sha256", "read_token_list"]

_UNIGRAMS = "make the list with --bpemode unigram, or leave --src_sampling out"

TOKEN_TYPES = ("bpe", "char", "word", "phn")
SPACE = "<space>"
SEGMENTATIONS = 64  # of a word, the most probable ones


def read_token_list(path: Path) -> tuple[str, ...]:
    """Read ESPnet's token list, one token a line.

    Raises
    ------
    ConfigError
        If it is absent, doesn't start with `<blank>` `<unk>`, doesn't end with `<sos/eos>`, or repeats a token.
    """
    try:
        tokens = tuple(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except OSError as error:
        raise ConfigError(f"no token list at {path}: run stage 5 first") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text: {error}") from error
    check_token_list(tokens, str(path))
    return tokens


def check_token_list(tokens: Sequence[str], name: str) -> None:
    """Raise ConfigError unless `tokens` has ESPnet's form."""
    if len(tokens) < 4 or tuple(tokens[:2]) != ("<blank>", "<unk>") or tokens[-1] != "<sos/eos>":
        raise ConfigError(
            f"{name} is no token list: it must start with <blank>, <unk> and end with <sos/eos>"
        )
    if len(set(tokens)) != len(tokens):
        repeated = [token for token, times in sorted(Counter(tokens).items()) if times > 1]
        raise ConfigError(f"{name} repeats tokens: {', '.join(map(repr, repeated[:5]))}")


def file_sha256(path: Path | None) -> str:
    """Hex SHA-256 of a file, read in pieces; empty for None."""
    if path is None:
        return ""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


class TextCodec:
    """Text <-> tokens <-> ids.

    Parameters
    ----------
    token_type : {"bpe", "char", "word", "phn"}
        phn and word split at white space.
    tokens : sequence of str
        ESPnet's token list.
    model : Path, optional
        sentencepiece model of `bpe`.
    """

    def __init__(
        self, *, token_type: str, tokens: Sequence[str], model: Path | None = None
    ) -> None:
        if token_type not in TOKEN_TYPES:
            raise ConfigError(f"token type is {token_type!r}; legal are {', '.join(TOKEN_TYPES)}")
        if (token_type == "bpe") != (model is not None):
            raise ConfigError(
                f"token type {token_type} with sentencepiece model {model}: bpe and only bpe needs one"
            )
        self.token_type = token_type
        self.tokens = tuple(tokens)
        self.model = model
        self._ids = {token: i for i, token in enumerate(self.tokens)}
        self._pieces: Any = None
        self._segmentations: dict[tuple[str, float], tuple[list[np.ndarray], np.ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Loaded and found anew by each data-loading process.
        return {**self.__dict__, "_pieces": None, "_segmentations": {}}

    def _sentencepiece(self) -> Any:
        if self._pieces is None:
            import sentencepiece

            try:
                self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.model))
            except (OSError, RuntimeError) as error:
                raise ConfigError(f"{self.model} is no sentencepiece model: {error}") from error
        return self._pieces

    @functools.cached_property
    def has_words(self) -> bool:
        """Whether most tokens are longer than a letter: a list of words and parts of words."""
        lengths = [len(token.strip("\u2581")) for token in self.tokens if token[:1] != "<"]
        return sum(length > 1 for length in lengths) > len(lengths) / 2

    def split(self, text: str) -> list[str]:
        """Text -> tokens."""
        if self.token_type == "bpe":
            return list(self._sentencepiece().encode(text, out_type=str))
        if self.token_type == "char":
            return [SPACE if letter == " " else letter for letter in text]
        return text.split()

    def join(self, tokens: Iterable[str]) -> str:
        """Tokens -> text."""
        if self.token_type == "bpe":
            return str(self._sentencepiece().decode(list(tokens)))
        if self.token_type == "char":
            return "".join(" " if token == SPACE else token for token in tokens)
        return " ".join(tokens)

    def encode(self, text: str) -> np.ndarray:
        """Text -> ids, int64 (U,); tokens outside the list become `<unk>`."""
        unknown = self._ids["<unk>"]
        return np.array(
            [self._ids.get(token, unknown) for token in self.split(text)], dtype=np.int64
        )

    def sample(self, text: str, *, alpha: float, draw: Callable[[int], np.ndarray]) -> np.ndarray:
        """Text -> ids of a random segmentation, int64 (U,): subword regularisation (Kudo 2018, arXiv 1804.10959).

        Parameters
        ----------
        alpha : float
            A word's segmentations are drawn in proportion to their probability to this power: near 0 all of them alike,
            from about 1 on nearly always the best.
        draw : callable
            Gives that many numbers in [0, 1); the caller's, so that a run that goes on draws the same.

        Raises
        ------
        ConfigError
            If the tokens are no sentencepiece unigrams: only those have probabilities.
        """
        words = text.split()
        parts = [
            self._drawn(word, alpha, number)
            for word, number in zip(words, draw(len(words)), strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def _drawn(self, word: str, alpha: float, number: float) -> np.ndarray:
        if (word, alpha) not in self._segmentations:
            self._segmentations[word, alpha] = self._possible(word, alpha)
        ids, cumulated = self._segmentations[word, alpha]
        return ids[min(int(np.searchsorted(cumulated, number, side="right")), len(ids) - 1)]

    def _possible(self, word: str, alpha: float) -> tuple[list[np.ndarray], np.ndarray]:
        """A word's segmentations as ids, and the cumulated probabilities by which they are drawn."""
        if self.token_type != "bpe":
            raise ConfigError(f"tokens of type {self.token_type} can't be sampled: {_UNIGRAMS}")
        found = self._sentencepiece().nbest_encode_as_immutable_proto(word, SEGMENTATIONS).nbests
        if not found:  # of a list of byte pairs
            raise ConfigError(f"{self.model} can't be sampled: {_UNIGRAMS}")
        unknown = self._ids["<unk>"]
        ids = [
            np.array([self._ids.get(piece.piece, unknown) for piece in one.pieces], dtype=np.int64)
            for one in found
        ]
        scores = alpha * np.array([one.score for one in found], dtype=np.float64)
        weights = np.exp(scores - scores.max())
        return ids, np.cumsum(weights / weights.sum())

    def decode(self, ids: Iterable[int]) -> str:
        """Ids -> text; `<blank>` and `<sos/eos>` are left out."""
        special = {0, len(self.tokens) - 1}
        return self.join(self.tokens[i] for i in ids if i not in special)
