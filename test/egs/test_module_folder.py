"""Where a module's token list is."""

from __future__ import annotations

from pathlib import Path

import module_folder
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "egs/multi30k/lego1/modules/de_en_decoder"


def test_a_folder_is_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert module_folder.main([str(MODULE)]) == 0
    assert capsys.readouterr().out == f"{MODULE}\n"


def test_one_on_the_hub_is_fetched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def fetch(spec: str) -> Path:
        asked.append(spec)
        return MODULE

    monkeypatch.setattr("legonn.hub.fetch", fetch)
    assert module_folder.main(["hf:me/x@v1"]) == 0
    assert (asked, capsys.readouterr().out) == (["hf:me/x@v1"], f"{MODULE}\n")
