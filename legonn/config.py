"""Training configurations: YAML, where a variant names its `base` and holds only what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from legonn.errors import ConfigError
from legonn.plain_yaml import PlainLoader, read_yaml

__all__ = ["UniqueKeyLoader", "merge", "read_config"]


class UniqueKeyLoader(PlainLoader):
    """Plain data; a key that stands twice in a mapping is an error, and not the last of them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands here twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_config(path: Path) -> dict[str, Any]:
    """Read a training YAML; `base: other.yaml` (relative to it) is read first, and overridden key by key.

    Where a file names another class than its base (`encoder`, `optim` ...), the options of the base's class
    (`encoder_conf` ...) are left out.

    Raises
    ------
    ConfigError
        If a file is absent, is no YAML mapping, or is its own base.
    """
    return _read(path, ())


def _read(path: Path, readers: tuple[Path, ...]) -> dict[str, Any]:
    if path in readers:
        raise ConfigError(f"{path} is its own base: {' -> '.join(map(str, [*readers, path]))}")
    named = f" (base of {readers[-1]})" if readers else ""
    config = read_yaml(path, f"{path}{named} can't be read as YAML", loader=UniqueKeyLoader)
    if not isinstance(config, dict):
        raise ConfigError(f"{path} holds no mapping of options to values")
    base = config.pop("base", None)
    if base is None:
        return config
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base is {base!r:.80}; it wants the name of another YAML file")
    below = _read(path.parent / base, (*readers, path))
    other = {f"{key}_conf" for key in below if config.get(key, below[key]) != below[key]}
    return merge({key: value for key, value in below.items() if key not in other}, config)


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` over it; mappings such as encoder_conf are merged key by key."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = (
            merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged
