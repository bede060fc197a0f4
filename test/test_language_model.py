"""ESPnet's language models: loaded from their folders, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from legonn.errors import ConfigError
from legonn.language_model import LanguageModel
from legonn.system import System

TOKENS = ("<blank>", "<unk>", "a", "b", "c", "<sos/eos>")


@pytest.mark.parametrize("kind", ["seq_rnn", "transformer"])
def test_it_scores_as_espnets_network(
    lm_experiment: Callable[..., Path], lm_network: Callable[[str, int], Any], kind: str
) -> None:
    model = LanguageModel.load(lm_experiment(TOKENS, kind))
    assert not model.training and model.tokens == TOKENS
    ids = torch.tensor([[5, 3, 4]])
    with torch.no_grad():
        assert torch.equal(model.lm(ids, None)[0], lm_network(kind, 6)(ids, None)[0])


def test_one_checkpoint_can_be_named(lm_experiment: Callable[..., Path]) -> None:
    folder = lm_experiment(TOKENS)
    name = f"{folder}:valid.loss.best.pth"
    assert LanguageModel.load(name).name == name
    with pytest.raises(ConfigError, match="has no checkpoint 9.pth; it has valid.loss.best.pth$"):
        LanguageModel.load(f"{folder}:9.pth")


def test_what_is_no_language_model_is_refused(experiment: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"not the configuration of one of ESPnet's language models.*--use_lm"
    ):
        LanguageModel.load(experiment)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lm": "transformer_opt"}, "lm is 'transformer_opt'; legal are seq_rnn, transformer$"),
        ({"lm_conf": {"units": 8}}, "no seq_rnn can be built of lm_conf {'units': 8}: .*'units'"),
        ({"lm_conf": {"unit": "8"}}, "no seq_rnn can be built of lm_conf {'unit': '8'}: .*str"),
        (
            {"lm_conf": {"unit": 9, "nlayers": 2}},
            "best.pth doesn't belong to its config.yaml: size",
        ),
    ],
)
def test_what_cannot_be_built_is_told(
    lm_experiment: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        LanguageModel.load(lm_experiment(TOKENS, **changes))


def test_it_counts_in_the_tokens_that_the_system_writes(
    lm_experiment: Callable[..., Path], experiment: Path
) -> None:
    system = System.load(experiment)
    model = LanguageModel.load(lm_experiment(system.target.tokens))
    both = system.with_language_model(model)
    assert both.chain.language_model is model and both.name == f"{experiment} with {model.name}"
    assert system.chain.language_model is None
    assert system.with_others([both]).chain.language_model is None
    assert both.with_others([system]).chain.language_model is model
    other = LanguageModel(model.lm, [*model.tokens[:-2], "x", "<sos/eos>"], "exp/lm")
    with pytest.raises(
        ConfigError, match="language model exp/lm can't decode together: token lists differ .*'x'"
    ):
        system.with_language_model(other)
