"""The decode command on an experiment folder made here, with random weights."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from numpy.typing import NDArray

from legonn.bin.decode import get_parser, main, processes_for
from legonn.bin.inspect import main as inspect
from legonn.bin.pack import main as pack
from legonn.cli import run
from legonn.errors import ConfigError, DataError
from legonn.factory import build_chain
from legonn.interface import Interface
from legonn.language_model import LanguageModel
from legonn.search import DecodingOptions, Hypothesis, Translator
from legonn.search import translator as translator_module
from legonn.search.journal import Journal
from legonn.system import System

TOKENS = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<sos/eos>"]


def make_experiment(folder: Path, *, seed: int = 0, **options: Any) -> Path:
    """An experiment as training leaves it: config.yaml, interface.yaml, a checkpoint."""
    part = {"width": 16, "heads": 2, "feedforward": 32}
    config: dict[str, Any] = {
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
    chain = build_chain(config, source_size=len(config["src_token_list"]), target_size=len(TOKENS))
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


def test_jsonl_has_all_hypotheses_with_scores_and_alignments(
    experiment: Path, tmp_path: Path
) -> None:
    source, output = tmp_path / "text", tmp_path / "all.jsonl"
    source.write_text("u1 abc\nu2 ba\n")
    arguments = ["--system", str(experiment), "--input", str(source), "--output", str(tmp_path)]
    options = ["--mode", "rescore", "--nbest", "3", "--jsonl", str(output)]
    assert main([*arguments, *options]) == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["u1", "u2"]
    system = System.load(experiment)
    for line, text in zip(lines, ("abc", "ba"), strict=True):
        wanted = Translator(system, DecodingOptions(mode="rescore", nbest=3)).translate([text])[0]
        assert len(line["hypotheses"]) == 3
        for found, one in zip(line["hypotheses"], wanted, strict=True):
            assert (found["text"], found["tokens"]) == (one.text, list(one.tokens))
            assert found["score"] == pytest.approx(one.score, abs=1e-5)
            assert found["scores"] == pytest.approx(one.scores, abs=1e-5)
            assert found["scores"].keys() == {"decoder", "ctc"}
            assert len(found["alignment"]) == len(one.tokens)
            places = [position for span in found["alignment"] for position in span]
            assert places == sorted(places) and "seconds" not in found


def test_jsonl_of_plain_lines_has_their_numbers_and_of_a_plain_system_no_alignment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_experiment(tmp_path / "plain", system="attention")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc\n\nb\n")))
    main(["--system", str(plain), "--jsonl", str(tmp_path / "o")])
    lines = [json.loads(line) for line in (tmp_path / "o").read_text().splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3]
    assert (
        "".join(f"{line['hypotheses'][0]['text']}\n" for line in lines) == capsys.readouterr().out
    )
    alignments = [line["hypotheses"][0]["alignment"] for line in lines]
    assert alignments == [None, [], None]


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


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_ensemble_decodes_as_one_system(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: str
) -> None:
    other = make_experiment(tmp_path / "exp/plain", seed=3, system="attention")
    (tmp_path / "in").write_text("abc\ncab\nb\n")
    command = ["--encoder", str(experiment), "--decoder", str(experiment), "--ensemble", str(other)]
    command += ["--input", str(tmp_path / "in"), "--jsonl", str(tmp_path / "all.jsonl")]
    command += ["--mode", "joint", "--ensemble_weights", "1", "4", "--num_processes", processes]
    assert main(command) == 0
    both = System.load(experiment).with_others([System.load(other)])
    lines = ["abc", "cab", "b"]
    found = both.translate(lines, mode="joint", ensemble_weights=(1, 4))
    assert capsys.readouterr().out == "".join(f"{one.text}\n" for one in found)
    written = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    best = [one["hypotheses"][0]["scores"] for one in written]
    assert best == [pytest.approx(one.scores, abs=1e-5) for one in found]
    assert set(best[0]) == {"decoder", "decoder_2", "ctc"}
    alone = System.load(experiment).translate(lines, mode="joint")
    assert [one.text for one in alone] != [one.text for one in found]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_language_model_scores_along(
    experiment: Path,
    lm_experiment: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    processes: str,
) -> None:
    lm = lm_experiment(System.load(experiment).target.tokens)
    (tmp_path / "in").write_text("abc\ncab\nb\n")
    command = ["--system", str(experiment), "--lm", str(lm), "--lm_weight", "4", "--mode", "joint"]
    command += ["--input", str(tmp_path / "in"), "--jsonl", str(tmp_path / "all.jsonl")]
    capsys.readouterr()  # what importing ESPnet for the fixture has said
    assert main([*command, "--num_processes", processes]) == 0
    system = System.load(experiment).with_language_model(LanguageModel.load(lm))
    found = system.translate(["abc", "cab", "b"], mode="joint", lm_weight=4.0)
    assert capsys.readouterr().out == "".join(f"{one.text}\n" for one in found)
    written = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    best = [one["hypotheses"][0]["scores"] for one in written]
    assert best == [pytest.approx(one.scores, abs=1e-5) for one in found]
    assert set(best[0]) == {"decoder", "ctc", "lm"}


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


def test_bad_lines_are_told_and_the_rest_is_decoded(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output, found = (tmp_path / name for name in ("text", "out", "all.jsonl"))
    source.write_bytes(b"u1 abc\nu2 a\xff\nu3 \nu4 aaaaaaaaa\nu5 b\n")
    arguments = ["--system", str(experiment), "--input", str(source), "--output", str(output)]
    assert run(main, [*arguments, "--max_tokens", "8", "--jsonl", str(found)]) == 1
    first, last = System.load(experiment).translate(["abc", "b"])
    assert (output / "1best_recog" / "text").read_text() == (
        f"u1 {first.text}\nu2 \nu3 \nu4 \nu5 {last.text}\n"
    )
    error = capsys.readouterr().err
    assert f"warning: {source}:2: not UTF-8 at byte 5; its output is empty" in error
    assert f"warning: {source}:4: 9 tokens, more than --max_tokens 8: split it" in error
    assert f"warning: 1 empty lines gave empty translations: {source}:3" in error
    assert "2 of 5 lines could not be decoded" in error
    faults = [json.loads(line).get("error") for line in found.read_text().splitlines()]
    too_long = f"{source}:4: 9 tokens, more than --max_tokens 8: split it"
    assert faults == [None, f"{source}:2: not UTF-8 at byte 5", None, too_long, None]


def test_keys_pick_lines_of_standard_input_too(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("u2\n")
    command = [sys.executable, "-m", "legonn.bin.decode", "--system", str(experiment)]
    done = subprocess.run(
        [*command, "--key_file", str(tmp_path / "keys")],
        input="u1 abc\nu2 b\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"u2 {System.load(experiment).translate(['b'])[0].text}\n"


def test_a_bad_line_of_a_stream_is_told_and_the_rest_is_decoded(
    experiment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc\n\xff\nb\n")))
    assert main(["--system", str(experiment)]) == 1
    first, last = System.load(experiment).translate(["abc", "b"])
    printed = capsys.readouterr()
    assert printed.out == f"{first.text}\n\n{last.text}\n"
    assert "warning: <stdin>:2: not UTF-8 at byte 1" in printed.err


# ---- Killed and resumed ----------------------------------------------------------------------------

# Windows of 16 lines; one of them is bad, so that the exit status is remembered, too.
RESUMED = [f"u{i:02d} {'abc'[i % 3] * (1 + i % 5)}{'cab'[i % 2]}" for i in range(40)]
RESUMED[3] = "u03 \udcff"  # a byte that is not UTF-8
ONE = ["--batch_size", "1", "--nbest", "2", "--beam_size", "2"]
KILLER = """
import os, signal, sys
from legonn.bin.decode import get_parser, main, processes_for
from legonn.search.translator import Translator
inner, left = Translator.start, [2]
def start(self, *arguments):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return inner(self, *arguments)
Translator.start = start
main(sys.argv[1:])
"""


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("together", [False, True])
def test_a_run_that_was_killed_goes_on_where_it_was(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], together: bool
) -> None:
    source, whole, killed = tmp_path / "text", tmp_path / "whole", tmp_path / "killed"
    source.write_text("".join(f"{line}\n" for line in RESUMED), errors="surrogateescape")
    arguments = ["--system", str(experiment), "--input", str(source), *ONE]
    if together:
        arguments += ["--ensemble", str(experiment), "--ensemble_weights", "1", "4"]

    def outputs(folder: Path) -> list[str]:
        return ["--output", str(folder), "--jsonl", str(folder / "all.jsonl")]

    assert main([*arguments, *outputs(whole)]) == 1
    code = [sys.executable, "-c", KILLER, *arguments, *outputs(killed)]
    assert subprocess.run(code, capture_output=True, check=False).returncode == -9
    left = contents(killed)
    assert left["1best_recog/text.tmp"].count(b"\n") == 32 and "1best_recog/text" not in left
    for name in ("1best_recog/token.tmp", "all.jsonl.tmp"):
        with (killed / name).open("a") as file:
            file.write("u32 half a li")
    capsys.readouterr()
    for message in ("--resume true: 32 inputs are done", f"{killed} is complete; nothing to do"):
        assert main([*arguments, *outputs(killed), "--resume", "true"]) == 1
        assert message in capsys.readouterr().err
        (killed / "decode.journal").rename(tmp_path / "journal")
        assert contents(killed) == contents(whole)
        (tmp_path / "journal").rename(killed / "decode.journal")


@pytest.mark.parametrize("stopped_at", [1, 20, 38])
def test_a_run_that_was_interrupted_at_any_batch_goes_on(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    source, whole, stopped = tmp_path / "in", tmp_path / "whole", tmp_path / "stopped"
    source.write_text("".join(f"{line[4:]}\n" for line in RESUMED), errors="surrogateescape")
    arguments = ["--system", str(experiment), "--input", str(source), *ONE]
    main([*arguments, "--output", str(whole)])
    inner, calls = translator_module.decode_batch, iter(range(99))

    def stops(*given: Any, **options: Any) -> Any:
        if next(calls) == stopped_at:
            raise KeyboardInterrupt
        return inner(*given, **options)

    arguments += ["--output", str(stopped), "--resume", "true"]
    with monkeypatch.context() as patch:
        patch.setattr(translator_module, "decode_batch", stops)
        assert run(main, arguments) == 130
    assert main(arguments) == 1
    assert stopped.read_bytes() == whole.read_bytes()


def test_an_interrupted_decoding_of_audio_goes_on(
    ears: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for i in range(20):
        soundfile.write(sounds / f"{i:02d}.wav", sound(0.3 + i / 50, seed=i), RATE)
    (sounds / "05.wav").write_text("none")
    time = (sounds / "05.wav").stat().st_mtime_ns
    arguments = ["--system", str(ears), "--input", str(sounds), *SHORT, "--batch_size", "1"]

    def outputs(name: str) -> list[str]:
        folder = tmp_path / name
        return ["--output", str(folder), "--times", str(folder / "times")]

    assert main([*arguments, *outputs("whole")]) == 1
    inner, calls = translator_module.decode_batch, iter(range(99))

    def stops(*given: Any, **options: Any) -> Any:
        if next(calls) == 17:
            raise KeyboardInterrupt
        return inner(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(translator_module, "decode_batch", stops)
        assert run(main, [*arguments, *outputs("stopped")]) == 130
    resumed = [*arguments, *outputs("stopped"), "--resume", "true"]
    capsys.readouterr()
    assert main(resumed) == 1
    # The speed is that of the last four alone: 0.62 to 0.68 s.
    assert re.search(
        r"decode: 4 recordings, 2\.6 s, in .* times real time", capsys.readouterr().err
    )
    journal = (tmp_path / "stopped" / "decode.journal").read_bytes()
    (tmp_path / "stopped" / "decode.journal").unlink()
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    (tmp_path / "stopped" / "decode.journal").write_bytes(journal)
    soundfile.write(sounds / "05.wav", sound(0.3), RATE)  # mended: its text isn't what is there
    with pytest.raises(ConfigError, match=r"of a run with another input .* to start anew"):
        main(resumed)
    (sounds / "05.wav").write_text("none")
    os.utime(sounds / "05.wav", ns=(time, time))
    assert main(resumed) == 1
    with pytest.raises(
        ConfigError, match=r"of a run with another --jsonl \(None, now 'all.jsonl'\)"
    ):
        main([*resumed, "--jsonl", str(tmp_path / "all.jsonl")])


def test_a_complete_run_is_not_one_that_writes_elsewhere(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("abc\n")
    command = ["--system", str(experiment), "--input", str(tmp_path / "in"), "--resume", "true"]
    command += ["--output", str(tmp_path / "out"), "--jsonl"]
    assert main([*command, str(tmp_path / "a.jsonl")]) == 0
    assert main([*command, str(tmp_path / "a.jsonl")]) == 0
    with pytest.raises(ConfigError, match=r"another --jsonl \('a.jsonl', now 'b.jsonl'\)"):
        main([*command, str(tmp_path / "b.jsonl")])


@pytest.mark.parametrize("suffix", ["srt", "vtt"])
def test_subtitles_of_a_run_that_was_killed_at_its_end_are_the_same(
    ears: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    soundfile.write(tmp_path / "a.wav", sound(7.0), RATE, subtype="FLOAT")
    arguments = ["--system", str(ears), "--input", str(tmp_path / "a.wav"), *SHORT]
    arguments += ["--max_seconds", "4"]

    def outputs(name: str) -> list[str]:
        return ["--output", str(tmp_path / name), "--times", str(tmp_path / name / f"t.{suffix}")]

    assert main([*arguments, *outputs("whole")]) == 0
    first, second = expected(ears, *halves(tmp_path / "whole" / f"t.{suffix}", sound(7.0)))
    cues = (tmp_path / "whole" / f"t.{suffix}").read_text().split("\n\n")
    assert [html.unescape(cue.splitlines()[-1]) for cue in cues if "-->" in cue] == [
        first.text,
        second.text,
    ]

    class Stops(Journal):
        def mark(self, count: int, **facts: Any) -> None:
            super().mark(count, **facts)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("legonn.search.journal.Journal", Stops)
        assert run(main, [*arguments, *outputs("stopped")]) == 130
    assert not (tmp_path / "stopped" / f"t.{suffix}").exists()
    assert main([*arguments, *outputs("stopped"), "--resume", "true"]) == 0
    (tmp_path / "stopped" / "decode.journal").unlink()
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def halves(times: Path, samples: NDArray[Any]) -> list[NDArray[Any]]:
    """What two cues are of."""
    (end,) = re.findall(r"--> 00:00:0(\d.\d+)", times.read_text())[:1]
    cut = round(float(end.replace(",", ".")) * RATE)
    return [samples[:cut], samples[cut:]]


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
        (["--jsonl", "-"], "--jsonl -: name a file"),
        (["--times", "-"], "--times -: name a file"),
        (
            ["--times", "x", "--jsonl", "./new/../x"],
            "--jsonl ./new/../x and --times x are one place",
        ),
        (["--output", "x", "--jsonl", "x"], "--output x and --jsonl x are one place: give each"),
        (["--resume", "true"], "--resume true: name an --output"),
        (["--resume", "yes"], "'yes': give true or false"),
        (["--num_processes", "0"], "--num_processes 0: give at least 1"),
        (["--num_processes", "2", "--ngpu", "1"], "--num_processes 2: a GPU is decoded on by one"),
        (["--max_tokens", "0"], "--max_tokens 0: give at least 1"),
        (["--num_threads", "0"], "--num_threads 0: give at least 1"),
        (["--ngpu", "1"], "--ngpu 1: PyTorch finds no GPU here"),
        (["--ensemble", "absent"], "absent: no such folder; mend the name"),
        (["--lm", "absent"], "absent: no such folder; mend the name"),
        (["--lm_weight", "-1"], "lm_weight is -1.0; it must be at least 0"),
        (["--lm_weight", "0.5"], "--lm_weight is of a language model: name it with --lm EXP"),
        (["--config", "{folder}/lm.yaml"], "lm.yaml has an lm_weight, of a language model: name"),
        (
            ["--ensemble_weights", "1", "2"],
            "ensemble_weights has 2 numbers, and decoders that score are 1",
        ),
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
    (tmp_path / "lm.yaml").write_text("lm_weight: 0.3\n")
    options = [option.format(folder=tmp_path) for option in options]
    command = ["--system", str(experiment), "--input", str(tmp_path / "in"), *options]
    try:
        status = run(main, command)
    except SystemExit as error:  # argparse's own
        status = int(error.code or 0)
    assert status == 2 and message in capsys.readouterr().err


# ---- Several processes -----------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [False, True])
def test_several_processes_write_what_one_does(
    experiment: Path, ears: Path, tmp_path: Path, heard: bool
) -> None:
    """Of more windows than one; one input is bad."""
    if heard:
        source = tmp_path / "sounds"
        source.mkdir()
        for i in range(20):
            soundfile.write(source / f"{i:02d}.wav", sound(0.3 + i / 50, seed=i), RATE)
        (source / "05.wav").write_text("none")
        arguments = ["--system", str(ears), "--input", str(source), *SHORT, "--batch_size", "1"]
    else:
        source = tmp_path / "text"
        source.write_text("".join(f"{line}\n" for line in RESUMED), errors="surrogateescape")
        arguments = ["--system", str(experiment), "--input", str(source), "--batch_size", "2"]
    written = []
    for processes in ("1", "2"):
        folder = tmp_path / processes
        outputs = ["--output", str(folder), "--jsonl", str(folder / "all.jsonl"), "--nbest", "2"]
        given = [*arguments, *outputs, "--mode", "joint", "--num_processes", processes]
        assert main(given) == 1
        written.append(contents(folder))
    assert written[0] == written[1]
    assert len(written[0]) == 7
    assert len(written[0]["1best_recog/text"].splitlines()) == (20 if heard else 40)


def test_much_input_keeps_all_cores_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def processes(inputs: int, *options: str) -> int:
        args = get_parser().parse_args(["--system", "x", *options])
        return processes_for(args, inputs)

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert processes(1999) == 1
    assert processes(2000) == 8
    assert processes(2000, "--num_threads", "3") == 2
    assert processes(2000, "--num_threads", "9") == 1
    assert processes(2000, "--ngpu", "1") == 1
    assert (processes(5, "--num_processes", "3"), processes(5000, "--num_processes", "1")) == (3, 1)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_int8_of_one_process_and_of_several(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], processes: str
) -> None:
    (tmp_path / "in").write_text("abc\ncab\nb\n")
    command = ["--system", str(experiment), "--input", str(tmp_path / "in"), "--precision", "int8"]
    assert main([*command, "--num_processes", processes]) == 0
    found = System.load(experiment).translate(["abc", "cab", "b"], precision="int8")
    assert capsys.readouterr().out == "".join(f"{one.text}\n" for one in found)


def test_an_error_of_a_process_is_one_message(
    experiment: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("legonn.bin.decode.load_chain", os._exit)
    (tmp_path / "in").write_text("ab\n")
    command = ["--system", str(experiment), "--input", str(tmp_path / "in"), "--num_processes", "2"]
    assert run(main, command) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("legonn decode: error: a decoding process ")


# ---- Speech ----------------------------------------------------------------------------------------

RATE = 8000
SHORT = ["--mode", "attention", "--minlenratio", "-3", "--maxlenratio", "-6", "--beam_size", "2"]


@pytest.fixture
def ears(tmp_path: Path) -> Path:
    """A system that hears 8 kHz, of weights that say something else for each sound below."""
    part = {"width": 16, "heads": 2, "feedforward": 32}
    return make_experiment(
        tmp_path / "ears",
        seed=5,
        encoder="speech",
        encoder_conf={**part, "sample_rate": RATE, "mels": 20, "length_ratio": 0.5},
        src_token_type="speech",
        src_token_list=[],
    )


def sound(seconds: float, seed: int = 0) -> NDArray[np.float64]:
    """Noise whose colour changes, so that random weights have something to say."""
    steps = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    wave = np.sin(np.arange(len(steps)) ** (1.2 + seed / 10)) * 0.3
    return np.asarray(wave + 0.01 * steps)


def expected(ears: Path, *samples: NDArray[Any], **options: Any) -> list[Hypothesis]:
    return System.load(ears).transcribe(
        [one.astype(np.float32) for one in samples],
        **{
            "mode": "attention",
            "beam_size": 2,
            "minlenratio": -3.0,
            "maxlenratio": -6.0,
            **options,
        },
    )


def test_audio_files_of_any_format_are_written_down(
    ears: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = sound(1.0), sound(1.5, seed=1)
    soundfile.write(tmp_path / "a.wav", np.stack([a / 2, a * 3 / 2], axis=1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.aiff", b, RATE, subtype="FLOAT")
    inputs = [str(tmp_path / name) for name in ("b.aiff", "a.wav")]
    assert main(["--system", str(ears), "--input", *inputs, *SHORT]) == 0
    printed = capsys.readouterr()
    first, second = expected(ears, b, a)
    assert first.text != second.text
    assert printed.out == f"b {first.text}\na {second.text}\n"
    assert re.search(r"2 recordings, 2\.5 s, in .* times real time", printed.err)


def test_standard_output_has_texts_and_no_notice_of_an_import(ears: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(1.0), RATE)
    command = [sys.executable, "-m", "legonn.bin.decode", "--system", str(ears), *SHORT]
    command += ["--input", str(tmp_path / "a.wav"), "--num_processes", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert line.startswith("a ")


def test_a_kaldi_folder_becomes_espnets_folder(ears: Path, tmp_path: Path) -> None:
    samples = sound(3.0)
    soundfile.write(tmp_path / "r.wav", samples, RATE, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text("r r.wav\n")
    (tmp_path / "segments").write_text("u2 r 1.5 3\nu1 r 0 1.5\nu0 r 0 1\n")
    (tmp_path / "keys").write_text("u1\nu2\n")
    output = tmp_path / "out"
    arguments = ["--input", str(tmp_path / "wav.scp"), "--key_file", str(tmp_path / "keys"), *SHORT]
    arguments += ["--output", str(output), "--nbest", "2", "--mode", "joint"]
    arguments += ["--jsonl", str(output / "all.jsonl")]
    assert main(["--system", str(ears), *arguments]) == 0
    found = expected(ears, samples[:12000], samples[12000:], mode="joint")
    assert found[0].text != found[1].text
    best = output / "1best_recog"
    assert (best / "text").read_text() == "".join(
        f"{key} {one.text}\n" for key, one in zip(("u1", "u2"), found, strict=True)
    )
    assert (best / "token").read_text().splitlines()[1].split() == ["u2", *found[1].tokens]
    scores = [float(line.split()[1]) for line in (best / "score").read_text().splitlines()]
    assert scores == pytest.approx([one.score for one in found], abs=1e-4)
    seconds = (output / "2best_recog" / "text").read_text().splitlines()
    assert [line.partition(" ")[0] for line in seconds] == ["u1", "u2"]
    for line in map(json.loads, (output / "all.jsonl").read_text().splitlines()):
        for one in line["hypotheses"]:
            assert len(one["seconds"]) == len(one["alignment"]) == len(one["tokens"])
            assert all(0 <= start < end <= 1.5 for start, end in one["seconds"])


def test_a_long_recording_is_decoded_in_pieces_with_their_times(
    ears: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = np.concatenate([sound(3), np.zeros(RATE // 2), sound(3.5, seed=1)])
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", sound(1), RATE, subtype="FLOAT")
    times, output = tmp_path / "new" / "times", tmp_path / "out"
    arguments = ["--system", str(ears), "--input", str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
    arguments += ["--max_seconds", "4", "--times", str(times), "--output", str(output), *SHORT]
    assert main([*arguments, "--nbest", "2"]) == 0
    first, second, last = times.read_text().splitlines()
    end = float(first.split()[2])
    assert 3.0 < end < 3.5
    halves = expected(ears, samples[: round(end * RATE)], samples[round(end * RATE) :])
    assert halves[0].text != halves[1].text
    assert first == f"a 0.00 {end:.2f} {halves[0].text}"
    assert second == f"a {end:.2f} 7.00 {halves[1].text}"
    assert last.startswith("b 0.00 1.00 ")
    best = output / "1best_recog"
    joined, _ = (best / "text").read_text().splitlines()
    assert joined == f"a {halves[0].text} {halves[1].text}"
    score = float((best / "score").read_text().split()[1])
    assert score == pytest.approx(halves[0].score + halves[1].score, abs=1e-4)
    # No second best of a whole whose pieces were searched one by one.
    assert (output / "2best_recog" / "text").read_text().startswith("b ")
    assert "1 of 2 recordings are longer than 4 s: cut at quiet places" in capsys.readouterr().err


def test_python_hears_files_as_the_command_does(
    ears: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of another rate, with two channels, and longer than what the system was trained on."""
    side = Interface.load(ears / "interface.yaml")
    dataclasses.replace(side, provenance={"longest_seconds": 4.0}).save(ears / "interface.yaml")
    a, b = tmp_path / "a.flac", tmp_path / "b.wav"
    soundfile.write(a, np.stack([sound(9.0), sound(9.0, seed=1)], axis=1), 16000)
    soundfile.write(b, sound(7.0), RATE, subtype="FLOAT")
    assert main(["--system", str(ears), "--input", str(a), str(b), *SHORT]) == 0
    written = capsys.readouterr()
    assert "1 of 2 recordings are longer than 5 s: cut at" in written.err
    options = {"mode": "attention", "beam_size": 2, "minlenratio": -3.0, "maxlenratio": -6.0}
    system = System.load(ears)
    cut, whole, waveform = system.transcribe([str(b), a, sound(7.0)], **options)
    assert written.out == f"a {whole.text}\nb {cut.text}\n"
    assert cut.text != waveform.text == expected(ears, sound(7.0))[0].text
    with pytest.raises(DataError, match=r"waveform 1 \(from 0 on\) is of shape \(9000, 2\)"):
        system.transcribe([b, np.zeros((9000, 2))])  # the file has two pieces


def test_what_is_longer_than_training_is_cut_wherever_the_encoder_came_from(
    ears: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recordings of 4.9 and 7 s; the longest of training had 4 s, and up to a quarter more stays whole."""
    for name, seconds in (("a", 4.9), ("b", 7.0)):
        soundfile.write(tmp_path / f"{name}.wav", sound(seconds), RATE, subtype="FLOAT")
    inputs = ["--input", str(tmp_path / "a.wav"), str(tmp_path / "b.wav"), *SHORT]
    assert main(["--system", str(ears), *inputs]) == 0
    assert "cut at quiet places" not in capsys.readouterr().err  # nobody knows: 30 s
    assert System.load(ears).longest_seconds is None

    side = Interface.load(ears / "interface.yaml")
    told = dataclasses.replace(side, provenance={"longest_seconds": 4.0})
    told.save(ears / "interface.yaml")
    pack([str(ears), "--output", str(tmp_path / "m")])
    module, decoder = str(tmp_path / "m/ears_encoder"), str(tmp_path / "m/ears_decoder")
    side.save(ears / "interface.yaml")
    System.compose(encoder=module, decoder=ears).save(tmp_path / "composed")
    pack([str(tmp_path / "composed"), "--output", str(tmp_path / "again")])
    again = str(tmp_path / "again/composed_encoder")
    capsys.readouterr()
    assert inspect([again]) == 0
    row = "  source      speech at 8000 Hz, trained on recordings of up to 4 s\n"
    assert row in capsys.readouterr().out
    for system in (
        ["--encoder", module, "--decoder", decoder],
        ["--system", str(tmp_path / "composed")],
        ["--encoder", again, "--decoder", str(ears)],
    ):
        assert main([*system, *inputs]) == 0
        assert "1 of 2 recordings are longer than 5 s: cut at" in capsys.readouterr().err
    assert main([*system, *inputs, "--max_seconds", "8"]) == 0
    assert "cut at quiet places" not in capsys.readouterr().err


def test_bad_audio_is_told_and_the_rest_is_decoded(
    ears: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "good.flac", sound(1.0), RATE)
    soundfile.write(folder / "quiet.flac", np.zeros(RATE), RATE)
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("no sound\n" * 50)
    soundfile.write(folder / "short.wav", sound(0.01), RATE)
    inputs = [str(folder), str(tmp_path / "absent.wav")]
    arguments = ["--system", str(ears), "--input", *inputs, "--output", str(tmp_path / "out")]
    assert main([*arguments, *SHORT]) == 1
    stored, _ = soundfile.read(folder / "good.flac")
    (good,) = expected(ears, stored)
    assert good.text != ""
    assert (tmp_path / "out" / "1best_recog" / "text").read_text() == (
        f"empty \ngood {good.text}\nquiet \nshort \ntext \nabsent \n"
    )
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    starts = [f"{folder}/empty.wav: no sound", f"{folder}/short.wav: 0.010 s, too short"]
    starts += [f"{folder}/text.mp3: no sound", f"{tmp_path}/absent.wav: no such file"]
    assert len(warnings) == len(starts)
    for line, start in zip(warnings, starts, strict=True):
        assert line.startswith(f"legonn decode: warning: {start}")


def test_the_count_of_what_could_not_be_decoded_comes_last(
    ears: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--system", str(ears), "--input", str(tmp_path / "absent.wav")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "legonn decode: 1 of 1 recordings could not be decoded"


@pytest.mark.parametrize(
    ("system", "arguments", "message"),
    [
        ("exp", ["--input", "a.wav"], "exp reads text, and --input a.wav is audio: give it a file"),
        ("ears", ["--input", "in.fr"], "ears takes speech at 8000 Hz, and in.fr is read as text"),
        ("ears", [], "ears takes speech at 8000 Hz, and standard input is read as text: give"),
    ],
)
def test_a_system_is_given_what_it_cannot_take(
    experiment: Path,
    ears: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    system: str,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.fr").write_text("ab\n")
    assert run(main, ["--system", system, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "x/a.wav", "y/a.flac"], "a: x/a.wav and y/a.flac"),
        (["--input", "x/wav.scp"], "x/wav.scp: no such file; make it, or mend the name"),
        (["--input", "a.wav", "b.txt"], "--input names audio, a.wav, and by its name b.txt isn't"),
        (["--input", "in", "--times", "t"], "--times is for audio, and --input in is read as text"),
        (["--input", "a.wav", "b.wav", "--times", "t.srt"], "--times t.srt: subtitles are of one"),
        (["--input", "a.wav", "--output", "a.txt"], "--output a.txt would become a folder"),
        (["--input", "a.wav", "--max_seconds", "3"], "--max_seconds 3: give at least 4"),
        (["--input", "a.wav", "--max_seconds", "nan"], "--max_seconds nan: give at least 4"),
    ],
)
def test_what_is_wrong_with_audio_is_told_before_the_model_is_loaded(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    try:
        status = run(main, ["--system", "absent", *arguments])
    except SystemExit as error:  # argparse's own
        status = int(error.code or 0)
    assert status == 2 and message in capsys.readouterr().err
