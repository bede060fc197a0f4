"""Reading input and writing results: all faults at once, and nothing half-written."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from legonn.errors import ConfigError, DataError, LegonnError
from legonn.search import Hypothesis
from legonn.search.files import (
    Lines,
    Outcome,
    Several,
    check_output,
    open_whole,
    open_writer,
    read_input,
    stream_lines,
)
from legonn.search.journal import open_journal
from legonn.search.jsonl import JsonLines


def hypothesis(text: str, score: float = -0.5) -> Hypothesis:
    return Hypothesis(text=text, tokens=tuple(text), ids=(), score=score, scores={})


def test_a_file_named_text_is_kaldis_and_any_other_is_lines(tmp_path: Path) -> None:
    for name in ("text", "text.tc.de", "news.de"):
        (tmp_path / name).write_text("u1 ein Haus\nu2 zwei\n")
    kaldi = read_input(str(tmp_path / "text.tc.de"))
    assert (kaldi.ids, kaldi.texts) == (["u1", "u2"], ["ein Haus", "zwei"])
    assert read_input(str(tmp_path / "text")).ids == ["u1", "u2"]
    plain = read_input(str(tmp_path / "news.de"))
    assert (plain.ids, plain.texts) == (None, ["u1 ein Haus", "u2 zwei"])
    assert read_input(str(tmp_path / "text"), form="lines").texts == plain.texts


def test_a_form_that_the_content_contradicts_is_told(tmp_path: Path) -> None:
    for name, content in (
        ("text", "u1 ein Haus\nu2 zwei\n"),
        ("in.de", "u1 ein Haus\nu2 zwei\n"),
        ("text.de", "Zwei Hunde\nein Haus\n"),
        ("plain", "Zwei Hunde\nein Haus\n"),
        ("one", "2 Hunde\n"),
    ):
        (tmp_path / name).write_text(content)
    odd = {p.name: o for p in tmp_path.iterdir() if (o := read_input(str(p)).oddity)}
    assert odd.keys() == {"in.de", "text.de"}
    assert "if that is so, --input_format kaldi" in odd["in.de"]
    assert "if they are words of the text, --input_format lines" in odd["text.de"]
    assert read_input(str(tmp_path / "in.de"), form="lines").oddity == ""


def test_lines_end_in_any_way_and_only_at_newlines(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes("a\r\nb\u2028c\n\nd".encode())
    assert read_input(str(path)).texts == ["a", "b\u2028c", "", "d"]


def test_every_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"gut\nGr\xfc\xdfe\nab\xff\n")
    with pytest.raises(DataError) as caught:
        read_input(str(path))
    assert caught.value.items == [
        f"{path}:2: not UTF-8 at byte 3",
        f"{path}:3: not UTF-8 at byte 3",
    ]


@pytest.mark.parametrize("kaldi", [False, True])
def test_bad_lines_can_be_kept_as_empty_ones(tmp_path: Path, kaldi: bool) -> None:
    path = tmp_path / ("text" if kaldi else "in")
    keys = b"u1 ", b"u2 ", b"u3 "
    lines = [b"gut\n", b"Gr\xfc\xdfe\n", b"ab\n"]
    path.write_bytes(
        b"".join(key + line for key, line in zip(keys, lines, strict=True))
        if kaldi
        else b"".join(lines)
    )
    read = read_input(str(path), tolerant=True)
    assert list(read.texts) == ["gut", "", "ab"]
    assert list(read.numbers) == [1, 2, 3]
    assert read.faults == {2: f"not UTF-8 at byte {6 if kaldi else 3}"}
    (part,) = list(read.part(1).windows(5))
    assert (list(part.numbers), part.faults) == ([2, 3], read.faults)


@pytest.mark.parametrize("line", [b"u\xff a\n", b"u1\xff\n", b" a\n"])
def test_an_id_that_cannot_be_read_is_an_error_all_the_same(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "text").write_bytes(b"u0 a\n" + line)
    with pytest.raises(DataError, match=r"text:2: (not UTF-8|no id)"):
        read_input(str(tmp_path / "text"), tolerant=True)


def test_keys_pick_lines_and_keep_their_numbers(tmp_path: Path) -> None:
    text, keys = tmp_path / "text", tmp_path / "keys"
    text.write_text("u1 a\nu2 b\nu3 c\n")
    keys.write_text("u2\nu3 more\n")
    lines = read_input(str(text), key_file=str(keys))
    assert (lines.ids, lines.texts, lines.numbers) == (["u2", "u3"], ["b", "c"], [2, 3])
    keys.write_text("u2\nu4\nu5\n")
    with pytest.raises(DataError) as caught:
        read_input(str(text), key_file=str(keys))
    assert caught.value.items == [f"{keys}:2: u4", f"{keys}:3: u5"]


def test_keys_need_ids(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--key_file picks ids"):
        read_input("in", form="lines", key_file="keys")


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't read .*absent: No such file"):
        read_input(str(tmp_path / "absent"))


def test_a_stream_gives_whole_lines_as_they_come() -> None:
    class Pipe(io.BytesIO):
        pieces = [b"one\ntwo\nthr", b"ee", b"\n", b"four"]

        def read1(self, size: int | None = -1, /) -> bytes:
            return self.pieces.pop(0) if self.pieces else b""

    parts = list(stream_lines(Pipe()))
    assert [list(part.texts) for part in parts] == [["one", "two"], ["three"], ["four"]]
    assert [list(part.numbers) for part in parts] == [[1, 2], [3], [4]]


def test_a_stream_keeps_the_line_that_is_not_utf8() -> None:
    (part,) = stream_lines(io.BytesIO(b"a\n\xff\nb\n"))
    assert list(part.texts) == ["a", "", "b"]
    assert part.faults == {2: "not UTF-8 at byte 1"}


def test_windows_split_everything_alike() -> None:
    lines = Lines("in", [1, 2, 3], ["a", "b", "c"], ["u1", "u2", "u3"])
    parts = list(lines.windows(2))
    assert [part.texts for part in parts] == [["a", "b"], ["c"]]
    assert [part.numbers for part in parts] == [[1, 2], [3]]
    assert [part.ids for part in parts] == [["u1", "u2"], ["u3"]]


def test_a_folder_gets_espnets_layout(tmp_path: Path) -> None:
    with open_writer(str(tmp_path), ids=True, nbest=2) as writer:
        found = [hypothesis("ab", -0.25), hypothesis("b")]
        writer.write([Outcome(found, "u1"), Outcome([hypothesis("")], "u2")])
    best, second = tmp_path / "1best_recog", tmp_path / "2best_recog"
    assert (best / "text").read_text() == "u1 ab\nu2 \n"
    assert (best / "token").read_text() == "u1 a b\nu2 \n"
    assert (best / "score").read_text() == "u1 -0.250000\nu2 -0.500000\n"
    assert (second / "text").read_text() == "u1 b\n"
    assert sorted(path.name for path in best.iterdir()) == ["score", "text", "token"]


def test_plain_lines_go_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.en"
    with open_writer(str(path), ids=False) as writer:
        writer.write([Outcome([hypothesis("a b")])])
        assert not path.exists()
    assert path.read_text() == "a b\n"


@pytest.mark.parametrize("ids", [True, False])
def test_a_failure_leaves_what_stood_there(tmp_path: Path, ids: bool) -> None:
    output = tmp_path / "out"
    path = output / "1best_recog" / "text" if ids else output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("before\n")
    with pytest.raises(KeyboardInterrupt), open_writer(str(output), ids=ids) as writer:
        writer.write([Outcome([hypothesis("half")], "u1" if ids else None)])
        raise KeyboardInterrupt
    assert path.read_text() == "before\n"
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_that_has_gone_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(BrokenPipeError),
        open_journal(str(tmp_path / "out"), {}, folder=False, resume=False) as journal,
        journal.open(tmp_path / "all.jsonl"),
    ):
        raise BrokenPipeError
    with pytest.raises(BrokenPipeError), open_whole(tmp_path / "out"):
        raise BrokenPipeError
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="is a file; input with ids gives a folder"),
        open_writer(str(tmp_path / "file"), ids=True),
    ):
        pass
    with (
        pytest.raises(ConfigError, match="is a folder; input without ids gives a file"),
        open_writer(str(tmp_path), ids=False),
    ):
        pass


@pytest.mark.parametrize("name", ["a.txt", "talk.SRT", "talk.vtt", "all.json", "all.jsonl"])
def test_a_folder_is_not_named_like_a_file_unless_it_is_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(
        ConfigError, match=r"--output .* would become a folder.* > FILE, or give --jsonl FILE"
    ):
        check_output(str(path), ids=True)
    check_output(str(path), ids=False)
    path.mkdir()
    check_output(str(path), ids=True)
    check_output(str(tmp_path / "new" / "out.de"), ids=True)


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open_writer(str(path), ids=False) as writer:
        writer.write([Outcome([hypothesis("a b")])])
        assert os.read(reader, 99) == b"a b\n"
    os.close(reader)
    assert path.is_fifo()


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("whole", "journaled"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    with open_whole(tmp_path / "whole") as file:
        file.write("a")
    journaled = str(tmp_path / "journaled")
    with open_journal(journaled, {}, folder=False, resume=False) as journal:
        with journal.open(Path(journaled)) as file:
            file.write("b")
        journal.end(0)
    for name, content in (("whole", "a"), ("journaled", "b")):
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text() == content


def test_the_file_that_cannot_be_written_is_named_and_no_other(tmp_path: Path) -> None:
    with (
        pytest.raises(LegonnError, match="can't write /dev/full: No space left on device"),
        open_whole(Path("/dev/full")) as full,
        open_whole(tmp_path / "room"),
    ):
        JsonLines(full).write([Outcome([hypothesis("a")])])


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(LegonnError, match="can't write .*: Is a directory"), open_whole(tmp_path):
        pass


def test_several_writers_get_the_same(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in "ab"]
    with open_writer(names[0], ids=False) as first, open_writer(names[1], ids=False) as second:
        third = io.StringIO()
        unheard = Outcome([hypothesis("c")], fault="no sound")
        Several(first, second, JsonLines(third)).write([unheard])
    assert [Path(name).read_text() for name in names] == ["c\n", "c\n"]
    assert '"error": "no sound"' in third.getvalue()


def test_standard_output_gets_ids_where_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with open_writer("-", ids=True) as writer:
        writer.write([Outcome([hypothesis("a b")], "u1"), Outcome([hypothesis("c")])])
    assert capsys.readouterr().out == "u1 a b\nc\n"
