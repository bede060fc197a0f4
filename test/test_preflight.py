"""What `legonn train` refuses before it writes: one message, and no folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from legonn.bin.train import main
from legonn.cli import run


def refusal(
    corpus: Any, folder: Path, capsys: pytest.CaptureFixture[str], *more: str, **changes: Any
) -> str:
    """The message that this configuration gets."""
    config = yaml.safe_load((corpus.folder / "config.yaml").read_text())
    (folder / "train.yaml").write_text(yaml.safe_dump({**config, **changes}))
    options = corpus.options(folder / "exp", "--config", str(folder / "train.yaml"), *more)
    assert run(main, options) == 2
    assert not (folder / "exp").exists()
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    return printed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optim_conf": {"lrr": 0.1}},
            "optim_conf has no option 'lrr' for optim adam; did you mean 'lr'?",
        ),
        ({"optim_conf": {"lr": "abc"}}, "optim adam can't be built from {'lr': 'abc'}"),
        (
            {"scheduler": "warmuplr", "scheduler_conf": {"warmups": 5}},
            "scheduler_conf has no option 'warmups' for scheduler warmuplr; did you mean 'warmup_steps'?",
        ),
        ({"ctc_weight": -1.0}, "--ctc_weight is -1.0; it must be 0 or more"),
        ({"ctc_weight": 0.0, "ce_weight": 0.0}, "are both 0: nothing would be learned"),
        ({"ctc_weight": 0.0, "chain_conf": {"ctc_first": 2.0}}, "ctc_first waits for CTC"),
        ({"use_deepspeed": True}, "--use_deepspeed: its checkpoints are of another kind"),
        ({"batch_size": 0}, "--batch_size is 0; it must be at least 1"),
        (
            {"best_model_criterion": [["valid", "accuracy", "max"]]},
            "best_model_criterion is valid accuracy max. Legal are train or valid, one of loss, loss_ce, acc",
        ),
        (
            {"best_model_criterion": [["valid", "acc", "maximum"]]},
            "best_model_criterion is valid acc maximum. Legal are",
        ),
        ({"best_model_criterion": [["valid", "acc"]]}, "infeasible, and min or max"),
        (
            {"patience": 3, "early_stopping_criterion": ["valid", "cer", "min"]},
            "early_stopping_criterion is valid cer min. Legal are",
        ),
        (
            {"scheduler": "reducelronplateau", "val_scheduler_criterion": ["valid", "cer"]},
            "val_scheduler_criterion is valid cer. Legal are",
        ),
        (
            {"ingestor": "beamconv", "ingestor_conf": {"layers": 1}, "ctc_weight": 0.0},
            "ingestor beamconv passes no gradient on: the encoder would learn nothing",
        ),
        ({"optim_conf": {"lr": 0.1}, "lr_factors": {"decodr": 0.1}}, "has no part 'decodr'"),
        ({"drop_out": 0.1}, "train.yaml has no option 'drop_out'; "),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(
    corpus: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    message: str,
) -> None:
    assert message in refusal(corpus, tmp_path, capsys, **changes)


def test_a_key_that_stands_twice_is_refused(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "twice.yaml").write_text("max_epoch: 1\nseed: 1\nmax_epoch: 2\n")
    options = corpus.options(tmp_path / "exp", "--config", str(tmp_path / "twice.yaml"))
    assert run(main, options) == 2
    printed = capsys.readouterr().err
    assert "the key 'max_epoch' stands here twice" in printed and "line 3" in printed


def test_an_absent_tokenizer_is_named(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = refusal(corpus, tmp_path, capsys, "--bpemodel", str(tmp_path / "gone.model"))
    assert f"no sentencepiece model at {tmp_path / 'gone.model'}" in printed


def test_all_faults_of_the_data_are_listed(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.src").write_bytes(b"a1 unu\na1 doi\na2 \xff\na3 \n")
    (tmp_path / "short.tgt").write_text("a1 one\na2 two\n")
    options = []
    for part in ("train", "valid"):
        for path, name in (("bad.src", "src_text"), ("short.tgt", "text")):
            option = f"--{part}_data_path_and_name_and_type"
            options += [option, f"{tmp_path / path},{name},text"]
    printed = refusal(corpus, tmp_path, capsys, *options)
    bad = tmp_path / "bad.src"
    assert f"{bad}:2: id a1 again, first in line 1" in printed
    assert f"{bad}:3: not UTF-8" in printed and f"{bad}:4: no text after the id" in printed
    assert printed.count(f"{bad}:2:") == 1  # though training and validation name the file


def test_utterances_that_a_file_lacks_are_named(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (corpus.folder / "train.tgt").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "some.tgt").write_text("".join(lines[:5] + lines[6:]))
    entry = f"{tmp_path / 'some.tgt'},text,text"
    printed = refusal(corpus, tmp_path, capsys, "--train_data_path_and_name_and_type", entry)
    shape = corpus.folder / "train.src"
    assert f"{tmp_path / 'some.tgt'}: lacks train05 of {shape}" in printed
    assert printed.count("lacks") == 1


def test_recordings_that_are_gone_are_all_named(
    corpus: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here.wav").write_bytes(b"")
    scp = tmp_path / "wav.scp"
    scp.write_text(f"a {tmp_path}/gone.wav\nb\t{tmp_path}/here.wav\nc {tmp_path}/gone.ark:17\n")
    entry = f"{scp},speech,sound"
    printed = refusal(corpus, tmp_path, capsys, "--train_data_path_and_name_and_type", entry)
    assert f"{scp}:1: '{tmp_path}/gone.wav': no such file; put it back" in printed
    assert f"{scp}:3: '{tmp_path}/gone.ark:17': no such file; put it back" in printed
    assert printed.count("no such file") == 2
    assert f"{scp}: lacks train00 of {corpus.folder / 'train.src'}" in printed
