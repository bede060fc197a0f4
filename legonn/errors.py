"""What legonn raises when the user can mend something: one sentence that says what and how."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ConfigError", "DataError", "InterfaceMismatch", "LegonnError", "reason"]


class LegonnError(ValueError):
    """Any mistake that its reader can mend; commands print it without a traceback."""


class ConfigError(LegonnError):
    """A configuration that can't be built: an unknown key, an illegal value."""


class InterfaceMismatch(LegonnError):
    """Two modules whose interfaces do not fit."""


class DataError(LegonnError):
    """Faults of a data set, all of them.

    Parameters
    ----------
    summary : str
        What was being read, and the remedy.
    items : iterable of str
        One line a fault, each naming file and line.
    """

    def __init__(self, summary: str, items: Iterable[str] = ()) -> None:
        self.items = list(items)
        super().__init__("\n  ".join([summary, *self.items]))


def reason(error: BaseException) -> str:
    """What an error of another package says, in a line; its name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
