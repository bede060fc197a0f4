"""Each fault of a data folder alone, and all of them together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from legonn.data.check import FolderReport, check_folder

GOOD = b"a eins zwei\nb drei\n"


def check(tmp_path: Path, de: bytes, en: bytes = GOOD, max_length: int = 1000) -> FolderReport:
    (tmp_path / "text.tc.de").write_bytes(de)
    (tmp_path / "text.tc.en").write_bytes(en)
    return check_folder(tmp_path, max_length=max_length)


def faults(tmp_path: Path, de: bytes, en: bytes = GOOD) -> list[str]:
    """The faults, without the folder's name."""
    return [fault.replace(f"{tmp_path}/", "") for fault in check(tmp_path, de, en).faults]


def test_a_good_folder_has_no_faults_and_one_line_of_statistics(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD)
    assert report.faults == [] and report.warnings == []
    assert report.summary() == (
        f"{tmp_path}: 2 lines; text.tc.de 1.5 words a line, at most 9 characters; "
        "text.tc.en 1.5 words a line, at most 9 characters"
    )


def test_a_missing_newline_at_the_end_is_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, GOOD.removesuffix(b"\n")) == []


@pytest.mark.parametrize(
    ("de", "expected"),
    [
        (b"a \xe4\nb drei\n", "text.tc.de:1: not UTF-8 at byte 3 (0xE4)"),
        (b"a eins\nb\n", "text.tc.de:2: no text after the id"),
        (b"a eins\nb   \n", "text.tc.de:2: no text after the id"),
        (b"a eins\n\nb drei\n", "text.tc.de:2: is an empty line"),
        (b"a eins\n zwei\nb drei\n", "text.tc.de:2: begins with a blank, so it has no id"),
        (b"a eins\na zwei\nb drei\n", "text.tc.de:2: id a again, first in line 1"),
        (b"b drei\na eins\n", "text.tc.de:2: id a after b: not sorted"),
        (b"a eins\tzwei\nb drei\n", "text.tc.de:1: a tab in the line"),
        (b"a\teins\nb drei\n", "text.tc.de:1: a tab in the line"),
        (b"a eins\x07\nb drei\n", "text.tc.de:1: control character U+0007"),
        ("a eins\u2028zwei\nb drei\n".encode(), "text.tc.de:1: control character U+2028"),
        (b"a eins\r\nb drei\r\n", "text.tc.de:1: ends in CR LF (and 1 more lines)"),
    ],
)
def test_each_fault_names_its_line(tmp_path: Path, de: bytes, expected: str) -> None:
    (fault,) = faults(tmp_path, de)
    assert fault.startswith(expected)


def test_every_fault_ends_with_its_remedy(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, b"b drei\na eins\n")
    assert fault.endswith("LC_ALL=C sort -k1,1")


def test_a_byte_order_mark_is_found(tmp_path: Path) -> None:
    assert "control character U+FEFF" in faults(tmp_path, b"\xef\xbb\xbfa eins\nb drei\n")[0]


def test_different_line_counts_name_the_lines_that_have_no_partner(tmp_path: Path) -> None:
    report = check(tmp_path, GOOD + b"c vier\n")
    assert report.faults == [
        f"{tmp_path}: different numbers of ids: text.tc.de 3, text.tc.en 2",
        f"{tmp_path}/text.tc.de:3: id c isn't in text.tc.en; add it there, or remove it here",
    ]


def test_equal_counts_with_different_ids_are_found_from_both_sides(tmp_path: Path) -> None:
    found = faults(tmp_path, b"a eins\nc drei\n")
    assert [fault.split(";")[0] for fault in found] == [
        "text.tc.de:2: id c isn't in text.tc.en",
        "text.tc.en:2: id b isn't in text.tc.de",
    ]


def test_a_line_that_is_not_utf8_keeps_its_id(tmp_path: Path) -> None:
    # Else the other side's line would be told as a fault, too.
    assert len(faults(tmp_path, b"a \xff\nb drei\n")) == 1
    assert len(faults(tmp_path, b"a\t\xff\nb drei\n")) == 1


def test_over_long_lines_are_counted_in_a_warning(tmp_path: Path) -> None:
    report = check(tmp_path, b"a " + b"x" * 11 + b"\nb drei\n", max_length=10)
    assert report.faults == []
    assert report.warnings[0].startswith(
        f"{tmp_path}/text.tc.de: 1 lines are longer than 10 characters: lines 1;"
    )


def test_no_limit_gives_no_warning(tmp_path: Path) -> None:
    assert check(tmp_path, b"a " + b"x" * 5000 + b"\nb drei\n", max_length=0).warnings == []


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    report = check_folder(tmp_path / "test")
    assert report.faults[0].startswith(f"{tmp_path}/test: no such folder")


def test_a_folder_without_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "texture").write_bytes(b"x\n")
    assert check_folder(tmp_path).faults == [
        f"{tmp_path}: no text.<case>.<lang> file in it; name its text so, as text.tc.en"
    ]


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "text.tc.de").write_bytes(GOOD)
    report = check_folder(tmp_path, files=["text.tc.de", "text.tc.en"])
    assert report.faults[0].startswith(f"{tmp_path}/text.tc.en: no such file")


def test_an_empty_file_is_a_fault(tmp_path: Path) -> None:
    assert f"{tmp_path}/text.tc.de: is empty" in check(tmp_path, b"").faults


def test_all_faults_come_in_one_pass(tmp_path: Path) -> None:
    de = b"b drei\nb vier\na \xff\nc\nd f\x01nf\n"
    found = faults(tmp_path, de, b"a eins\nb drei\ne sechs\n")
    assert [fault.split(" ")[0] for fault in found] == [
        "text.tc.de:2:",  # b again
        "text.tc.de:3:",  # not UTF-8
        "text.tc.de:3:",  # a after b
        "text.tc.de:4:",  # no text
        "text.tc.de:5:",  # control character
        f"{tmp_path}:",  # different numbers
        "text.tc.de:4:",  # c isn't in en
        "text.tc.de:5:",  # d isn't in en
        "text.tc.en:3:",  # e isn't in de
    ]


def test_a_speech_folder_is_checked_as_a_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 16000), 16000)
    (tmp_path / "text.tc.en").write_text("a One.\nb Two.\n")
    (tmp_path / "utt2spk").write_text("a s1\n")
    (tmp_path / "wav.scp").write_text("a a.wav\nc none.wav\n")
    report = check_folder(tmp_path)
    names = [fault.removeprefix(f"{tmp_path}/").split(";")[0] for fault in report.faults]
    assert names == [
        "wav.scp:2: none.wav: no such file",
        f"{tmp_path}: different numbers of ids: text.tc.en 2, utt2spk 1, wav.scp 2",
        "text.tc.en:2: id b isn't in utt2spk",
        "text.tc.en:2: id b isn't in wav.scp",
        "wav.scp:2: id c isn't in text.tc.en",
        "wav.scp:2: id c isn't in utt2spk",
    ]
    (tmp_path / "text.tc.en").write_text("a One.\n")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    report = check_folder(tmp_path)
    assert report.faults == []
    assert report.summary().endswith("; wav.scp 0.00 h, 1.0 to 1.0 s")
