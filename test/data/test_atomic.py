"""Files that are whole or absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from legonn.data import atomic
from legonn.data.atomic import write_atomic
from legonn.errors import LegonnError


@pytest.mark.parametrize(
    ("data", "stored"), [("ü\r\n", b"\xc3\xbc\r\n"), (b"\x00\xff", b"\x00\xff")]
)
def test_content_is_stored_as_it_is(tmp_path: Path, data: str | bytes, stored: bytes) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomic(path, data)
    assert path.read_bytes() == stored


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    write_atomic(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_crash_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def crash(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, "x")
    assert link.is_symlink()
    assert target.read_text() == "x"


def test_standard_output_is_written_to() -> None:
    code = "from legonn.data.atomic import write_atomic; write_atomic('/dev/stdout', 'hello')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"hello"


def test_what_can_not_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LegonnError, match="can't write .*file/below: .*File exists: .*file'"):
        write_atomic(tmp_path / "file" / "below", "x")
