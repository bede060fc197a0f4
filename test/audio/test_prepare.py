"""Stages 2 and 3 of speech: what is referred to, what is written anew, and what is left out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from legonn.audio.prepare import (
    Prepared,
    Target,
    change_speed,
    main,
    prepare_folder,
    speed_id,
)
from legonn.audio.recordings import read_utterances
from legonn.data.folder import read_text, write_text
from legonn.errors import ConfigError, DataError


def tone(seconds: float, rate: int, hertz: float = 400.0) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def pitch(samples: NDArray[np.float32], rate: int) -> float:
    """The strongest frequency, in hertz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """`as-it-is` at 16 kHz, `other` at 8 kHz, `wide` in stereo; each a second."""
    folder = tmp_path / "data"
    folder.mkdir()
    left = tone(1, 16000)
    soundfile.write(folder / "a.flac", left, 16000)
    soundfile.write(folder / "o.wav", tone(1, 8000), 8000)
    soundfile.write(folder / "w.wav", np.stack([left, np.zeros_like(left)], axis=1), 16000)
    names = {"as-it-is": "a.flac", "other": "o.wav", "wide": "w.wav"}
    write_text(folder / "wav.scp", {i: str(folder / name) for i, name in names.items()})
    write_text(folder / "text.tc.en", {i: f"text of {i}" for i in names})
    write_text(folder / "utt2spk", {i: f"speaker-{i}" for i in names})
    return folder


def prepare(
    source: Path, output: Path, target: Target | None = None, **options: Any
) -> list[Prepared]:
    utterances = read_utterances(source)
    texts = ["text.tc.en"]
    return prepare_folder(
        source, output, target or Target(), utterances=utterances, texts=texts, **options
    )


def test_only_what_is_not_as_wanted_is_written(source: Path, tmp_path: Path) -> None:
    done = prepare(source, tmp_path / "out")
    assert [(one.utt_id, one.written) for one in done] == [
        ("as-it-is", 0),
        ("other", 1),
        ("wide", 1),
    ]
    paths = read_text(tmp_path / "out/wav.scp")
    assert paths["as-it-is"] == str(source / "a.flac")
    for utt_id in ("other", "wide"):
        assert paths[utt_id] == str(tmp_path / f"out/wav/000/{utt_id}.flac")
        samples, rate = soundfile.read(paths[utt_id])
        assert (rate, samples.shape) == (16000, (16000,))
        assert pitch(samples, rate) == pytest.approx(400, abs=1)
    loud, half = (np.abs(soundfile.read(paths[i])[0]).max() for i in ("as-it-is", "wide"))
    assert half == pytest.approx(loud / 2, rel=0.01)  # the mean of a tone and silence
    assert read_text(tmp_path / "out/utt2num_samples") == dict.fromkeys(paths, "16000")
    for name in ("text.tc.en", "utt2spk"):
        assert read_text(tmp_path / "out" / name) == read_text(source / name)


def test_segments_are_cut(source: Path, tmp_path: Path) -> None:
    ids = ("early", "late")
    (source / "segments").write_text("early as-it-is 0 0.25\nlate as-it-is 0.5 1\n")
    for name in ("text.tc.en", "utt2spk"):
        write_text(source / name, dict.fromkeys(ids, "x"))
    prepare(source, tmp_path / "out")
    assert read_text(tmp_path / "out/utt2num_samples") == {"early": "4000", "late": "8000"}
    samples, _ = soundfile.read(read_text(tmp_path / "out/wav.scp")["late"])
    assert samples == pytest.approx(tone(1, 16000)[8000:], abs=1e-4)


def test_speeds_are_copies_with_ids_and_speakers_of_their_own(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out", Target(speeds=(0.8, 1.0)))
    paths = read_text(tmp_path / "out/wav.scp")
    assert sorted(paths) == [
        "as-it-is",
        "other",
        "sp0.8-as-it-is",
        "sp0.8-other",
        "sp0.8-wide",
        "wide",
    ]
    assert paths["as-it-is"] == str(source / "a.flac")
    slow, rate = soundfile.read(paths["sp0.8-as-it-is"])
    assert len(slow) == 16000 / 0.8
    assert pitch(slow, rate) == pytest.approx(400 * 0.8, abs=1)
    assert read_text(tmp_path / "out/utt2spk")["sp0.8-wide"] == "sp0.8-speaker-wide"
    assert read_text(tmp_path / "out/text.tc.en")["sp0.8-wide"] == "text of wide"
    assert read_text(tmp_path / "out/utt2num_samples")["sp0.8-other"] == "20000"


def test_speed_and_rate_change_at_once() -> None:
    fast = change_speed(tone(1, 8000), 8000, 1.25, 16000)
    assert len(fast) == 16000 / 1.25
    assert pitch(fast, 16000) == pytest.approx(500, abs=2)
    assert speed_id("a", 1.0) == "a" and speed_id("a", 1.1) == "sp1.1-a"


def test_processes_change_nothing(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "one")
    prepare(source, tmp_path / "two", jobs=2)
    for name in ("other", "wide"):
        one, two = (tmp_path / x / f"wav/000/{name}.flac" for x in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_killed_run_writes_only_what_is_missing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(source, out)
    kept, lost = out / "wav/000/other.flac", out / "wav/000/wide.flac"
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.write_bytes(b"")  # as a loss of power leaves it
    prepare(source, out)
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == content


def test_another_rate_writes_all_again(source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "out")
    prepare(source, tmp_path / "out", Target(sample_rate=8000))
    paths = read_text(tmp_path / "out/wav.scp")
    assert {soundfile.info(path).samplerate for path in paths.values()} == {8000}
    assert paths["other"] == str(source / "o.wav")


def test_a_recording_that_changed_under_its_name_is_read_again(
    source: Path, tmp_path: Path
) -> None:
    slow = Target(speeds=(1.0, 0.8))
    prepare(source, tmp_path / "out", slow)
    soundfile.write(source / "a.flac", tone(2, 16000), 16000)
    prepare(source, tmp_path / "out", slow)
    lengths = read_text(tmp_path / "out/utt2num_samples")
    assert (lengths["as-it-is"], lengths["sp0.8-as-it-is"]) == ("32000", "40000")
    assert soundfile.info(read_text(tmp_path / "out/wav.scp")["sp0.8-as-it-is"]).frames == 40000


def test_hashes_follow_samples_and_not_files(source: Path, tmp_path: Path) -> None:
    def hashes() -> dict[str, str]:
        prepare(source, tmp_path / "out", Target(speeds=(1.0, 0.8)))
        return read_text(tmp_path / "out/utt2sha256")

    before = hashes()
    assert len(set(before.values())) == len(before) == 6
    os.utime(source / "a.flac", (0, 0))
    assert hashes() == before
    soundfile.write(source / "a.flac", tone(1, 16000)[::-1], 16000)  # as long as it was
    changed = {"as-it-is", "sp0.8-as-it-is"}
    assert {utt_id for utt_id, value in hashes().items() if value != before[utt_id]} == changed


def test_an_archives_recordings_are_written_anew(source: Path, tmp_path: Path) -> None:
    sound = (16000, (tone(1, 16000) * 32768).astype(np.int16))
    kaldiio.save_ark(str(source / "a.ark"), {"one": sound}, scp=str(source / "wav.scp"))
    for name in ("text.tc.en", "utt2spk"):
        write_text(source / name, {"one": "x"})
    (done,) = prepare(source, tmp_path / "out")
    samples, rate = soundfile.read(done.paths[0])
    assert (done.written, rate) == (1, 16000)
    assert samples == pytest.approx(tone(1, 16000), abs=1e-4)


def test_other_segments_are_cut_again(source: Path, tmp_path: Path) -> None:
    for name in ("text.tc.en", "utt2spk"):
        write_text(source / name, {"one": "x"})
    for start, end in ((0.0, 0.25), (0.5, 1.0)):
        (source / "segments").write_text(f"one as-it-is {start} {end}\n")
        (done,) = prepare(source, tmp_path / "out")
        assert done.written == 1
    samples, _ = soundfile.read(tmp_path / "out/wav/000/one.flac")
    assert samples == pytest.approx(tone(1, 16000)[8000:], abs=1e-4)
    (done,) = prepare(source, tmp_path / "out")
    assert done.written == 0


def spoil(source: Path) -> None:
    (source / "a.flac").write_text("not a sound")
    soundfile.write(source / "w.wav", np.zeros(16000), 16000)


def test_bad_recordings_are_all_named_and_nothing_becomes_a_folder(
    source: Path, tmp_path: Path
) -> None:
    spoil(source)
    with pytest.raises(
        DataError, match="2 utterances of .*data can't be used.*--skip_bad 2"
    ) as error:
        prepare(source, tmp_path / "out", skip_bad=1)
    assert len(error.value.items) == 2
    assert "no sound that can be read" in error.value.items[0]
    assert error.value.items[1].endswith("silence; leave it out")
    assert not (tmp_path / "out/wav.scp").exists()


def test_bad_recordings_are_left_out_when_that_is_allowed(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(source)
    prepare(source, tmp_path / "out", skip_bad=2)
    for name in ("wav.scp", "text.tc.en", "utt2spk", "utt2num_samples"):
        assert list(read_text(tmp_path / "out" / name)) == ["other"]
    assert capsys.readouterr().err.count("warning: left out: ") == 2


def test_nothing_left_is_an_error(source: Path, tmp_path: Path) -> None:
    spoil(source)
    (source / "o.wav").unlink()
    with pytest.raises(DataError, match="no utterance is left"):
        prepare(source, tmp_path / "out", skip_bad=3)


def test_ids_must_agree(source: Path, tmp_path: Path) -> None:
    write_text(source / "text.tc.en", {"as-it-is": "x", "other": "x", "alone": "x"})
    with pytest.raises(DataError, match="ids differ") as error:
        prepare(source, tmp_path / "out")
    assert error.value.items == [
        f"{source}/text.tc.en: alone is in only one of it and wav.scp",
        f"{source}/text.tc.en: wide is in only one of it and wav.scp",
    ]


def test_an_id_that_a_copy_has_too_is_named(source: Path, tmp_path: Path) -> None:
    for name in ("wav.scp", "text.tc.en", "utt2spk"):
        column = read_text(source / name)
        write_text(source / name, {**column, "sp0.9-other": column["other"]})
    with pytest.raises(DataError, match="ids that copies have, too") as error:
        prepare(source, tmp_path / "out", Target(speeds=(0.9, 1.0)))
    assert error.value.items == [
        f"{source}/wav.scp:3: sp0.9-other is also what other is called at speed 0.9; rename it, or leave out the "
        "speeds if they are in the folder already"
    ]
    assert not (tmp_path / "out").exists()


def test_originals_are_not_written_over(source: Path) -> None:
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="would be written over itself: give another --output"):
        prepare(source, source.parent / "." / source.name, Target(sample_rate=8000))
    other = source.parent / "data_sp"
    shutil.copytree(source, other)
    with pytest.raises(DataError, match="data_sp has a wav.scp that was not made here"):
        prepare(source, other)
    for folder in (source, other):
        assert before == {
            source / path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speeds": ()}, "give one or more, each once"),
        ({"speeds": (1.0, 1.0)}, "give one or more, each once"),
        ({"speeds": (1.1, 1.1000001)}, "give one or more, each once"),  # ids have six digits of it
        ({"speeds": (3.0,)}, r"--speeds 3.0: give 0.5 to 2.0"),
        ({"format": "mp3"}, "--audio_format mp3: give one of flac, wav, opus"),
        (
            {"format": "opus", "sample_rate": 22050},
            "--audio_format opus has no 22050 Hz: give flac, or",
        ),
    ],
)
def test_illegal_targets(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Target(**options)  # type: ignore[arg-type]


def test_the_command_says_what_it_made(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--input", str(source), "--output", str(tmp_path / "out"), "--files", "text.tc.en"]
    assert main([*command, "--fs", "16k", "--speeds", "1.0", "2.0"]) == 0
    assert "6 recordings, 0.00 h; 5 of them written anew" in capsys.readouterr().out
