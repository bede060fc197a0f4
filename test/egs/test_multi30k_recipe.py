"""What the Multi30k recipe passes on to lego.sh."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("config", "decoding"),
    [
        ("conf/train.yaml", "conf/decode.yaml"),
        ("conf/tuning/train_beamconv.yaml", "conf/decode.yaml"),
        ("conf/train_attention.yaml", "conf/decode_attention.yaml"),
        ("conf/tuning/train_low_attention.yaml", "conf/decode_attention.yaml"),
    ],
)
def test_a_system_without_an_interface_is_decoded_without_its_ctc(
    multi30k: Any, config: str, decoding: str
) -> None:
    stages = multi30k.folder.parents[1] / "TEMPLATE/lego1/lego.sh"
    stages.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\n')
    given = multi30k.run("--lego_config", config, "--stage", "12").splitlines()
    assert given[given.index("--inference_config") + 1] == decoding
    assert given[given.index("--lego_config") + 1] == config
    assert given[-2:] == ["--stage", "12"]


def test_speech_needs_the_english_list_and_is_english(multi30k: Any) -> None:
    printed = multi30k.fail("--src_modality", "speech", "--nbpe", "300")
    assert "./run.sh --nbpe 300 --stop_stage 5 makes it" in printed
    printed = multi30k.fail("--src_modality", "speech", "--src_lang", "fr")
    assert "is for English captions in English" in printed
    assert not (multi30k.folder / "data").exists()
    printed = multi30k.fail("--src_modality=speech", "--token-listdir=data/none", "--stage=5")
    assert "--stop_stage 5 makes it" not in printed and "data/none" in printed


def test_few_pairs_say_whose_token_list_they_take(multi30k: Any) -> None:
    """And not, stages later, an option that nobody gave."""
    printed = multi30k.fail("--src_lang", "fr", "--train_pairs", "5000")
    assert (
        "takes the en token list of all pairs: ./run.sh --src_lang de --tgt_lang en --nbpe 2000 "
        in printed
    )
    printed = multi30k.fail("--src_lang", "en", "--tgt_lang", "de", "--train_pairs", "5000")
    assert "takes the de token list of all pairs: ./run.sh --src_lang en --tgt_lang de " in printed
    printed = multi30k.fail("--train_pairs", "5000", "--token_listdir", "data/none", "--stage", "5")
    assert "of all pairs" not in printed
    for needless in (["--stop_stage", "1"], ["--skip_train=true", "--stage=12"]):
        variables = {"MULTI30K": "none"}
        recipe = dataclasses.replace(multi30k, variables=variables)
        assert "of all pairs" not in recipe.fail("--train_pairs", "5000", *needless)
