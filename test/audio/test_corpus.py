"""A corpus spoken by many voices: its files, its seeds, and going on after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from legonn.audio.corpus import Manner, Recording, synthesize_corpus
from legonn.audio.synthesis import Synthesizer, UnspeakableError
from legonn.audio.voices import Voice
from legonn.data.folder import read_text, write_text
from legonn.errors import ConfigError, DataError, LegonnError

TEXTS = {"a-1": "One.", "a-2": "Two dogs.", "a/3": "Three men walk."}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.tc.en"
    write_text(path, TEXTS)
    return path


def sound(recordings: list[Recording]) -> dict[str, tuple[str, bytes]]:
    return {r.utt_id: (r.speaker, r.path.read_bytes()) for r in recordings}


def test_it_is_a_kaldi_folder_of_16_kilohertz(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    recordings = synthesize_corpus(text, out, Manner(voices=2))
    assert read_text(out / "text.tc.en") == TEXTS
    assert set(read_text(out / "utt2spk").values()) <= {"en1v0001", "en1v0002"}
    paths = read_text(out / "wav.scp")
    assert list(paths) == list(TEXTS)
    for recording in recordings:
        assert paths[recording.utt_id] == str(recording.path)
        samples, rate = soundfile.read(recording.path)
        assert (rate, samples.ndim) == (16000, 1)
        assert len(samples) / rate == recording.seconds > 0.3
        level = 20 * np.log10(np.sqrt(np.mean(np.square(samples))))
        assert -36 < level < -19
        assert np.abs(samples).max() < 1


def test_it_depends_on_seed_and_text_but_not_on_order_and_processes(
    text: Path, tmp_path: Path
) -> None:
    manner = Manner(voices=5, snr=(5, 20), reverb=(0.1, 0.3))
    one = sound(synthesize_corpus(text, tmp_path / "one", manner))
    other = tmp_path / "more.tc.en"
    write_text(other, {"a-0": "Something before."} | TEXTS)
    two = sound(synthesize_corpus(other, tmp_path / "two", manner, jobs=2))
    del two["a-0"]
    assert one == two
    more = sound(synthesize_corpus(text, tmp_path / "more", Manner(voices=5, seed=2)))
    assert all(one[i] != more[i] for i in one)


def test_a_killed_run_goes_on_and_ends_with_the_same_files(text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = sound(synthesize_corpus(text, out, Manner()))
    recordings = {path: path.stat().st_mtime_ns for path in (out / "wav").rglob("*.flac")}
    (out / "wav.scp").unlink()
    lost, empty = list(recordings)[:2]
    lost.unlink()
    empty.write_bytes(b"")  # as a loss of power leaves it
    assert sound(synthesize_corpus(text, out, Manner())) == first
    again = (lost, empty)
    kept = {path: path.stat().st_mtime_ns for path in recordings if path not in again}
    assert kept == {path: time for path, time in recordings.items() if path not in again}
    assert (out / "wav.scp").exists()


def test_another_manner_in_the_same_folder_is_refused(text: Path, tmp_path: Path) -> None:
    synthesize_corpus(text, tmp_path / "out", Manner())
    with pytest.raises(
        ConfigError, match=r"was begun with other options, or another espeak-ng or legonn"
    ):
        synthesize_corpus(text, tmp_path / "out", Manner(seed=2))


def test_recordings_of_others_are_left_alone(text: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "wav/someone/a.wav"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("kept")
    with pytest.raises(ConfigError, match="didn't make: name another folder"):
        synthesize_corpus(text, tmp_path, Manner())
    assert theirs.read_text() == "kept"


def test_another_language_is_refused_before_the_folder_is_begun(text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="es"):
        synthesize_corpus(text, tmp_path / "out", Manner(language="es"))
    assert not (tmp_path / "out").exists()


def test_lines_with_nothing_to_say_are_all_named_and_can_be_taken_out(tmp_path: Path) -> None:
    path, out = tmp_path / "text.tc.en", tmp_path / "out"
    path.write_text("a\nb Word.\nc \n")
    with pytest.raises(DataError) as error:
        synthesize_corpus(path, out, Manner())
    assert error.value.items == [f"{path}:1: a: ''", f"{path}:3: c: ''"]
    assert not (out / "wav.scp").exists()
    (said,) = (out / "wav").rglob("*.flac")
    before = said.stat().st_mtime_ns
    path.write_text("b Word.\n")
    synthesize_corpus(path, out, Manner())
    assert list(read_text(out / "wav.scp")) == ["b"] and said.stat().st_mtime_ns == before
    path.write_text("b Word.\nc \n")
    with pytest.raises(DataError):
        synthesize_corpus(path, out, Manner())
    assert not (out / "wav.scp").exists()


def test_what_is_mended_is_said_anew_what_is_gone_is_gone(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two in a folder: the first line's absence moves the third.
    monkeypatch.setattr("legonn.audio.storage.FOLDER", 2)
    out = tmp_path / "out"
    before = sound(synthesize_corpus(text, out, Manner()))
    write_text(text, {"a-2": "Two cats.", "a/3": TEXTS["a/3"]})
    after = sound(synthesize_corpus(text, out, Manner()))
    assert after["a/3"] == before["a/3"] and after["a-2"] != before["a-2"]
    fresh = sound(synthesize_corpus(text, tmp_path / "fresh", Manner()))
    assert after == fresh
    recordings = {str(path.relative_to(out)) for path in (out / "wav").rglob("*.flac")}
    assert recordings == {"wav/000/a-2.flac", "wav/000/a%2F3.flac"}


def test_it_is_a_folder_wherever_one_stands_and_whatever_its_text_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "captions").write_text("a One.\n")
    monkeypatch.chdir(tmp_path)
    synthesize_corpus(Path("captions"), Path("out"), Manner())
    assert read_text("out/wav.scp") == {"a": str(tmp_path / "out/wav/000/a.flac")}
    assert read_text("out/text.tc.en") == {"a": "One."}


def test_lines_that_espeak_dies_of_are_named_and_the_others_said(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = read_text(text).items()
    ask = Synthesizer.speak

    def die(synthesizer: Synthesizer, words: str, voice: Voice) -> NDArray[np.int16]:
        if words == first[1]:
            raise UnspeakableError("espeak-ng can't say it")
        return ask(synthesizer, words, voice)

    monkeypatch.setattr(Synthesizer, "speak", die)
    with pytest.raises(DataError) as error:
        synthesize_corpus(text, tmp_path / "out", Manner())
    assert error.value.items == [f"{text}:1: {first[0]}: {first[1]!r}"]
    assert len(list((tmp_path / "out/wav").rglob("*.flac"))) == len(others)


def test_an_espeak_that_fails_is_no_fault_of_the_texts(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(synthesizer: Synthesizer, words: str, voice: Voice) -> NDArray[np.int16]:
        raise LegonnError("no memory")

    monkeypatch.setattr(Synthesizer, "speak", fail)
    with pytest.raises(LegonnError, match="no memory"):
        synthesize_corpus(text, tmp_path / "out", Manner())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voices": 0}, "--voices 0: give at least 1"),
        ({"format": "mp3"}, "--format mp3: give one of flac, wav, opus"),
        ({"sample_rate": 10}, "--sample_rate 10: give 4000 to 48000"),
        ({"snr": (20, 5)}, "--snr 20 5: give the lower first"),
        ({"reverb": (-1, 5)}, "--reverb -1: give 0 or more"),
    ],
)
def test_illegal_options(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Manner(**options)  # type: ignore[arg-type]
