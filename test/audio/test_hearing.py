"""Recordings as a system hears them: rate, channels, pieces, windows, and every kind of bad audio."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from legonn.audio.hearing import Heard, ahead, hear, windows
from legonn.audio.recordings import Utterance

RATE = 8000


def noise(seconds: float) -> NDArray[np.float64]:
    return np.random.default_rng(1).uniform(-0.1, 0.1, round(seconds * RATE))


def write(path: Path, samples: NDArray[np.float64], rate: int = RATE) -> Utterance:
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return Utterance(path.stem, str(path), str(path))


def heard(utterance: Utterance, longest: float = 30.0) -> Heard:
    return hear(utterance, sample_rate=RATE, longest=longest)


def test_two_channels_become_one(tmp_path: Path) -> None:
    samples = noise(1)
    found = heard(write(tmp_path / "a.wav", np.stack([samples, 3 * samples], axis=1)))
    assert found.samples == pytest.approx(2 * samples, abs=1e-6)
    assert (found.spans, found.fault, found.seconds) == (((0, RATE),), "", 1.0)


def test_another_rate_becomes_the_systems(tmp_path: Path) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 300 * np.arange(44100) / 44100)
    found = heard(write(tmp_path / "a.flac", wave, rate=44100))
    wanted = 0.5 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
    assert (found.samples.dtype.name, found.rate) == ("float32", RATE)
    assert np.abs(found.samples - wanted)[50:-50].max() < 2e-3


def test_a_long_one_is_in_pieces(tmp_path: Path) -> None:
    samples = noise(9)
    samples[4 * RATE : 5 * RATE] *= 1e-3
    found = heard(write(tmp_path / "a.wav", samples), longest=8.0)
    first, second = found.pieces()
    assert np.array_equal(np.concatenate([first, second]), found.samples)
    ((start, middle), (again, end)) = found.times()
    assert (start, middle, end) == (0.0, again, 9.0)
    assert 4.1 < middle < 4.9


def test_silence_is_no_fault_and_has_nothing_to_search(tmp_path: Path) -> None:
    found = heard(write(tmp_path / "a.flac", np.zeros(RATE)))
    assert (found.fault, found.spans, found.seconds) == ("", (), 1.0)


def test_pieces_in_which_nobody_is_heard_are_left_out(tmp_path: Path) -> None:
    samples = noise(40)
    samples[5 * RATE : 35 * RATE] *= 1e-4
    whole = heard(write(tmp_path / "a.wav", noise(40)), longest=8.0)
    found = heard(write(tmp_path / "b.wav", samples), longest=8.0)
    assert len(whole.spans) >= 5 and len(found.spans) == 2
    assert found.times()[0][0] == 0.0 and found.times()[1][1] == 40.0
    assert all(np.abs(piece).max() > 0.05 for piece in found.pieces())
    assert found.is_cut and not heard(write(tmp_path / "c.wav", noise(1))).is_cut


def test_a_word_in_a_long_silence_is_heard(tmp_path: Path) -> None:
    samples = np.zeros(28 * RATE)
    samples[9 * RATE : 10 * RATE] = 0.002 * np.sin(np.arange(RATE))  # -57 dB, in all of it -71
    assert heard(write(tmp_path / "a.wav", samples)).spans == ((0, 28 * RATE),)


def shortened(path: Path, samples: NDArray[np.float64]) -> None:
    write(path, samples)
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "absent.wav": (lambda path: None, "no such file"),
    "empty.wav": (lambda path: path.write_bytes(b""), "no sound that can be read"),
    "text.wav": (lambda path: path.write_text("no sound\n" * 50), "no sound that can be read"),
    "header.wav": (lambda path: write(path, noise(0)), "no samples"),
    "cut.wav": (lambda path: shortened(path, noise(1)), "cut off: "),
    "cut.flac": (lambda path: shortened(path, noise(1)), "no sound that can be read (Error : flac"),
    "nan.wav": (lambda path: write(path, np.append(noise(1), np.nan)), "samples that are no num"),
    "short.wav": (lambda path: write(path, noise(0.01)), "0.010 s, too short for a word"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_kind_of_bad_audio_is_a_fault_that_begins_with_its_name(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    make, what = BAD[name]
    make(path)
    found = heard(Utterance("u", str(path), str(path)))
    assert found.fault.startswith(f"{path}: {what}")
    assert (found.pieces(), found.seconds) == ([], 0.0)


@pytest.mark.parametrize("error", [MemoryError("256 GiB"), PermissionError("not yours")])
def test_what_the_system_refuses_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    """A header that promises billions of samples, and a file that only others may read."""

    def refuse(path: str) -> None:
        raise error

    (tmp_path / "a.wav").touch()
    monkeypatch.setattr(soundfile, "SoundFile", refuse)
    found = heard(Utterance("u", f"{tmp_path}/a.wav", f"{tmp_path}/a.wav"))
    assert found.fault == f"{tmp_path}/a.wav: can't be read ({error})"


def test_a_line_of_wav_scp_is_named_too(tmp_path: Path) -> None:
    found = heard(Utterance("u", f"{tmp_path}/a.wav", "data/wav.scp:3"))
    assert found.fault == f"data/wav.scp:3: {tmp_path}/a.wav: no such file; mend its path"


def test_windows_hold_so_many_pieces_and_keep_the_order(tmp_path: Path) -> None:
    lengths = {"a": 1.0, "b": 9.0, "c": 1.0, "d": 0.01, "e": 1.0, "f": 1.0}
    utterances = [write(tmp_path / f"{name}.wav", noise(n)) for name, n in lengths.items()]
    found = windows(utterances, sample_rate=RATE, longest=8.0, size=3)
    assert [[one.utterance.utt_id for one in window] for window in found] == [
        ["a", "b"],  # b is in two pieces
        ["c", "d", "e"],  # d is too short
        ["f"],
    ]


def test_windows_hold_so_much_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legonn.audio.hearing.WINDOW", 2.5)
    utterances = [write(tmp_path / f"{name}.wav", noise(1)) for name in "abcd"]
    found = windows(utterances, sample_rate=RATE, longest=8.0, size=100)
    assert [len(window) for window in found] == [3, 1]


def test_the_next_is_made_while_one_is_worked_on() -> None:
    made = {number: threading.Event() for number in range(4)}

    def items() -> Iterator[int]:
        for number, event in made.items():
            event.set()
            yield number

    for number in ahead(items()):
        # Without a thread that goes on by itself, the next would be made only after this one.
        assert number == 3 or made[number + 1].wait(timeout=10)


def test_a_failure_ahead_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(KeyError, match="two"):
        next(found)
