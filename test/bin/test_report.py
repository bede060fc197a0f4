"""`legonn report`: writing, checking, refusing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from legonn.bin.report import main
from legonn.errors import DataError
from legonn.report.results_page import render_results
from legonn.scoring import Score, add_results

ROW = Score(
    experiment="E1",
    recipe="numbers",
    system="lego",
    test_set="test",
    metric="bleu",
    score=40.0,
    signature="s",
    sentences=10,
    seed=1,
)
WRITE = ["--results", "results.json", "--output", "RESULTS.md"]
CHECK = [*WRITE, "--check"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `results.json`, to work in."""
    add_results(tmp_path / "results.json", [ROW])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_is_made_from_the_file(here: Path) -> None:
    assert main(WRITE) == 0
    assert (here / "RESULTS.md").read_text() == render_results([ROW])


def test_a_page_that_was_just_made_passes(here: Path) -> None:
    main(WRITE)
    assert main(CHECK) == 0


def test_check_fails_without_a_page_and_makes_none(here: Path) -> None:
    assert main(CHECK) == 1
    assert not (here / "RESULTS.md").exists()


def test_check_fails_after_an_edit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(WRITE)
    page = (here / "RESULTS.md").read_text().replace("40.00", "41.00")
    (here / "RESULTS.md").write_text(page)
    assert main(CHECK) == 1
    assert "RESULTS.md isn't what results.json gives" in capsys.readouterr().err
    assert (here / "RESULTS.md").read_text() == page


def test_a_preface_is_part_of_the_check(here: Path) -> None:
    (here / "preface.md").write_text("# Mine\n")
    preface = ["--preface", "preface.md"]
    main([*WRITE, *preface])
    assert (here / "RESULTS.md").read_text().startswith("# Mine\n")
    assert (main([*CHECK, *preface]), main(CHECK)) == (0, 1)


def test_a_preface_that_is_absent(here: Path) -> None:
    with pytest.raises(DataError, match="can't read nowhere.md: No such file"):
        main([*WRITE, "--preface", "nowhere.md"])
    assert not (here / "RESULTS.md").exists()


def test_an_illegal_results_file_leaves_the_page_as_it_was(here: Path) -> None:
    main(WRITE)
    (here / "results.json").write_text("[{}]")
    with pytest.raises(DataError, match="row 1: metric: missing"):
        main(WRITE)
    assert (here / "RESULTS.md").read_text() == render_results([ROW])


def test_a_curve_is_drawn_beside_the_page_and_checked_with_it(here: Path) -> None:
    sizes = [replace(ROW, system=f"lego,{pairs}") for pairs in (1000, 5000)]
    add_results(here / "results.json", sizes)
    curve = ["--curve", "curve.svg", "--test_set", "test"]
    assert main(WRITE + curve) == 0
    assert "<svg" in (here / "curve.svg").read_text()
    assert main(CHECK + curve) == 0
    (here / "curve.svg").write_text("")
    assert main(CHECK + curve) == 1
    assert (here / "curve.svg").read_text() == ""


def test_a_curve_needs_its_test_set(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*WRITE, "--curve", "curve.svg"])
    assert "--curve needs --test_set" in capsys.readouterr().err
    assert not (here / "RESULTS.md").exists()
