"""The options by which commands name what they read."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from legonn.bin.input_options import (
    add_input_options,
    add_max_seconds,
    audio_limits,
    check_max_seconds,
    read_given,
)
from legonn.errors import ConfigError, DataError
from legonn.search.files import Lines


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_input_options(parser)
    add_max_seconds(parser)
    return parser.parse_args(options)


def test_a_text_is_lines_and_with_keys_those(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a b\n\nc\n")
    assert read_given(parsed("--input", f"{tmp_path}/in")) == Lines(
        f"{tmp_path}/in", range(1, 4), ["a b", "", "c"]
    )
    (tmp_path / "text").write_text("u1 a b\nu2 c\n")
    (tmp_path / "keys").write_text("u2\n")
    found = read_given(parsed("--input", f"{tmp_path}/text", "--key_file", f"{tmp_path}/keys"))
    assert isinstance(found, Lines)
    assert (found.ids, found.texts, found.numbers) == (["u2"], ["c"], [2])


def test_what_is_no_text_is_kept_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"a\n\xff\n")
    args = parsed("--input", f"{tmp_path}/in")
    found = read_given(args, tolerant=True)
    assert isinstance(found, Lines)
    assert found.faults == {2: "not UTF-8 at byte 1"}
    with pytest.raises(DataError, match="1 lines of .* are not UTF-8"):
        read_given(args)


def test_given_twice_it_names_both() -> None:
    found = read_given(parsed("--input", "a.wav", "--input", "b.wav", "c.wav"))
    assert isinstance(found, dict) and list(found) == ["a", "b", "c"]
    assert parsed().input == ["-"]


def test_recordings_come_by_their_ids(tmp_path: Path) -> None:
    found = read_given(parsed("--input", "x/b.wav", "a.flac"))
    assert isinstance(found, dict)
    assert [(key, one.source) for key, one in found.items()] == [("b", "x/b.wav"), ("a", "a.flac")]
    (tmp_path / "wav.scp").write_text("u cat u.wav |\nv v.wav\n")
    found = read_given(parsed("--input", str(tmp_path), "--allow_pipes"))
    assert isinstance(found, dict) and list(found) == ["u", "v"]
    with pytest.raises(DataError, match="--allow_pipes"):
        read_given(parsed("--input", str(tmp_path)))


def test_several_texts_are_refused() -> None:
    with pytest.raises(ConfigError, match="--input names 2 texts, a first: give one"):
        read_given(parsed("--input", "a", "b"))


def test_pieces_are_long_enough(capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--max_seconds", "4"]):
        check_max_seconds(argparse.ArgumentParser(), parsed(*options))
    for seconds in ("3.9", "nan"):
        with pytest.raises(SystemExit):
            check_max_seconds(argparse.ArgumentParser(), parsed("--max_seconds", seconds))
        assert f"--max_seconds {seconds}: give at least 4" in capsys.readouterr().err


def test_an_encoder_says_how_much_it_hears_at_once_unless_the_option_does() -> None:
    assert audio_limits(parsed("--max_seconds", "5"), 8.0) == (5.0, 5.0)
    assert audio_limits(parsed(), 8.0) == (10.0, 8.0)
    assert audio_limits(parsed(), None) == (30.0, 30.0)
