"""YAML of strangers: plain data, or our own error that names the file and the line."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from legonn.config import UniqueKeyLoader, read_config
from legonn.errors import ConfigError
from legonn.experiment import read_config as read_experiment
from legonn.interface import Interface
from legonn.plain_yaml import PlainLoader, parse_yaml, read_yaml
from legonn.search.options import DecodingOptions

# What PyYAML lets through as exceptions of any class, and what our message says of each.
CRASHING = [
    ("date: 2024-99-99", "'2024-99-99' is no timestamp: month must be in 1..12"),
    ("a: 2001-01-01 00:00:00+99:99", "is no timestamp"),
    (f"a: {'9' * 5000}", "'9{79} is no int: Exceeds the limit"),
    (f"a: 1{'0' * 400}", "is no int: int too large to convert to float"),
    (f"a: 0x{'f' * 5000}", "is no int: int too large to convert to float"),
    ("a: !!bool foo", "'foo' is no bool"),
    ("a: !!timestamp foo", "'foo' is no timestamp"),
    ("a: !!int ''", "'' is no int"),
    ("a: !!float foo", "'foo' is no float"),
    ("[" * 100_000 + "]" * 100_000, "nested deeper than 20 levels"),
]


@pytest.mark.parametrize("loader", [PlainLoader, UniqueKeyLoader])
@pytest.mark.parametrize(("text", "message"), CRASHING)
def test_every_error_of_yaml_is_our_own(text: str, message: str, loader: type) -> None:
    with pytest.raises(ConfigError, match=f"(?s)^a.yaml is no YAML: .*{message}.* Mend it, or"):
        parse_yaml(text, "a.yaml is no YAML", loader=loader)


def test_the_line_is_named() -> None:
    with pytest.raises(ConfigError, match="line 2, column 4"):
        parse_yaml("a: 1\nb: 2024-99-99\n", "x")


def test_plain_data_is_read() -> None:
    text = "a: [1, 2.5, true, null, x]\nb: 2024-09-09\nc: &c {d: 1}\ne: *c\n"
    assert parse_yaml(text, "x") == {
        "a": [1, 2.5, True, None, "x"],
        "b": datetime.date(2024, 9, 9),
        "c": {"d": 1},
        "e": {"d": 1},
    }
    with pytest.raises(ConfigError, match="x: it uses a YAML alias"):
        parse_yaml(text, "x", aliases=False)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone.yaml can't be read as YAML: .*No such file"):
        read_yaml(tmp_path / "gone.yaml")


@pytest.mark.parametrize(("text", "message"), CRASHING)
def test_each_reader_of_files_says_so(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    for read, given in (
        (read_experiment, tmp_path),
        (read_config, path),
        (Interface.load, path),
        (DecodingOptions.load, path),
    ):
        with pytest.raises(ConfigError, match=f"(?s)config.yaml .*{message}"):
            read(given)
