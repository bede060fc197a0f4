"""The command that trains language models: help at once, mistakes in one line, and it goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from legonn.bin.train_lm import main
from legonn.cli import run
from legonn.language_model import LanguageModel

CONFIG = {
    "lm": "seq_rnn",
    "lm_conf": {"unit": 8, "nlayers": 1},
    "optim": "adam",
    "batch_type": "unsorted",
    "batch_size": 4,
    "best_model_criterion": [["valid", "loss", "min"]],
    "num_workers": 0,
    "use_matplotlib": False,
    "use_tensorboard": False,
}


def test_help_says_where_all_arguments_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert "--use_lm true" in printed and "All arguments: legonn train_lm --help_all" in printed


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Of a training of letters; `conf.yaml` may be changed."""
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\na\nb\nc\n<sos/eos>\n")
    (tmp_path / "text").write_text("".join(f"u{i} {'abc' * (i % 3 + 1)}\n" for i in range(8)))
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(CONFIG))
    given = ["--config", str(tmp_path / "conf.yaml"), "--output_dir", str(tmp_path / "lm")]
    given += ["--token_type", "char", "--token_list", str(tmp_path / "tokens.txt")]
    for part in ("train", "valid"):
        given += [f"--{part}_data_path_and_name_and_type", f"{tmp_path}/text,text,text"]
        given += [f"--{part}_shape_file", str(tmp_path / "text")]
    return given


def test_a_mistake_in_the_configuration_is_one_message(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump({**CONFIG, "lm_config": {}}))
    assert run(main, options) == 2
    assert "conf.yaml has no option 'lm_config'; did you mean 'lm_conf'?" in capsys.readouterr().err


def test_init_param_is_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, [*options, "--init_param", str(tmp_path / "foreign.pth")]) == 2
    assert "--init_param unpickles its file; use" in capsys.readouterr().err
    assert not (tmp_path / "lm").exists()


def test_it_goes_on_and_leaves_what_decoding_reads(options: list[str], tmp_path: Path) -> None:
    def weights(folder: str) -> Any:
        return LanguageModel.load(tmp_path / folder).state_dict()

    def train(folder: str, epochs: int) -> None:
        command = [*options, "--output_dir", str(tmp_path / folder), "--resume", "true"]
        assert main([*command, "--max_epoch", str(epochs)]) == 0

    train("whole", 2)
    train("stopped", 1)
    assert (tmp_path / "stopped/checkpoint.pth").exists()
    train("stopped", 2)
    whole, stopped = weights("whole"), weights("stopped")
    assert set(whole) == set(stopped) and all((whole[k] == stopped[k]).all() for k in whole)
    assert LanguageModel.load(tmp_path / "whole").tokens == (
        "<blank>",
        "<unk>",
        *"abc",
        "<sos/eos>",
    )
