"""An experiment's folder: its configuration, and which of its checkpoints is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from legonn.errors import ConfigError
from legonn.experiment import find_checkpoint, load_weights, read_config, split_checkpoint


@pytest.mark.parametrize(
    ("spec", "folder", "checkpoint"),
    [
        ("exp/x", "exp/x", None),
        ("exp/x:latest.pth", "exp/x", "latest.pth"),
        ("c:/exp/x", "c:/exp/x", None),  # a colon alone names no checkpoint
    ],
)
def test_a_checkpoint_follows_a_colon(spec: str, folder: str, checkpoint: str | None) -> None:
    assert split_checkpoint(spec) == (Path(folder), checkpoint)


def test_averages_come_first_and_what_is_composed_last(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="has no checkpoint yet: train it first .stage 11; a language"
    ):
        find_checkpoint(tmp_path)
    rising = "composed latest train.acc.best valid.loss.best valid.acc.best train.acc.ave valid.cer.ave".split()
    for name in (*rising, "valid.loss.ave", "valid.acc.ave"):
        (tmp_path / f"{name}.pth").touch()
        assert find_checkpoint(tmp_path).name == f"{name}.pth"
    assert find_checkpoint(tmp_path, "latest.pth").name == "latest.pth"


def test_a_configuration_is_read_safely(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("lm: seq_rnn\n")
    assert read_config(tmp_path) == {"lm": "seq_rnn"}
    (tmp_path / "config.yaml").write_text("")
    assert read_config(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("!!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="config.yaml can't be read as YAML: could not determine"):
        read_config(tmp_path)


def test_weights_are_those_of_the_file(tmp_path: Path) -> None:
    torch.save({"weight": torch.tensor([[2.0]]), "bias": torch.tensor([1.0])}, tmp_path / "a.pth")
    layer = torch.nn.Linear(1, 1)
    load_weights(layer, tmp_path / "a.pth")
    assert layer(torch.tensor([3.0])).item() == 7.0
    torch.save([1], tmp_path / "a.pth")
    with pytest.raises(ConfigError, match="doesn't belong to its config.yaml: it holds a list"):
        load_weights(layer, tmp_path / "a.pth")
