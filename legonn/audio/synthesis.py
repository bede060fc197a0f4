"""Speech from text with espeak-ng, loaded from the wheel `espeakng-loader`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from legonn.audio import speaker
from legonn.audio.voices import Voice
from legonn.errors import ConfigError, LegonnError

__all__ = ["Synthesizer", "UnspeakableError"]


class UnspeakableError(LegonnError):
    """espeak-ng dies of a text."""


class Synthesizer:
    """espeak-ng; one is enough, for one thread.

    Its waveforms depend on what the process has asked of it before, even after it was ended and begun anew. So each
    question goes to a child of a process, `legonn.audio.speaker`, that has begun it and was never asked for anything.
    The same text and voice give the same samples, in any order, in any process.

    Attributes
    ----------
    sample_rate : int
        Hertz.
    version : str
        espeak-ng's.

    Raises
    ------
    LegonnError
        If espeak-ng can't be started.
    """

    def __init__(self) -> None:
        import espeakng_loader

        self.data = Path(espeakng_loader.get_data_path())
        self.command = [
            *(sys.executable, "-I", "-S", speaker.__file__),
            *(os.fspath(espeakng_loader.get_library_path()), os.fspath(self.data)),
        ]
        self.speaker: subprocess.Popen[bytes] | None = None
        self.owner = 0  # the process that may ask it
        about = self._ask("about")
        if about is None:
            raise LegonnError(
                "espeak-ng dies when it's asked for its version: is there memory left?"
            )
        rate, self.version = about.decode().split()
        self.sample_rate = int(rate)

    def check(self, *voices: Voice) -> None:
        """Refuse voices that espeak-ng lacks: an unknown variant would be ignored in silence.

        Raises
        ------
        ConfigError
            Naming the first of them.
        """
        accents = sorted({voice.accent for voice in voices})
        known = (self._ask("known", *accents) or b"").decode().split()
        for voice in voices:
            variant = self.data / "voices" / "!v" / voice.variant
            if voice.accent not in known or not variant.is_file():
                raise ConfigError(
                    f"espeak-ng {self.version} has no voice {voice.accent}+{voice.variant}"
                )

    def speak(self, text: str, voice: Voice) -> NDArray[np.int16]:
        """Say a text.

        Returns
        -------
        ndarray
            Samples (N,); none for a text without anything to say.

        Raises
        ------
        UnspeakableError
            When espeak-ng dies of the text.
        LegonnError
            When it can't be started.
        """
        name = f"{voice.accent}+{voice.variant}"
        samples = self._ask("say", text, name, voice.rate, voice.pitch, voice.pitch_range)
        if samples is None:
            raise UnspeakableError(f"espeak-ng can't say {text!r} as {voice}")
        return np.frombuffer(samples, dtype=np.int16)

    def _ask(self, *question: str | int) -> bytes | None:
        """The answer; None where espeak-ng dies of the question."""
        with suppress(EOFError, OSError):
            return self._ask_once(question)
        try:  # the process was killed, by want of memory for one: no fault of the question's
            return self._ask_once(question)
        except (EOFError, OSError) as error:
            raise LegonnError(
                f"espeak-ng ends by itself, or can't read its data in {self.data}: see what it says above, and "
                "reinstall espeakng-loader"
            ) from error

    def _ask_once(self, question: tuple[str | int, ...]) -> bytes | None:
        if self.speaker is None or self.owner != os.getpid():
            self.speaker, self.owner = self._start(), os.getpid()
        questions, answers = (cast(IO[bytes], f) for f in (self.speaker.stdin, self.speaker.stdout))
        try:
            questions.write(json.dumps(question).encode() + b"\n")
            questions.flush()
            size = int(_whole(answers.readline()))
            return None if size < 0 else _whole(answers.read(size), size)
        except BaseException:
            _end(self.speaker, self.owner)  # whatever it still answers is no answer to the next
            self.speaker = None
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        weakref.finalize(self, _end, started, os.getpid())
        return started


def _whole(answer: bytes, size: int = 1) -> bytes:
    """An answer, unless it was cut off."""
    if len(answer) < size:
        raise EOFError
    return answer


def _end(started: subprocess.Popen[bytes], parent: int) -> None:
    if (
        os.getpid() == parent and started.returncode is None
    ):  # not a process that was divided from it
        started.kill()
        started.communicate()
