"""YAML that anyone may have written: plain data, or one of our errors. Nothing else here parses YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from legonn.errors import ConfigError

__all__ = ["PlainLoader", "parse_yaml", "read_yaml"]

# Far more than any of ours has; C code recurses into each level, and ends the process at some 50,000.
MOST_DEPTH = 20
# The same grammar in C: a configuration holds two token lists, and start-up counts.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainLoader(_SafeLoader):
    """PyYAML's safe loader, which names the line of a value that isn't what it looks like (`2024-99-99`)."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                float(value)  # what no float holds is no number of ours, and Python won't print it
        except yaml.YAMLError:
            raise
        except Exception as error:  # PyYAML lets through what its conversions raise, of any class
            raise yaml.constructor.ConstructorError(
                problem=f"{node.value!r:.80} is no {node.tag.rpartition(':')[2]}: {error!s:.200}",
                problem_mark=node.start_mark,
            ) from error
        return value


def parse_yaml(text: str, fault: str, *, loader: Any = PlainLoader, aliases: bool = True) -> Any:
    """YAML -> plain data.

    Parameters
    ----------
    fault : str
        How an error begins: the file's name, and what it is not.
    loader : type
        `PlainLoader`, or one made of it.
    aliases : bool
        False refuses them: few bytes of them swell to anything when they are used.

    Raises
    ------
    ConfigError
        If it is no YAML, holds an object or an illegal value, or is nested too deep.
    """
    try:
        _check_events(text, loader, aliases)
        return yaml.load(text, Loader=loader)
    except Exception as error:
        raise ConfigError(f"{fault}: {error}. Mend it, or fetch the file again.") from error


def read_yaml(path: Path, fault: str | None = None, **options: Any) -> Any:
    """As `parse_yaml`, of a file.

    Raises
    ------
    ConfigError
        Also if it can't be read.
    """
    fault = fault or f"{path} can't be read as YAML"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{fault}: {error}") from error
    return parse_yaml(text, fault, **options)


def _check_events(text: str, loader: Any, aliases: bool) -> None:
    """Look at the document before anything recurses into it."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise ConfigError("it uses a YAML alias, which none of these files does")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise ConfigError(f"it is nested deeper than {MOST_DEPTH} levels")
