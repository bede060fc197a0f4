"""The decode command on an experiment folder made here, with random weights."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from legonn.bin.decode import main
from legonn.cli import run
from legonn.factory import build_chain
from legonn.interface import Interface
from legonn.system import System

TOKENS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<sos/eos>"]


def make_experiment(folder: Path, *, seed: int = 0, **options: Any) -> Path:
    """An experiment as training leaves it: config.yaml, interface.yaml, a checkpoint."""
    part = {"width": 16, "heads": 2, "feedforward": 32}
    config = {
        "encoder_conf": part,
        "decoder_conf": {**part, "tie_output": False},
        "token_type": "char",
        "token_list": TOKENS,
        "bpemodel": None,
        "src_token_type": "char",
        "src_token_list": TOKENS,
        "src_bpemodel": None,
        **options,
    }
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    Interface(tokens=tuple(TOKENS), unit="char").save(folder / "interface.yaml")
    torch.manual_seed(seed)
    chain = build_chain(config, source_size=len(TOKENS), target_size=len(TOKENS))
    with torch.no_grad():  # random weights alone give nearly uniform distributions
        for parameter in chain.parameters():
            if parameter.dim() == 2:
                parameter.mul_(2)
    torch.save(chain.state_dict(), folder / "valid.acc.ave.pth")
    return folder


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return make_experiment(tmp_path / "exp")


def test_a_kaldi_file_becomes_espnets_folder(experiment: Path, tmp_path: Path) -> None:
    source = tmp_path / "text.tc.de"
    source.write_text("u1 abc\nu2 cab\nu3 ab\nu4 bb\n")
    (tmp_path / "keys").write_text("u1\nu3\n")
    (tmp_path / "decode.yaml").write_text("beam_size: 2\nlength_penalty: 0.5\n")
    arguments = ["--system", str(experiment), "--input", str(source), "--output", str(tmp_path)]
    arguments += ["--key_file", str(tmp_path / "keys"), "--config", str(tmp_path / "decode.yaml")]
    assert main([*arguments, "--mode", "joint"]) == 0
    expected = System.load(experiment).translate(
        ["abc", "ab"], beam_size=2, length_penalty=0.5, mode="joint"
    )
    best = tmp_path / "1best_recog"
    assert (best / "text").read_text() == "".join(
        f"{key} {one.text}\n" for key, one in zip(("u1", "u3"), expected, strict=True)
    )
    scores = [float(line.split()[1]) for line in (best / "score").read_text().splitlines()]
    assert scores == pytest.approx([one.score for one in expected], abs=1e-5)
    tokens = (best / "token").read_text().splitlines()[0]
    assert tokens.rstrip() == " ".join(["u1", *expected[0].tokens])


def test_plain_lines_are_translated_to_plain_lines(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "news"
    source.write_text("abc\n\ncΩb\n")
    assert main(["--system", str(experiment), "--input", str(source)]) == 0
    printed = capsys.readouterr()
    lines = printed.out.split("\n")
    (abc,) = System.load(experiment).translate(["abc"])
    assert (lines[0], lines[1], len(lines)) == (abc.text, "", 4)
    assert f"1 empty lines gave empty translations: {source}:2" in printed.err
    assert "1 lines have tokens that the source vocabulary lacks" in printed.err
    assert f"{source}:3 ('Ω')" in printed.err


def test_standard_input_is_translated_as_it_comes(
    experiment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc\nb")))
    assert main(["--system", str(experiment)]) == 0
    expected = System.load(experiment).translate(["abc", "b"])
    assert capsys.readouterr().out == "".join(f"{one.text}\n" for one in expected)


def test_a_composition_of_an_experiment_with_itself_changes_nothing(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "news"
    source.write_text("abc\ncab\nb\n")
    main(["--system", str(experiment), "--input", str(source)])
    original = capsys.readouterr().out
    checkpoint = f"{experiment}:valid.acc.ave.pth"
    main(["--encoder", checkpoint, "--decoder", str(experiment), "--input", str(source)])
    assert capsys.readouterr().out == original


def test_warnings_of_a_composition_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, name in enumerate(("one", "two")):
        make_experiment(tmp_path / name, seed=i, system="attention")
    source = tmp_path / "news"
    source.write_text("abc\n")
    names = ["--encoder", str(tmp_path / "one"), "--decoder", str(tmp_path / "two")]
    assert main([*names, "--input", str(source)]) == 0
    error = capsys.readouterr().err
    assert "legonn decode: warning: " in error
    assert "were never trained to fit" in error


def test_bad_bytes_are_listed_and_nothing_is_written(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "text", tmp_path / "out"
    source.write_bytes(b"u1 a\nu2 \xff\nu3 \xfe\n")
    arguments = ["--system", str(experiment), "--input", str(source), "--output", str(output)]
    assert run(main, arguments) == 2
    error = capsys.readouterr().err
    assert f"{source}:2: not UTF-8" in error
    assert f"{source}:3: not UTF-8" in error
    assert not output.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--encoder", "exp/a"],
        ["--system", "exp/a", "--decoder", "exp/b"],
        ["--encoder", "exp/a", "--decoder", "exp/b", "--checkpoint", "x.pth"],
    ],
)
def test_the_system_must_be_named_in_one_way(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, arguments) == 2
    assert "name either --system EXP" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from legonn.bin.decode import get_parser\n"
        "get_parser().format_help()\n"
        "print([name for name in ('torch', 'espnet', 'espnet2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--num_threads", "0"], "--num_threads 0: give at least 1"),
        (["--ngpu", "1"], "--ngpu 1: PyTorch finds no GPU here"),
        (["--maxlenratio", "nan"], "maxlenratio is nan; it must be finite"),
    ],
)
def test_options_that_cannot_be_are_one_message(
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "in").write_text("ab\n")
    command = ["--system", str(experiment), "--input", str(tmp_path / "in"), *options]
    try:
        status = run(main, command)
    except SystemExit as error:  # argparse's own
        status = int(error.code or 0)
    assert status == 2 and message in capsys.readouterr().err
