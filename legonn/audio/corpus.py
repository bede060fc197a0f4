"""A speech corpus from a text: a Kaldi folder whose recordings are synthetic."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from legonn.audio.parallel import mapped
from legonn.audio.resampling import resample
from legonn.audio.room import add_noise, reverberate
from legonn.audio.storage import (
    check_format,
    encode,
    recording_path,
    stored_seconds,
    write_recording,
)
from legonn.audio.synthesis import Synthesizer, UnspeakableError
from legonn.audio.voices import Voice, draw_voices
from legonn.data.atomic import write_atomic
from legonn.data.folder import read_text, write_text
from legonn.errors import ConfigError, DataError

__all__ = ["Manner", "Recording", "synthesize_corpus"]

RECORD = "synthesis.yaml"
BEGUN = "synthesis.text"  # what the recordings say, while they are made and after


@dataclass(frozen=True)
class Manner:
    """How a corpus is spoken; equal manners and texts give equal samples.

    Attributes
    ----------
    language : str
        A key of `legonn.audio.voices.ACCENTS`.
    voices : int
        Speakers.
    seed : int
        Of speakers, rates, levels and rooms.
    sample_rate : int
        Hertz.
    format : str
        A key of `legonn.audio.storage.FORMATS`.
    snr : (float, float) or None
        Noise is added at a ratio drawn from between these, in dB.
    reverb : (float, float) or None
        Reverberation time (RT60) is drawn from between these, in seconds.
    """

    language: str = "en"
    voices: int = 100
    seed: int = 1
    sample_rate: int = 16000
    format: str = "flac"
    snr: tuple[float, float] | None = None
    reverb: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.voices < 1:
            raise ConfigError(f"--voices {self.voices}: give at least 1")
        if not 4000 <= self.sample_rate <= 48000:
            raise ConfigError(f"--sample_rate {self.sample_rate}: give 4000 to 48000")
        check_format(self.format, self.sample_rate)
        for name, most in (("snr", 100), ("reverb", 5)):
            span = getattr(self, name)
            if span is not None and not (span[0] <= span[1] <= most):
                raise ConfigError(
                    f"--{name} {span[0]} {span[1]}: give the lower first, at most {most}"
                )
        if self.reverb is not None and self.reverb[0] < 0:
            raise ConfigError(f"--reverb {self.reverb[0]}: give 0 or more seconds")


@dataclass(frozen=True)
class Recording:
    """One of a corpus: whose it is, where, and how long in seconds; 0 where there was nothing to say."""

    utt_id: str
    speaker: str
    path: Path
    seconds: float


def synthesize_corpus(
    text: Path,
    output: Path,
    manner: Manner,
    *,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Recording]:
    """Speak each line of a Kaldi text file.

    Makes `output/wav/<n>/<utt-id>.<format>`, then `wav.scp`, `utt2spk` and a copy of the text, `text.tc.<language>`
    unless its own name begins with `text.`. Recordings that are there already aren't made again, so a killed run goes
    on where it was, and one whose text was mended makes what has changed.

    Parameters
    ----------
    text : Path
        Lines `<utt-id> <text>`.
    output : Path
        A new folder, or one begun in the same manner.
    jobs : int
        Processes.
    progress : callable
        Told after each recording.

    Raises
    ------
    DataError
        Naming all lines that have nothing to say, or that espeak-ng dies of; then there are recordings, and no
        `wav.scp` yet.
    ConfigError
        When the folder was begun in another manner, or has recordings that this didn't make.
    """
    texts = read_text(text)
    speakers = {
        f"{manner.language}{manner.seed}v{i:04d}": voice
        for i, voice in enumerate(draw_voices(manner.language, manner.voices, seed=manner.seed), 1)
    }
    _begin(output, manner)
    ids = list(texts)
    items = [
        _Item(
            utt_id,
            texts[utt_id],
            recording_path(output, i, utt_id, manner.format),
        )
        for i, utt_id in enumerate(ids)
    ]
    _tidy(output, items)
    recordings = []
    for recording in mapped(
        _speak, items, jobs, initializer=_begin_worker, initargs=(speakers, manner)
    ):
        recordings.append(recording)
        progress(1)
    silent = {r.utt_id for r in recordings if r.seconds == 0}
    if silent:
        places = [f"{text}:{n}: {i}: {texts[i]!r}" for n, i in enumerate(ids, 1) if i in silent]
        raise DataError(
            "espeak-ng finds nothing to say in these lines, or dies of them; take them out and run again:",
            places,
        )
    name = text.name if text.name.startswith("text.") else f"text.tc.{manner.language}"
    write_text(output / name, texts)
    write_text(output / "utt2spk", {r.utt_id: r.speaker for r in recordings})
    write_text(output / "wav.scp", {r.utt_id: os.path.abspath(r.path) for r in recordings})
    return recordings


@dataclass(frozen=True)
class _Item:
    utt_id: str
    text: str
    path: Path


def _begin(output: Path, manner: Manner) -> None:
    """Note the manner in the folder, or compare it with what is noted."""
    import yaml

    noted = {
        "note": "synthetic speech, made by legonn synthesize with espeak-ng",
        "version": Synthesizer().version,
        **asdict(manner),
    }
    page = yaml.safe_dump({k: list(v) if isinstance(v, tuple) else v for k, v in noted.items()})
    record = output / RECORD
    if not record.exists():
        if (output / "wav").exists() or (output / "wav.scp").exists():
            raise ConfigError(
                f"{output} has recordings that legonn synthesize didn't make: name another folder"
            )
        write_atomic(record, page)
    elif record.read_text(encoding="utf-8") != page:
        raise ConfigError(
            f"{output} was begun with other options, or another espeak-ng or legonn, see {record}: remove it"
        )


def _tidy(output: Path, items: Sequence[_Item]) -> None:
    """Remove recordings of lines that have changed or are gone since the folder was begun; put the others in place."""
    path = output / BEGUN
    begun = read_text(path) if path.exists() else {}
    if list(begun.items()) == [(item.utt_id, item.text) for item in items]:
        return
    (output / "wav.scp").unlink(missing_ok=True)
    found = {recording.name: recording for recording in (output / "wav").glob("*/*")}
    for item in items:
        if begun.get(item.utt_id) == item.text and item.path.name in found:
            item.path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(found.pop(item.path.name), item.path)
    for recording in found.values():
        recording.unlink()
    write_atomic(path, "".join(f"{item.utt_id} {item.text}\n" for item in items))


# What a worker process has: set once, as sending it along with each text would cost more than the text.
_worker: Any = None


@dataclass(frozen=True)
class _Worker:
    synthesizer: Synthesizer
    speakers: dict[str, Voice]
    manner: Manner


def _begin_worker(speakers: dict[str, Voice], manner: Manner) -> None:
    global _worker
    synthesizer = Synthesizer()
    synthesizer.check(*speakers.values())
    _worker = _Worker(synthesizer, speakers, manner)


def _speak(item: _Item) -> Recording:
    """Make one recording, or measure it where it is there already."""
    manner: Manner = _worker.manner
    seed = hashlib.sha256(f"{manner.seed} {item.utt_id}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    speaker = list(_worker.speakers)[int(random.integers(len(_worker.speakers)))]
    seconds = stored_seconds(item.path)
    if seconds:
        return Recording(item.utt_id, speaker, item.path, seconds)
    voice = _worker.speakers[speaker]
    voice = replace(voice, rate=round(voice.rate * random.uniform(0.9, 1.1)))
    try:
        said = _worker.synthesizer.speak(item.text, voice)
    except UnspeakableError:  # told with the lines that have nothing to say, all at once
        said = np.zeros(0, np.int16)
    if not said.any():
        return Recording(item.utt_id, speaker, item.path, 0.0)
    samples = resample(
        said / np.float32(32768), _worker.synthesizer.sample_rate, manner.sample_rate
    )
    samples = _level(_room(samples, manner, random), random)
    write_recording(item.path, encode(samples, manner.sample_rate, manner.format))
    return Recording(item.utt_id, speaker, item.path, len(samples) / manner.sample_rate)


def _room(
    samples: NDArray[np.float32], manner: Manner, random: np.random.Generator
) -> NDArray[np.float32]:
    if manner.reverb:
        samples = reverberate(
            samples,
            seconds=random.uniform(*manner.reverb),
            direct=random.uniform(0, 15),
            sample_rate=manner.sample_rate,
            random=random,
        )
    if manner.snr:
        samples = add_noise(samples, snr=random.uniform(*manner.snr), random=random)
    return samples


def _level(samples: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A root mean square of -30 to -20 dB of full scale, less where a peak would be cut off."""
    wanted = 10 ** (random.uniform(-30, -20) / 20)
    gain = wanted / np.sqrt(np.mean(np.square(samples), dtype=np.float64))
    return (samples * min(gain, 0.99 / np.abs(samples).max())).astype(np.float32)
