"""Kaldi archives: kaldiio writes them, and what isn't sound is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from legonn.audio.archive import read_archive
from legonn.audio.recordings import Utterance, read_sound, read_utterances
from legonn.errors import DataError

RATE = 8000
RAMP = (np.arange(4000) * 8 - 16000).astype(np.int16)
STEREO = np.stack([RAMP, -RAMP], axis=1)


@pytest.fixture(
    params=[
        {},
        {"write_function": "soundfile"},
        {"write_function": "soundfile", "write_kwargs": {"format": "flac"}},
    ],
    ids=["wav", "wav-with-length", "flac-with-length"],
)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two recordings in one archive."""
    kaldiio.save_ark(
        str(tmp_path / "data.ark"),
        {"a": (RATE, RAMP), "b": (RATE, STEREO)},
        scp=str(tmp_path / "wav.scp"),
        **request.param,
    )
    return tmp_path


def test_recordings_are_what_was_written(folder: Path) -> None:
    mono, stereo = (read_sound(utterance) for utterance in read_utterances(folder).values())
    assert mono[1] == stereo[1] == RATE
    assert mono[0] == pytest.approx(RAMP[:, None] / 32768, abs=1e-6)
    assert stereo[0] == pytest.approx(STEREO / 32768, abs=1e-6)


def test_segments_of_an_archive(folder: Path) -> None:
    (folder / "segments").write_text("a-1 a 0.1 0.25\nb-1 b 0.4 -1 1\n")
    first, second = read_utterances(folder).values()
    assert read_sound(first)[0][:, 0] == pytest.approx(RAMP[800:2000] / 32768)
    assert read_sound(second)[0] == pytest.approx(-RAMP[3200:, None] / 32768)


def test_a_recording_is_read_once_for_its_segments_and_anew_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "data.ark"
    kaldiio.save_ark(str(archive), {"a": (RATE, RAMP)}, scp=str(tmp_path / "wav.scp"))
    (tmp_path / "segments").write_text("a-1 a 0 0.1\na-2 a 0.1 0.2\n")
    offsets = []

    def read(path: Path, offset: int) -> object:
        offsets.append(offset)
        return read_archive(path, offset)

    monkeypatch.setattr("legonn.audio.recordings.read_archive", read)
    first, second = read_utterances(tmp_path).values()
    samples = read_sound(first)[0]
    samples *= 0  # the reader's own
    assert read_sound(first)[0][:, 0] == pytest.approx(RAMP[:800] / 32768)
    assert read_sound(second)[0][:, 0] == pytest.approx(RAMP[800:1600] / 32768)
    assert offsets == [2]
    kaldiio.save_ark(str(archive), {"a": (RATE, RAMP[::-1])})
    os.utime(archive, ns=(0, 0))
    assert read_sound(first)[0][:, 0] == pytest.approx(RAMP[::-1][:800] / 32768)


def test_an_archive_is_found_beside_its_list(tmp_path: Path) -> None:
    kaldiio.save_ark(str(tmp_path / "data.ark"), {"a": (RATE, RAMP)})
    (tmp_path / "wav.scp").write_text("a data.ark:2\n")
    assert read_sound(read_utterances(tmp_path)["a"])[0].shape == (4000, 1)


def refuse(source: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^wav.scp:1: {source}: {message}"):
        read_sound(Utterance("a", source, "wav.scp:1"))


def test_features_are_no_sound(tmp_path: Path) -> None:
    kaldiio.save_ark(str(tmp_path / "f.ark"), {"a": np.ones((3, 80), np.float32)})
    refuse(f"{tmp_path}/f.ark:2", "no sound at byte 2; name the recordings, not features")


def test_a_pickled_object_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pickle.load", lambda *_, **__: pytest.fail("it was unpickled"))
    (tmp_path / "p.ark").write_bytes(b"a PKL\x80\x04N.")
    refuse(f"{tmp_path}/p.ark:2", "a pickled object, which isn't read")


def test_a_damaged_or_absent_archive(tmp_path: Path) -> None:
    (tmp_path / "d.ark").write_bytes(b"a RIFF\x10\0\0\0WAVEfmt ")
    refuse(f"{tmp_path}/d.ark:2", "no sound that can be read at byte 2")
    refuse(f"{tmp_path}/none.ark:2", "no such file")


def test_bytes_of_eight_bits_have_their_zero_in_the_middle(tmp_path: Path) -> None:
    kaldiio.save_ark(str(tmp_path / "w.ark"), {"a": (RATE, np.array([0, 128, 255], np.uint8))})
    samples, _ = read_sound(Utterance("a", f"{tmp_path}/w.ark:2", "here"))
    assert samples[:, 0].tolist() == [-1.0, 0.0, 127 / 128]
