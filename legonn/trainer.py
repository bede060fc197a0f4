"""ESPnet's Trainer, made safe to kill at any moment and to resume."""

from __future__ import annotations

import datetime
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from espnet2.train.trainer import Trainer

__all__ = ["LegoTrainer", "atomic_saves"]


@contextmanager
def atomic_saves() -> Iterator[None]:
    """Make `torch.save` write beside its target and rename: ESPnet overwrites its only checkpoint in place."""
    plain = torch.save

    def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(f, (str, os.PathLike)):
            plain(obj, f, *args, **kwargs)
            return
        path = Path(f)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        with beside.open("wb") as stream:
            plain(obj, stream, *args, **kwargs)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)

    torch.save = save
    try:
        yield
    finally:
        torch.save = plain


class LegoTrainer(Trainer):
    """Trainer whose checkpoints are whole or absent, and hold nothing that needs unpickling.

    ESPnet seeds every epoch with seed + epoch, so that a run resumed at an epoch boundary repeats, on a CPU,
    the losses of the uninterrupted one bit for bit.
    """

    @classmethod
    def run(cls, *args: Any, **kwargs: Any) -> None:
        """As `Trainer.run`."""
        with atomic_saves():
            super().run(*args, **kwargs)

    @staticmethod
    def resume(
        checkpoint: str | Path,
        model: torch.nn.Module,
        reporter: Any,
        optimizers: Any,
        schedulers: Any,
        scaler: Any,
        ngpu: int = 0,
        strict: bool = True,
    ) -> None:
        """Load `checkpoint` and finish the epoch that a kill may have left half-noted."""
        device = f"cuda:{torch.cuda.current_device()}" if ngpu > 0 else "cpu"
        with torch.serialization.safe_globals([datetime.timedelta]):
            states = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(states["model"], strict=strict)
        reporter.load_state_dict(states["reporter"])
        for optimizer, state in zip(optimizers, states["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        for scheduler, state in zip(schedulers, states["schedulers"], strict=True):
            if scheduler is not None:
                scheduler.load_state_dict(state)
        if scaler is not None and states["scaler"] is not None:
            scaler.load_state_dict(states["scaler"])
        _complete_epoch(Path(checkpoint).parent, reporter.get_epoch(), states["model"])
        logging.info("The training was resumed using %s", checkpoint)


def _complete_epoch(folder: Path, epoch: int, weights: dict[str, torch.Tensor]) -> None:
    """ESPnet writes checkpoint.pth first, then <epoch>epoch.pth and its link: a kill between leaves only the first."""
    model = folder / f"{epoch}epoch.pth"
    if not model.exists():
        torch.save(weights, model)
    latest = folder / "latest.pth"
    if latest.is_symlink() or latest.exists():
        latest.unlink()
    latest.symlink_to(model.name)
