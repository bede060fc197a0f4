"""Normalisers: what counts as the same word. A closed set, so that a signature's name says all of it.

An error rate means nothing without its normaliser: "Don’t!" and "don't" are one word or two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from legonn.data.folder import clean
from legonn.errors import ConfigError

__all__ = ["NORMALISERS", "basic", "get_normaliser"]

# What people type for an apostrophe; NFKC alone would make a blank and an accent of the acute one.
APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼ´`", "'"))


def basic(text: str) -> str:
    """Lower case without punctuation, in any script.

    In this order: the signs that are used as apostrophes become `'`; NFKC; lower case; hyphens and
    dashes (Unicode's category Pd) become blanks; all other punctuation (P) but the apostrophe is
    removed, and so are format characters (Cf), which nobody sees; apostrophes at the ends of a word
    are removed; white space is collapsed.

    Symbols, numbers and accents stay as they are. Nothing is put in a removed sign's place, so that
    `1,000` is `1000`, and `3.5` is `35`.

    >>> basic("“Don’t”, she said: it’s a well-known CAFÉ!")
    "don't she said it's a well known café"
    """
    text = unicodedata.normalize("NFKC", text.translate(APOSTROPHES))
    text = text.translate(APOSTROPHES).lower()  # NFKC makes new ones: of ŉ, of a wide accent
    words = (word.strip("'") for word in "".join(map(_without_punctuation, text)).split())
    return " ".join(filter(None, words))


def _without_punctuation(character: str) -> str:
    """The character itself, a blank, or nothing."""
    category = unicodedata.category(character)
    if category == "Pd":
        return " "
    removed = category.startswith("P") or category == "Cf"
    return "" if removed and character != "'" else character


# Closed: a normaliser that isn't here doesn't exist.
NORMALISERS: dict[str, Callable[[str], str]] = {
    "basic": basic,
    "none": clean,  # white space collapsed, and nothing else
}


def get_normaliser(name: str) -> Callable[[str], str]:
    """The normaliser of this name.

    Raises
    ------
    ConfigError
        When there is none.
    """
    if name not in NORMALISERS:
        raise ConfigError(f"unknown normaliser {name!r}: choose from {', '.join(NORMALISERS)}")
    return NORMALISERS[name]
