"""What decoding reads and writes: plain lines, Kaldi text files, and ESPnet's result folders."""

from __future__ import annotations

import contextlib
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from legonn.data.atomic import followed, is_stream
from legonn.data.folder import is_named_text, look_like_ids, read_keys, read_text
from legonn.errors import ConfigError, DataError, LegonnError

if TYPE_CHECKING:
    from legonn.search.translator import Hypothesis

__all__ = [
    "Lines",
    "Opener",
    "Outcome",
    "Several",
    "Writer",
    "check_output",
    "open_whole",
    "open_writer",
    "put",
    "read_input",
    "stream_lines",
]

# Whoever gives a folder such a name has meant a file.
OF_FILES = (".txt", ".srt", ".vtt", ".json", ".jsonl")


@dataclass(frozen=True)
class Lines:
    """Input, or a part of it.

    Attributes
    ----------
    name : str
        The file, as messages call it.
    numbers : sequence of int
        Line numbers in the file, from 1.
    texts : sequence of str
        What to translate.
    ids : sequence of str or None
        Utterance ids; None of plain lines.
    faults : mapping
        By number, why a line can't be decoded; its text is empty.
    oddity : str
        Why its form, which its name has decided, may be another.
    """

    name: str
    numbers: Sequence[int]
    texts: Sequence[str]
    ids: Sequence[str] | None = None
    faults: Mapping[int, str] = field(default_factory=dict)
    oddity: str = ""

    def part(self, start: int, end: int | None = None) -> Lines:
        """The same from one place to another."""
        part = slice(start, end)
        ids = None if self.ids is None else self.ids[part]
        return Lines(self.name, self.numbers[part], self.texts[part], ids, self.faults)

    def windows(self, size: int) -> Iterator[Lines]:
        """The same in parts of at most `size` lines."""
        for start in range(0, len(self.texts), size):
            yield self.part(start, start + size)


def read_input(
    path: str, *, form: str = "auto", key_file: str | None = None, tolerant: bool = False
) -> Lines:
    """Read a file whole, so that all its faults are told at once and before any work.

    Parameters
    ----------
    path : str
        The file; `-` is standard input.
    form : {"auto", "kaldi", "lines"}
        auto: Kaldi where the file's name is `text` or `text.*` or there are keys, else plain lines; see
        `Lines.oddity`.
    key_file : str, optional
        Of a Kaldi file only the ids that begin this file's lines.
    tolerant : bool
        Keep lines whose text isn't UTF-8, as `Lines.faults`.

    Raises
    ------
    DataError
        If a file is absent or can't be read; names every line that isn't UTF-8, unless they are kept, repeats an id
        or lacks one, and every key that the input lacks.
    """
    by_name = form == "auto" and not key_file
    if form == "auto":
        form = "kaldi" if is_named_text(path) or key_file else "lines"
    if form == "lines" and key_file:
        raise ConfigError(
            "--key_file picks ids, and plain lines have none; use --input_format kaldi"
        )
    try:
        if form == "lines":
            with _open_input(path) as file:
                lines = _plain(path, file, tolerant)
        else:
            lines = _kaldi("/dev/stdin" if path == "-" else path, key_file, tolerant)
        return replace(lines, oddity=_oddity(lines)) if by_name else lines
    except OSError as error:
        raise DataError(f"can't read {error.filename or path}: {error.strerror}") from error


def _oddity(lines: Lines) -> str:
    if lines.ids is None and len(lines.texts) > 1 and look_like_ids(lines.texts):
        return (
            f"{lines.name}: by its name read as plain lines, which begin with what looks like ids; if that is so, "
            "--input_format kaldi"
        )
    if lines.ids and not any(map(str.isdigit, "".join(lines.ids))):
        return (
            f"{lines.name}: by its name read as `<utt-id> <text>`, and no id has a digit; if they are words of the "
            "text, --input_format lines"
        )
    return ""


@contextmanager
def _open_input(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
    else:
        with open(path, "rb") as file:
            yield file


def _plain(path: str, file: IO[bytes], tolerant: bool) -> Lines:
    name = "<stdin>" if path == "-" else path
    lines = _decoded([line for line in file], name, 1)
    if lines.faults and not tolerant:
        raise DataError(
            f"{len(lines.faults)} lines of {name} are not UTF-8; convert them, for example with iconv:",
            [f"{name}:{number}: {fault}" for number, fault in lines.faults.items()],
        )
    return lines


def _decoded(lines: Sequence[bytes], name: str, first: int) -> Lines:
    texts, faults = [], {}
    for number, line in enumerate(lines, first):
        try:
            texts.append(line.rstrip(b"\r\n").decode("utf-8"))
        except UnicodeDecodeError as error:
            texts.append("")
            faults[number] = f"not UTF-8 at byte {error.start + 1}"
    return Lines(name, range(first, first + len(texts)), texts, faults=faults)


def _kaldi(path: str, key_file: str | None, tolerant: bool) -> Lines:
    bad: dict[str, str] = {}
    texts = read_text(path, bad if tolerant else None)
    numbers = {utt_id: number for number, utt_id in enumerate(texts, 1)}
    keys = list(texts) if key_file is None else read_keys(key_file, texts, path)
    faults = {numbers[key]: fault for key, fault in bad.items()}
    return Lines(path, [numbers[key] for key in keys], [texts[key] for key in keys], keys, faults)


def stream_lines(file: BinaryIO) -> Iterator[Lines]:
    """Lines as they come: of a person's typing one at a time, of a pipe what has arrived.

    Those that aren't UTF-8 are `Lines.faults`.
    """
    pending, number = b"", 1
    while True:
        arrived = file.read1(1 << 16)  # type: ignore[attr-defined]  # waits only when there is nothing
        whole, end, rest = (pending + arrived).rpartition(b"\n")
        lines = whole.split(b"\n") if end else []
        pending = rest
        if not arrived and pending:
            lines, pending = [pending], b""
        if lines:
            yield _decoded(lines, "<stdin>", number)
            number += len(lines)
        if not arrived:
            return


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    hypotheses : sequence of Hypothesis
        At least one, the best first.
    utt_id : str or None
        None of a plain line.
    fault : str
        Why it could not be decoded; its one hypothesis is empty then. Else empty itself.
    """

    hypotheses: Sequence[Hypothesis]
    utt_id: str | None = None
    fault: str = ""


class Writer(ABC):
    """Where outcomes go."""

    @abstractmethod
    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of some inputs, in their order."""


class Several(Writer):
    """Writes to each of some writers."""

    def __init__(self, *writers: Writer) -> None:
        self.writers = writers

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """See `Writer`."""
        for writer in self.writers:
            writer.write(outcomes)


class _Texts(Writer):
    """The best text of each input; before it the id, where there is one."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def write(self, outcomes: Sequence[Outcome]) -> None:
        keys = ("" if one.utt_id is None else f"{one.utt_id} " for one in outcomes)
        texts = (one.hypotheses[0].text for one in outcomes)
        put(self.file, "".join(f"{key}{text}\n" for key, text in zip(keys, texts, strict=True)))


class _Folder(Writer):
    """ESPnet's `1best_recog/{text,token,score}`, `2best_recog/...`."""

    NAMES = ("text", "token", "score")  # the first to be opened is the last to be renamed

    def __init__(self, files: Sequence[dict[str, IO[str]]]) -> None:
        self.files = files

    def write(self, outcomes: Sequence[Outcome]) -> None:
        for n, files in enumerate(self.files):
            found = [(one.utt_id, one.hypotheses[n]) for one in outcomes if len(one.hypotheses) > n]
            put(files["text"], "".join(f"{utt_id} {one.text}\n" for utt_id, one in found))
            tokens = ((utt_id, " ".join(one.tokens)) for utt_id, one in found)
            put(files["token"], "".join(f"{utt_id} {said}\n" for utt_id, said in tokens))
            put(files["score"], "".join(f"{utt_id} {one.score:.6f}\n" for utt_id, one in found))


def put(file: IO[str], text: str) -> None:
    """Write it now; what can't be is told with the file's name, see `naming`."""
    with naming(target_of(file)):
        file.write(text)
        file.flush()


def target_of(file: IO[str]) -> Path:
    """What a file that grows as `<name>.tmp` will be."""
    return Path(str(getattr(file, "name", "the output")).removesuffix(".tmp"))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What can't be written is told with its name; but the reader of standard output may go, and that is no fault."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LegonnError(f"can't write {path}: {error.strerror or error}") from error


@contextmanager
def open_whole(path: Path) -> Iterator[IO[str]]:
    """A file that grows as `<name>.tmp` and is renamed at the end; a pipe or a device is written to as it is."""
    with naming(path):
        path = followed(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open(path) if is_stream(path) else _grown(path) as file:
            yield file


Opener = Callable[[Path], AbstractContextManager[IO[str]]]


def check_output(output: str, *, ids: bool) -> None:
    """Raise a ConfigError if it is a folder and there are no ids, or there are and it is a file, or named like one."""
    path = Path(output)
    if output != "-" and path.exists() and path.is_dir() != ids:
        raise ConfigError(
            f"--output {output} is a {'file' if ids else 'folder'}; input "
            f"{'with ids gives a folder' if ids else 'without ids gives a file'}"
        )
    if ids and path.suffix.lower() in OF_FILES and not path.exists():
        raise ConfigError(
            f"--output {output} would become a folder, as input with ids gives one: name it without {path.suffix}. "
            "For a file send standard output to one, > FILE, or give --jsonl FILE, or of audio --times FILE"
        )


@contextmanager
def open_writer(
    output: str, *, ids: bool, nbest: int = 1, open_file: Opener = open_whole
) -> Iterator[Writer]:
    """A writer whose files appear, whole, when the block ends well, and not at all otherwise.

    Parameters
    ----------
    output : str
        `-` is standard output. Else a folder where the input has ids, and a file where it hasn't.
    ids : bool
        Whether the input has ids.
    nbest : int
        How many `<n>best_recog` a folder gets.
    open_file : callable
        Opens a file.

    Raises
    ------
    ConfigError
        See `check_output`.
    LegonnError
        If it can't be written.
    """
    if output == "-":
        yield _Texts(sys.stdout)
        return
    check_output(output, ids=ids)
    path = Path(output)
    with contextlib.ExitStack() as stack:
        if not ids:
            yield _Texts(stack.enter_context(open_file(path)))
            return
        yield _Folder(
            [
                {
                    name: stack.enter_context(open_file(path / f"{n}best_recog" / name))
                    for name in _Folder.NAMES
                }
                for n in range(1, nbest + 1)
            ]
        )


@contextmanager
def _grown(path: Path) -> Iterator[IO[str]]:
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with _open(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _open(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="\n")
