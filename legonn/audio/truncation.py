"""Is a recording cut off? Many readers take what is there and say nothing."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["missing_bytes"]

OGG_PAGE = 65307  # bytes, of the largest
UNKNOWN = 0x7FFFF000  # writers to pipes leave a length at so much, or more (SoX: just this): then it says nothing


def missing_bytes(path: Path) -> int:
    """What a file lacks of the bytes that it promises itself: WAV, AIFF, AU, and Ogg with Vorbis or Opus.

    FLAC's reader finds out itself, an MP3 ends where it ends, and of all others nothing is known: 0.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"OggS":
            return _of_ogg(file, size)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            end = _end_of_chunk(file, b"data", "<I")
        elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            end = _end_of_chunk(file, b"SSND", ">I")
        elif head[:4] == b".snd":
            file.seek(4)
            start, length = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
            end = start + length if length < UNKNOWN else 0
        else:
            return 0
    return max(0, end - size)


def _end_of_chunk(file: BinaryIO, wanted: bytes, length_format: str) -> int:
    """Where it should end; 0 where there is none, or its length says nothing."""
    while len(chunk := file.read(8)) == 8:
        (length,) = struct.unpack(length_format, chunk[4:])
        if chunk[:4] == wanted:
            return int(file.tell() + length) if length < UNKNOWN else 0
        file.seek(length + length % 2, 1)
    return 0


def _of_ogg(file: BinaryIO, size: int) -> int:
    """What the last page lacks: 27 bytes, then a table of the lengths of what follows."""
    begin = max(0, size - OGG_PAGE)
    file.seek(begin)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return 0
    header = tail[page : page + 27]
    if len(header) < 27:
        return 27 - len(header)
    table = tail[page + 27 : page + 27 + header[26]]
    wanted = 27 + header[26] + sum(table)
    return max(0, wanted - (len(tail) - page))
