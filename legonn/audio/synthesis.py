"""Speech from text with espeak-ng, loaded from the wheel `espeakng-loader`."""

from __future__ import annotations

import ctypes
import os
import signal
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
# espeak-ng has been seen to say nothing, rarely and without an error, of a word that it says each other time.
ATTEMPTS = 3
Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Synthesizer:
    """espeak-ng in this process; one is enough.

    Its waveforms depend on what it said before, even after it was ended and begun anew. So each text is said by a
    child process that has said nothing yet: the same text and voice give the same samples, in any order.

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
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.library.espeak_Info.restype = ctypes.c_char_p
        self.version = self.library.espeak_Info(None).decode()
        self.sample_rate = int(
            self.library.espeak_Initialize(RETRIEVAL, 0, os.fsencode(self.data), 0)
        )
        if self.sample_rate <= 0:
            raise LegonnError(
                f"espeak-ng can't read its data in {self.data}: reinstall espeakng-loader"
            )
        self.heard: list[NDArray[np.int16]] = []
        self.callback = Callback(self._hear)  # kept: the library has only its address
        self.library.espeak_SetSynthCallback(self.callback)

    def check(self, voice: Voice) -> None:
        """Refuse a voice that espeak-ng lacks: an unknown variant would be ignored in silence.

        Raises
        ------
        ConfigError
            Naming the voice.
        """
        known = (self.data / "voices" / "!v" / voice.variant).is_file()
        if not known or self.library.espeak_SetVoiceByName(voice.accent.encode()) != OK:
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
        for _ in range(ATTEMPTS):
            samples = self._speak_once(text, voice)
            if samples.any():
                break
        return samples

    def _speak_once(self, text: str, voice: Voice) -> NDArray[np.int16]:
        """What a child says: samples (N,)."""
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            self._child(out, into, text, voice)
        os.close(into)
        with os.fdopen(out, "rb") as pipe:
            samples = pipe.read()
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise LegonnError(f"espeak-ng can't say {text!r} as {voice} (wait status {status})")
        return np.frombuffer(samples, dtype=np.int16)

    def _child(self, out: int, into: int, text: str, voice: Voice) -> None:
        """What the child does; it never returns, and leaves nothing of the parent's behind."""
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(out)
            with os.fdopen(into, "wb") as pipe:
                pipe.write(self._say(text, voice))
            status = 0
        finally:
            os._exit(status)

    def _say(self, text: str, voice: Voice) -> bytes:
        say: Any = self.library
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
        return b"".join(block.tobytes() for block in self.heard)

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self.heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0  # go on
