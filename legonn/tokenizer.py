"""Text to tokens and back, the same code in training and in decoding.

ESPnet's `build_tokenizer` does as much, but importing it loads nltk and tries to download a pronunciation model.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from legonn.errors import ConfigError

__all__ = ["TOKEN_TYPES", "TextCodec", "file_sha256", "read_token_list"]

TOKEN_TYPES = ("bpe", "char", "word", "phn")
SPACE = "<space>"


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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pieces": None}  # loaded anew by each data-loading process

    def _sentencepiece(self) -> Any:
        if self._pieces is None:
            import sentencepiece

            try:
                self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.model))
            except (OSError, RuntimeError) as error:
                raise ConfigError(f"{self.model} is no sentencepiece model: {error}") from error
        return self._pieces

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

    def decode(self, ids: Iterable[int]) -> str:
        """Ids -> text; `<blank>` and `<sos/eos>` are left out."""
        special = {0, len(self.tokens) - 1}
        return self.join(self.tokens[i] for i in ids if i not in special)
