"""Files that are whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from legonn.errors import LegonnError

__all__ = ["followed", "is_stream", "write_atomic"]


def write_atomic(path: str | Path, data: str | bytes) -> None:
    """Write a file so that no crash leaves half of it.

    Parameters
    ----------
    path : path
        The file to make or replace; missing parent folders are made. A link is followed, and what
        isn't a plain file, like `/dev/stdout`, is written to as it is.
    data : str or bytes
        Its whole content; text is encoded in UTF-8.

    Raises
    ------
    LegonnError
        When the file can't be written; the one that stood there is left as it was.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    try:
        if is_stream(Path(path)):
            Path(path).write_bytes(content)
            return
        target = followed(Path(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content)
    except OSError as error:
        raise LegonnError(f"can't write {path}: {error}") from error


def is_stream(path: Path) -> bool:
    """Whether a path leads to a pipe, a terminal or a device, which no file can replace."""
    return path.parts[:2] == ("/", "dev") or path.exists() and not path.is_file()


def followed(path: Path) -> Path:
    """Where a link leads: what it leads to is replaced, not the link; a stream stays as it is named."""
    return path if is_stream(path) else Path(os.path.realpath(path))


def _replace(target: Path, content: bytes) -> None:
    """Write `content` beside `target`, force it to the disk, and rename it to `target`."""
    # The same folder, so that the rename stays on one file system and is atomic.
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Force the rename to the disk too, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
