"""What stage 4 keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.data.filter import keep, keep_sounds, main
from legonn.data.folder import read_text, write_text
from legonn.errors import DataError

DE = {"a": "kurz", "b": "", "c": "viel zu lang", "d": "gut"}
EN = {"a": "short", "b": "empty", "c": "too long", "d": ""}


def test_a_pair_goes_when_one_side_is_illegal() -> None:
    result = keep([DE, EN], min_length=1, max_length=10)
    assert result.kept == ("a",)
    assert result.too_short == ("b", "d")
    assert result.too_long == ("c",)


def test_no_limit_keeps_long_pairs() -> None:
    assert keep([DE, EN]).kept == ("a", "c")


def test_lengths_are_characters_not_bytes() -> None:
    assert keep([{"a": "ääää"}], max_length=4).kept == ("a",)


def test_the_command_writes_all_sides_and_tells_what_it_drops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(tmp_path / "in/text.tc.de", DE)
    write_text(tmp_path / "in/text.tc.en", EN)
    arguments = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    arguments += ["--files", "text.tc.de", "text.tc.en", "--max_length", "10"]
    assert main(arguments) == 0
    assert read_text(tmp_path / "out/text.tc.de") == {"a": "kurz"}
    assert read_text(tmp_path / "out/text.tc.en") == {"a": "short"}
    printed = capsys.readouterr()
    assert "2 pairs dropped, shorter than 1 characters: b, d" in printed.err
    assert "1 pairs dropped, longer than 10 characters: c" in printed.err
    assert "1 of 4 pairs kept" in printed.out


def test_nothing_left_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    write_text(tmp_path / "in/text", {"a": "lang"})
    with pytest.raises(DataError, match="nothing is left; see --min_length and --max_length"):
        main(
            ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
            + ["--files", "text", "--max_length", "1"]
        )
    assert not (tmp_path / "out").exists()


def test_recordings_go_by_their_samples() -> None:
    counts = {"a": "1600", "b": "1599", "c": "48000", "d": "48001"}
    result = keep_sounds(counts, list(counts), fewest=1600, most=48000)
    assert (result.kept, result.too_short, result.too_long) == (("a", "c"), ("b",), ("d",))


def test_with_a_rate_recordings_are_filtered_with_their_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {"a": "8000", "b": "400", "c": "80000", "d": "8000"}
    write_text(tmp_path / "in/utt2num_samples", samples)
    write_text(tmp_path / "in/utt2sha256", samples)
    write_text(tmp_path / "in/wav.scp", {i: f"{i}.flac" for i in samples})
    write_text(tmp_path / "in/text.tc.en", {"a": "good", "b": "good", "c": "good", "d": ""})
    command = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    command += [
        "--files",
        "text.tc.en",
        "--fs",
        "8000",
        "--min_seconds",
        "0.1",
        "--max_seconds",
        "9",
    ]
    assert main(command) == 0
    for name in ("text.tc.en", "wav.scp", "utt2num_samples", "utt2sha256"):
        assert list(read_text(tmp_path / "out" / name)) == ["a"]
    assert not (tmp_path / "out/utt2spk").exists()
    printed = capsys.readouterr()
    assert "1 pairs dropped, shorter than 1 characters: d" in printed.err
    assert "1 recordings dropped, shorter than 0.1 s: b" in printed.err
    assert "1 recordings dropped, longer than 9 s: c" in printed.err
    assert "1 of 4 recordings kept" in printed.out
