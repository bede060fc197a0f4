"""The command that writes the page of what crosses."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.bin.look import main
from legonn.cli import run


def test_a_file_becomes_a_page(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, page = tmp_path / "in.txt", tmp_path / "look.html"
    source.write_text("unu doi\n\ntrei\npatru\n")
    options = ["--input", str(source), "--output", str(page), "--most", "2", "--top", "2"]
    assert main(["--encoder", str(experiment), "--decoder", str(experiment), *options]) == 0
    assert capsys.readouterr().out.endswith(f"{page}: 2 sentences\n")
    text = page.read_text(encoding="utf-8")
    assert text.count("<section>") == 2 and "unu doi" in text and "patru" not in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name either --system EXP"),
        (["--system", "absent"], "absent is no experiment"),
    ],
)
def test_what_is_missing_is_named(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("unu\n")
    files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "page.html")]
    assert run(main, [*options, *files]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_an_empty_file_is_refused(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("\n")
    files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "page.html")]
    assert run(main, ["--system", str(experiment), *files]) == 2
    assert "has no sentence to look at" in capsys.readouterr().err
