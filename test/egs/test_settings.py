"""What a stamp remembers of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import settings


def printed_of(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert settings.main([str(path)]) == 0
    return capsys.readouterr().out


def test_comments_and_order_do_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text("# why\nb: {d: 1, c: 2}\na: 1\n")
    (tmp_path / "two.yaml").write_text("a: 1 # because\nb:\n    c: 2\n    d: 1\n")
    expected = 'a: 1\nb: {"c": 2, "d": 1}\n'
    assert printed_of(tmp_path / "one.yaml", capsys) == expected
    assert printed_of(tmp_path / "two.yaml", capsys) == expected


def test_what_the_base_says_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "base.yaml").write_text("a: 1\nb: {c: 1}\n")
    (tmp_path / "variant.yaml").write_text("base: base.yaml\nb: {d: 2}\n")
    assert printed_of(tmp_path / "variant.yaml", capsys) == 'a: 1\nb: {"c": 1, "d": 2}\n'
