"""Two processes on a CPU against one with the joined batches: same data, losses and weights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from legonn.interface import Interface

# No dropout, and batches of 9 and 10, which don't halve evenly. Not Adam: where a gradient is
# zero but for rounding (the keys' biases), it makes whole steps of the rounding.
BATCHES = 48 // 9
OPTIONS = ["--batch_size", "9", "--max_epoch", "2", "--optim", "sgd", "--optim_conf", "lr=0.1"]
for part in ("encoder", "decoder"):
    OPTIONS += [f"--{part}_conf", "dropout=0.0", f"--{part}_conf", "attention_dropout=0.0"]

# A worker that writes down which utterances each forward pass saw, then trains as usual.
WORKER = """
import json, os, sys
from pathlib import Path
from legonn.cli import run
from legonn.environment import quiet_imports
with quiet_imports():
    from legonn.chain import Chain
from legonn.bin.train import main
forward, seen = Chain.forward, []
def noted(self, *args, **kwargs):
    seen.append([self.training, list(kwargs["utt_id"])])
    return forward(self, *args, **kwargs)
Chain.forward = noted
status = run(main, sys.argv[2:])
Path(sys.argv[1], f"seen.{os.environ['RANK']}.json").write_text(json.dumps(seen))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def alone(train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("alone") / "exp", *OPTIONS)


@pytest.fixture(scope="module")
def together(
    corpus: Any, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two epochs under torchrun, with the options of the recipes' launcher."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "worker.py").write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
    command += [str(folder / "worker.py"), str(folder), *corpus.options(folder / "exp", *OPTIONS)]
    command += ["--ngpu", "0", "--multiprocessing_distributed", "false", "--dist_backend", "gloo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    return folder


def seen(folder: Path) -> list[list[list[str]]]:
    """Training batches of each rank: rank -> batch -> utterances."""
    ranks = [json.loads((folder / f"seen.{rank}.json").read_text()) for rank in range(2)]
    return [[ids for training, ids in rank if training] for rank in ranks]


def test_every_utterance_is_seen_once_an_epoch(together: Path) -> None:
    first, second = seen(together)
    everything = sorted(f"train{i:02d}" for i in range(48))
    assert len(first) == len(second) == 2 * BATCHES
    for epoch in range(2):
        batches = slice(BATCHES * epoch, BATCHES * (epoch + 1))
        given = [uid for rank in (first, second) for ids in rank[batches] for uid in ids]
        assert sorted(given) == everything
    assert first[:BATCHES] != first[BATCHES:]  # shuffled anew


def test_losses_are_those_of_one_process_with_the_joined_batches(
    together: Path, alone: Path
) -> None:
    ours, golden = (
        torch.load(folder / "checkpoint.pth", weights_only=False)["reporter"]["stats"]
        for folder in (together / "exp", alone)
    )
    assert sorted(ours) == sorted(golden) == [1, 2]
    for epoch in (1, 2):
        for part in ("train", "valid"):
            for key in ("loss", "loss_ce", "loss_ctc", "acc"):
                found = ours[epoch][part][key]
                assert found == pytest.approx(golden[epoch][part][key], abs=1e-5), (part, key)


def test_weights_are_those_of_one_process(together: Path, alone: Path) -> None:
    ours, golden = (
        torch.load(folder / "latest.pth", weights_only=True) for folder in (together / "exp", alone)
    )
    assert list(ours) == list(golden)
    for name, value in golden.items():
        torch.testing.assert_close(ours[name], value, atol=2e-5, rtol=1e-4)


def test_the_experiment_is_as_complete_as_one_processes(together: Path, alone: Path) -> None:
    names = [sorted(path.name for path in folder.iterdir()) for folder in (together / "exp", alone)]
    assert names[0] == names[1]
    assert (together / "exp" / "bpe.model").read_bytes() == (alone / "bpe.model").read_bytes()
    interfaces = [Interface.load(folder / "interface.yaml") for folder in (together / "exp", alone)]
    for interface in interfaces:  # may be of two days, or of two revisions of this checkout
        for name in ("date", "revision"):
            interface.provenance.pop(name, None)
    assert interfaces[0] == interfaces[1]
