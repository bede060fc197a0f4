"""`legonn tokenlist`."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.bin.tokenlist import main
from legonn.errors import ConfigError


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.tc.en"
    lines = ["the cat sat", "the dog sat", "a cat and a dog", "cats and dogs"] * 4
    path.write_text("".join(f"u{i} {line}\n" for i, line in enumerate(lines)), encoding="utf-8")
    return path


def test_it_writes_three_files_and_says_how_many_tokens(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "list"
    assert main(["--text", str(text), "--output", str(output), "--nbpe", "16"]) == 0
    assert {path.name for path in output.iterdir()} == {"bpe.model", "bpe.vocab", "tokens.txt"}
    assert len((output / "tokens.txt").read_text(encoding="utf-8").splitlines()) == 16
    assert capsys.readouterr().out == f"{output}: 16 tokens (unigram) from {text}\n"


def test_a_size_that_is_too_large_writes_nothing(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the largest legal value is"):
        main(["--text", str(text), "--output", str(tmp_path / "list"), "--nbpe", "999"])
    assert not (tmp_path / "list").exists()


def test_characters_that_the_list_lacks_are_a_counted_warning(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "text.tc.de"
    other.write_text("a the cat\nb die Käse\nc Äääh\n", encoding="utf-8")
    arguments = ["--text", str(text), "--output", str(tmp_path / "list"), "--nbpe", "16"]
    assert main([*arguments, "--check_text", str(other)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"legonn tokenlist: warning: {other}: 4 characters, 6 occurrences")
    assert "  'ä' U+00E4: 3 times, lines 2, 3" in lines
    assert "  'K' U+004B: 1 times, lines 2" in lines


def test_a_finished_list_can_be_checked_alone(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "list"
    main(["--text", str(text), "--output", str(output), "--nbpe", "16"])
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    capsys.readouterr()
    assert main(["--output", str(output), "--check_text", str(text)]) == 0
    assert capsys.readouterr().err == ""
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "nothing to do"), (["--text", "absent"], "absent: no such file")],
)
def test_mistakes_are_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        main(["--output", str(tmp_path / "list"), *arguments])


def test_what_an_encoders_module_reads_is_checked_by_its_prefix(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "module"
    main(["--text", str(text), "--output", str(output), "--nbpe", "16"])
    for name in ("bpe.model", "tokens.txt"):
        (output / name).rename(output / f"src_{name}")
    with pytest.raises(ConfigError, match=r"module/bpe\.model is missing"):
        main(["--output", str(output), "--check_text", str(text)])
    assert main(["--output", str(output), "--prefix", "src_", "--check_text", str(text)]) == 0
    (output / "src_tokens.txt").write_text("other\n")
    with pytest.raises(ConfigError, match=r"src_tokens\.txt isn't the list of src_bpe\.model"):
        main(["--output", str(output), "--prefix", "src_", "--check_text", str(text)])
