"""The serve command: a process that is started, asked, and ended."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from legonn.bin.serve import main
from legonn.cli import run
from legonn.system import System


def test_it_translates_as_offline_and_ends_well(
    experiment: Path, environment: dict[str, str]
) -> None:
    texts = ["unu doi", "", "cinci"]
    command = [sys.executable, "-m", "legonn.bin.serve", "--encoder", str(experiment)]
    command += ["--decoder", str(experiment), "--port", "0", "--beam_size", "2", "--mode", "joint"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.fullmatch(
            rf"legonn serve: loading {experiment}\+{experiment} for (http://127.0.0.1:\d+)\n", first
        )
        assert found, first + process.stderr.read()
        assert process.stderr.readline() == "legonn serve: ready\n"
        offline = System.load(experiment).translate(texts, beam_size=2, mode="joint")
        response = httpx.post(
            f"{found[1]}/translate", json={"texts": texts}, timeout=20, trust_env=False
        )
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == "legonn serve: ended; all that was queued is answered\n"
        assert process.wait(20) == 0
    translations = response.json()["translations"]
    assert [one["text"] for one in translations] == [one.text for one in offline]
    assert [one["score"] for one in translations] == pytest.approx(
        [one.score for one in offline], abs=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--system", "absent", "--port", "0"], "absent: no such folder; mend the name"),
        (["--system", "x", "--port", "70000"], "can't listen at 127.0.0.1, port 70000"),
        (["--system", "x", "--encoder", "y"], "name either --system EXP"),
        (["--system", "x", "--max_queue", "3"], "max_texts is 32; it must be at most max_queue, 3"),
        (["--system", "x", "--beam_size", "0"], "beam_size is 0; it must be at least 1"),
        (["--system", "x", "--num_threads", "0"], "--num_threads 0: give at least 1"),
    ],
)
def test_what_cannot_be_served_is_one_message(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    try:
        status = run(main, options)
    except SystemExit as error:  # argparse's own
        status = int(error.code or 0)
    assert status == 2 and message in capsys.readouterr().err


def test_a_system_that_hears_is_refused(
    experiment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from legonn.audio.source import Sound
    from legonn.bin import serve

    def load(args: Any) -> Any:
        return SimpleNamespace(chain=System.load(experiment).chain, source=Sound(8000)), []

    monkeypatch.setattr(serve, "load_system", load)
    assert run(main, ["--system", "x", "--port", "0"]) == 2
    assert "not text: call System.transcribe" in capsys.readouterr().err
