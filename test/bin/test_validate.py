"""`legonn validate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from legonn.bin.validate import main
from legonn.cli import run
from legonn.errors import DataError


def folder(path: Path, de: str, en: str) -> str:
    path.mkdir()
    (path / "text.tc.de").write_text(de, encoding="utf-8")
    (path / "text.tc.en").write_text(en, encoding="utf-8")
    return str(path)


def test_good_folders_give_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [folder(tmp_path / name, "a eins\n", "a one\n") for name in ("x", "y")]
    assert main(names) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == names


def test_faults_of_all_folders_are_listed_at_once(tmp_path: Path) -> None:
    names = [
        folder(tmp_path / "x", "a eins\nb\n", "a one\nb two\n"),
        folder(tmp_path / "y", "b zwei\na eins\n", "a one\nb two\n"),
        str(tmp_path / "absent"),
    ]
    with pytest.raises(DataError, match="3 faults; mend them and run again") as error:
        main(names)
    assert [item.split(": ")[0] for item in error.value.items] == [
        f"{tmp_path}/x/text.tc.de:2",
        f"{tmp_path}/y/text.tc.de:2",
        f"{tmp_path}/absent",
    ]


def test_the_command_ends_with_2_and_prints_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = folder(tmp_path / "x", "a eins\nb\n", "a one\nb two\n")
    monkeypatch.setattr("sys.argv", ["legonn validate", name])
    assert run(main) == 2
    assert f"{name}/text.tc.de:2: no text after the id" in capsys.readouterr().err


def test_long_lines_are_a_warning_and_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = folder(tmp_path / "x", "a " + "x" * 20 + "\n", "a one\n")
    assert main([name, "--max_length", "19"]) == 0
    assert "1 lines are longer than 19 characters: lines 1" in capsys.readouterr().err


def test_a_test_set_without_one_language_is_a_fault(tmp_path: Path) -> None:
    name = folder(tmp_path / "x", "a eins\n", "a one\n")
    with pytest.raises(DataError, match="text.tc.ro: no such file"):
        main([name, "--files", "text.tc.ro", "text.tc.en"])


def test_bad_recordings_are_only_warned_of_up_to_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.tc.en").write_text("a one\nb two\n")
    (tmp_path / "wav.scp").write_text("a none.wav\nb nor.wav\n")
    with pytest.raises(DataError, match="2 faults") as error:
        main([str(tmp_path), "--skip_bad", "1"])
    assert [item.split(": ")[1] for item in error.value.items] == ["none.wav", "nor.wav"]
    assert main([str(tmp_path), "--skip_bad", "2"]) == 0
    assert capsys.readouterr().err.count("(left out in stage 3)") == 2


def test_token_lists_beside_the_sets_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in `legonn validate data/*/`."""
    good = folder(tmp_path / "x", "a eins\n", "a one\n")
    tokens = tmp_path / "en_token_list/bpe_unigram20/tokens.txt"
    tokens.parent.mkdir(parents=True)
    tokens.write_text("<blank>\n")
    assert main([str(tmp_path / "en_token_list"), good]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{good}: ") and printed.out.count("\n") == 1
    assert f"left out: {tmp_path / 'en_token_list'}: token lists, no data" in printed.err


def test_what_decode_takes_of_sound_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, 16000)
    (tmp_path / "talks/x").mkdir(parents=True)
    for name in ("a.wav", "talks/b.flac", "talks/x/c.wav"):
        soundfile.write(tmp_path / name, noise, 16000)
    (tmp_path / "talks/d.webm").touch()
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    given = [str(tmp_path / name) for name in ("a.wav", "talks", "wav.scp", "")]
    assert main(given) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{tmp_path}/a.wav: 1 recordings; a.wav 0.00 h, 1.0 to 1.0 s",
        f"{tmp_path}/talks: 2 recordings; talks 0.00 h, 1.0 to 1.0 s",
        f"{tmp_path}/wav.scp: 1 lines; wav.scp 0.00 h, 1.0 to 1.0 s",
        f"{tmp_path}: 1 lines; wav.scp 0.00 h, 1.0 to 1.0 s",
    ]
    assert printed.err.startswith(
        f"legonn validate: warning: {tmp_path}/talks: 1 files are left out"
    )


def test_bad_recordings_of_all_that_is_given_are_listed_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talks").mkdir()
    for name in ("a.wav", "talks/b.flac", "talks/c.wav"):
        (tmp_path / name).write_text("no sound\n")
    (tmp_path / "wav.scp").write_text("a a.wav\na a.wav\n")
    given = [str(tmp_path / name) for name in ("a.wav", "talks", "wav.scp")]
    monkeypatch.setattr("sys.argv", ["legonn validate", *given])
    assert run(main) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, *lines = [line.strip() for line in printed.err.splitlines()]
    assert first == "legonn validate: error: 5 faults; mend them and run again:"
    assert [line.replace(f"{tmp_path}/", "").split(" (")[0] for line in lines] == [
        "a.wav: no sound that can be read",
        "talks/b.flac: no sound that can be read",
        "talks/c.wav: no sound that can be read",
        "wav.scp:2: id a again, first in line 1; ids name one line each",
        "wav.scp:1: a.wav: no sound that can be read",
    ]


def test_the_help_shows_how_recordings_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert (
        "\n    legonn validate talks interview.flac data/test/wav.scp\n" in capsys.readouterr().out
    )
