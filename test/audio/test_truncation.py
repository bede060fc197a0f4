"""Files that end before they should."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from legonn.audio.truncation import is_unended, missing_bytes

FORMATS = [
    ("WAV", "PCM_16"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
]


@pytest.fixture(params=FORMATS, ids="-".join)
def recording(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two seconds of noise."""
    container, subtype = request.param
    path = tmp_path / "a.sound"
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 32000)
    soundfile.write(path, samples, 16000, format=container, subtype=subtype)
    return path


def test_a_whole_file_lacks_nothing(recording: Path) -> None:
    assert missing_bytes(recording) == 0


@pytest.mark.parametrize("lost", [1, 700])
def test_what_is_cut_off_is_counted(recording: Path, lost: int) -> None:
    recording.write_bytes(recording.read_bytes()[:-lost])
    assert missing_bytes(recording) == lost


# Of 12, 30 and 45 bytes those that hold the length.
LENGTH_IN = {
    "WAV": {45},
    "W64": {30, 45},
    "RF64": {30, 45},
    "MP3": {30, 45},
    "AIFF": set(),
    "AU": {12, 30, 45},
}


@pytest.mark.parametrize("kept", [12, 30, 45])
def test_a_header_cut_off_tells_what_it_knows(recording: Path, kept: int) -> None:
    container = soundfile.info(recording).format
    content = recording.read_bytes()
    recording.write_bytes(content[:kept])
    if container == "OGG":  # of its page
        assert missing_bytes(recording) > 0
    else:
        known = kept in LENGTH_IN[container]
        assert missing_bytes(recording) == (len(content) - kept if known else 0)


@pytest.mark.parametrize("length", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_a_pipe_left_says_nothing(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), 16000)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", length)
    path.write_bytes(content)
    assert missing_bytes(path) == 0


@pytest.mark.parametrize(("container", "place"), [("W64", 16), ("RF64", 20)])
def test_a_long_length_that_a_pipe_left_says_nothing(
    tmp_path: Path, container: str, place: int
) -> None:
    path = tmp_path / "a.sound"
    soundfile.write(path, np.zeros(100), 16000, format=container)
    content = bytearray(path.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    assert missing_bytes(path) == 0


def test_a_tag_before_the_first_frame_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, 32000), 16000)
    tag = b"ID3\x03\0\0" + bytes([0, 0, 2, 5]) + bytes(2 * 128 + 5)  # seven bits a byte
    path.write_bytes(tag + path.read_bytes())
    assert missing_bytes(path) == 0
    path.write_bytes(path.read_bytes()[:-300])
    assert missing_bytes(path) == 300


def test_an_mp3_that_gives_no_size_ends_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, 32000), 16000)
    content = bytearray(path.read_bytes())
    flags = content.index(b"Xing") + 7
    content[flags] &= ~2
    path.write_bytes(content[:-300])
    assert missing_bytes(path) == 0
    path.write_bytes(bytes(content[:-300]).replace(b"Xing", b"\0\0\0\0"))
    assert missing_bytes(path) == 0


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_stops_between_two_pages_is_unended(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.ogg"
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 32000)
    soundfile.write(path, samples, 16000, format="OGG", subtype=subtype)
    assert not is_unended(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"OggS")])
    assert missing_bytes(path) == 0 and is_unended(path)
    soundfile.write(path, samples, 16000, format="WAV")
    assert not is_unended(path)
