"""Training that may be killed at any moment: same losses bit for bit, same files at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from legonn.errors import ConfigError
from legonn.trainer import LegoTrainer, atomic_saves, tensor_loads

TIMES = ("time", "memory")  # of this run, not of the training


class Killed(BaseException):
    """Stands in for SIGKILL in this process: no handler of the trainer catches it."""


def losses(folder: Path) -> dict[int, Any]:
    """Every statistic of every epoch but times and memory, as the checkpoint holds it."""
    states = torch.load(folder / "checkpoint.pth", weights_only=False)
    return {
        epoch: {
            part: {k: v for k, v in found.items() if not any(t in k for t in TIMES)}
            for part, found in parts.items()
        }
        for epoch, parts in states["reporter"]["stats"].items()
    }


def listing(folder: Path) -> dict[str, str]:
    """Names of checkpoints, and where links lead; without those of a run of one epoch."""
    return {
        path.name: os.readlink(path) if path.is_symlink() else ""
        for path in folder.iterdir()
        if ".pth" in path.name and "ave_1best" not in path.name
    }


def assert_same_training(found: Path, wanted: Path) -> None:
    assert losses(found) == losses(wanted)
    assert listing(found) == listing(wanted)
    for name in listing(wanted):
        if name == "checkpoint.pth":
            continue
        ours, theirs = (torch.load(folder / name, weights_only=True) for folder in (found, wanted))
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    for kind in ("optimizers", "schedulers"):
        ours, theirs = (
            torch.load(folder / "checkpoint.pth", weights_only=False)[kind]
            for folder in (found, wanted)
        )
        assert str(ours) == str(theirs)


def test_training_learns(experiment: Path) -> None:
    found = losses(experiment)
    assert sorted(found) == [1, 2, 3]
    for part in ("train", "valid"):
        assert found[3][part]["loss"] < found[1][part]["loss"]
        for key in ("loss_ce", "loss_ctc", "infeasible", "acc"):
            assert key in found[1][part]


def test_averages_are_the_means_of_their_epochs(experiment: Path) -> None:
    """With two criteria: ESPnet's second average must not start from the first one."""
    stats = losses(experiment)
    for criterion, best in (("acc", max), ("loss", min)):
        ranked = sorted(stats, key=lambda e: stats[e]["valid"][criterion], reverse=best is max)
        states = [torch.load(experiment / f"{e}epoch.pth", weights_only=True) for e in ranked[:2]]
        average = torch.load(experiment / f"valid.{criterion}.ave_2best.pth", weights_only=True)
        for name, value in average.items():
            torch.testing.assert_close(value, (states[0][name] + states[1][name]) / 2)


def test_the_average_is_the_largest_that_there_are_epochs_for(
    train: Callable[..., Path], tmp_path: Path
) -> None:
    folder = train(tmp_path / "exp", "--max_epoch", "3", "--keep_nbest_models", "2", "5")
    assert (folder / "valid.acc.ave.pth").readlink().name == "valid.acc.ave_2best.pth"


def test_stopped_at_an_epochs_end_and_resumed_is_uninterrupted(
    train: Callable[..., Path], experiment: Path, tmp_path: Path
) -> None:
    folder = train(tmp_path / "exp", "--max_epoch", "1")
    assert sorted(losses(folder)) == [1]
    train(folder, "--resume", "true")
    assert_same_training(folder, experiment)


def test_resumed_in_bf16_is_uninterrupted_too(train: Callable[..., Path], tmp_path: Path) -> None:
    """What recipes train in on processors that have it; its sublayers are `legonn.fused`'s."""
    options = ["--precision", "bf16"]
    whole = train(tmp_path / "whole", *options, "--max_epoch", "2")
    half = train(tmp_path / "half", *options, "--max_epoch", "1")
    train(half, *options, "--max_epoch", "2", "--resume", "true")
    assert sorted(losses(half)) == [1, 2]
    assert_same_training(half, whole)


def test_a_finished_run_resumed_changes_nothing(
    train: Callable[..., Path], experiment: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    train(folder, "--resume", "true")
    assert_same_training(folder, experiment)


# Kills its own process with SIGKILL at the ninth training step: of six an epoch, in the second.
KILL = """
import os, signal, sys
from legonn.environment import quiet_imports
with quiet_imports():
    from legonn.chain import Chain
    from legonn.bin.train import main
forward, steps = Chain.forward, []
def counted(self, *args, **kwargs):
    steps.append(self.training)
    if sum(steps) == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return forward(self, *args, **kwargs)
Chain.forward = counted
main(sys.argv[1:])
"""


def test_killed_in_the_middle_of_an_epoch_and_resumed_is_uninterrupted(
    train: Callable[..., Path],
    corpus: Any,
    experiment: Path,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    folder = tmp_path / "exp"
    command = [sys.executable, "-c", KILL, *corpus.options(folder)]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert sorted(losses(folder)) == [1]
    train(folder, "--resume", "true")
    assert_same_training(folder, experiment)


@pytest.fixture
def killed_while_saving(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Path]:
    """Trains until the `number`th save of `name`: half of it written, or (`whole`) not begun."""

    def run(name: str, number: int, *, whole: bool) -> Path:
        plain, seen = torch.save, []

        def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
            target = Path(getattr(f, "name", f)).name
            seen.append(name in target)
            if not seen[-1] or sum(seen) < number:
                plain(obj, f, *args, **kwargs)
                return
            if not whole:
                f.write(b"PK\x03\x04 half a checkpoint")
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(torch, "save", save)
            with pytest.raises(Killed):
                train(tmp_path / "exp")
        return tmp_path / "exp"

    return run


def test_a_checkpoint_half_written_leaves_the_one_before(
    killed_while_saving: Callable[..., Path],
    train: Callable[..., Path],
    experiment: Path,
) -> None:
    folder = killed_while_saving("checkpoint.pth", 2, whole=False)
    assert sorted(losses(folder)) == [1]
    train(folder, "--resume", "true")
    assert_same_training(folder, experiment)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_an_epochs_file_that_a_kill_prevented_is_completed(
    killed_while_saving: Callable[..., Path],
    train: Callable[..., Path],
    experiment: Path,
    epoch: int,
) -> None:
    """Killed after checkpoint.pth: file, links and removal of old ones are made up for."""
    folder = killed_while_saving(f"{epoch}epoch.pth", 1, whole=True)
    assert max(losses(folder)) == epoch and not (folder / f"{epoch}epoch.pth").exists()
    train(folder, "--resume", "true")
    assert_same_training(folder, experiment)


def test_atomic_saves_leave_whole_files_only(tmp_path: Path) -> None:
    path, plain = tmp_path / "x.pth", torch.save
    with atomic_saves():
        torch.save({"a": torch.ones(2)}, path)
        torch.save({"a": torch.zeros(2)}, str(path))
        assert torch.load(path, weights_only=True)["a"].tolist() == [0, 0]
        with pytest.raises(AttributeError):
            torch.save({"a": lambda: None}, path)  # fails after its first bytes
    assert torch.save is plain
    assert torch.load(path, weights_only=True)["a"].tolist() == [0, 0]


def test_atomic_saves_pass_streams_through(tmp_path: Path) -> None:
    with atomic_saves(), (tmp_path / "x").open("wb") as stream:
        torch.save(torch.ones(1), stream)
    assert torch.load(tmp_path / "x", weights_only=True).tolist() == [1]


def test_atomic_saves_give_the_plain_function_back_after_an_error() -> None:
    plain = torch.save
    with pytest.raises(Killed), atomic_saves():
        raise Killed
    assert torch.save is plain


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_is_never_unpickled(tmp_path: Path) -> None:
    import pickle

    torch.save({"model": Bomb(tmp_path / "executed")}, tmp_path / "checkpoint.pth")
    with pytest.raises(pickle.UnpicklingError):
        LegoTrainer.resume(tmp_path / "checkpoint.pth", torch.nn.Linear(1, 1), None, [], [], None)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["3epoch.pth", "checkpoint.pth"])
def test_going_on_with_a_strangers_folder_unpickles_nothing(
    train: Callable[..., Path], experiment: Path, tmp_path: Path, name: str
) -> None:
    """`checkpoint.pth` is read at the start, and the epochs' own files when they are averaged at the end."""
    folder = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    states = torch.load(folder / name, weights_only=False)
    torch.save({**states, "bomb": Bomb(tmp_path / "executed")}, folder / name)
    with pytest.raises(ConfigError, match=f"{name} holds more than tensors.*was not unpickled"):
        train(folder, "--resume", "true", "--max_epoch", "4")
    assert not (tmp_path / "executed").exists()


def test_tensor_loads_give_the_plain_function_back_after_an_error(tmp_path: Path) -> None:
    plain = torch.load
    torch.save(Bomb(tmp_path / "executed"), tmp_path / "x.pth")
    torch.save(torch.ones(1), tmp_path / "y.pth")
    with pytest.raises(ConfigError, match="x.pth holds more than tensors"), tensor_loads():
        assert torch.load(tmp_path / "y.pth", weights_only=False).tolist() == [1]
        torch.load(tmp_path / "x.pth", "cpu", weights_only=False)
    assert torch.load is plain and not (tmp_path / "executed").exists()
