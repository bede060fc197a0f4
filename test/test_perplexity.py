"""Perplexity: ESPnet's own, and a checkpoint that holds more than tensors is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from espnet2.lm.espnet_model import ESPnetLanguageModel

from legonn.cli import run
from legonn.errors import ConfigError, DataError
from legonn.language_model import LanguageModel
from legonn.perplexity import main, measure_perplexity
from legonn.tokenizer import TextCodec

TOKENS = ("<blank>", "<unk>", "a", "b", "c", "<sos/eos>")
TEXTS = ["abc", "", "a?c" * 9, *(["b"] * 33)]  # an unknown token, an empty line, a second batch
LETTERS = {"token_type": "char", "bpemodel": None}


@pytest.mark.parametrize("kind", ["seq_rnn", "transformer"])
def test_it_is_espnets(
    lm_experiment: Callable[..., Path], lm_network: Callable[[str, int], Any], kind: str
) -> None:
    """Golden: ESPnet's negative log-likelihoods, put together as espnet2.bin.lm_calc_perplexity does."""
    model = LanguageModel.load(lm_experiment(TOKENS, kind))
    codec = TextCodec(token_type="char", tokens=TOKENS)
    espnets = ESPnetLanguageModel(lm_network(kind, len(TOKENS)), len(TOKENS))
    total, count = 0.0, 0
    for text in TEXTS:
        ids = torch.from_numpy(codec.encode(text))[None, :]
        with torch.no_grad():
            surprise, lengths = espnets.nll(ids, torch.tensor([ids.size(1)]))
        total += surprise.numpy().sum(1).sum()
        count += lengths.numpy().sum()
    told: list[int] = []
    found = measure_perplexity(model, codec, TEXTS, progress=told.append)
    assert found == pytest.approx(np.exp(total / count), rel=1e-5)
    assert told == [32, 4]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("".join(f"u{number} {line}\n" for number, line in enumerate(TEXTS)))
    return path


def test_the_command_writes_one_number(
    lm_experiment: Callable[..., Path],
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lm = lm_experiment(TOKENS, **LETTERS)
    words = ["--lm", f"{lm}:valid.loss.best.pth", "--text", str(text)]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    found = float((tmp_path / "out/ppl").read_text())
    codec = TextCodec(token_type="char", tokens=TOKENS)
    assert found == measure_perplexity(LanguageModel.load(lm), codec, TEXTS)
    assert f"text: perplexity {found:.2f} a token; 36 lines in" in capsys.readouterr().out


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_unpickled(
    lm_experiment: Callable[..., Path],
    text: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lm = lm_experiment(TOKENS, **LETTERS)
    torch.save({"lm.x": Payload(tmp_path / "harm")}, lm / "valid.loss.best.pth")
    words = ["--lm", str(lm), "--text", str(text), "--output", str(tmp_path / "out")]
    assert run(main, words) == 2
    assert "is no checkpoint, or a damaged one" in capsys.readouterr().err
    assert not (tmp_path / "harm").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_type": ["bpe"]}, "token_type .* want to be texts"),
        ({"token_type": "bpe", "bpemodel": 5}, "bpemodel 5 want to be texts"),
        ({"token_type": "bpe", "bpemodel": None}, "bpe and only bpe needs one"),
        ({"token_type": "runes"}, "token type is 'runes'"),
    ],
)
def test_what_splits_the_text_is_checked(
    lm_experiment: Callable[..., Path], text: Path, changes: dict[str, Any], message: str
) -> None:
    lm = lm_experiment(TOKENS, **changes)
    with pytest.raises(ConfigError, match=message):
        main(["--lm", str(lm), "--text", str(text), "--output", str(text.parent / "out")])


def test_no_lines_have_no_perplexity(lm_experiment: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    lm = lm_experiment(TOKENS, **LETTERS)
    words = ["--lm", str(lm), "--text", str(tmp_path / "text"), "--output", str(tmp_path)]
    with pytest.raises(DataError, match="text has no lines"):
        main(words)
