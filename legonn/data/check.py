"""Every fault of a data folder, or of recordings, in one pass, each with its file, its line and the remedy."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from legonn.data.folder import read_lines, split_id
from legonn.errors import DataError

if TYPE_CHECKING:
    from legonn.audio.check import RecordingsReport, SoundReport

__all__ = ["FileReport", "FolderReport", "check_folder", "is_list_of_tokens"]

# What speech folders may have beside texts.
COLUMNS = {"utt2spk": "speaker", "utt2group": "group"}
MAY_HAVE_MORE = "utt2group"  # ids than the folder


@dataclass
class FileReport:
    """What one text file holds, and what is wrong with it.

    Attributes
    ----------
    path : path
        The file.
    ids : dict
        {id: line number of its first occurrence}.
    faults, warnings : list of str
        One line each: `file:line: what; remedy`.
    words, characters, longest : int
        Of the readable texts: sums, and the longest in characters.
    over_long : list of int
        Lines longer than the limit.
    """

    path: Path
    ids: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    words: int = 0
    characters: int = 0
    longest: int = 0
    over_long: list[int] = field(default_factory=list)

    def fault(self, line: int, text: str) -> None:
        """Note a fault of a line."""
        self.faults.append(f"{self.path}:{line}: {text}")

    def summary(self) -> str:
        """The file in a few figures."""
        mean = self.words / max(1, len(self.ids))
        return f"{self.path.name} {mean:.1f} words a line, at most {self.longest} characters"


@dataclass(frozen=True)
class FolderReport:
    """The reports of a folder's files, and the faults between them; `unit` is what is counted."""

    folder: Path
    files: tuple[FileReport, ...]
    between: tuple[str, ...]
    unit: str = "lines"

    @property
    def faults(self) -> list[str]:
        """All faults, files in order, then those between files."""
        return [fault for file in self.files for fault in file.faults] + list(self.between)

    @property
    def warnings(self) -> list[str]:
        """All counted warnings."""
        return [warning for file in self.files for warning in file.warnings]

    def summary(self) -> str:
        """One line of statistics."""
        count = len(self.files[0].ids) if self.files else 0
        return f"{self.folder}: {count} {self.unit}; " + "; ".join(f.summary() for f in self.files)


def is_list_of_tokens(folder: Path) -> bool:
    """Whether the recipes keep token lists there, `data/<lang>_token_list/<list>`: `data/*/` means others."""
    return any(folder.glob("*/tokens.txt"))


def check_folder(
    folder: str | Path,
    *,
    files: Sequence[str] = (),
    max_length: int = 1000,
    allow_pipes: bool = False,
    skip_bad: int = 0,
    sample_rate: int | None = None,
    jobs: int = 1,
) -> FolderReport:
    """Check a data folder's texts, its `utt2spk` and its recordings, each alone and against one another; or recordings.

    Parameters
    ----------
    folder : path
        With `text.<case>.<lang>` files, `wav.scp` or both; or what else `legonn decode --input` takes of sound: an
        audio file, a folder of them, a `wav.scp`.
    files : sequence of str
        The texts' names; empty takes every `text` and `text.*`.
    max_length : int
        Longer texts, in characters, are counted in a warning; 0 is no limit.
    allow_pipes : bool
        Run the commands in `wav.scp`.
    skip_bad : int
        So many bad recordings are warned of, more are faults.
    sample_rate : int, optional
        Hertz that recordings should have; None: that of most of them.
    jobs : int
        Processes that read recordings.
    """
    folder = Path(folder)
    listed = partial(
        _check_listed,
        allow_pipes=allow_pipes,
        skip_bad=skip_bad,
        sample_rate=sample_rate,
        jobs=jobs,
    )
    if folder.name == "wav.scp" and not folder.is_dir():
        return FolderReport(folder, (listed(folder.parent),), ())
    from legonn.audio.inputs import text_names

    names = list(files) or text_names(folder)
    is_speech = os.path.exists(folder / "wav.scp")
    if not folder.is_dir() or not (names or is_speech):
        return _check_named(folder, skip_bad=skip_bad, sample_rate=sample_rate, jobs=jobs)
    reports = [check_file(folder / name, max_length=max_length) for name in names]
    if names == ["text"] and not files:
        reports[0].warnings.append(
            f"{folder}/text: no language in its name, and the recipes read text.<case>.<lang>: ln -s text "
            f"{folder}/text.tc.en if it is English with capitals, text.lc.en if it is in small letters"
        )
    columns = [
        check_file(folder / name, column=column, max_length=0)
        for name, column in COLUMNS.items()
        if (is_speech or not files) and (folder / name).exists()
    ]
    reports += [report for report in columns if report.path.name != MAY_HAVE_MORE]
    if is_speech:
        reports.append(listed(folder))
    between = list(_differences(reports))
    for report in columns:
        if report.path.name == MAY_HAVE_MORE:
            missing = (utt_id for utt_id in reports[0].ids if utt_id not in report.ids)
            between += _lacking(reports[0], report, missing)
            reports.append(report)
    return FolderReport(folder, tuple(reports), tuple(between))


def _check_listed(
    folder: Path, *, allow_pipes: bool, skip_bad: int, sample_rate: int | None, jobs: int
) -> RecordingsReport:
    """Check a folder's `wav.scp`, which must name something."""
    from legonn.audio.check import check_recordings

    report = check_recordings(
        folder, allow_pipes=allow_pipes, skip_bad=skip_bad, sample_rate=sample_rate, jobs=jobs
    )
    if not (report.ids or report.faults):
        report.faults.append(f"{report.path}: is empty")
    return report


def _check_named(path: Path, *, skip_bad: int, sample_rate: int | None, jobs: int) -> FolderReport:
    """Check an audio file, or those of a folder that has neither texts nor `wav.scp`."""
    from legonn.audio.check import RecordingsReport
    from legonn.audio.inputs import by_id, is_sound, list_recordings

    if not is_sound([str(path)]):
        return FolderReport(path, (), (_no_data(path),))
    report = RecordingsReport(path)
    try:
        utterances = list_recordings(path, tell=report.warnings.append)
    except DataError as error:
        fault = f"{path}: no text.<case>.<lang> file in it; name its text so, as text.tc.en. Of sound: {error}"
        return FolderReport(path, (report,), (fault,))
    found, clashes = by_id(utterances)
    report.ids = {utt_id: number for number, utt_id in enumerate(found, 1)}
    report.faults += [
        f"{path}: two recordings have one id, {clash}; rename one, or name them in a wav.scp"
        for clash in clashes
    ]
    bad = report.listen(utterances, jobs=jobs)
    told = report.warnings if path.is_dir() and len(bad) <= skip_bad else report.faults
    told += [fault for sound in bad for fault in sound.faults]
    report.warnings += _oddities(report, sample_rate)
    return FolderReport(path, (report,), (), unit="recordings")


def _no_data(path: Path) -> str:
    from legonn.audio.inputs import SPEECH

    if path.exists():
        return (
            f"{path}: no data folder, and by its name no audio: give a folder of texts, or {SPEECH}"
        )
    return f"{path}: no such folder; make it (stage 1), or mend its name"


def _oddities(report: RecordingsReport, sample_rate: int | None) -> Iterator[str]:
    """What decoding puts up with; several channels and great length it takes as they are meant."""
    from legonn.audio.check import REMEDIES

    for kind in ("clipped", "unended"):
        odd = [sound for sound in report.sounds if kind in sound.oddities]
        if odd:
            yield f"{report.path}: {_counted(odd)} {REMEDIES[kind]}"
    others = [sound for sound in report.sounds if sound.sample_rate not in (0, sample_rate)]
    if sample_rate is not None and others:
        yield f"{report.path}: {_counted(others)} don't have {sample_rate} Hz; decoding resamples them"


def _counted(sounds: Sequence[SoundReport]) -> str:
    return f"{len(sounds)} recordings ({sounds[0].utterance.source} first)"


def check_file(path: Path, *, max_length: int, column: str = "text") -> FileReport:
    """Check one file, in which a `column` follows the id; see `check_folder`."""
    report = FileReport(path)
    if not path.is_file():
        report.faults.append(f"{path}: no such file; make it, or mend the name")
        return report
    _check_line_ends(report)
    previous = b""
    for number, line in read_lines(path):
        utt_id = _check_line(report, number, line, column, max_length=max_length)
        if utt_id and utt_id < previous:
            report.fault(
                number,
                f"id {utt_id.decode()} after {previous.decode()}: not sorted; LC_ALL=C sort -k1,1",
            )
        previous = utt_id or previous
    if not (report.ids or report.faults):
        report.faults.append(f"{path}: is empty")
    if report.over_long:
        shown = ", ".join(map(str, report.over_long[:10]))
        more = ", ..." if len(report.over_long) > 10 else ""
        report.warnings.append(
            f"{path}: {len(report.over_long)} lines are longer than {max_length} characters: "
            f"lines {shown}{more}; stage 4 drops them from training sets (--max_text_length)"
        )
    return report


def _check_line_ends(report: FileReport) -> None:
    r"""Note `\r\n` once a file: a file that has them has them everywhere."""
    with report.path.open("rb") as file:
        numbers = [number for number, line in enumerate(file, 1) if line.endswith(b"\r\n")]
    if numbers:
        more = f" (and {len(numbers) - 1} more lines)" if len(numbers) > 1 else ""
        report.fault(numbers[0], f"ends in CR LF{more}; sed -i 's/\\r$//' {report.path}")


def _check_line(
    report: FileReport, number: int, line: bytes, column: str, *, max_length: int
) -> bytes:
    """Check one line and count it; give the id's bytes, empty where there is none."""
    try:
        decoded = line.decode("utf-8")
    except UnicodeDecodeError as error:
        report.fault(
            number,
            f"not UTF-8 at byte {error.start + 1} (0x{line[error.start]:02X}); convert the file, "
            "e.g. iconv -f LATIN1 -t UTF-8",
        )
        # The id may still be good: without it the other side's line would look like a fault too.
        utt_id, _ = split_id(line.decode("latin-1"))
        if utt_id.isascii():
            _count_id(report, number, utt_id)
        return utt_id.encode() if utt_id.isascii() else b""
    separator = "" if column == "text" else "\t"  # which these files may have, too
    for character in sorted(set(filter(_is_control, decoded)) - {separator}):
        name = "a tab" if character == "\t" else f"control character U+{ord(character):04X}"
        report.fault(number, f"{name} in the line; replace it by a blank, or remove it")
    utt_id, text = split_id(decoded)
    if not utt_id:
        fault = "begins with a blank, so it has no id" if text.strip() else "is an empty line"
        report.fault(number, f"{fault}; write <utt-id> <{column}>")
        return b""
    _count_id(report, number, utt_id)
    _count_text(report, number, text.strip(), column, max_length=max_length)
    return utt_id.encode("utf-8")


def _is_control(character: str) -> bool:
    # U+FEFF is a byte order mark in the text; Zl and Zp are line breaks to some programs.
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or character == "\ufeff"


def _count_id(report: FileReport, number: int, utt_id: str) -> None:
    first = report.ids.setdefault(utt_id, number)
    if first != number:
        report.fault(number, f"id {utt_id} again, first in line {first}; ids name one line each")


def _count_text(
    report: FileReport, number: int, text: str, column: str, *, max_length: int
) -> None:
    if not text:
        remedy = "remove the id from every file" if column == "text" else "add it"
        report.fault(number, f"no {column} after the id; {remedy}")
        return
    report.words += len(text.split())
    report.characters += len(text)
    report.longest = max(report.longest, len(text))
    if max_length and len(text) > max_length:
        report.over_long.append(number)


def _differences(reports: Sequence[FileReport]) -> Iterator[str]:
    """Ids that one file has and another lacks."""
    present = [report for report in reports if report.path.is_file()]
    if len({len(report.ids) for report in present}) > 1:
        counts = ", ".join(f"{report.path.name} {len(report.ids)}" for report in present)
        yield f"{present[0].path.parent}: different numbers of ids: {counts}"
    for report in present:
        for other in present:
            missing = (utt_id for utt_id in report.ids if utt_id not in other.ids)
            yield from _lacking(report, other, missing)


def _lacking(report: FileReport, other: FileReport, missing: Iterable[str]) -> Iterator[str]:
    for utt_id in missing:
        yield (
            f"{report.path}:{report.ids[utt_id]}: id {utt_id} isn't in {other.path.name}; add it "
            "there, or remove it here"
        )
