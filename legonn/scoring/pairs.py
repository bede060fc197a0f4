"""Reading hypotheses and references: paired by utterance id or by line, never approximately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from legonn.data.folder import is_named_text, look_like_ids, read_lines, split_id
from legonn.errors import ConfigError, DataError

__all__ = ["FORMATS", "Pairs", "read_pairs"]

FORMATS = ("auto", "kaldi", "lines")
BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Texts that belong together, in the reference's order.

    Parameters
    ----------
    format : str
        `kaldi` (paired by utterance id) or `lines` (by line number).
    refs : tuple of str
        The references, N of them.
    systems : tuple of tuple of str
        For each hypothesis file its N texts.
    ids : tuple of str
        The N utterance ids; empty where there are none.
    """

    format: str
    refs: tuple[str, ...]
    systems: tuple[tuple[str, ...], ...]
    ids: tuple[str, ...] = ()


@dataclass
class _File:
    """A file's lines, and what is wrong with them."""

    path: str
    lines: dict[int, str] = field(default_factory=dict)  # line number -> text; bad lines left out
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of lines, bad ones included."""
        return len(self.lines) + len(self.faults)


def read_pairs(*, ref: str | Path, hyps: Sequence[str | Path], format: str = "auto") -> Pairs:
    """Read a reference and the hypotheses of one or more systems.

    Parameters
    ----------
    ref : path
        The reference: a Kaldi text file (`<utt-id> <text>`) or plain lines.
    hyps : sequence of path
        One file a system, in the reference's form. A Kaldi hypothesis may be an id alone: the
        system said nothing.
    format : str
        `kaldi`, `lines`, or `auto`: Kaldi if its name is `text` or `text.*`, or the first word of nearly every line
        looks like an id (it holds a digit, and no other line has it).

    Raises
    ------
    DataError
        Listing all faults of all files: unreadable or empty file, invalid UTF-8, an id that is
        missing, superfluous, absent from its line or given twice, different line counts, an empty
        reference.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}: choose from {', '.join(FORMATS)}")
    files = [_read(path) for path in [ref, *hyps]]
    _stop_at([fault for file in files for fault in file.faults if not file.lines])
    form = _detect(files) if format == "auto" else format
    pair = _pair_by_id if form == "kaldi" else _pair_by_line
    refs, systems, faults = pair(files[0], files[1:])
    _stop_at([fault for file in files for fault in file.faults] + faults)
    ids = tuple(_by_id(files[0])[0]) if form == "kaldi" else ()
    return Pairs(format=form, refs=refs, systems=systems, ids=ids)


def _stop_at(faults: Sequence[str]) -> None:
    if faults:
        raise DataError("hypotheses and reference can't be scored:", faults)


def _read(path: str | Path) -> _File:
    """Read the lines of a file; an unreadable or empty one has faults and no lines."""
    file = _File(str(path))
    try:
        for number, line in read_lines(path):
            _add_line(file, number, line)
    except OSError as error:
        file.faults.append(f"{path}: can't be read: {error.strerror or error}")
    if not file.count:
        file.faults.append(f"{path}: empty file")
    return file


def _add_line(file: _File, number: int, line: bytes) -> None:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        file.faults.append(f"{file.path}:{number}: not UTF-8 at byte {error.start + 1}")
        return
    # Some editors begin a file with this mark, which would become part of the first id or word.
    file.lines[number] = text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text


def _detect(files: Sequence[_File]) -> str:
    """`kaldi` or `lines`; one form for all files, or an error that names the odd ones."""
    with_ids = [file.path for file in files if _has_ids(file)]
    if len(with_ids) == len(files):
        return "kaldi"
    if not with_ids:
        return "lines"
    without = [file.path for file in files if file.path not in with_ids]
    raise DataError(
        "some files look like Kaldi text files (`<utt-id> <text>`), others like plain lines; "
        "say which with --format kaldi or --format lines:",
        [f"{path}: looks like Kaldi" for path in with_ids]
        + [f"{path}: looks like plain lines" for path in without],
    )


def _has_ids(file: _File) -> bool:
    """Whether it is named `text` or `text.*`, or its lines look like it."""
    return is_named_text(file.path) or look_like_ids(list(file.lines.values()))


def _pair_by_line(
    ref: _File, hyps: Sequence[_File]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], list[str]]:
    faults = [
        f"{hyp.path}: {hyp.count} lines, but {ref.path} has {ref.count}"
        for hyp in hyps
        if hyp.count != ref.count
    ]
    faults += _empty_references(ref.path, {n: (n, text) for n, text in ref.lines.items()})
    systems = tuple(tuple(hyp.lines.values()) for hyp in hyps)
    return tuple(ref.lines.values()), systems, faults


def _pair_by_id(
    ref: _File, hyps: Sequence[_File]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], list[str]]:
    wanted, faults = _by_id(ref)
    faults += _empty_references(ref.path, wanted)
    systems = []
    for hyp in hyps:
        texts, hyp_faults = _by_id(hyp)
        faults += hyp_faults + _id_faults(ref.path, wanted, hyp.path, texts)
        systems.append(tuple(texts[utt][1] for utt in wanted if utt in texts))
    return tuple(text for _, text in wanted.values()), tuple(systems), faults


def _by_id(file: _File) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Split lines into {id: (line number, text)} and faults."""
    found: dict[str, tuple[int, str]] = {}
    faults = []
    for number, line in file.lines.items():
        utt, rest = split_id(line)
        if not utt:
            faults.append(f"{file.path}:{number}: no utterance id")
        elif utt in found:
            faults.append(f"{file.path}:{number}: id {utt} again, first in line {found[utt][0]}")
        else:
            found[utt] = (number, rest.strip())
    return found, faults


def _id_faults(
    ref_path: str,
    wanted: Mapping[str, tuple[int, str]],
    hyp_path: str,
    found: Mapping[str, tuple[int, str]],
) -> list[str]:
    missing = [
        f"{hyp_path}: no hypothesis for {utt} ({ref_path}:{number})"
        for utt, (number, _) in wanted.items()
        if utt not in found
    ]
    extra = [
        f"{hyp_path}:{number}: {utt} isn't in {ref_path}"
        for utt, (number, _) in found.items()
        if utt not in wanted
    ]
    return missing + extra


def _empty_references(path: str, refs: Mapping[Any, tuple[int, str]]) -> list[str]:
    return [f"{path}:{n}: empty reference" for n, text in refs.values() if not text.strip()]
