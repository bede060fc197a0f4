"""Stages 6 to 8, the language model, and decoding with it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from legonn.data.folder import read_text
from legonn.language_model import LanguageModel
from legonn.system import System

STAGES = "../../TEMPLATE/lego1/lego.sh"
GERMAN = (
    "--train_set train_de_en --valid_set val_de_en --test_sets test_de_en --src_lang de --tgt_lang en "
    "--bpemode bpe --nbpe 50 --lego_config conf/tiny.yaml --lego_exp exp/de_en "
    "--inference_config conf/decode.yaml --num_threads 1"
).split()
LM = [*GERMAN, "--lm_config", "conf/tiny_lm.yaml", "--lm_exp", "exp/lm"]
TINY_LM = """\
lm: seq_rnn
lm_conf: {unit: 8, nlayers: 1}
optim: adam
optim_conf: {lr: 0.01}
batch_type: numel
batch_bins: 20000
max_epoch: 2
best_model_criterion: [[valid, loss, min]]
num_workers: 0
use_matplotlib: false
"""


@pytest.fixture(scope="module")
def advised(finished: Any, copied_for_all: Callable[[Any, str], Any]) -> tuple[Any, str]:
    """The finished recipe, gone on with a language model, and what that printed; look, don't change."""
    recipe = copied_for_all(finished, "advised")
    (recipe.folder / "conf/tiny_lm.yaml").write_text(TINY_LM)
    options = [*LM, "--use_lm", "true", "--stage", "6", "--stop_stage", "13"]
    return recipe, recipe.run(*options, script=STAGES)


def folder_of(recipe: Any) -> Path:
    folder: Path = recipe.folder
    return folder


def test_it_splits_the_text_as_the_system_does(advised: tuple[Any, str]) -> None:
    exp = folder_of(advised[0]) / "exp"
    (own,) = exp.glob("lego_stats_train_de_en_*/train/text_shape")
    (lm,) = exp.glob("lm_stats_train_de_en_*/train/text_shape")
    assert read_text(lm) == read_text(own)


def test_its_perplexity_is_told(advised: tuple[Any, str]) -> None:
    recipe, printed = advised
    found = re.search(r"perplexity of dump/raw/val_de_en/text.tc.en: ([\d.]+) a token", printed)
    assert found is not None
    folder = folder_of(recipe)
    model = LanguageModel.load(folder / "exp/lm")
    tokenizer = System.load(folder / "exp/de_en").target
    assert model.tokens == tokenizer.tokens
    eos = len(model.tokens) - 1
    total, count = 0.0, 0
    for text in read_text(folder / "dump/raw/val_de_en/text.tc.en").values():
        ids = torch.from_numpy(tokenizer.encode(text))
        with torch.no_grad():
            logits, _ = model.lm(torch.tensor([[eos, *ids]]), None)
        wanted = torch.tensor([*ids, eos])
        total += torch.nn.functional.cross_entropy(logits[0], wanted, reduction="sum").item()
        count += len(wanted)
    assert float(found[1]) == pytest.approx(math.exp(total / count), abs=0.02)
    exact = float((folder / "exp/lm/perplexity/ppl").read_text())
    assert exact == pytest.approx(math.exp(total / count), rel=1e-4)


def test_a_system_with_it_has_scores_of_its_own(advised: tuple[Any, str]) -> None:
    recipe, _ = advised
    folder = folder_of(recipe) / "exp/ensemble_de_en_with_lm/decode/test_de_en"
    (log, *_) = sorted((folder / "logdir").glob("decode.*.log"))
    assert "--lm exp/lm:valid.loss.ave.pth" in log.read_text()
    (score, *_) = json.loads((folder / "score.json").read_text())
    assert (score["system"], score["train_seconds"]) == ("ensemble_de_en_with_lm", None)


def test_what_is_done_is_not_done_again(
    advised: tuple[Any, str], copied: Callable[[Any], Any]
) -> None:
    recipe = copied(advised[0])
    options = ["--use_lm", "true", "--stage", "6", "--stop_stage", "12"]
    printed = recipe.run(*LM, *options, script=STAGES)
    for stamp in ("lm", "lm/perplexity", "ensemble_de_en_with_lm/decode/test_de_en"):
        assert f"up to date: exp/{stamp}/.done" in printed


def test_another_text_is_noticed(advised: tuple[Any, str], copied: Callable[[Any], Any]) -> None:
    recipe = copied(advised[0])
    texts = read_text(folder_of(recipe) / "dump/raw/train_de_en/text.tc.en")
    more = folder_of(recipe) / "more"
    more.write_text("".join(f"{i} {text}\n" for i, text in list(texts.items())[:50]))
    options = [*LM, "--use_lm", "true", "--lm_train_text", "more", "--stop_stage", "7"]
    printed = recipe.fail(*options, "--stage", "7", script=STAGES)
    assert re.search(
        "lm_stats_train_de_en_bpe_bpe50 has no lengths of this text.*: run stage 6", printed
    )
    printed = recipe.fail(*options, "--stage", "6", script=STAGES)
    assert "exp/lm was trained, or begun, with other settings" in printed
    assert "give this one a name with --lm_tag" in printed
    (stats,) = folder_of(recipe).glob("exp/lm_stats_train_de_en_*")
    assert len(read_text(stats / "train/text_shape.bpe")) == 50


def test_one_that_is_there_is_decoded_with(
    advised: tuple[Any, str], copied: Callable[[Any], Any]
) -> None:
    recipe = copied(advised[0])
    options = ["--pretrained_lm", "exp/lm:2epoch.pth", "--stage", "6", "--stop_stage", "12"]
    printed = recipe.run(*GERMAN, *options, script=STAGES)
    assert "no language model is trained: exp/lm:2epoch.pth is there" in printed
    folder = folder_of(recipe) / "exp/ensemble_de_en_with_lm_2epoch/decode/test_de_en"
    assert len(read_text(folder / "text")) == 6


def test_a_wrong_one_is_told_before_anything_runs(finished: Any) -> None:
    printed = finished.fail(*GERMAN, "--pretrained_lm", "exp/absent", script=STAGES)
    assert "exp/absent/config.yaml is missing" in printed and "stage 1:" not in printed


def test_the_demo_has_no_place_for_one(numbers: Any) -> None:
    for options in (["--use_lm", "true"], ["--pretrained-lm=exp/lm"]):
        printed = numbers.fail(*options)
        assert "the table compares systems without a language model" in printed
