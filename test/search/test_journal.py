"""A decoding that is killed anywhere goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from legonn.errors import ConfigError
from legonn.search.journal import Journal, fingerprint, open_journal

ABOUT = {"beam_size": 5, "input": "a1"}


class Killed(BaseException):
    """Nobody catches it."""


@contextmanager
def opened(
    folder: Path, *, resume: bool = False, about: dict[str, object] | None = None
) -> Iterator[tuple[Journal, IO[str], IO[str]]]:
    with open_journal(str(folder), about or ABOUT, folder=True, resume=resume) as journal:
        if journal.status is None:
            with journal.open(folder / "a") as a, journal.open(folder / "in" / "b") as b:
                yield journal, a, b
            journal.end(1)


def write(journal: Journal, a: IO[str], b: IO[str], *, until: int) -> None:
    """Inputs two at a time; each gives a line of one file, and its number's lines of the other."""
    for first in range(journal.done, until, 2):
        for number in (first, first + 1):
            a.write(f"{number}\n")
            b.write("x\n" * number)
        journal.mark(2, seen=first)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_an_uninterrupted_run_leaves_its_files_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as (journal, a, b):
        write(journal, a, b, until=4)
        assert names(tmp_path) == ["a.tmp", "decode.journal", "in/b.tmp"]
    assert names(tmp_path) == ["a", "in/b"]
    assert (tmp_path / "a").read_text() == "0\n1\n2\n3\n"


def test_what_is_not_marked_is_cut_off_and_written_again(tmp_path: Path) -> None:
    with pytest.raises(Killed), opened(tmp_path) as (journal, a, b):
        write(journal, a, b, until=4)
        a.write("4\n5")
        b.write("x\nx")
        raise Killed
    assert names(tmp_path) == ["a.tmp", "decode.journal", "in/b.tmp"]
    with (tmp_path / "decode.journal").open("a") as file:
        file.write('{"done": 6, "siz')  # killed while it noted that
    with opened(tmp_path, resume=True) as (journal, a, b):
        assert (journal.done, journal.facts) == (4, {"seen": 2})
        write(journal, a, b, until=8)
    assert (tmp_path / "a").read_text() == "".join(f"{number}\n" for number in range(8))
    assert (tmp_path / "in" / "b").read_text() == "x\n" * sum(range(8))


def test_a_run_can_be_stopped_again_and_again(tmp_path: Path) -> None:
    for until in (2, 2, 6):
        with pytest.raises(Killed), opened(tmp_path, resume=True) as (journal, a, b):
            write(journal, a, b, until=until)
            raise Killed
    with opened(tmp_path, resume=True) as (journal, a, b):
        assert journal.done == 6
        write(journal, a, b, until=8)
    assert (tmp_path / "a").read_text() == "".join(f"{number}\n" for number in range(8))


def test_a_run_that_was_killed_among_the_renames_ends(tmp_path: Path) -> None:
    with pytest.raises(Killed), opened(tmp_path) as (journal, a, b):
        write(journal, a, b, until=4)
        raise Killed
    (tmp_path / "in" / "b.tmp").rename(tmp_path / "in" / "b")
    with opened(tmp_path, resume=True) as (journal, a, b):
        assert journal.done == 4
    assert names(tmp_path) == ["a", "decode.journal", "in/b"]
    assert (tmp_path / "in" / "b").read_text() == "x\n" * 6


def test_before_the_first_mark_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before\n")
    with pytest.raises(Killed), opened(tmp_path) as (_, a, _b):
        a.write("0\n")
        raise Killed
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "before\n"


def test_what_is_complete_is_not_done_again(tmp_path: Path) -> None:
    with opened(tmp_path, resume=True) as (journal, a, b):
        write(journal, a, b, until=4)
    with open_journal(str(tmp_path), ABOUT, folder=True, resume=True) as journal:
        assert (journal.status, journal.done) == (1, 0)
    (tmp_path / "a").write_text("0\n")  # somebody's
    with opened(tmp_path, resume=True) as (journal, a, b):
        assert (journal.status, journal.done) == (None, 0)
        write(journal, a, b, until=4)
    assert (tmp_path / "a").read_text() == "0\n1\n2\n3\n"


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(Killed), opened(tmp_path) as (journal, a, b):
        write(journal, a, b, until=4)
        raise Killed
    with opened(tmp_path) as (journal, a, b):
        assert journal.done == 0
        write(journal, a, b, until=2)
    assert (tmp_path / "a").read_text() == "0\n1\n"
    assert names(tmp_path) == ["a", "in/b"]


def test_a_run_of_other_options_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(Killed), opened(tmp_path) as (journal, a, b):
        write(journal, a, b, until=4)
        raise Killed
    message = r"with another beam_size \(5, now 8\); go on as it began, or leave --resume out"
    with (
        pytest.raises(ConfigError, match=message),
        opened(tmp_path, resume=True, about={**ABOUT, "beam_size": 8}),
    ):
        pass
    assert names(tmp_path) == ["a.tmp", "decode.journal", "in/b.tmp"]


@pytest.mark.parametrize("damage", ["shorter", "absent"])
def test_files_that_are_not_as_the_journal_says_are_told(tmp_path: Path, damage: str) -> None:
    with pytest.raises(Killed), opened(tmp_path) as (journal, a, b):
        write(journal, a, b, until=4)
        raise Killed
    temporary = tmp_path / "a.tmp"
    temporary.unlink() if damage == "absent" else temporary.write_text("0\n")
    with (
        pytest.raises(ConfigError, match=r"a\.tmp isn't what .*decode\.journal says; leave"),
        opened(tmp_path, resume=True),
    ):
        pass


def test_a_file_has_its_journal_beside_it_and_a_stream_has_none(tmp_path: Path) -> None:
    output = tmp_path / "out.en"
    with open_journal(str(output), ABOUT, folder=False, resume=False) as journal:
        assert (tmp_path / "out.en.journal").exists()
        with journal.open(output) as file:
            file.write("a\n")
            journal.mark(1)
        journal.end(0)
    assert names(tmp_path) == ["out.en"]
    for stream in ("-", "/dev/null"):
        with open_journal(stream, ABOUT, folder=False, resume=False) as journal:
            journal.mark(1)
            journal.end(0)
        with (
            pytest.raises(ConfigError, match=f"--output {stream} is no file or folder"),
            open_journal(stream, ABOUT, folder=False, resume=True),
        ):
            pass


def test_fingerprints_tell_apart() -> None:
    assert fingerprint([["a", "b"]]) == fingerprint([["a", "b"]])
    assert len({fingerprint(items) for items in (["ab"], ["a", "b"], [["a", "b"]], [])}) == 4
