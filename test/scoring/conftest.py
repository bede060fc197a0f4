"""Ten small translations of three systems, for the tests of scoring."""

from __future__ import annotations

import pytest

REFS = [
    "A man is sitting on a bench.",
    "Two dogs run through the snow.",
    "A little girl climbs into a wooden playhouse.",
    "Several people stand in front of a red building.",
    "A woman in a blue shirt is reading a newspaper.",
    "Three boys play football on the beach.",
    "A child is splashing in the water.",
    "An old man with a hat is playing the guitar.",
    "People are waiting for the train at the station.",
    "A black cat sleeps on the sofa.",
]
# Equal to the reference: lines 1, 5 and 10, so 3 of 10.
GOOD = [
    "A man is sitting on a bench.",
    "Two dogs are running through the snow.",
    "A little girl is climbing into a wooden house.",
    "Several people are standing in front of a red building.",
    "A woman in a blue shirt is reading a newspaper.",
    "Three boys are playing football on the beach.",
    "A child splashes in the water.",
    "An old man in a hat is playing the guitar.",
    "",
    "  A black cat sleeps on the sofa.  ",
]
# Equal to the reference: line 6, so 1 of 10.
POOR = [
    "A man sits on bench.",
    "Dogs in snow.",
    "A girl in a house.",
    "People at a building.",
    "A woman is reading.",
    "Three boys play football on the beach.",
    "A child in the bath.",
    "A man is playing music.",
    "People wait for a train.",
    "A cat.",
]
# One line away from GOOD, so that a p-value between them isn't at the end of its range.
CLOSE = [*GOOD[:6], "A kid is splashing in the water.", *GOOD[7:]]

SYSTEMS = {"good": GOOD, "poor": POOR, "close": CLOSE, "silent": [""] * 10, "perfect": REFS}


@pytest.fixture
def refs() -> list[str]:
    """The references."""
    return list(REFS)


@pytest.fixture
def systems() -> dict[str, list[str]]:
    """The hypotheses of each system."""
    return {name: list(hyps) for name, hyps in SYSTEMS.items()}


@pytest.fixture(autouse=True)
def default_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """sacreBLEU reads its seed from here; ours doesn't."""
    monkeypatch.delenv("SACREBLEU_SEED", raising=False)
