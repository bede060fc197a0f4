"""`legonn synthesize`: the command, and what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from legonn.bin.synthesize import main


def test_it_speaks_and_says_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.tc.en").write_text("a One.\nb Two.\n")
    out = tmp_path / "out"
    options = ["--snr", "10", "20", "--format", "wav", "--nj", "2", "--seed", "4"]
    assert main(["--text", str(tmp_path / "text.tc.en"), "--output", str(out), *options]) == 0
    said = capsys.readouterr().err
    assert re.search(r"out: 0\.00 h of synthetic speech; 2 recordings in \d+\.\d s", said)
    assert sorted(path.name for path in out.rglob("*.wav")) == ["a.wav", "b.wav"]
    assert (out / "synthesis.yaml").read_text().startswith("format: wav")


def test_the_texts_name_says_its_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.tc.de").write_text("a1 Eins.\n")
    assert main(["--text", str(tmp_path / "text.tc.de"), "--output", str(tmp_path / "de")]) == 0
    assert "language: de\n" in (tmp_path / "de/synthesis.yaml").read_text()
    assert (tmp_path / "de/text.tc.de").is_file()
    assert "warning" not in capsys.readouterr().err


def test_plain_lines_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lines").write_text("One dog runs.\nTwo dogs run.\n")
    assert main(["--text", str(tmp_path / "lines"), "--output", str(tmp_path / "out")]) == 0
    assert (
        "lines: the first word of each line is its id, and isn't spoken" in capsys.readouterr().err
    )
