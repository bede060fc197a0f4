"""What is read of an experiment folder: its configuration, and one of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from legonn.errors import ConfigError
from legonn.plain_yaml import read_yaml

__all__ = ["find_checkpoint", "load_weights", "read_config", "split_checkpoint"]

# Averages first; `latest` is what a run that was killed in its last minutes still has.
CHECKPOINTS = (
    "valid.acc.ave.pth",
    "valid.loss.ave.pth",
    "valid.*.ave.pth",
    "*.ave.pth",
    "valid.acc.best.pth",
    "valid.*.best.pth",
    "*.best.pth",
    "latest.pth",
    "composed.pth",
)


def split_checkpoint(spec: str | Path) -> tuple[Path, str | None]:
    """`exp/x:latest.pth` -> the folder, and the checkpoint's name; None where none is given."""
    folder, colon, name = str(spec).rpartition(":")
    return (Path(folder), name) if colon and name.endswith(".pth") else (Path(spec), None)


def read_config(folder: Path) -> dict[str, Any]:
    """Its `config.yaml`; what is no mapping has no keys.

    Raises
    ------
    ConfigError
        If there is none, or it is no YAML.
    """
    path = folder / "config.yaml"
    if not path.exists():
        if not folder.exists():
            raise ConfigError(f"{folder}: no such folder; mend the name")
        raise ConfigError(f"{folder} is no experiment: it has no {path.name}")
    config = read_yaml(path)
    return config if isinstance(config, dict) else {}


def find_checkpoint(folder: Path, name: str | None = None) -> Path:
    """The one of that name; by default the average of the best.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if name is not None:
        if not (folder / name).exists():
            there = ", ".join(sorted(path.name for path in folder.glob("*.pth"))) or "none"
            raise ConfigError(f"{folder} has no checkpoint {name}; it has {there}")
        return folder / name
    for pattern in CHECKPOINTS:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    raise ConfigError(
        f"{folder} has no checkpoint yet: train it first (stage 11; a language model: 7)"
    )


def load_weights(module: nn.Module, path: Path) -> None:
    """Load tensors, and nothing else, into a module of exactly their names and shapes.

    Raises
    ------
    ConfigError
        If the file is damaged, or holds something else.
    """
    import pickle

    try:
        states = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(f"{path} is no checkpoint, or a damaged one: {error}") from error
    if not isinstance(states, Mapping):
        raise ConfigError(
            f"{path} doesn't belong to its config.yaml: it holds a {type(states).__name__}, no weights"
        )
    try:
        module.load_state_dict(states)
    except RuntimeError as error:
        faults = [line.strip() for line in str(error).splitlines()[1:]]
        shown = "; ".join(fault[:200] for fault in faults[:3])
        raise ConfigError(
            f"{path} doesn't belong to its config.yaml: {shown} ({len(faults)} kinds of fault)"
        ) from error
