"""espeak-ng: the same text and voice are the same samples, whatever was said before."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from legonn.audio.resampling import resample
from legonn.audio.synthesis import Synthesizer
from legonn.audio.voices import ACCENTS, VARIANTS, Voice
from legonn.errors import ConfigError, LegonnError

ANDY = Voice("en-us", "Andy", rate=170, pitch=50, pitch_range=50)


@pytest.fixture(scope="module")
def synthesizer() -> Synthesizer:
    return Synthesizer()


def test_what_was_said_before_changes_nothing(synthesizer: Synthesizer) -> None:
    alone = synthesizer.speak("A man reads.", ANDY)
    synthesizer.speak("Two dogs play in the snow.", ANDY)
    assert np.array_equal(synthesizer.speak("A man reads.", ANDY), alone)
    assert synthesizer.sample_rate == 22050
    assert 0.5 < len(alone) / 22050 < 2.0
    assert np.abs(alone).max() > 3000


def test_rate_pitch_and_variant_are_heard(synthesizer: Synthesizer) -> None:
    text = "A man reads a long book in the garden."
    said = {
        name: synthesizer.speak(text, voice)
        for name, voice in {
            "as it is": ANDY,
            "fast": Voice("en-us", "Andy", rate=250, pitch=50, pitch_range=50),
            "high": Voice("en-us", "Andy", rate=170, pitch=90, pitch_range=50),
            "woman": Voice("en-us", "f3", rate=170, pitch=50, pitch_range=50),
        }.items()
    }
    assert len(said["fast"]) < 0.8 * len(said["as it is"])
    assert pitch(said["high"]) > 1.3 * pitch(said["as it is"])
    assert pitch(said["woman"]) > 1.2 * pitch(said["as it is"])


def pitch(samples: np.ndarray) -> float:
    """The fundamental frequency of the loudest second, in hertz, by autocorrelation."""
    x = samples.astype(np.float64)
    start = int(np.argmax(np.convolve(np.square(x), np.ones(11025), "valid")))
    x = x[start : start + 11025]
    spectrum = np.fft.rfft(x - x.mean(), 1 << 15)
    related = np.fft.irfft(np.square(np.abs(spectrum)))
    lags = range(22050 // 400, 22050 // 60)
    return 22050 / max(lags, key=lambda lag: related[lag])


@pytest.mark.parametrize("variant", ["Alicia", "f2", "f3", "f5"])
def test_voices_that_breathe_do_so_alike_at_any_time(
    synthesizer: Synthesizer, variant: str
) -> None:
    """espeak-ng draws their breath at random, and its own seed is the clock's second."""
    voice = Voice("en-us", variant, rate=170, pitch=50, pitch_range=50)
    first = synthesizer.speak("One.", voice)
    time.sleep(1.1)
    assert np.array_equal(synthesizer.speak("One.", voice), first)


def test_a_text_without_words_gives_no_sound(synthesizer: Synthesizer) -> None:
    assert not synthesizer.speak("", ANDY).any()


def test_what_else_the_process_asked_changes_nothing(synthesizer: Synthesizer) -> None:
    """Voices looked up, and espeak-ng begun by another, once silenced short texts."""
    alone = synthesizer.speak("one", ANDY)
    Synthesizer().check(*(Voice("en-us", v, rate=170, pitch=50, pitch_range=50) for v in VARIANTS))
    assert np.array_equal(Synthesizer().speak("one", ANDY), alone) and alone.any()


@pytest.mark.parametrize("accent", sorted({a for accents in ACCENTS.values() for a in accents}))
def test_each_accent_exists(synthesizer: Synthesizer, accent: str) -> None:
    synthesizer.check(Voice(accent, "f1", rate=170, pitch=50, pitch_range=50))


def test_each_variant_exists(synthesizer: Synthesizer) -> None:
    for variant in VARIANTS:
        synthesizer.check(Voice("en-us", variant, rate=170, pitch=50, pitch_range=50))


@pytest.mark.parametrize("name", ["en-us+Nobody", "xx+Andy"])
def test_a_voice_that_does_not_exist_is_named(synthesizer: Synthesizer, name: str) -> None:
    accent, variant = name.split("+")
    voice = Voice(accent, variant, rate=170, pitch=50, pitch_range=50)
    with pytest.raises(
        ConfigError, match=r"espeak-ng 1\.\d+\.\d+ has no voice " + name.replace("+", r"\+")
    ):
        synthesizer.check(voice)


def test_a_process_that_was_killed_is_replaced() -> None:
    before = speakers()
    synthesizer = Synthesizer()
    alone = synthesizer.speak("A man reads.", ANDY)
    (child,) = speakers() - before
    os.kill(child, signal.SIGKILL)
    assert np.array_equal(synthesizer.speak("A man reads.", ANDY), alone)


def test_a_process_that_is_killed_while_it_speaks_is_replaced() -> None:
    text = "A man reads a long book in the garden. " * 40
    before = speakers()
    synthesizer = Synthesizer()
    alone = synthesizer.speak(text, ANDY)
    (child,) = speakers() - before
    killer = threading.Thread(target=kill_while_it_speaks, args=(child,))
    killer.start()
    assert np.array_equal(synthesizer.speak(text, ANDY), alone)
    killer.join()
    assert child not in speakers()


def kill_while_it_speaks(speaker: int) -> None:
    until = time.monotonic() + 60
    while not speakers(speaker) and time.monotonic() < until:
        time.sleep(0.001)
    os.kill(speaker, signal.SIGKILL)


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = synthesizer.speak("A man reads.", ANDY)

    def interrupt(line: bytes) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("legonn.audio.synthesis._whole", interrupt)
        with pytest.raises(KeyboardInterrupt):
            synthesizer.speak("Two dogs.", ANDY)
    assert np.array_equal(synthesizer.speak("A man reads.", ANDY), alone)


def test_a_process_that_was_divided_asks_its_own(synthesizer: Synthesizer) -> None:
    alone = synthesizer.speak("A man reads.", ANDY)
    here, there = multiprocessing.Pipe()

    def speak() -> None:
        there.send_bytes(synthesizer.speak("A man reads.", ANDY).tobytes())
        there.send_bytes(str(synthesizer.owner).encode())

    process = multiprocessing.get_context("fork").Process(target=speak)
    process.start()
    assert here.recv_bytes() == alone.tobytes()
    assert here.recv_bytes() == str(process.pid).encode()
    process.join()
    assert np.array_equal(synthesizer.speak("A man reads.", ANDY), alone)


def test_a_process_that_never_answers_is_told(
    synthesizer: Synthesizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthesizer, "command", ["false"])
    monkeypatch.setattr(synthesizer, "speaker", None)
    with pytest.raises(LegonnError, match="espeak-ng ends by itself"):
        synthesizer.speak("A man reads.", ANDY)


def test_data_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("espeakng_loader.get_data_path", lambda: str(tmp_path))
    with pytest.raises(LegonnError, match=f"its data in {tmp_path}: .* reinstall espeakng-loader"):
        Synthesizer()


def test_its_process_ends_with_it() -> None:
    before = speakers()
    synthesizer = Synthesizer()
    synthesizer.speak("One.", ANDY)
    (child,) = speakers() - before
    del synthesizer
    gc.collect()
    assert child not in speakers()


def speakers(process: int | None = None) -> set[int]:
    """The children of a process, of this one if none is named."""
    process = process or os.getpid()
    children = Path(f"/proc/{process}/task/{process}/children").read_text()
    return {int(word) for word in children.split()}


def test_a_filter_that_is_kept_is_the_one_made_anew() -> None:
    samples = np.random.default_rng(1).normal(size=(3000, 2)).astype(np.float32)
    for before, after in ((22050, 16000), (8000, 16000), (16000, 17600)):
        up, down = Fraction(after, before).as_integer_ratio()
        assert np.array_equal(resample(samples, before, after), resample_poly(samples, up, down))
