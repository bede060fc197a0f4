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


def test_a_folder_of_neither_texts_nor_recordings_tells_what_it_may_have(tmp_path: Path) -> None:
    (tmp_path / "texture").write_bytes(b"x\n")
    (fault,) = check_folder(tmp_path).faults
    assert fault.startswith(
        f"{tmp_path}: no text.<case>.<lang> file in it; name its text so, as text.tc.en. Of sound: {tmp_path} has "
        "neither wav.scp nor audio files: name a folder that has. Audio files end in .wav, .flac"
    )


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


def test_a_text_without_a_language_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a One.\n")
    (warning,) = check_folder(tmp_path).warnings
    assert f"ln -s text {tmp_path}/text.tc.en if it is English with capitals" in warning
    assert check_folder(tmp_path, files=["text"]).warnings == []


def test_speakers_and_groups_are_checked_where_texts_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "text.tc.en").write_text("a One.\n")
    (tmp_path / "utt2spk").write_text("a\n")
    (tmp_path / "utt2group").write_text("b child\n")
    assert check_folder(tmp_path, files=["text.tc.en"]).faults == [
        f"{tmp_path}/utt2spk:1: no speaker after the id; add it",
        f"{tmp_path}/text.tc.en:1: id a isn't in utt2group; add it there, or remove it here",
    ]
    (tmp_path / "utt2spk").write_text("a\ts1\n")
    (tmp_path / "utt2group").write_text("a adult\nb child\n")  # a whole corpus's
    assert check_folder(tmp_path, files=["text.tc.en"]).faults == []
    (tmp_path / "utt2group").write_text("b\n")
    (tmp_path / "wav.scp").unlink()
    assert check_folder(tmp_path, files=["text.tc.en"]).faults == []


def write(path: Path, seconds: float = 1.0, rate: int = 16000) -> None:
    """Noise, loud enough to be heard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = round(seconds * rate)
    soundfile.write(path, np.random.default_rng(1).uniform(-0.1, 0.1, count), rate)


def test_a_good_audio_file(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", 1.5)
    report = check_folder(tmp_path / "a.flac")
    assert (report.faults, report.warnings) == ([], [])
    assert report.summary() == f"{tmp_path}/a.flac: 1 recordings; a.flac 0.00 h, 1.5 to 1.5 s"


def test_a_good_folder_of_audio_files(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / f"talks/{number}/a.wav", 9.0 * (1 + number))
    (tmp_path / "talks/notes.txt").write_text("x\n")
    report = check_folder(tmp_path / "talks", jobs=2)
    assert (report.faults, report.warnings) == ([], [])
    assert report.summary() == f"{tmp_path}/talks: 4 recordings; talks 0.03 h, 9.0 to 36.0 s"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.wav", "none.wav: no such file; mend its path"),
        ("empty.wav", "empty.wav: no sound that can be read ("),
        (
            "in.de",
            "in.de: no data folder, and by its name no audio: give a folder of texts, or audio files (.wav",
        ),
        ("none.de", "none.de: no such folder; make it (stage 1), or mend its name"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "in.de").touch()
    (fault,) = check_folder(tmp_path / name).faults
    assert fault.startswith(f"{tmp_path}/{expected}")


def test_all_bad_recordings_of_a_folder_come_in_one_pass(tmp_path: Path) -> None:
    write(tmp_path / "a/b.wav")
    write(tmp_path / "c.wav", 0.01)
    write(tmp_path / "d.wav")
    (tmp_path / "a-b.flac").write_text("no sound\n")
    (tmp_path / "e.m4a").touch()
    report = check_folder(tmp_path)
    assert [fault.replace(f"{tmp_path}/", "").split(" (")[0] for fault in report.faults] == [
        f"{tmp_path}: two recordings have one id, a-b: a/b.wav and a-b.flac; rename one, or name them in a wav.scp",
        "a-b.flac: no sound that can be read",
        "c.wav: 0.010 s, too short for a word; leave it out",
    ]
    (warning,) = report.warnings
    assert warning.startswith(f"{tmp_path}: 1 files are left out, as they can't be read by")


def test_some_bad_recordings_of_a_folder_may_be_allowed(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav", 0.01)
    report = check_folder(tmp_path, skip_bad=1)
    assert report.faults == []
    assert report.warnings == [f"{tmp_path}/b.wav: 0.010 s, too short for a word; leave it out"]


def test_a_folder_of_formats_that_cannot_be_read_says_which(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").touch()
    report = check_folder(tmp_path)
    assert len(report.faults) == 1 and "has neither wav.scp nor audio files" in report.faults[0]
    assert "1 files are left out" in report.warnings[0] and "(.m4a)" in report.warnings[0]


def test_what_decoding_puts_up_with_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav", rate=8000)
    soundfile.write(tmp_path / "c.wav", np.random.default_rng(1).uniform(-2, 2, 16000), 16000)
    clipped = f"{tmp_path}: 1 recordings ({tmp_path}/c.wav first) have more than 0.1% of their"
    (warning,) = check_folder(tmp_path).warnings
    assert warning.startswith(clipped)
    loud, rate = check_folder(tmp_path, sample_rate=8000).warnings
    assert loud.startswith(clipped)
    assert rate == (
        f"{tmp_path}: 2 recordings ({tmp_path}/a.wav first) don't have 8000 Hz; decoding resamples them"
    )


@pytest.mark.parametrize("named", ["", "wav.scp"])
def test_recordings_without_text_are_checked_by_their_list(tmp_path: Path, named: str) -> None:
    write(tmp_path / "a.wav", 2.0)
    write(tmp_path / "b.wav", 0.01)
    lines = ["b b.wav", "a a.wav", "a b.wav", "c none.wav", "d"]
    (tmp_path / "wav.scp").write_text("".join(f"{line}\n" for line in lines))
    found = [fault.replace(f"{tmp_path}/", "") for fault in check_folder(tmp_path / named).faults]
    assert found == [
        "wav.scp:3: id a again, first in line 2; ids name one line each",
        "wav.scp:5: no file after the id; write <utt-id> <file>",
        "wav.scp:1: b.wav: 0.010 s, too short for a word; leave it out",
        "wav.scp:4: none.wav: no such file; mend its path",
    ]
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    report = check_folder(tmp_path / named)
    assert (report.faults, report.warnings) == ([], [])
    assert report.summary() == f"{tmp_path / named}: 1 lines; wav.scp 0.00 h, 2.0 to 2.0 s"


def test_a_named_list_has_its_segments_and_no_texts(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 2.0)
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    (tmp_path / "segments").write_text("a-1 a 0 1\na-2 a 1 2\n")
    (tmp_path / "text.tc.en").write_text("other One.\n")
    assert len(check_folder(tmp_path).faults) > 0
    report = check_folder(tmp_path / "wav.scp")
    assert report.faults == []
    assert report.summary() == f"{tmp_path}/wav.scp: 2 lines; segments 0.00 h, 1.0 to 1.0 s"


def test_lists_that_are_absent_or_empty(tmp_path: Path) -> None:
    absent = f"{tmp_path}/wav.scp: no such file; make it, or mend the name"
    assert check_folder(tmp_path / "wav.scp").faults == [absent]
    (tmp_path / "wav.scp").touch()
    for path in (tmp_path, tmp_path / "wav.scp"):
        assert check_folder(path).faults == [f"{tmp_path}/wav.scp: is empty"]


def test_commands_of_a_list_without_text_must_be_allowed(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    (tmp_path / "wav.scp").write_text(f"a cat {tmp_path}/a.wav |\n")
    (fault,) = check_folder(tmp_path).faults
    assert fault.startswith(f"{tmp_path}/wav.scp:1: a command, which would run with your rights")
    assert check_folder(tmp_path, allow_pipes=True).faults == []
