"""Whose the utterances are: Kaldi's `utt2spk`, for a bootstrap over speakers; and groups that are scored apart."""

from __future__ import annotations

from pathlib import Path

from legonn.data.folder import read_text
from legonn.errors import ConfigError, DataError
from legonn.scoring.pairs import Pairs

__all__ = ["read_groups", "read_speakers"]


def read_speakers(path: str | Path, pairs: Pairs) -> tuple[str, ...]:
    """Read the speaker of each utterance that is scored.

    Parameters
    ----------
    path : path
        Lines `<utt-id> <speaker>`, one blank between. Utterances that aren't scored may stand in it.
    pairs : Pairs
        What is scored, paired by id.

    Returns
    -------
    tuple of str
        N speakers, in the order of `pairs`.

    Raises
    ------
    ConfigError
        When the texts have no ids.
    DataError
        Listing every utterance without a speaker, or with more than one word for it.
    """
    return _read(path, pairs, "utt2spk", "speaker")


def read_groups(path: str | Path, pairs: Pairs) -> tuple[str, ...]:
    """Read the group of each utterance that is scored, say `child` or `adult`, as `read_speakers` reads speakers."""
    return _read(path, pairs, "utt2group", "group")


def _read(path: str | Path, pairs: Pairs, option: str, what: str) -> tuple[str, ...]:
    """One word of each utterance."""
    if not pairs.ids:
        raise ConfigError(
            f"--{option} {path} needs texts with utterance ids, and these are paired by line: "
            "give Kaldi text files, or leave it out"
        )
    try:
        words = read_text(path)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror or error}") from error
    found = {utt: words.get(utt, "") for utt in pairs.ids}
    faults = [
        f"{utt}: got {word!r}" if word else utt
        for utt, word in found.items()
        if len(word.split()) != 1
    ]
    if faults:
        raise DataError(
            f"{path} lacks the {what} of {len(faults)} of {len(pairs.ids)} utterances; "
            f"give each a line `<utt-id> <{what}>`, one blank between:",
            faults,
        )
    return tuple(found.values())
