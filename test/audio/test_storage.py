"""Recordings that are written: their names, and what is there of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from legonn.audio.storage import FORMATS, encode, recording_path, stored_seconds, write_recording


def test_every_id_has_a_file_of_its_own() -> None:
    ids = ["a/b", "a%2Fb", "a%b", "a%25b", "a"]
    assert len({recording_path(Path(), 0, utt_id, "flac") for utt_id in ids}) == len(ids)
    assert recording_path(Path("x"), 2001, "a/b", "wav") == Path("x/wav/002/a%2Fb.wav")


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_is_as_long_as_it_was(tmp_path: Path, format: str) -> None:
    path = tmp_path / "wav" / f"a.{format}"
    assert stored_seconds(path) == 0
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 8000).astype(np.float32)
    write_recording(path, encode(noise, 16000, format))
    assert stored_seconds(path) == pytest.approx(0.5, abs=0.001)
    assert list(path.parent.iterdir()) == [path]
    path.write_bytes(b"")
    assert stored_seconds(path) == 0
