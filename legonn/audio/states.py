"""Whether recordings have changed while their names stayed; of a speech folder, for the recipes' stages."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable

from legonn.audio.recordings import Utterance, list_utterances

__all__ = ["main", "recording_states"]


def recording_states(utterances: Iterable[Utterance]) -> str:
    """A hash of the sizes and times of the files behind utterances.

    Commands have none, and files that are missing are told elsewhere.
    """
    state = hashlib.sha256()
    for path in sorted({one.path for one in utterances if one.path is not None}):
        if os.path.isfile(path):  # False where it can't be looked at, too
            found = path.stat()
            said = f"{path} {found.st_size} {found.st_mtime_ns}\n"
            state.update(said.encode("utf-8", "surrogateescape"))  # names in whatever encoding
    return state.hexdigest()


def main() -> int:
    """Print it for a data folder, whose lines may have faults: reading it runs no command."""
    listed = list_utterances(sys.argv[1], allow_pipes=True)
    print(f"recordings={recording_states(listed.utterances.values())}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
