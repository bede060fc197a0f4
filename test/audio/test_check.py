"""Bad audio: what each kind is called, and that none ends the pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from legonn.audio.check import check_recordings, check_sound
from legonn.audio.recordings import Utterance, read_utterances
from legonn.data.check import check_folder

RATE = 16000


def noise(seconds: float, level: float = 0.1) -> NDArray[np.float64]:
    return np.random.default_rng(1).uniform(-level, level, round(seconds * RATE))


def write(path: Path, samples: NDArray[np.float64], rate: int = RATE, **options: str) -> None:
    soundfile.write(path, samples, rate, **options)


def cut(path: Path, samples: NDArray[np.float64]) -> None:
    """A file whose last third is lost."""
    write(path, samples)
    content = path.read_bytes()
    path.write_bytes(content[: 2 * len(content) // 3])


def not_a_number(path: Path) -> None:
    samples = noise(1)
    samples[50] = np.nan
    write(path, samples, subtype="FLOAT")


def unfinish(path: Path, samples: NDArray[np.float64]) -> None:
    """As a recorder leaves it that was killed: no length of the data yet."""
    write(path, samples)
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(4) + content[44:])


def stream(path: Path, samples: NDArray[np.float64]) -> None:
    """As encoders of live streams leave FLAC: the last 36 bits of 64, after rate, channels and bits, are 0."""
    write(path, samples)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.wav": (lambda path: path.write_bytes(b""), "no sound that can be read"),
    "text.wav": (lambda path: path.write_text("not a sound\n" * 50), "no sound that can be read"),
    "header.wav": (lambda path: write(path, noise(0)), "no samples"),
    "cut.wav": (lambda path: cut(path, noise(1)), "cut off: 10682 bytes are missing"),
    "cut.flac": (lambda path: cut(path, noise(1)), "flac decoder lost sync"),
    "silent.wav": (lambda path: write(path, noise(1, level=1e-4)), "silence"),
    "short.wav": (lambda path: write(path, noise(0.01)), "0.010 s, too short for a word"),
    "nan.wav": (not_a_number, "samples that are no numbers"),
    "absent.wav": (lambda path: None, "no such file"),
    f"{'x' * 300}.wav": (lambda path: None, "no such file"),
    f"a.ark:{'9' * 30}": (lambda path: None, "no such file"),
    "rate.wav": (lambda path: write(path, noise(1), rate=3), "3 Hz, says its header"),
    "unfinished.wav": (lambda path: unfinish(path, noise(1)), "its header was never finished"),
    "stream.flac": (lambda path: stream(path, noise(1)), "doesn't say how long it is"),
    "samples.raw": (lambda path: path.write_bytes(bytes(32000)), "can't be read"),
    "cut.ogg": (lambda path: cut(path, noise(1)), "cut off: "),
    "inverted.wav": (
        lambda path: write(path, np.stack([noise(1), -noise(1)], axis=1)),
        "channels that cancel each other when they are mixed",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_each_kind_of_bad_audio_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    make, what = BAD[name]
    make(tmp_path / name)
    (fault,) = check_sound(Utterance("u", str(tmp_path / name), "wav.scp:3")).faults
    assert fault.startswith("wav.scp:3: ")
    assert str(tmp_path / name) in fault
    assert what in fault


def test_names_in_another_encoding_than_utf8_are_read(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(1.5))
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    (tmp_path / "a.wav").rename(path)
    assert check_sound(Utterance("u", str(path), str(path))).seconds == 1.5


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    (tmp_path / "wav.scp").write_text(f"u {tmp_path}/locked/a.wav\n")
    assert "locked/a.wav: no such file" in check_recordings(tmp_path).faults[0]


def test_good_audio_has_no_faults(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", noise(1.5))
    report = check_sound(Utterance("u", str(tmp_path / "a.flac"), "wav.scp:1"))
    assert (report.seconds, report.sample_rate, report.channels) == (1.5, RATE, 1)
    assert (report.faults, report.oddities) == ((), ())


@pytest.mark.parametrize(
    ("samples", "oddity"),
    [
        (np.stack([noise(1), noise(1)], axis=1), "stereo"),
        (np.clip(noise(1, level=1.2), -1, 1), "clipped"),
        (noise(31), "long"),
    ],
)
def test_odd_audio_is_only_counted(
    tmp_path: Path, samples: NDArray[np.float64], oddity: str
) -> None:
    write(tmp_path / "a.wav", samples)
    report = check_sound(Utterance("u", str(tmp_path / "a.wav"), "wav.scp:1"))
    assert (report.faults, report.oddities) == ((), (oddity,))


def test_an_hour_is_long_and_nothing_else(tmp_path: Path) -> None:
    rate = 1000
    soundfile.write(tmp_path / "a.flac", np.tile(noise(1)[:rate], 3600), rate)
    report = check_sound(Utterance("u", str(tmp_path / "a.flac"), "wav.scp:1"))
    assert (report.seconds, report.faults, report.oddities) == (3600, (), ("long",))


def test_segments_of_what_is_there_of_a_cut_recording(tmp_path: Path) -> None:
    cut(tmp_path / "a.wav", noise(3))
    there = Utterance("u", str(tmp_path / "a.wav"), "segments:1", start=0.0, end=1.0)
    gone = Utterance("u", str(tmp_path / "a.wav"), "segments:2", start=2.0, end=3.0)
    assert check_sound(there).faults == ()
    (fault,) = check_sound(gone).faults
    assert "the recording ends before the segment's start, 2.0 s; mend segments" in fault


def test_a_segment_beyond_the_recording(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(1))
    utterance = Utterance("u", str(tmp_path / "a.wav"), "segments:1", start=0.5, end=2.0)
    assert check_sound(utterance).faults == (
        f"segments:1: {tmp_path / 'a.wav'}: the recording ends before the segment's 2.0 s; mend segments",
    )


@pytest.mark.parametrize("options", [{}, {"write_function": "soundfile"}])
def test_a_recording_that_its_archive_lacks_a_part_of(
    tmp_path: Path, options: dict[str, str]
) -> None:
    archive, samples = tmp_path / "data.ark", np.int16(9000 * noise(1))
    sounds = {"a": (RATE, samples), "b": (RATE, samples)}
    kaldiio.save_ark(str(archive), sounds, scp=str(tmp_path / "wav.scp"), **options)
    utterances = read_utterances(tmp_path).values()
    assert [check_sound(one).faults for one in utterances] == [(), ()]
    archive.write_bytes(archive.read_bytes()[:-1000])
    first, last = (check_sound(one).faults for one in utterances)
    assert first == () and "cut off: 1000 bytes are missing" in last[0]


def test_an_archives_recording_of_nothing(tmp_path: Path) -> None:
    archive = tmp_path / "data.ark"
    kaldiio.save_ark(str(archive), {"a": (RATE, np.zeros(0, np.int16))})
    (fault,) = check_sound(Utterance("a", f"{archive}:2", "wav.scp:1")).faults
    assert "no samples; record it again" in fault


def test_a_folder_tells_all_at_once_in_order(tmp_path: Path) -> None:
    for name, (make, _) in BAD.items():
        make(tmp_path / name)
    write(tmp_path / "good.flac", noise(2))
    soundfile.write(tmp_path / "slow.wav", noise(1)[:8000], 8000)
    names = [*BAD, "good.flac", "slow.wav"]
    (tmp_path / "wav.scp").write_text("".join(f"u{i:02d} {name}\n" for i, name in enumerate(names)))
    report = check_recordings(tmp_path, jobs=2)
    assert len(report.faults) == len(BAD)
    for number, (fault, (_, what)) in enumerate(zip(report.faults, BAD.values(), strict=True), 1):
        assert fault.startswith(f"{tmp_path / 'wav.scp'}:{number}: ")
        assert what in fault
    assert len(report.ids) == len(names)
    stereo, rates = report.warnings
    assert (
        f"{tmp_path / 'wav.scp'}: 1 recordings (line {list(BAD).index('inverted.wav') + 1}) have several channels"
        in stereo
    )
    assert f"(line {len(names)}) have 8000 Hz, not 16000; stage 3 resamples them" in rates


def test_all_places_of_an_oddity_are_told(tmp_path: Path) -> None:
    write(tmp_path / "mono.wav", noise(1))
    write(tmp_path / "two.wav", np.stack([noise(1), noise(1)], axis=1))
    names = ["two", "two", "mono", "two", "two", "two", "mono", "two"]
    (tmp_path / "wav.scp").write_text("".join(f"u{i} {n}.wav\n" for i, n in enumerate(names)))
    (warning,) = check_recordings(tmp_path).warnings
    assert "6 recordings (lines 1-2, 4-6, 8) have several channels" in warning


def test_a_folder_at_another_rate_than_wanted(tmp_path: Path) -> None:
    for i in range(2):
        soundfile.write(tmp_path / f"{i}.wav", noise(1)[:8000], 8000)
    (tmp_path / "wav.scp").write_text("a 0.wav\nb 1.wav\n")
    assert check_recordings(tmp_path).warnings == []
    (warning,) = check_recordings(tmp_path, sample_rate=16000).warnings
    assert "2 recordings (lines 1-2) have 8000 Hz, not 16000" in warning
    assert "which brings back nothing of what they lack above" in warning


def test_an_id_twice_hides_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(1))
    write(tmp_path / "b.wav", noise(0.01))
    (tmp_path / "wav.scp").write_text("a a.wav\na a.wav\nb b.wav\nc a.wav\n")
    (tmp_path / "text").write_text("a x\nb x\nc x\n")
    report = check_folder(tmp_path)
    assert [fault.partition(": ")[2].partition(";")[0] for fault in report.faults] == [
        "id a again, first in line 1",
        f"{tmp_path / 'b.wav'}: 0.010 s, too short for a word",
    ]
