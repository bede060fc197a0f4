"""Is a recording cut off? Many readers take what is there and say nothing."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["is_unended", "missing_bytes"]

OGG_PAGE = 65307  # bytes, of the largest
OGG_END = 4  # of a page's flags, its sixth byte
MPEG_FRAMES = (
    b"\xff\xfb",
    b"\xff\xfa",
    b"\xff\xf3",
    b"\xff\xf2",
    b"\xff\xe3",
    b"\xff\xe2",
)  # layer III
UNKNOWN = 0x7FFFF000  # writers to pipes leave a length at so much, or more (SoX: just this): then it says nothing


def missing_bytes(path: Path, begin: int = 0) -> int:
    """What a file lacks of the bytes that it promises itself: WAV, W64, RF64, AIFF, AU, Ogg with Vorbis or Opus, MP3.

    FLAC's reader finds out itself, an MP3 without the header of an encoder ends where it ends, and of all others
    nothing is known: 0.

    Parameters
    ----------
    begin : int
        Of a recording in a Kaldi archive the byte at which it begins. There it is a WAV, or has its length before it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(begin)
        head = file.read(12)
        if head[:5] == b"AUDIO":
            file.seek(begin + 6)
            length = int.from_bytes(file.read(head[5]), "little")
            return max(0, file.tell() + length - size)
        if head[:4] == b"OggS":
            return _of_ogg(file, size)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            end = _end_of_chunk(file, b"data", "<I")
        elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            end = _end_of_chunk(file, b"SSND", ">I")
        elif head[:4] == b"RF64" and head[8:] == b"WAVE":
            end = _number(file, 20) + 8  # in its chunk ds64
        elif head[:4] == b"riff":
            end = _number(file, 16)
        elif head[:3] == b"ID3" or head[:2] in MPEG_FRAMES:
            end = _end_of_mp3(file)
        elif head[:4] == b".snd":
            file.seek(4)
            start, length = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
            end = start + length if length < UNKNOWN else 0
        else:
            return 0
    return max(0, end - size)


def _number(file: BinaryIO, place: int) -> int:
    """The 64-bit length that stands there; 0 beyond the end, and where a writer to a pipe left it open."""
    file.seek(place)
    (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
    return int(length) if length < 2**62 else 0


def _end_of_mp3(file: BinaryIO) -> int:
    """By the header that encoders put into the first frame, in which flags say whether it has a size; else 0."""
    file.seek(0)
    tag = file.read(10)
    begin = 0
    if tag[:3] == b"ID3":
        begin = 10 + sum((byte & 127) << 7 * i for i, byte in enumerate(reversed(tag[6:])))
    file.seek(begin)
    frame = file.read(64)
    place = max(frame.find(mark) for mark in (b"Xing", b"Info"))
    header = frame[place : place + 16]
    if frame[:2] not in MPEG_FRAMES or place < 0 or len(header) < 16:
        return 0
    flags, *numbers = struct.unpack(">III", header[4:])
    has_frames, has_size = flags & 1, flags & 2
    return int(begin + numbers[1 if has_frames else 0]) if has_size else 0


def _end_of_chunk(file: BinaryIO, wanted: bytes, length_format: str) -> int:
    """Where it should end; 0 where there is none, or its length says nothing."""
    while len(chunk := file.read(8)) == 8:
        (length,) = struct.unpack(length_format, chunk[4:])
        if chunk[:4] == wanted:
            return int(file.tell() + length) if length < UNKNOWN else 0
        file.seek(length + length % 2, 1)
    return 0


def is_unended(path: Path) -> bool:
    """Whether a file is Ogg whose last page isn't marked as the last: it may have been cut between two pages."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        page = _last_page(file, path.stat().st_size)
    return len(page) > 5 and not page[5] & OGG_END


def _of_ogg(file: BinaryIO, size: int) -> int:
    """What the last page lacks: 27 bytes, then a table of the lengths of what follows."""
    page = _last_page(file, size)
    if len(page) < 27:
        return 27 - len(page) if page else 0
    return max(0, 27 + page[26] + sum(page[27 : 27 + page[26]]) - len(page))


def _last_page(file: BinaryIO, size: int) -> bytes:
    """From its mark on; empty where there is none."""
    file.seek(max(0, size - OGG_PAGE))
    tail = file.read()
    begin = tail.rfind(b"OggS")
    return tail[begin:] if begin >= 0 else b""
