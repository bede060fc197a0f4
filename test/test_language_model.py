"""ESPnet's language models: loaded from their folders, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from espnet2.lm.seq_rnn_lm import SequentialRNNLM
from espnet2.lm.transformer_lm import TransformerLM

from legonn.errors import ConfigError
from legonn.language_model import LanguageModel
from legonn.system import System

SIZES = {
    "seq_rnn": {"unit": 8, "nlayers": 1},
    "transformer": {"embed_unit": 8, "att_unit": 8, "head": 2, "unit": 16, "layer": 1},
}


@pytest.fixture
def trained(experiment: Path, tmp_path: Path) -> Callable[..., Path]:
    """An experiment folder as ESPnet leaves it, of the tokens that `experiment` writes."""

    def make(kind: str = "seq_rnn", **changes: Any) -> Path:
        tokens = list(System.load(experiment).target.tokens)
        torch.manual_seed(1)
        network = {"seq_rnn": SequentialRNNLM, "transformer": TransformerLM}[kind](
            len(tokens), **SIZES[kind]
        )
        folder = tmp_path / "lm"
        folder.mkdir()
        states = {f"lm.{name}": value for name, value in network.state_dict().items()}
        torch.save(states, folder / "valid.loss.best.pth")
        config = {"lm": kind, "lm_conf": SIZES[kind], "token_list": tokens, **changes}
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        return folder

    return make


@pytest.mark.parametrize("kind", ["seq_rnn", "transformer"])
def test_it_scores_as_espnets_network(trained: Callable[..., Path], kind: str) -> None:
    model = LanguageModel.load(trained(kind))
    torch.manual_seed(1)
    golden = {"seq_rnn": SequentialRNNLM, "transformer": TransformerLM}[kind](
        len(model.tokens), **SIZES[kind]
    ).eval()
    ids = torch.tensor([[len(model.tokens) - 1, 3, 4]])
    assert not model.training
    with torch.no_grad():
        assert torch.equal(model.lm(ids, None)[0], golden(ids, None)[0])


def test_one_checkpoint_can_be_named(trained: Callable[..., Path]) -> None:
    folder = trained()
    assert LanguageModel.load(f"{folder}:valid.loss.best.pth").name.endswith(
        "lm:valid.loss.best.pth"
    )
    with pytest.raises(
        ConfigError, match="has no checkpoint 9epoch.pth; it has valid.loss.best.pth$"
    ):
        LanguageModel.load(f"{folder}:9epoch.pth")


def test_what_is_no_language_model_is_refused(experiment: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"not the configuration of one of ESPnet's language models.*--use_lm true",
    ):
        LanguageModel.load(experiment)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lm": "transformer_opt"}, "lm is 'transformer_opt'; legal are seq_rnn, transformer$"),
        ({"lm_conf": {"units": 8}}, "no seq_rnn can be built of lm_conf {'units': 8}: .*'units'"),
        ({"lm_conf": {"unit": "8"}}, "no seq_rnn can be built of lm_conf {'unit': '8'}: .*str"),
        ({"lm_conf": {"unit": 9, "nlayers": 1}}, "best.pth doesn't belong to its config.yaml: size mismatch"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_told(
    trained: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        LanguageModel.load(trained(**changes))


def test_it_counts_in_the_tokens_that_the_system_writes(
    trained: Callable[..., Path], experiment: Path
) -> None:
    system = System.load(experiment)
    model = LanguageModel.load(trained())
    both = system.with_language_model(model)
    assert both.chain.language_model is model and both.name == f"{experiment} with {model.name}"
    assert system.chain.language_model is None
    together = system.with_others([both, both])
    assert together.chain.language_model is None and len(together.chain.members()) == 3
    assert both.with_others([system]).chain.language_model is model
    other = LanguageModel(model.lm, [*model.tokens[:-2], "x", "<sos/eos>"], "exp/lm")
    with pytest.raises(
        ConfigError, match="language model exp/lm can't decode together: token lists differ .*'x'"
    ):
        system.with_language_model(other)
