"""Speech from text with espeak-ng, loaded from the wheel `espeakng-loader`."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import astuple
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from legonn.audio.voices import Voice
from legonn.errors import ConfigError, LegonnError

__all__ = ["Synthesizer"]

# Of espeak-ng's speak_lib.h.
RETRIEVAL = 2  # samples go to a callback
UTF8 = 1
CHARACTERS = 1
RATE, PITCH, RANGE = 1, 3, 4
OK = 0
SAID, DIED = b"said", b"died"
Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesizer:
    """espeak-ng; one is enough, for one thread.

    Its waveforms depend on what the process has asked of it before, even after it was ended and begun anew. So this
    process never begins it: each question goes to a child process, which ends with the answer. Texts go to children of
    one that has begun it and was never asked for anything. The same text and voice give the same samples, in any order,
    in any process.

    Attributes
    ----------
    sample_rate : int
        Hertz.
    version : str
        espeak-ng's.
    """

    def __init__(self) -> None:
        import espeakng_loader

        self.data = Path(espeakng_loader.get_data_path())
        self.library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_Info.restype = ctypes.c_char_p
        self.version = self.library.espeak_Info(None).decode()
        answer = self._ask(self._rate)
        if not answer:
            raise LegonnError(
                f"espeak-ng can't read its data in {self.data}: reinstall espeakng-loader"
            )
        self.sample_rate = int(answer)
        self.speaker: Connection | None = None
        self.owner = 0  # the process that may ask it

    def check(self, *voices: Voice) -> None:
        """Refuse voices that espeak-ng lacks: an unknown variant would be ignored in silence.

        Raises
        ------
        ConfigError
            Naming the first of them.
        """
        accents = sorted({voice.accent for voice in voices})
        known = (self._ask(lambda: self._known(accents)) or b"").decode().split()
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
        LegonnError
            When espeak-ng dies of the text.
        """
        try:
            said, samples = self._ask_speaker(text, voice)
        except (EOFError, OSError):  # killed, by want of memory for one: no fault of the text's
            said, samples = self._ask_speaker(text, voice)
        if not said:
            raise LegonnError(f"espeak-ng can't say {text!r} as {voice}")
        return np.frombuffer(samples, dtype=np.int16)

    def _ask_speaker(self, text: str, voice: Voice) -> tuple[bool, bytes]:
        if self.speaker is None or self.owner != os.getpid():
            self.speaker, self.owner = self._start_speaker(), os.getpid()
        try:
            self.speaker.send_bytes(json.dumps([text, *astuple(voice)]).encode())
            return self.speaker.recv_bytes() == SAID, self.speaker.recv_bytes()
        except BaseException:
            self.speaker = None  # whatever it still answers is no answer to the next
            raise

    def _start_speaker(self) -> Connection:
        """A child process that begins espeak-ng once, and has each text said by a child of its own."""
        here, there = Pipe()
        child = os.fork()
        if child == 0:
            try:
                here.close()
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                self._answer_all(there)
            finally:
                os._exit(1)
        there.close()
        weakref.finalize(self, _end, child, os.getpid())
        return here

    def _answer_all(self, questions: Connection) -> None:
        """Until the parent is gone."""
        self._begin()
        self.library.espeak_ListVoices(None)  # or each child reads its folders anew to find a voice
        while True:
            try:
                text, *voice = json.loads(questions.recv_bytes())
            except EOFError:
                return
            samples = self._ask(lambda: self._say(text, Voice(*voice)))  # noqa: B023  run at once
            questions.send_bytes(DIED if samples is None else SAID)
            questions.send_bytes(samples or b"")

    def _ask(self, question: Callable[[], bytes]) -> bytes | None:
        """What a child process answers; None where it fails."""
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            self._answer(out, into, question)
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        return answer if status == 0 else None

    @staticmethod
    def _answer(out: int, into: int, question: Callable[[], bytes]) -> None:
        """What the child does; it never returns, and leaves nothing of the parent's behind."""
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(out)
            with os.fdopen(into, "wb") as pipe:
                pipe.write(question())
            status = 0
        finally:
            os._exit(status)

    def _begin(self) -> int:
        rate = int(self.library.espeak_Initialize(RETRIEVAL, 0, os.fsencode(self.data), 0))
        if rate <= 0:
            raise LegonnError("espeak_Initialize failed")
        # Some voices' breath is drawn at random; the library's own seed is the clock.
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        return rate

    def _rate(self) -> bytes:
        return str(self._begin()).encode()

    def _known(self, accents: Iterable[str]) -> bytes:
        self._begin()
        found = [a for a in accents if self.library.espeak_SetVoiceByName(a.encode()) == OK]
        return " ".join(found).encode()

    def _say(self, text: str, voice: Voice) -> bytes:
        say = self.library
        heard: list[bytes] = []

        def hear(samples: Any, count: int, events: Any) -> int:
            if samples and count > 0:
                heard.append(np.ctypeslib.as_array(samples, (count,)).tobytes())
            return 0  # go on

        callback = Callback(hear)  # kept: the library has only its address
        say.espeak_SetSynthCallback(callback)
        if say.espeak_SetVoiceByName(f"{voice.accent}+{voice.variant}".encode()) != OK:
            raise ConfigError(f"no voice {voice}")
        for parameter, value in (
            (RATE, voice.rate),
            (PITCH, voice.pitch),
            (RANGE, voice.pitch_range),
        ):
            say.espeak_SetParameter(parameter, value, 0)
        data = text.encode("utf-8")
        if say.espeak_Synth(data, len(data) + 1, 0, CHARACTERS, 0, UTF8, None, None) != OK:
            raise LegonnError("espeak_Synth failed")
        say.espeak_Synchronize()
        return b"".join(heard)


def _end(child: int, parent: int) -> None:
    if os.getpid() == parent:  # not a process that was divided from it
        with suppress(ProcessLookupError, ChildProcessError):  # another waited for it
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
