"""The command that writes the page of what crosses."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from legonn.bin.look import main
from legonn.cli import run
from legonn.errors import ConfigError, DataError
from legonn.system import System

RATE = 8000
SHORT = ["--mode", "attention", "--beam_size", "2", "--maxlenratio", "-5"]
SEARCH = {"mode": "attention", "beam_size": 2, "maxlenratio": -5.0}


def written(page: Path) -> list[tuple[str, str]]:
    """The page's labels, and what they are of."""
    rows = re.findall('<dt>(.*)</dt><dd dir="auto">(.*)</dd>', page.read_text(encoding="utf-8"))
    return [(html.unescape(label), html.unescape(text)) for label, text in rows]


def headings(page: Path) -> list[str]:
    return re.findall('<h2 dir="auto">(.*)</h2>', page.read_text(encoding="utf-8"))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, round(seconds * RATE))


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., Path]:
    """Runs the command, which ends with `status`, and gives the page."""

    def make(*options: object, status: int = 0) -> Path:
        page = tmp_path / "look.html"
        assert main([*map(str, options), "--output", str(page)]) == status
        return page

    return make


def test_a_file_becomes_a_page(
    experiment: Path,
    look: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in.txt").write_text("unu doi\n\ntrei\npatru\n", encoding="utf-8")
    parts = ["--encoder", experiment, "--decoder", experiment]
    page = look(*parts, "--input", tmp_path / "in.txt", "--most", 2, "--top", 2, "--beam_size", 2)
    assert capsys.readouterr().out.endswith(f"{page}: 2 of 3 sentences\n")
    assert headings(page) == ["unu doi", "trei"]
    text = page.read_text(encoding="utf-8")
    assert f"<h1>What crosses in {experiment}+{experiment}</h1>" in text
    assert (
        "<p>Decoded with mode joint, where CTC chooses along with the decoder, and beam size 2.</p>"
        in text
    )
    wanted = System.load(experiment).translate(["unu doi", "trei"], beam_size=2)
    outputs = [row for row in written(page) if row[0] != "CTC's best path"]
    assert outputs == [(f"{experiment} wrote", one.text) for one in wanted]


def test_a_line_of_nothing_but_marks_is_left_out(
    experiment: Path, look: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("\ufeff\nunu\n", encoding="utf-8")
    page = look("--system", experiment, "--input", tmp_path / "in.txt", *SHORT)
    assert headings(page) == ["unu"]
    (tmp_path / "in.txt").write_text("\u200b\n", encoding="utf-8")
    with pytest.raises(DataError, match="there is no sentence with a token"):
        look("--system", experiment, "--input", tmp_path / "in.txt")


def test_advice_is_not_of_options_that_look_lacks(
    experiment: Path, look: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("unu\n")
    (tmp_path / "lm.yaml").write_text("lm_weight: 0.3\n")
    options = ["--input", tmp_path / "in", "--config", tmp_path / "lm.yaml"]
    with pytest.raises(ConfigError, match="of a language model: take a configuration without$"):
        look("--system", experiment, *options)


def test_sentences_of_a_kaldi_file_have_their_ids(
    experiment: Path,
    look: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text").write_text("u1 unu doi\nu2 trei\n")
    (tmp_path / "keys").write_text("u2\n")
    (tmp_path / "decode.yaml").write_text("beam_size: 3\nnbest: 2\nmode: attention\n")
    page = look(
        *("--system", experiment, "--checkpoint", "latest.pth", "--input", tmp_path / "text"),
        *("--key_file", tmp_path / "keys", "--config", tmp_path / "decode.yaml"),
    )
    assert capsys.readouterr().out == f"{page}: 1 sentences\n"
    assert headings(page) == ["u2: trei"]
    assert written(page)[1][0] == f"{experiment}:latest.pth wrote"
    assert "<p>Decoded with mode attention, and beam size 3.</p>" in page.read_text()


def test_two_decoders_are_side_by_side(
    experiment: Path, other_decoder: Path, look: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "in").write_text("unu doi trei\n")
    page = look("--system", experiment, "--also", other_decoder, "--input", tmp_path / "in", *SHORT)
    first, second = (
        System.compose(encoder=experiment, decoder=d).translate(["unu doi trei"], **SEARCH)[0].text
        for d in (experiment, other_decoder)
    )
    assert first != second
    assert written(page)[1:] == [(f"{experiment} wrote", first), (f"{other_decoder} wrote", second)]


def test_recordings_are_shown_with_their_times(
    hearing_experiment: Path,
    experiment: Path,
    look: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples = noise(1)
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "a.wav", samples, RATE, subtype="FLOAT")
    (folder / "b.wav").write_text("none")
    page = look(
        *("--system", hearing_experiment, "--also", experiment, "--input", folder, "--top", 3),
        *SHORT,
        status=1,
    )
    printed = capsys.readouterr()
    assert f"warning: {folder}/b.wav: no sound that can be read" in printed.err
    assert printed.out == f"{page}: 1 pieces of 2 recordings\n"
    assert headings(page) == ["a, 0.00 to 1.00 s"]

    system = System.load(hearing_experiment)
    heard = torch.as_tensor(samples.astype(np.float32))
    marginals = system.chain.encode(heard[None], torch.tensor([RATE])).marginals[0]
    (probs,) = marginals.probs().tolist()  # (K, V)
    text = page.read_text(encoding="utf-8")
    shown = [float(p) for p in re.findall(r'<td class="p\d+" title="([\d.]+)">', text)]
    ranked = [sorted(row, reverse=True) for row in probs]
    assert shown == pytest.approx([row[i] for i in range(3) for row in ranked], abs=6e-4)
    (times,) = re.findall("<th>second</th>(.*?)</tr>", text)
    wanted = "".join(f"<th>{k / len(probs):.2f}</th>" for k in range(len(probs)))
    assert times == wanted

    own = system.transcribe([heard], **SEARCH)[0].text
    borrowed = System.compose(encoder=hearing_experiment, decoder=experiment)
    assert written(page) == [
        ("CTC's best path", system.target.decode(marginals.greedy()[0])),
        (f"{hearing_experiment} wrote", own),
        (f"{experiment} wrote", borrowed.transcribe([heard], **SEARCH)[0].text),
    ]


def test_a_long_recording_is_shown_in_pieces(
    hearing_experiment: Path,
    look: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples = np.concatenate([noise(3), np.zeros(RATE // 2), noise(3.5, seed=1)])
    soundfile.write(tmp_path / "r.wav", samples, RATE, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text("r r.wav\nabsent no.wav\n")
    inputs = ["--input", tmp_path / "wav.scp", *SHORT]
    page = look("--system", hearing_experiment, *inputs, "--most", 1)
    assert headings(page) == ["r, 0.00 to 7.00 s"]  # nobody knows how long training's were: 30 s
    system = System.load(hearing_experiment)
    told = dataclasses.replace(system.interface, provenance={"longest_seconds": 4.0})
    dataclasses.replace(system, interface=told).save(tmp_path / "told")
    capsys.readouterr()
    page = look("--system", tmp_path / "told", *inputs, "--most", 2)
    assert capsys.readouterr().out.endswith(f"{page}: 2 pieces of 2 recordings\n")
    first, second = headings(page)
    by_training = page.read_text()
    assert (
        look("--system", tmp_path / "told", *inputs, "--max_seconds", 4, "--most", 2).read_text()
        == by_training
    )
    ((end,), (start,)) = (
        re.findall("^r, 0.00 to (.*) s$", first),
        re.findall("^r, (.*) to 7.00 s$", second),
    )
    assert start == end and 3.0 < float(end) < 3.5
    rows = re.findall("<th>second</th>(.*?)</tr>", page.read_text())
    assert [row.split("</th>")[0] for row in rows] == ["<th>0.00", f"<th>{start}"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name either --system EXP"),
        (["--system", "absent"], "absent: no such folder"),
        (["--system", "absent", "--input", "a.wav", "b.txt"], "--input names audio, a.wav, and"),
        (["--system", "EXP", "--also", "absent"], "absent: no such folder"),
        (["--system", "EXP", "--also", "PLAIN"], "is a plain encoder-decoder"),
        (["--system", "EXP", "--input", "a.wav"], "reads text, and --input a.wav is audio"),
        (["--system", "EARS"], "takes speech at 8000 Hz, and"),
        (
            ["--system", "EARS", "--input", "no.wav"],
            "no recording that can be heard:\n  no.wav: no",
        ),
        (["--system", "EXP", "--most", "0"], "--most and --top are at least 1"),
        (["--system", "EXP", "--max_seconds", "3"], "--max_seconds 3: give at least 4"),
        (["--system", "EXP", "--mode", "ctc_beam"], "--mode ctc_beam asks no decoder what to"),
    ],
)
def test_what_is_wrong_is_told(
    options: list[str],
    message: str,
    experiment: Path,
    plain_experiment: Path,
    hearing_experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").write_text("unu\n")
    named = {"EXP": experiment, "PLAIN": plain_experiment, "EARS": hearing_experiment}
    words = [str(named.get(word, word)) for word in options]
    files = ["--output", str(tmp_path / "page.html")]
    if "--input" not in words:
        files += ["--input", str(tmp_path / "in")]
    try:
        status = run(main, [*words, *files])
    except SystemExit as error:  # the parser's own
        status = int(error.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_an_empty_file_is_refused(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").write_text("\n")
    files = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "page.html")]
    assert run(main, ["--system", str(experiment), *files]) == 2
    assert "has no sentence to look at" in capsys.readouterr().err
