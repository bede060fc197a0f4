"""The results file: a recipe's scores in one JSON list, each measurement once."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from legonn.data.atomic import write_atomic
from legonn.errors import ConfigError, DataError
from legonn.scoring.score import Score

__all__ = ["LABELS", "add_results", "read_results", "to_json"]

# What a row of a results file must name; the seed may be unknown.
LABELS = ("experiment", "recipe", "system", "test_set")


def to_json(scores: Sequence[Score]) -> str:
    """The scores as a JSON list, one field a line, so that a version's difference is readable."""
    rows = [score.to_dict() for score in scores]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_results(path: str | Path) -> list[Score]:
    """Read a results file.

    Raises
    ------
    DataError
        When the file can't be read, isn't a JSON list, or has rows that aren't legal: all of them.
    """
    rows = _read_list(Path(path))
    scores: list[Score] = []
    faults: list[str] = []
    for number, row in enumerate(rows, 1):
        try:
            scores.append(Score.from_dict(row))
        except DataError as error:
            faults += [f"{path}: row {number}: {item}" for item in error.items or [str(error)]]
    faults = faults or _disagreements(path, scores)
    if faults:
        raise DataError(f"{path} isn't a legal results file:", faults)
    return scores


def add_results(path: str | Path, scores: Sequence[Score]) -> list[Score]:
    """Add scores to a results file, made when it is absent, and give what it then holds.

    A measurement (`Score.key`) that the file holds already is replaced where it stands, with all
    its comparisons; new ones go to the end. Jobs side by side may add to one file.

    Raises
    ------
    ConfigError
        When a score lacks one of `LABELS`.
    DataError
        When the file isn't legal; it is left as it was.
    """
    missing = [n for n in LABELS if any(getattr(score, n) is None for score in scores)]
    if missing:
        raise ConfigError(f"a score in {path} needs its {', '.join(missing)}: give them too")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        merged = _merge(read_results(path) if path.exists() else [], scores)
        write_atomic(path, to_json(merged))
    return merged


def _merge(old: Sequence[Score], new: Sequence[Score]) -> list[Score]:
    """`old` with the rows of each measurement in `new` replaced, in place."""
    rows: dict[tuple[object, ...], list[Score]] = {}
    for score in old:
        rows.setdefault(score.key, []).append(score)
    rows.update({score.key: [] for score in new})
    for score in new:
        rows[score.key].append(score)
    return [score for group in rows.values() for score in group]


def _read_list(path: Path) -> list[Any]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror or error}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start + 1}") from error
    if not isinstance(rows, list):
        raise DataError(f"{path}: want a JSON list of scores, got {type(rows).__name__}")
    return rows


def _disagreements(path: str | Path, scores: Sequence[Score]) -> list[str]:
    """Rows of one measurement, one for each baseline, that give different figures for it."""
    first: dict[tuple[object, ...], tuple[int, Score]] = {}
    faults = []
    for number, score in enumerate(scores, 1):
        earlier, other = first.setdefault(score.key, (number, score))
        if other.score != score.score:
            faults.append(
                f"{path}: rows {earlier} and {number} are one measurement ({score.metric} of "
                f"{score.system} on {score.test_set}), with scores {other.score} and {score.score}"
            )
    return faults


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold `folder` against other adders. A lock on the folder leaves no lock file behind.

    Where the file system has no locks (some network ones), jobs must take turns themselves.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which also gives the lock back
