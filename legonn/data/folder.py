"""Kaldi's text files, `<utt-id> <text>`: reading, writing, and the order of their ids."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from legonn.data.atomic import write_atomic
from legonn.errors import DataError

__all__ = [
    "c_sorted",
    "clean",
    "is_named_text",
    "look_like_ids",
    "numbered_ids",
    "read_keys",
    "read_lines",
    "read_text",
    "split_id",
    "write_text",
]


def c_sorted(ids: Iterable[str]) -> list[str]:
    """Sort ids as the C locale does: by the bytes of their UTF-8."""
    return sorted(ids, key=lambda utt_id: utt_id.encode("utf-8"))


def numbered_ids(prefix: str, count: int) -> list[str]:
    """`train-00001`, `train-00002`, ...: zero-padded, so that they sort as they count."""
    width = max(5, len(str(count)))
    return [f"{prefix}-{number:0{width}d}" for number in range(1, count + 1)]


def clean(text: str) -> str:
    """One line of running text: every run of white space, tabs included, becomes one blank."""
    return " ".join(text.split())


def read_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    r"""Give the lines of a file with their numbers from 1, without `\n` or `\r\n`.

    Bytes, and cut at `\n` alone: `str.splitlines` would also cut at U+2028 and its like, and
    shift every line after it.
    """
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            yield number, line.rstrip(b"\n").removesuffix(b"\r")


def split_id(line: str) -> tuple[str, str]:
    """A line's id, and what follows the first blank or tab."""
    utt_id, *rest = re.split("[ \t]", line, maxsplit=1)
    return utt_id, "".join(rest)


def is_named_text(path: str | Path) -> bool:
    """Whether a file is called `text` or `text.*`, as Kaldi's and these recipes' are."""
    return Path(path).name.split(".")[0] == "text"


def look_like_ids(lines: Sequence[str]) -> bool:
    """Whether nine lines in ten begin with a word that holds a digit, another each.

    Not all: a file with one fault is still a Kaldi file, and its fault is to be named.
    """
    first_words = [line.split(maxsplit=1)[0] for line in lines if line.strip()]
    ids = {word for word in first_words if any(character.isdigit() for character in word)}
    return bool(ids) and len(ids) >= 0.9 * len(lines)


def read_text(path: str | Path, bad: dict[str, str] | None = None) -> dict[str, str]:
    """Read a Kaldi text file into {id: text}, in the file's order.

    Parameters
    ----------
    path : path
        The file.
    bad : dict, optional
        Gets {id: what is wrong} of lines whose id is UTF-8 and whose text isn't; that is then empty, and no error.

    Raises
    ------
    DataError
        Naming every line that isn't UTF-8, has no id, or repeats one.
    """
    texts: dict[str, str] = {}
    faults: list[str] = []
    for number, line in read_lines(path):
        fault = ""
        try:
            utt_id, text = split_id(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            fault = f"not UTF-8 at byte {error.start + 1}"
            begin = line[: error.start].decode("utf-8")
            utt_id, text = split_id(begin)[0], ""
            if bad is None or utt_id == begin:
                faults.append(f"{path}:{number}: {fault}")
                continue
        if not utt_id or utt_id in texts:
            faults.append(f"{path}:{number}: {'id given twice: ' + utt_id if utt_id else 'no id'}")
            continue
        texts[utt_id] = text.strip()
        if fault and bad is not None:
            bad[utt_id] = fault
    if faults:
        raise DataError(f"{path} can't be read; `legonn validate` lists all its faults:", faults)
    return texts


def read_keys(path: str | Path, known: Container[str], source: str) -> list[str]:
    """Read the ids that begin a file's lines, each once; `source` is what has those that are known.

    Raises
    ------
    DataError
        If the file can't be read; naming every id that isn't known.
    """
    try:
        keys = [split_id(line.decode("utf-8", errors="replace"))[0] for _, line in read_lines(path)]
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}") from error
    faults = [f"{path}:{n}: {key}" for n, key in enumerate(keys, 1) if key not in known]
    if faults:
        raise DataError(f"{len(faults)} keys of {path} are not in {source}:", faults)
    return list(dict.fromkeys(keys))


def write_text(path: str | Path, texts: Mapping[str, str]) -> None:
    """Write {id: text} as a Kaldi text file, ids sorted in the C locale, whole or not at all."""
    write_atomic(path, "".join(f"{utt_id} {texts[utt_id]}\n" for utt_id in c_sorted(texts)))
