"""Speakers: the same for the same seed, and others for another."""

from __future__ import annotations

import pytest

from legonn.audio.voices import ACCENTS, VARIANTS, draw_voices
from legonn.errors import ConfigError


def test_the_same_seed_gives_the_same_speakers() -> None:
    assert draw_voices("en", 20, seed=1) == draw_voices("en", 20, seed=1)
    assert draw_voices("en", 20, seed=1)[:7] == draw_voices("en", 7, seed=1)


def test_another_seed_gives_others() -> None:
    assert not set(draw_voices("en", 50, seed=1)) & set(draw_voices("en", 50, seed=2))


def test_all_differ_in_accent_or_variant_while_there_are_such() -> None:
    kinds = len(ACCENTS["de"]) * len(VARIANTS)
    voices = draw_voices("de", kinds + 1, seed=3)
    assert len({(voice.accent, voice.variant) for voice in voices}) == kinds
    assert len(voices) == kinds + 1


def test_a_language_without_voices_is_named() -> None:
    with pytest.raises(ConfigError, match="no voices for language 'xx': there are de, en, fr, ro"):
        draw_voices("xx", 1, seed=1)
