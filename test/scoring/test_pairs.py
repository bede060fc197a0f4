"""Pairing: by id, by line, and all faults at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.errors import ConfigError, DataError
from legonn.scoring import read_pairs

REF = "utt-1 one man\nutt-2 two dogs\nutt-3 three\n"


def write(folder: Path, **contents: str | bytes) -> dict[str, Path]:
    """Write each content to a file of its name."""
    paths = {name: folder / name for name in contents}
    for name, content in contents.items():
        paths[name].write_bytes(content.encode() if isinstance(content, str) else content)
    return paths


def faults(folder: Path, ref: str | bytes, *hyps: str | bytes, format: str = "auto") -> list[str]:
    """The faults that reading gives, with file names short."""
    files = write(folder, ref=ref, **{f"hyp{n}": hyp for n, hyp in enumerate(hyps, 1)})
    with pytest.raises(DataError) as caught:
        read_pairs(ref=files["ref"], hyps=list(files.values())[1:], format=format)
    return [item.replace(f"{folder}/", "") for item in caught.value.items]


def test_kaldi_files_are_paired_by_id_in_the_references_order(tmp_path: Path) -> None:
    files = write(tmp_path, ref=REF, a="utt-3 drei\nutt-1 eins\nutt-2\n", b=REF)
    pairs = read_pairs(ref=files["ref"], hyps=[files["a"], files["b"]])
    assert pairs.format == "kaldi"
    assert pairs.refs == ("one man", "two dogs", "three")
    assert pairs.systems == (("eins", "", "drei"), pairs.refs)
    assert pairs.ids == ("utt-1", "utt-2", "utt-3")


def test_files_that_are_named_as_kaldis_are_kaldis(tmp_path: Path) -> None:
    """As what decoding a.wav and b.flac gives: their ids hold no digit."""
    ref, hyp = tmp_path / "text.tc.en", tmp_path / "text"
    ref.write_text("a A man.\nb Two dogs.\n")
    hyp.write_text("b Two cats.\na A man.\n")
    pairs = read_pairs(ref=ref, hyps=[hyp])
    assert (pairs.format, pairs.ids) == ("kaldi", ("a", "b"))
    assert pairs.systems == (("A man.", "Two cats."),)


def test_plain_lines_are_paired_by_number(tmp_path: Path) -> None:
    files = write(tmp_path, ref="A man.\nTwo dogs.\n", hyp="\nTwo cats.")
    pairs = read_pairs(ref=files["ref"], hyps=[files["hyp"]])
    assert (pairs.format, pairs.ids) == ("lines", ())
    assert (pairs.refs, pairs.systems) == (("A man.", "Two dogs."), (("", "Two cats."),))


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    text = "one\u2028half\x0b\x85 a\r\ntwo\n"
    files = write(tmp_path, ref=text, hyp=text)
    assert read_pairs(ref=files["ref"], hyps=[files["hyp"]]).refs == (
        "one\u2028half\x0b\x85 a",
        "two",
    )


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    files = write(tmp_path, ref="\ufeff" + REF, hyp=REF)
    pairs = read_pairs(ref=files["ref"], hyps=[files["hyp"]])
    assert (pairs.format, pairs.systems[0]) == ("kaldi", pairs.refs)


def test_the_form_can_be_told(tmp_path: Path) -> None:
    files = write(tmp_path, ref="1 a\n2 b\n", hyp="1 a\n2 b\n")
    forms = ("auto", "lines")
    pair = {f: read_pairs(ref=files["ref"], hyps=[files["hyp"]], format=f) for f in forms}
    assert pair["auto"].refs == ("a", "b")
    assert pair["lines"].refs == ("1 a", "2 b")
    with pytest.raises(ConfigError, match="'csv': choose from auto, kaldi, lines"):
        read_pairs(ref=files["ref"], hyps=[files["hyp"]], format="csv")


def test_missing_superfluous_and_repeated_ids(tmp_path: Path) -> None:
    assert faults(tmp_path, REF, "utt-1 a\nutt-1 b\nutt-9 c\n", format="kaldi") == [
        "hyp1:2: id utt-1 again, first in line 1",
        "hyp1: no hypothesis for utt-2 (ref:2)",
        "hyp1: no hypothesis for utt-3 (ref:3)",
        "hyp1:3: utt-9 isn't in ref",
    ]


def test_faults_of_all_files_come_together(tmp_path: Path) -> None:
    ref = REF.encode() + b"utt-4 \xff\n \nutt-5\n"
    assert faults(tmp_path, ref, "utt-1 a\n", REF, format="kaldi") == [
        "ref:4: not UTF-8 at byte 7",
        "ref:5: no utterance id",
        "ref:6: empty reference",
        "hyp1: no hypothesis for utt-2 (ref:2)",
        "hyp1: no hypothesis for utt-3 (ref:3)",
        "hyp1: no hypothesis for utt-5 (ref:6)",
        "hyp2: no hypothesis for utt-5 (ref:6)",
    ]


def test_different_line_counts_and_empty_references(tmp_path: Path) -> None:
    assert faults(tmp_path, "a\n \nc\n", "a\nb\n", "a\nb\nc\n") == [
        "hyp1: 2 lines, but ref has 3",
        "ref:2: empty reference",
    ]


def test_a_line_that_is_not_utf8_still_counts(tmp_path: Path) -> None:
    assert faults(tmp_path, "a\nb\n", b"\xe4\nb\n") == ["hyp1:1: not UTF-8 at byte 1"]


def test_an_empty_file(tmp_path: Path) -> None:
    assert faults(tmp_path, REF, "", REF, "") == ["hyp1: empty file", "hyp3: empty file"]


def test_a_missing_file(tmp_path: Path) -> None:
    files = write(tmp_path, ref=REF)
    with pytest.raises(DataError, match="nowhere: can't be read: No such file or directory"):
        read_pairs(ref=files["ref"], hyps=[tmp_path / "nowhere"])


def test_two_forms_at_once(tmp_path: Path) -> None:
    assert faults(tmp_path, REF, "one man\ntwo dogs\nthree\n") == [
        "ref: looks like Kaldi",
        "hyp1: looks like plain lines",
    ]


def test_one_fault_among_many_lines_is_a_fault_and_not_another_form(tmp_path: Path) -> None:
    ref = "".join(f"utt-{number} text\n" for number in range(100, 120))
    hyp = ref.replace("utt-107", "utt-106")
    assert faults(tmp_path, ref, hyp) == [
        "hyp1:8: id utt-106 again, first in line 7",
        "hyp1: no hypothesis for utt-107 (ref:8)",
    ]
