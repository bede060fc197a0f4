import os
import subprocess
import sys
from pathlib import Path

import pytest

from legonn.audio.recordings import Utterance, list_utterances
from legonn.audio.states import recording_states


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder whose wav.scp names one file in it, one that is missing, and a command."""
    folder = tmp_path / "data" / "test"
    folder.mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"sound")
    (folder / "wav.scp").write_text("a a.wav\nb b.wav\nc touch ran |\n")
    return folder


def printed(folder: Path) -> str:
    command = [sys.executable, "-m", "legonn.audio.states", str(folder)]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=folder.parents[1]
    ).stdout


def test_a_file_beside_its_list_that_changed_is_noticed(folder: Path) -> None:
    before = printed(folder)
    assert printed(folder) == before
    os.utime(folder / "a.wav", (0, 0))
    assert printed(folder) != before


def test_it_is_what_the_preparation_asks(folder: Path) -> None:
    listed = list_utterances(folder, allow_pipes=True)
    states = recording_states(listed.utterances.values())
    assert printed(folder) == f"recordings={states}\n"


def test_no_command_runs_and_no_fault_ends_it(folder: Path) -> None:
    (folder / "wav.scp").write_text("a a.wav\na a.wav\nc touch ran |\nd\n")
    assert printed(folder).startswith("recordings=")
    assert not list(folder.parents[1].rglob("ran"))


def test_what_cannot_be_looked_at_is_told_elsewhere(folder: Path) -> None:
    before = printed(folder)
    with (folder / "wav.scp").open("a") as file:
        file.write(f"d {'x' * 300}.wav\n")
    assert printed(folder) == before


def test_names_in_whatever_encoding_are_noticed(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    Path(path).write_bytes(b"sound")
    before = recording_states([Utterance("a", path, "here")])
    Path(path).write_bytes(b"another sound")
    assert recording_states([Utterance("a", path, "here")]) != before
