"""The training command: help at once, configuration mistakes in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from legonn.bin.train import get_parser, main
from legonn.cli import run


def test_help_imports_neither_torch_nor_espnet(environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom legonn.bin.train import main\nstatus = main(['--help'])\n"
        "print(sorted({'torch', 'espnet2', 'espnet'} & set(sys.modules)), status)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "--system, --encoder, --ingestor" in done.stdout
    assert done.stdout.splitlines()[-1] == "[] 0" and done.stderr == ""


def test_all_arguments_are_espnets_and_the_chains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help_all"]) == 0
    printed = capsys.readouterr().out
    for option in ("--max_epoch", "--system", "--ctc_weight", "--src_token_list", "--bridges"):
        assert option in printed


def test_without_arguments_it_says_what_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Train a LegoNN chain") and "legonn train --help_all" in told


def test_defaults() -> None:
    args = get_parser().parse_args([])
    assert (args.system, args.encoder, args.ingestor, args.decoder) == (
        "lego",
        "text",
        "wemb",
        "transformer",
    )
    assert (args.ctc_weight, args.ce_weight, args.precision) == (1.0, 1.0, "auto")


def status(corpus: Any, output: Path, *more: str) -> int:
    """Exit status as the shell sees it: argparse's own errors leave through SystemExit."""
    try:
        return run(main, corpus.options(output, *more))
    except SystemExit as error:
        assert isinstance(error.code, int)
        return error.code


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_epochs": 3}, "train.yaml has no option 'max_epochs'; did you mean 'max_epoch'?"),
        (
            {"encoder_conf": {"widht": 8}},
            "encoder_conf has no option 'widht'; did you mean 'width'?",
        ),
        ({"system": "plain"}, "system is 'plain'; legal are lego, attention"),
        ({"precision": "fp16"}, "precision is 'fp16'; legal are auto, fp32, bf16"),
        ({"ingestor": "embed"}, "ingestor is 'embed'; legal are wemb, beamconv"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_message(
    corpus: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    message: str,
) -> None:
    config = yaml.safe_load((corpus.folder / "config.yaml").read_text())
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**config, **changes}))
    code = status(corpus, tmp_path / "exp", "--config", str(tmp_path / "train.yaml"))
    printed = capsys.readouterr().err
    assert code == 2 and message in printed and "Traceback" not in printed
    assert not (tmp_path / "exp").exists()


def test_a_variant_names_its_base(train: Callable[..., Path], corpus: Any, tmp_path: Path) -> None:
    variant = {"base": str(corpus.folder / "config.yaml"), "encoder_conf": {"length_ratio": 2.5}}
    (tmp_path / "variant.yaml").write_text(yaml.safe_dump(variant))
    options = ["--config", str(tmp_path / "variant.yaml"), "--dry_run", "true"]
    folder = train(tmp_path / "exp", *options)
    written = yaml.safe_load((folder / "config.yaml").read_text())
    assert written["encoder_conf"]["length_ratio"] == 2.5
    assert written["encoder_conf"]["width"] == 16 and written["max_epoch"] == 3
    assert written["config"] == str(tmp_path / "variant.yaml")


def test_the_command_line_overrides_the_configuration(
    train: Callable[..., Path], tmp_path: Path
) -> None:
    options = ["--ctc_weight", "0.5", "--encoder_conf", "length_ratio=4.0", "--dry_run", "true"]
    written = yaml.safe_load((train(tmp_path / "exp", *options) / "config.yaml").read_text())
    assert written["ctc_weight"] == 0.5
    assert written["encoder_conf"]["length_ratio"] == 4.0 and written["encoder_conf"]["width"] == 16


def test_an_absent_configuration_is_named(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(corpus, tmp_path / "exp", "--config", str(tmp_path / "none.yaml")) == 2
    assert "none.yaml" in capsys.readouterr().err
