"""espeak-ng in a process of its own: `python speaker.py LIBRARY DATA` answers questions on standard input.

`legonn.audio.synthesis` starts it, as a file and without site packages, and nothing else should. A process is divided
for each text, and in an interpreter that has imported nothing this takes a third less time, that of speaking included.

A question is a line, a JSON list of a name in `Answers` and its arguments; an answer, a line with the number of bytes,
-1 where the child died of the question, and these bytes.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable

# Of espeak-ng's speak_lib.h.
RETRIEVAL = 2  # samples go to a callback
UTF8 = 1
CHARACTERS = 1
RATE, PITCH, RANGE = 1, 3, 4
OK = 0
Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Answers:
    """What can be asked of a library that has begun."""

    def __init__(self, library: str, data: str) -> None:
        self.library = ctypes.CDLL(library)
        self.library.espeak_Info.restype = ctypes.c_char_p
        # It ends the process where it can't read its data.
        self.sample_rate = self.library.espeak_Initialize(RETRIEVAL, 0, os.fsencode(data), 0)
        # Some voices' breath is drawn at random; the library's own seed is the clock.
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self.library.espeak_ListVoices(None)  # or each child reads its folders to find a voice

    def about(self) -> bytes:
        """Hertz, and the library's version."""
        return f"{self.sample_rate} {self.library.espeak_Info(None).decode()}".encode()

    def known(self, *accents: str) -> bytes:
        """Those of them that it has."""
        found = [a for a in accents if self.library.espeak_SetVoiceByName(a.encode()) == OK]
        return " ".join(found).encode()

    def say(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> bytes:
        """Samples, 16 bits each."""
        say = self.library
        heard: list[bytes] = []

        def hear(samples: int, count: int, events: int) -> int:
            if samples and count > 0:
                heard.append(ctypes.string_at(samples, 2 * count))
            return 0  # go on

        callback = Callback(hear)  # kept: the library has only its address
        say.espeak_SetSynthCallback(callback)
        if say.espeak_SetVoiceByName(voice.encode()) != OK:
            raise ValueError(f"no voice {voice}")
        for parameter, value in ((RATE, rate), (PITCH, pitch), (RANGE, pitch_range)):
            say.espeak_SetParameter(parameter, value, 0)
        words = text.encode()
        if say.espeak_Synth(words, len(words) + 1, 0, CHARACTERS, 0, UTF8, None, None) != OK:
            raise RuntimeError("espeak_Synth failed")
        say.espeak_Synchronize()
        return b"".join(heard)


def in_a_child(question: Callable[[], bytes]) -> "bytes | None":
    """What a child of this process answers, which leaves nothing behind; None where it fails."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # Of the pipes only its own end is left: who waits at another shall notice when this process' parent ends.
            os.close(out)
            os.close(0)
            os.dup2(2, 1)
            with os.fdopen(into, "wb") as pipe:
                pipe.write(question())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else None


def main(library: str, data: str) -> None:
    """Answer until the one who asks is gone."""
    for end in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(end, signal.SIG_DFL)
    answers = Answers(library, data)
    for line in sys.stdin.buffer:
        name, *arguments = json.loads(line)
        answer = in_a_child(lambda: getattr(answers, name)(*arguments))  # noqa: B023  run at once
        sys.stdout.buffer.write(b"%d\n" % (-1 if answer is None else len(answer)))
        sys.stdout.buffer.write(answer or b"")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
