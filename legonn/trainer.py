"""ESPnet's Trainer, made safe to kill at any moment and to resume."""

from __future__ import annotations

import argparse
import datetime
import functools
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet2.train import trainer

from legonn.errors import ConfigError

__all__ = ["LegoTrainer", "atomic_saves", "refuse_init_param", "separate_averages", "tensor_loads"]


# What ESPnet's Reporter notes beside numbers: times, and means as NumPy scalars.
REPORTED = [
    datetime.timedelta,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    np.dtypes.Int64DType,
    np.float64(0).__reduce__()[0],  # NumPy 2 calls it numpy._core.multiarray.scalar
]


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


@contextmanager
def tensor_loads() -> Iterator[None]:
    """Make `torch.load` read tensors alone, whatever it is asked for: ESPnet unpickles the epochs that it averages.

    Raises
    ------
    ConfigError
        Inside, for a file that wants more than that.
    """
    plain = torch.load

    def load(f: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return plain(f, *args, **{**kwargs, "weights_only": True})
        except pickle.UnpicklingError as error:
            raise ConfigError(
                f"{f} holds more than tensors, or is damaged, and was not unpickled: train into another --output_dir, "
                f"or fetch the experiment again ({error!s:.200})"
            ) from error

    torch.load = load
    try:
        yield
    finally:
        torch.load = plain


def refuse_init_param(args: argparse.Namespace) -> None:
    """ESPnet unpickles what `--init_param` names, before its Trainer begins.

    Raises
    ------
    ConfigError
        If it names anything.
    """
    if args.init_param:
        raise ConfigError(
            "--init_param unpickles its file; use --pretrained_encoder and --pretrained_decoder (legonn train), or "
            "--resume true"
        )


@contextmanager
def separate_averages() -> Iterator[None]:
    """Average for one criterion and one n at a time.

    ESPnet's `average_nbest_models` sums into the weights that it has loaded, and then takes those for the next
    criterion's: the second average of a run would hold the first one.
    """
    together = trainer.average_nbest_models

    def each(reporter: Any, best_model_criterion: Any, nbest: Any, **others: Any) -> None:
        wanted = sorted([nbest] if isinstance(nbest, int) else nbest)
        for phase, key, mode in best_model_criterion:
            epochs = reporter.sort_epochs(phase, key, mode) if reporter.has(phase, key) else []
            # The largest gets the link, but not one of more epochs than there are: of such ESPnet makes the best alone.
            for n in [n for n in wanted if n <= len(epochs)] or wanted[:1]:
                together(
                    reporter=reporter, best_model_criterion=[(phase, key, mode)], nbest=n, **others
                )

    trainer.average_nbest_models = each
    try:
        yield
    finally:
        trainer.average_nbest_models = together


class LegoTrainer(trainer.Trainer):
    """Trainer whose checkpoints are whole or absent, and hold nothing that needs unpickling.

    ESPnet seeds every epoch with seed + epoch, so that a run resumed at an epoch boundary repeats, on a CPU,
    the losses of the uninterrupted one bit for bit.
    """

    finish: Callable[[Any, dict[str, torch.Tensor]], None] | None = None

    @classmethod
    def run(cls, *args: Any, **kwargs: Any) -> None:
        """As `Trainer.run`."""
        options = kwargs["trainer_options"]
        cls.finish = None
        if kwargs["distributed_option"].dist_rank in (None, 0):  # one process writes
            _remove_halves(Path(options.output_dir))
            cls.finish = functools.partial(_complete_epoch, options)
        with atomic_saves(), tensor_loads(), separate_averages():
            super().run(*args, **kwargs)

    @classmethod
    def resume(
        cls,
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
        with torch.serialization.safe_globals(REPORTED):
            states = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(states["model"], strict=strict)
        reporter.load_state_dict(states["reporter"])
        for optimizer, state in zip(optimizers, states["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        for scheduler, state in zip(schedulers, states["schedulers"], strict=True):
            if scheduler is not None:
                given, kept = getattr(scheduler, "max_steps", None), state.get("max_steps")
                if given != kept:
                    logging.warning(
                        "the learning rate follows the schedule of %s updates that %s was begun with, not of %s: "
                        "for a longer training begin another, with --pretrained_encoder and --pretrained_decoder",
                        kept,
                        checkpoint,
                        given,
                    )
                scheduler.load_state_dict(state)
        if scaler is not None and states["scaler"] is not None:
            scaler.load_state_dict(states["scaler"])
        if cls.finish is not None:
            cls.finish(reporter, states["model"])
        logging.info("The training was resumed using %s", checkpoint)


def _remove_halves(folder: Path) -> None:
    """What `atomic_saves` had not renamed when an earlier run was killed."""
    for path in folder.glob(".*.pth.*"):
        path.unlink()


def _complete_epoch(options: Any, reporter: Any, weights: dict[str, torch.Tensor]) -> None:
    """Write what a kill prevented.

    ESPnet writes checkpoint.pth, then the epoch's file, then links, then removes old epochs.
    """
    folder, epoch = Path(options.output_dir), reporter.get_epoch()
    if not (folder / f"{epoch}epoch.pth").exists():
        torch.save(weights, folder / f"{epoch}epoch.pth")
    _link(folder / "latest.pth", epoch)
    wanted = options.keep_nbest_models
    count = wanted if isinstance(wanted, int) else max(wanted, default=1)
    kept = {epoch}
    for phase, key, mode in options.best_model_criterion:
        if reporter.has(phase, key):
            _link(folder / f"{phase}.{key}.best.pth", reporter.get_best_epoch(phase, key, mode))
            kept |= set(reporter.sort_epochs(phase, key, mode)[:count])
    for old in set(range(1, epoch)) - kept:
        (folder / f"{old}epoch.pth").unlink(missing_ok=True)


def _link(path: Path, epoch: int) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(f"{epoch}epoch.pth")
