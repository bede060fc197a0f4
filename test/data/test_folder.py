"""Kaldi text files."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.data.folder import (
    c_sorted,
    clean,
    numbered_ids,
    read_keys,
    read_lines,
    read_text,
    write_text,
)
from legonn.errors import DataError


def test_ids_sort_by_bytes_as_in_the_c_locale() -> None:
    # Capitals before small letters, ASCII before the rest: what LC_ALL=C sort gives.
    assert c_sorted(["b", "ä", "a", "B", "a-1", "a1"]) == ["B", "a", "a-1", "a1", "b", "ä"]


def test_ids_sort_beyond_the_basic_plane_by_bytes_not_by_utf16() -> None:
    assert c_sorted(["\U0001f600", "\uffee"]) == ["\uffee", "\U0001f600"]


def test_numbered_ids_sort_as_they_count() -> None:
    ids = numbered_ids("train", 12)
    assert ids[0] == "train-00001" and ids[11] == "train-00012"
    assert c_sorted(ids) == ids


def test_numbered_ids_grow_wider_for_large_sets() -> None:
    assert numbered_ids("train", 100000)[0] == "train-000001"


def test_clean_joins_white_space_of_all_kinds() -> None:
    assert clean(" ein\t Mann\u00a0 liest \r") == "ein Mann liest"


def test_lines_are_cut_at_newlines_alone(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes("a x\u2028y\r\nb z".encode())
    assert list(read_lines(file)) == [(1, "a x\u2028y".encode()), (2, b"b z")]


def test_a_written_file_reads_back_sorted(tmp_path: Path) -> None:
    write_text(tmp_path / "text", {"b": "zwei", "a": "eins  und"})
    assert (tmp_path / "text").read_text(encoding="utf-8") == "a eins  und\nb zwei\n"
    assert read_text(tmp_path / "text") == {"a": "eins  und", "b": "zwei"}


def test_an_id_ends_at_a_blank_or_a_tab(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("a\teins zwei\nb drei\tvier\nc\t\n")
    texts = read_text(file)
    assert texts == {"a": "eins zwei", "b": "drei\tvier", "c": ""}
    file.write_text("b\tx\na y\nb\tz\n")
    assert read_keys(file, texts, "text") == ["b", "a"]


def test_lines_whose_text_is_bad_can_be_kept(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"a eins\nb zw\xff\nc drei\n")
    bad: dict[str, str] = {}
    assert read_text(file, bad) == {"a": "eins", "b": "", "c": "drei"}
    assert bad == {"b": "not UTF-8 at byte 5"}


def test_reading_tells_all_faults_at_once(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(b"a eins\nb \xff\n zwei\na drei\n")
    with pytest.raises(DataError) as error:
        read_text(file)
    assert error.value.items == [
        f"{file}:2: not UTF-8 at byte 3",
        f"{file}:3: no id",
        f"{file}:4: id given twice: a",
    ]
