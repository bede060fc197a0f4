"""wav.scp and segments: what they lead to, and all that is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from legonn.audio.recordings import Utterance, read_sound, read_utterances
from legonn.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two seconds at 8 kHz: the sample number over 16,000 on the left, its negative on the right."""
    ramp = np.arange(16000) / 16000
    soundfile.write(tmp_path / "a.wav", np.stack([ramp, -ramp], axis=1), 8000, subtype="FLOAT")
    (tmp_path / "wav.scp").write_text(f"a {tmp_path / 'a.wav'}\n")
    return tmp_path


def test_a_recording_is_read_as_it_is(folder: Path) -> None:
    utterances = read_utterances(folder)
    assert utterances == {"a": Utterance("a", str(folder / "a.wav"), f"{folder / 'wav.scp'}:1")}
    samples, rate = read_sound(utterances["a"])
    assert (samples.shape, rate) == ((16000, 2), 8000)
    assert samples[4000] == pytest.approx([0.25, -0.25])


def test_segments_are_cut_to_the_sample(folder: Path) -> None:
    (folder / "segments").write_text("a-1 a 0.5 1.25\na-2 a 1.5 2\n")
    utterances = read_utterances(folder)
    assert list(utterances) == ["a-1", "a-2"]
    samples, _ = read_sound(utterances["a-1"])
    assert samples[:, 0] == pytest.approx(np.arange(4000, 10000) / 16000)
    assert utterances["a-2"].place == f"{folder / 'segments'}:2"


def test_an_end_of_minus_one_is_the_recordings_and_a_channel_may_follow(folder: Path) -> None:
    (folder / "segments").write_text("a-1 a 1.5 -1\na-2\ta 0 1 1\na-3 a 0 1 2\n")
    to_the_end, right, third = read_utterances(folder).values()
    assert read_sound(to_the_end)[0].shape == (4000, 2)
    assert read_sound(right)[0] == pytest.approx(-np.arange(8000)[:, None] / 16000)
    with pytest.raises(
        DataError, match=r"segments:3: .*a.wav: it has no channel 2, as the first is 0"
    ):
        read_sound(third)


def test_another_rate_keeps_a_tone_and_its_length(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 300 * np.arange(22050) / 22050)
    soundfile.write(tmp_path / "t.flac", tone, 22050)
    samples, rate = read_sound(Utterance("t", str(tmp_path / "t.flac"), "here"), sample_rate=16000)
    assert (samples.shape, rate) == ((16000, 1), 16000)
    wanted = np.sin(2 * np.pi * 300 * np.arange(16000) / 16000)
    assert np.abs(samples[100:-100, 0] - wanted[100:-100]).max() < 2e-3


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", None), ("flac", None), ("ogg", None), ("opus", "OPUS"), ("mp3", None)],
)
def test_usual_formats(tmp_path: Path, suffix: str, subtype: str | None) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(32000) / 16000)
    container = "OGG" if suffix == "opus" else None
    soundfile.write(tmp_path / f"t.{suffix}", tone, 16000, format=container, subtype=subtype)
    samples, rate = read_sound(Utterance("t", str(tmp_path / f"t.{suffix}"), "here"))
    assert rate == 16000
    assert np.sqrt(np.mean(np.square(samples[2000:-2000]))) == pytest.approx(0.5 / 2**0.5, rel=0.05)


@pytest.mark.parametrize("where", ["beside", "above"])
def test_paths_relative_to_the_folder_or_the_one_above(
    folder: Path, where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = folder / "set"
    inner.mkdir()
    (inner / "wav.scp").write_text("a a.wav\n")
    home = inner if where == "beside" else folder
    (folder / "a.wav").rename(home / "a.wav")
    monkeypatch.chdir("/")
    assert read_utterances(inner)["a"].source == str(home / "a.wav")


def test_commands_run_only_when_allowed(folder: Path) -> None:
    mark = folder / "ran"
    (folder / "wav.scp").write_text(f"a touch {mark} && cat {folder}/a.wav |\n")
    with pytest.raises(DataError, match=r"wav.scp:1: a command, which would run with your rights"):
        read_utterances(folder)
    assert not mark.exists()
    utterance = read_utterances(folder, allow_pipes=True)["a"]
    assert not mark.exists()
    assert read_sound(utterance)[0].shape == (16000, 2)
    assert mark.exists()


def test_a_command_that_fails_says_what_it_said(folder: Path) -> None:
    utterance = Utterance("a", "echo no such tape >&2; exit 3 |", "wav.scp:7")
    with pytest.raises(DataError, match="wav.scp:7: the command ends with 3: no such tape"):
        read_sound(utterance)


def test_a_command_leaves_alone_what_the_caller_reads(folder: Path) -> None:
    """As in a shell's loop over a list, in which recordings are read."""
    reads, writes = os.pipe()
    before = os.dup(0)
    os.write(writes, b"the next line\n")
    os.close(writes)
    os.dup2(reads, 0)
    try:
        read_sound(Utterance("a", f"cat > /dev/null; cat {folder}/a.wav |", "wav.scp:1"))
        assert os.read(0, 99) == b"the next line\n"
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reads)


def test_all_faults_at_once(folder: Path) -> None:
    scp, segments = folder / "wav.scp", folder / "segments"
    scp.write_bytes(scp.read_bytes() + b"a x.wav\nb\n c.wav\nd \xff\n")
    segments.write_text(
        "a-1 a 1 0.5\na-2 z 0 1\na-3 a 0\na-4 a 0 1\na-4 a 0 1\na-5 a 0 1 -1\na-6 a 0 inf\na-7 a inf -1\n"
    )
    with pytest.raises(DataError) as error:
        read_utterances(folder)
    assert [item.split(";")[0] for item in error.value.items] == [
        f"{scp}:2: id a again, first in line 1",
        f"{scp}:3: no file after the id",
        f"{scp}:4: no id",
        f"{scp}:5: not UTF-8 at byte 3",
        f"{segments}:1: from 1.0 to 0.5: seconds, the start first, and from 0 on",
        f"{segments}:2: recording z isn't in wav.scp",
        f"{segments}:3: write <utt-id> <recording-id> <start> <end>, in seconds, and for one of several channels its "
        "number, 0 or more",
        f"{segments}:5: id a-4 again, first in line 4",
        f"{segments}:6: channel -1: they count from 0",
        f"{segments}:7: from 0.0 to inf: seconds, the start first, and from 0 on",
        f"{segments}:8: from inf to -1.0: seconds, the start first, and from 0 on",
    ]


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wav.scp: no such file"):
        read_utterances(tmp_path)


def test_a_command_runs_once_for_the_segments_of_its_recording(folder: Path) -> None:
    command = f"echo x >> {folder / 'runs'}; cat {folder / 'a.wav'} |"
    (folder / "wav.scp").write_text(f"a {command}\n")
    (folder / "segments").write_text("a-1 a 0 1\na-2 a 1 2\n")
    utterances = read_utterances(folder, allow_pipes=True)
    lengths = [len(read_sound(utterance)[0]) for utterance in utterances.values()]
    assert lengths == [8000, 8000]
    assert (folder / "runs").read_text() == "x\n"
