"""`legonn inspect`: what it says of a module, and which fit."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from legonn.bin.inspect import main
from legonn.bin.pack import main as pack
from legonn.cli import run
from legonn.module import DESCRIPTION, SEAL, write_module
from legonn.system import System, load_part


@pytest.fixture(scope="module")
def modules(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    pack([str(experiment), "--output", str(folder)])
    return folder


def test_an_encoder_in_one_screen(
    experiment: Path, modules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = load_part(experiment, "encoder")
    assert part.source is not None and part.writes is not None
    assert main([str(modules / "lego_encoder")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{modules}/lego_encoder" and len(lines) < 24
    row = {line[2:13].strip(): line[14:] for line in lines[1:] if line}
    assert (
        row["kind"] == "encoder, text, layers_before 1, layers_after 1, width 16, length_ratio 2.0"
    )
    assert row["weights"].startswith(
        f"{part.parameters() / 1e6:.2f} M parameters, 0.0 MiB, SHA-256 "
    )
    assert row["weights"].endswith(part.sha256()[:12])
    assert row["source"] == f"text, {len(part.source.tokens)} tokens (bpe)"
    assert row["writes"].startswith(
        f"marginals over {len(part.target.tokens)} tokens (bpe, case tc, with punctuation), "
        f"interface {part.writes.fingerprint()}"
    )
    assert "train.tgt" in row["trained on"] and "reads" not in row


def test_the_last_lines_say_what_fits(modules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder, decoder = str(modules / "lego_encoder"), str(modules / "lego_decoder")
    assert main([encoder, decoder]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{encoder} fits {decoder}"
    assert main([encoder, encoder]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{encoder} fits none of the others"


def test_the_module_that_a_part_was_taken_from_is_its_parent(
    experiment: Path, modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {kind: modules / f"lego_{kind}" for kind in ("encoder", "decoder")}
    System.compose(encoder=parts["encoder"], decoder=parts["decoder"]).save(tmp_path / "both")
    pack([str(tmp_path / "both"), "--output", str(tmp_path / "m")])
    capsys.readouterr()
    for kind in ("encoder", "decoder"):
        assert main([str(tmp_path / "m" / f"both_{kind}")]) == 0
        (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("  parents")]
        digest = load_part(experiment, kind).sha256()[:12]
        assert line.split(maxsplit=1)[1] == f"{kind} {parts[kind]} ({digest})"


def test_synthetic_speech_is_called_so(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"metric": "wer", "score": 3.3, "sentences": 9, "low": 3, "high": 4, "test_set": "spoken"}
    scores = [{**row, "signature": f"wer{mark}"} for mark in ("|speech:synthetic", "")]
    write_module(load_part(experiment, "decoder"), tmp_path / "m", scores=scores)
    assert main([str(tmp_path / "m")]) == 0
    *_, first, second = [line for line in capsys.readouterr().out.splitlines() if line]
    assert first.endswith("wer 3.30 [3.00, 4.00] on spoken (synthetic speech)")
    assert second.endswith("wer 3.30 [3.00, 4.00] on spoken")


def test_a_stranger_moves_no_cursor_and_turns_no_line(
    modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(modules / "lego_decoder", tmp_path / "m"))
    reseal(folder, r"^  date: .*$", '  date: "a\\\\e]0;title\\\\a\\\\u202Eb"')
    assert main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "a\ufffd]0;title\ufffd\ufffdb" in printed
    assert not set("\x1b\x07\u202e") & set(printed)


def test_no_module_is_an_error(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, [str(experiment)]) == 2
    told = capsys.readouterr().err
    assert (
        f"is no module: it has no module.yaml and is an experiment: `legonn pack {experiment}`"
        in told
    )
    assert run(main, [str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such folder; mend the name" in capsys.readouterr().err


def reseal(folder: Path, pattern: str, new: str) -> None:
    """Change the text of a description as someone does who knows the format."""
    text = (folder / DESCRIPTION).read_text(encoding="utf-8").partition("\n")[2]
    text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
    assert count == 1
    seal = f"{SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"
    (folder / DESCRIPTION).write_text(seal + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "pattern", "new", "message"),
    [
        (
            "encoder",
            r"^source:\n.*$",
            "source: {}",
            "{} describes no tokens; it wants a token_type",
        ),
        ("encoder", r"^source:\n.*$", "source: null", "an encoder that doesn't say what it reads"),
        (
            "decoder",
            r"^  decoder_conf:\n(    .*\n)*",
            "  decoder_conf: layers\n",
            "decoder_conf is 'layers'; it wants a mapping of options to values",
        ),
        ("decoder", r"^parameters: .*$", f"parameters: {'9' * 400}", "is no int"),
        (
            "encoder",
            r"^provenance:$",
            "provenance:\n  longest_seconds: .nan",
            "is no length above 0",
        ),
        ("encoder", r"^provenance:$", "provenance:\n  longest_seconds: long", "is 'long', a str"),
        ("decoder", r"^  date: .*$", "  date: 2024-99-99", "'2024-99-99' is no timestamp"),
    ],
)
def test_a_hostile_description_is_one_message(
    modules: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    pattern: str,
    new: str,
    message: str,
) -> None:
    folder = Path(shutil.copytree(modules / f"lego_{kind}", tmp_path / "m"))
    reseal(folder, pattern, new)
    assert run(main, [str(folder)]) == 2
    printed = capsys.readouterr().err
    assert f"{folder}/module.yaml" in printed and message in printed


def test_nothing_heavy_is_imported(modules: Path) -> None:
    code = (
        "import sys; from legonn.bin.inspect import main; main(sys.argv[1:]); "
        "print([n for n in ('espnet2', 'espnet', 'sacrebleu') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(modules / "lego_decoder")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
