"""What each normaliser makes of a text, by eye."""

from __future__ import annotations

import pytest

from legonn.scoring import NORMALISERS
from legonn.scoring.normalise import basic


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", ""),
        (" \t\n", ""),
        ("… — ' !", ""),
        ("Don’t", "don't"),
        ("Don't DON‘T don´t don`t donʼt don＇t", "don't don't don't don't don't don't"),
        ("the dogs' 'quoted' ‘words’ rock'n'roll", "the dogs quoted words rock'n'roll"),
        ("L’«homme»", "l'homme"),
        ("aŉb", "a'nb"),  # NFKC makes an apostrophe of a letter
        ("well-known", "well known"),
        ("pages 3–5 — no", "pages 3 5 no"),
        ("ÉTÉ", "été"),
        ("E\u0301TE\u0301", "été"),  # accents of their own, composed by NFKC
        ("1,000", "1000"),
        ("3.5 %", "35"),
        ("£5 + <unk>", "£5 + <unk>"),  # symbols are no punctuation
        ("ﬁne Ｗｉｄｅ", "fine wide"),
        ("a\u00a0b\u3000c\u2028d", "a b c d"),
        ("co\u00adop\u200b \ufeffx", "coop x"),  # soft hyphen, zero-width blank, byte order mark
        ("مرحبا، كيف حالك؟", "مرحبا كيف حالك"),
        ("«Привет», — сказал ОН.", "привет сказал он"),
        ("你好，世界。《书》", "你好世界书"),
        ("नमस्ते, दुनिया।", "नमस्ते दुनिया"),  # vowel signs stay
        ("בית־ספר", "בית ספר"),
        ("Straße", "straße"),
    ],
)
def test_basic(text: str, want: str) -> None:
    assert basic(text) == want
    assert basic(want) == want


def test_none_collapses_white_space_and_nothing_else() -> None:
    assert NORMALISERS["none"](" Don’t\t stop-\u00a0it, ÉTÉ! ") == "Don’t stop- it, ÉTÉ!"
