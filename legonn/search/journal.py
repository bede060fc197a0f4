"""What of a decoding has been written, so that one that was killed goes on.

A journal lies beside the output. Its first line says what is decoded and how; each further one, how many inputs are
done and how long the files were then. It is added when the files are safely on the disk: what they hold beyond that is
cut off before the decoding goes on, half-written lines too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from legonn.data.atomic import followed, is_stream
from legonn.errors import ConfigError
from legonn.search.files import naming, open_whole, target_of

__all__ = ["Journal", "fingerprint", "open_journal"]

VERSION = "legonn decode 1"


class Journal:
    """Opens the files of one decoding, and notes how far they are.

    Attributes
    ----------
    done : int
        Inputs that were written before this run.
    facts : dict
        What `mark` was told last.
    status : int or None
        Exit status of a run that came to its end, whose files are all there; None where there is something to do.
    """

    def __init__(
        self, path: Path | None, about: Mapping[str, Any], *, resume: bool = False
    ) -> None:
        self.path = path
        self.about = dict(about)
        self.resume = resume
        self.done = 0
        self.facts: dict[str, Any] = {}
        self.status: int | None = None
        self.sizes: dict[str, int] = {}
        self.files: dict[str, IO[str]] = {}
        self.file: IO[str] | None = None
        if path is not None and resume:
            self._recall(path)

    @contextmanager
    def open(self, path: Path) -> Iterator[IO[str]]:
        """As `open_whole`, but the file goes on where it was left, and stays where the block ends badly.

        Raises
        ------
        ConfigError
            If it is no plain file, or isn't as the journal says.
        LegonnError
            If it can't be written.
        """
        if self.path is None or is_stream(path):
            if self.resume:
                raise ConfigError(f"--resume true: {path} is no plain file, and can't be resumed")
            with open_whole(path) as file:
                yield file
            return
        with naming(path):
            path = followed(path)
            path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.tmp")
        try:
            with naming(path):
                with self._opened(path, temporary) as file:
                    yield file
                    _sync(file)
                os.replace(temporary, path)
        finally:
            if not self.done:
                with contextlib.suppress(OSError):
                    temporary.unlink()

    def _opened(self, path: Path, temporary: Path) -> IO[str]:
        key = self._key(path)
        if self.done:
            self._restore(path, temporary, key)
        mode = "a" if self.done else "w"
        self.files[key] = temporary.open(mode, encoding="utf-8", newline="\n")
        return self.files[key]

    def _restore(self, path: Path, temporary: Path, key: str) -> None:
        """Make the temporary file what it was when the journal was last added to."""
        size = self.sizes.get(key, -1)
        # A run that was killed between its last mark and its end has renamed some.
        if not temporary.exists() and path.exists() and path.stat().st_size == size:
            os.replace(path, temporary)
        if not temporary.exists() or size < 0 or temporary.stat().st_size < size:
            raise ConfigError(
                f"--resume true: {temporary} isn't what {self.path} says; leave --resume out to start anew"
            )
        os.truncate(temporary, size)

    def mark(self, count: int, **facts: Any) -> None:
        """Note that `count` more inputs are written whole, and what else a resumed run needs."""
        self.done += count
        self.facts = facts
        for key, file in self.files.items():
            _sync(file)
            self.sizes[key] = os.fstat(file.fileno()).st_size
        self._add({"done": self.done, "sizes": self.sizes, "facts": facts})

    def begin(self) -> None:
        """Start, or go on with, the journal itself."""
        if self.path is None:
            return
        lines: list[dict[str, Any]] = [{"version": VERSION, "about": self.about}]
        if self.done:
            lines.append({"done": self.done, "sizes": self.sizes, "facts": self.facts})
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        with naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = temporary.open("w", encoding="utf-8")
            for line in lines:
                self._add(line)
            os.replace(temporary, self.path)

    def end(self, status: int) -> None:
        """All is written: remove the journal, or leave it as a stamp for a run that resumes."""
        self._add({"status": status})
        self._close(keep=self.resume)

    def stop(self) -> None:
        """Something is not written: what is done stays for a run that resumes."""
        self._close(keep=self.done > 0)

    def _close(self, *, keep: bool) -> None:
        if self.file is None or self.path is None:
            return
        self.file.close()
        self.file = None
        if not keep:
            self.path.unlink(missing_ok=True)

    def _add(self, line: Mapping[str, Any]) -> None:
        if self.file is not None:
            self.file.write(json.dumps(line) + "\n")
            _sync(self.file)

    def _key(self, path: Path) -> str:
        assert self.path is not None
        return os.path.relpath(path, self.path.parent)

    def _recall(self, path: Path) -> None:
        """Read what an earlier run has left."""
        lines = list(_whole_lines(path))
        if not lines or lines[0].get("version") != VERSION:
            return
        self._check(lines[0]["about"])
        last: dict[str, Any] = {}
        for line in lines[1:]:
            last |= line
        if "status" in last and self._is_there(last.get("sizes", {})):
            self.status = int(last["status"])
        if "status" in last or not last:
            return
        self.done, self.sizes, self.facts = last["done"], last["sizes"], last["facts"]

    def _check(self, about: Mapping[str, Any]) -> None:
        for key in {**about, **self.about}:
            before, now = about.get(key), self.about.get(key)
            if before != now:
                raise ConfigError(
                    f"--resume true: {self.path} is of a run with another {key} ({before!r}, now {now!r}); "
                    "go on as it began, or leave --resume out to start anew"
                )

    def _is_there(self, sizes: Mapping[str, int]) -> bool:
        assert self.path is not None
        paths = {self.path.parent / key: size for key, size in sizes.items()}
        return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


@contextmanager
def open_journal(
    output: str, about: Mapping[str, Any], *, folder: bool, resume: bool
) -> Iterator[Journal]:
    """The journal of a decoding to `output`.

    The block calls `Journal.end` after it has closed its files. Where it ends in another way the journal stays, for a
    run that resumes; unless nothing is done.

    Parameters
    ----------
    output : str
        A folder, or a file, or `-`, which has no journal.
    about : mapping
        What a run must have in common with one that it resumes; plain data.
    folder : bool
        Whether the output is one.
    resume : bool
        Go on where an earlier run was stopped; otherwise begin anew.

    Raises
    ------
    ConfigError
        If the output can't be resumed, or another run began it.
    LegonnError
        If the journal can't be written.
    """
    path = _journal_path(output, folder)
    if resume and path is None:
        raise ConfigError(
            f"--resume true: --output {output} is no file or folder, and can't be resumed"
        )
    journal = Journal(path, about, resume=resume)
    if journal.status is None:
        journal.begin()
    try:
        yield journal
    finally:
        journal.stop()


def _journal_path(output: str, folder: bool) -> Path | None:
    path = Path(output)
    if output == "-" or not folder and is_stream(path):
        return None
    return path / "decode.journal" if folder else path.with_name(f"{path.name}.journal")


def fingerprint(items: Iterable[Any]) -> str:
    """Twelve hex digits of what prints alike."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(f"{item!r}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]


def _sync(file: IO[str]) -> None:
    with naming(target_of(file)):
        file.flush()
        os.fsync(file.fileno())


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The journal's lines up to one that is cut off or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.split(b"\n")[:-1]:
        try:
            yield dict(json.loads(line))
        except ValueError:
            return
