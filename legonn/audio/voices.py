"""Who speaks: voices of espeak-ng, drawn at random and always the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from legonn.errors import ConfigError

__all__ = ["ACCENTS", "VARIANTS", "Voice", "draw_voices"]

# espeak-ng's names of the accents that a language has. English: America first, as most corpora have it.
ACCENTS = {
    "de": ("de",),
    "en": (
        "en-us",
        "en-us-nyc",
        "en-gb-x-rp",
        "en-gb-scotland",
        "en-gb-x-gbclan",
        "en-gb-x-gbcwmd",
        "en-029",
    ),
    "fr": ("fr", "fr-be", "fr-ch"),
    "ro": ("ro",),
}
# Its variants that sound like people: not whispers, robots, croaks and announcers.
VARIANTS = tuple(
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Reed "
    "adam anika antonio belinda benjamin boris caleb david ed edward f1 f2 f3 f4 f5 gustave ian iven john "
    "linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro "
    "shelby steph travis victor zac".split()
)


@dataclass(frozen=True)
class Voice:
    """How a speaker sounds.

    Attributes
    ----------
    accent, variant : str
        espeak-ng's names.
    rate : int
        Words a minute.
    pitch, pitch_range : int
        From 0 to 99; 50 is the variant's own.
    """

    accent: str
    variant: str
    rate: int
    pitch: int
    pitch_range: int

    def __str__(self) -> str:
        return f"{self.accent}+{self.variant} rate={self.rate} pitch={self.pitch} range={self.pitch_range}"


def draw_voices(language: str, count: int, *, seed: int) -> tuple[Voice, ...]:
    """Draw speakers, all of different accent and variant as long as there are such.

    Raises
    ------
    ConfigError
        When the language has no accents here.
    """
    if language not in ACCENTS:
        raise ConfigError(f"no voices for language {language!r}: there are {', '.join(ACCENTS)}")
    state = random.Random(f"voices {language} {seed}")
    kinds = [(accent, variant) for accent in ACCENTS[language] for variant in VARIANTS]
    state.shuffle(kinds)
    return tuple(
        Voice(
            *kinds[i % len(kinds)],
            rate=state.randint(140, 200),
            pitch=state.randint(30, 70),
            pitch_range=state.randint(30, 70),
        )
        for i in range(count)
    )
