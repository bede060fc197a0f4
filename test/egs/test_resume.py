"""A recipe that is killed goes on with the same command, and ends with the same files."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

# A `python` that, once, waits for a sign and then kills the recipe's whole process group: as hard
# as a machine that is switched off.
KILLER = """#!/usr/bin/env bash
if [[ "$*" == *"{match}"* && ! -e {flag} ]]; then
    touch {flag}
    {before}
    while [ ! -e {sign} ]; do sleep 0.01; done
    kill -KILL 0
fi
exec {python} "$@"
"""


class Killed:
    """A recipe with a `python` that kills it once.

    Parameters
    ----------
    recipe : Recipe
        To run.
    match : str
        Part of the command line at which to kill.
    before : str
        Shell commands at that moment.
    sign : str
        File to wait for first, in the recipe's folder.
    """

    def __init__(self, recipe: Any, *, match: str, before: str = ":", sign: str = ".") -> None:
        self.recipe = recipe
        self.flag = recipe.folder / "killed"
        self.python = recipe.folder / "killer"
        text = KILLER.format(
            match=match, flag=self.flag, before=before, sign=sign, python=sys.executable
        )
        self.python.write_text(text)
        self.python.chmod(0o755)

    def run_twice(self, *options: str) -> str:
        """Run, be killed, run again; give what the second run printed."""
        options = (*options, "--python", str(self.python))
        self.recipe.fail(*options, status=-signal.SIGKILL)
        assert self.flag.exists()
        printed: str = self.recipe.run(*options)
        return printed


# Times differ from run to run, and so do logs.
VOLATILE = ("*.log", ".seconds", ".decode_seconds", "score.json", "events.*", "run.sh", "*.pth")


def files(folder: Path) -> dict[str, bytes]:
    """What is below a folder, but for what tells the time."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(path.match(pattern) for pattern in VOLATILE)
    }


def test_stage_5(again: Any, finished: Any, tiny_options: list[str]) -> None:
    for folder in again.folder.glob("data/*_token_list"):
        shutil.rmtree(folder)
    half = (
        "mkdir -p data/en_token_list/bpe_bpe50; echo half >data/en_token_list/bpe_bpe50/bpe.model"
    )
    killed = Killed(again, match="--output data/en_token_list", before=half)
    printed = killed.run_twice(*tiny_options, "--stage", "5", "--stop_stage", "5")
    assert "up to date: data/de_token_list/bpe_bpe50/.done" in printed
    assert files(again.folder / "data") == files(finished.folder / "data")


def test_stage_10(again: Any, finished: Any, tiny_options: list[str]) -> None:
    (stats,) = again.folder.glob("exp/lego_stats_train_de_en_*")
    name = stats.relative_to(again.folder)
    shutil.rmtree(stats)
    half = f"{name}/logdir/stats.2/train"
    killed = Killed(
        again,
        match=f"--output_dir {name}/logdir/stats.2",
        before=f"mkdir {half}; echo half >{half}/text_shape",
        sign=f"{name}/logdir/stats.1/.done",
    )
    killed.run_twice(*tiny_options, "--stage", "10", "--stop_stage", "10")
    assert "up to date" in (stats / "logdir/stats.1.log").read_text()
    assert files(stats) == files(finished.folder / name)


def test_stage_11(again: Any, finished: Any, tiny_options: list[str]) -> None:
    torch = pytest.importorskip("torch")
    shutil.rmtree(again.folder / "exp/de_en")
    killed = Killed(
        again,
        match="legonn.bin.train --collect_stats false",
        before=f'{sys.executable} "$@" &',
        sign="exp/de_en/checkpoint.pth",
    )
    killed.run_twice(*tiny_options, "--stage", "11", "--stop_stage", "11")
    assert "was resumed" in (again.folder / "exp/de_en/train.log").read_text()
    for name in ("3epoch.pth", "valid.loss.ave_2best.pth"):
        weights = [
            torch.load(recipe.folder / "exp/de_en" / name, weights_only=True)
            for recipe in (finished, again)
        ]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert files(again.folder / "exp/de_en").keys() >= {"config.yaml", "interface.yaml", ".done"}


def test_stage_12(again: Any, finished: Any, tiny_options: list[str]) -> None:
    decoded = again.folder / "exp/de_en/decode"
    shutil.rmtree(decoded)
    output = "exp/de_en/decode/test_de_en/logdir/output"
    killed = Killed(
        again,
        match=f"--output {output}.2",
        before=f"mkdir {output}.2/1best_recog; echo half >{output}.2/1best_recog/text",
        sign=f"{output}.1/.done",
    )
    killed.run_twice(*tiny_options, "--stage", "12", "--stop_stage", "13")
    assert "up to date" in (decoded / "test_de_en/logdir/decode.1.log").read_text()
    assert files(decoded) == files(finished.folder / "exp/de_en/decode")


def test_a_mended_configuration_is_taken_after_a_typo(again: Any, tiny_options: list[str]) -> None:
    shutil.rmtree(again.folder / "exp/de_en")
    tiny = again.folder / "conf/tiny.yaml"
    right = tiny.read_text()
    tiny.write_text(right.replace("optim_conf: {lr:", "optim_conf: {lrr:"))
    stages = ["--stage", "11", "--stop_stage", "11"]
    printed = again.fail(*tiny_options, *stages)
    assert printed.count("optim_conf has no option 'lrr'") == 1 and "Traceback" not in printed
    tiny.write_text(right)
    again.run(*tiny_options, *stages)
    assert (again.folder / "exp/de_en/.done").exists()
