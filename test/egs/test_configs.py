"""Every configuration of every recipe is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    path for path in ROOT.glob("egs/*/lego1/conf/**/*.yaml") if not path.name.startswith("tiny")
)
LM = [path for path in CONFIGS if path.name.startswith("train_lm")]
TRAIN = [path for path in CONFIGS if path.name.startswith("train") and path not in LM]
DECODE = [path for path in CONFIGS if path.name.startswith("decode")]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT / "egs"))


def test_each_configuration_is_for_training_or_decoding() -> None:
    assert sorted(TRAIN + DECODE + LM) == CONFIGS
    assert {path.relative_to(ROOT / "egs").parts[0] for path in TRAIN} >= {"numbers", "multi30k"}


@pytest.fixture(scope="module")
def parser() -> Any:
    from legonn.bin.train import get_parser

    return get_parser()


@pytest.mark.parametrize("path", TRAIN, ids=name)
def test_training_configurations_are_built(path: Path, parser: Any, tmp_path: Path) -> None:
    import yaml

    from legonn.config import read_config
    from legonn.factory import build_chain

    whole = tmp_path / "train.yaml"
    whole.write_text(yaml.safe_dump(read_config(path)))
    # ESPnet's parser refuses keys that it doesn't know, the factory those of the parts.
    lists = ["--src_token_list", "x", "--token_list", "x", "--output_dir", "x"]
    args = parser.parse_args(["--config", str(whole), *lists])
    chain = build_chain(vars(args), source_size=40, target_size=40)
    assert sum(p.numel() for p in chain.parameters()) > 0


@pytest.mark.parametrize("path", TRAIN, ids=name)
def test_small_enough_for_the_board(path: Path, parser: Any) -> None:
    from legonn.config import read_config
    from legonn.factory import build_chain

    # With the largest token lists that they are for: six million are the most.
    size = 300 if "pieces" in path.name else 2000
    chain = build_chain(read_config(path), source_size=size, target_size=size)
    assert sum(p.numel() for p in chain.parameters()) <= 6_000_000


@pytest.mark.parametrize("path", LM, ids=name)
def test_language_models_are_built(path: Path) -> None:
    import yaml
    from espnet2.tasks.lm import LMTask

    args = LMTask.get_parser().parse_args(["--config", str(path), "--output_dir", "x"])
    args.token_list = [str(i) for i in range(40)]
    assert sum(p.numel() for p in LMTask.build_model(args).parameters()) > 0
    # ESPnet reads it, which knows no `base:`.
    assert "base" not in yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", DECODE, ids=name)
def test_decoding_configurations_are_legal(path: Path) -> None:
    from legonn.search.options import DecodingOptions

    assert DecodingOptions.load(str(path), {}).beam_size > 0


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_each_opens_with_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
