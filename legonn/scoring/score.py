"""Score: one figure, and everything that is needed to make it again."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from legonn.errors import DataError

__all__ = ["SYNTHETIC", "Score"]

SYNTHETIC = "speech:synthetic"  # in a signature: a machine spoke the test set


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score of one system on one test set; what isn't known is None.

    Parameters
    ----------
    experiment, recipe, system, test_set : str, optional
        Where the figure belongs: `E1`, `multi30k`, the system's name, `test_2016_flickr`.
    metric : str
        A key of `legonn.scoring.METRICS`.
    score : float
        The figure, on the metric's own scale (percent for all of ours).
    low, high : float, optional
        The 95 % bootstrap interval over sentences, or over speakers where the signature says so.
    baseline : str, optional
        The name of the system that this one is compared with.
    delta : float, optional
        `score` less the baseline's.
    p_value : float, optional
        Of the paired bootstrap (`legonn.scoring.bootstrap.p_value`).
    signature : str
        The metric's version and settings, as sacreBLEU writes them.
    sentences : int
        How many sentences were scored.
    seed : int or sequence of int, optional
        The training seed; several (kept as a tuple) when `score` is their mean.
    deviation : float, optional
        Sample standard deviation over those seeds.
    parameters : int, optional
        Size of the system, in weights.
    train_seconds, decode_seconds : float, optional
        Wall-clock seconds.
    command : str, optional
        What the user types to get the figure again.
    revision : str, optional
        The source revision, with `-dirty` when tracked files were changed.
    versions : mapping of str to str, optional
        The packages that can change the figure.

    Raises
    ------
    DataError
        Listing every illegal field.
    """

    experiment: str | None = None
    recipe: str | None = None
    system: str | None = None
    test_set: str | None = None
    metric: str
    score: float
    low: float | None = None
    high: float | None = None
    baseline: str | None = None
    delta: float | None = None
    p_value: float | None = None
    signature: str
    sentences: int
    seed: int | Sequence[int] | None = None
    deviation: float | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    decode_seconds: float | None = None
    command: str | None = None
    revision: str | None = None
    versions: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.seed, list):  # JSON has no tuples
            object.__setattr__(self, "seed", tuple(self.seed))
        faults = [*_type_faults(self), *_missing_faults(self)]
        faults = faults or _value_faults(self)
        if faults:
            raise DataError(f"not a legal score ({self.metric!r} of {self.system!r}):", faults)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells one measurement from another; a later one with the same key replaces it."""
        return (
            self.experiment,
            self.recipe,
            self.system,
            self.test_set,
            self.metric,
            self.seed,
        )

    @property
    def synthetic(self) -> bool:
        """Whether the test set is synthetic speech."""
        return SYNTHETIC in self.signature.split("|")

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds behind the figure; empty when none was recorded."""
        if self.seed is None:
            return ()
        return (self.seed,) if isinstance(self.seed, int) else tuple(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """The score as JSON's types, all of its fields, in their order."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if isinstance(self.seed, tuple):
            fields["seed"] = list(self.seed)
        if self.versions is not None:
            fields["versions"] = dict(self.versions)
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Score:
        """Build a score from `to_dict`'s output.

        Raises
        ------
        DataError
            When a field is unknown, missing or illegal.
        """
        if not isinstance(fields, Mapping):
            raise DataError(f"a score is a JSON object, got {type(fields).__name__}: {fields!r}")
        names = {field.name: field for field in dataclasses.fields(cls)}
        faults = [f"unknown field {name!r}" for name in fields if name not in names]
        faults += [
            f"{name}: missing"
            for name, field in names.items()
            if name not in fields and field.default is dataclasses.MISSING
        ]
        if faults:
            raise DataError(f"not a score; its fields are {', '.join(names)}:", faults)
        return cls(**fields)


REQUIRED = ("metric", "score", "signature", "sentences")
COUNTS = ("sentences", "parameters")
NUMBERS = tuple("score low high delta p_value deviation train_seconds decode_seconds".split())
TEXTS = tuple(
    "experiment recipe system test_set metric baseline signature command revision".split()
)


def _type_faults(score: Score) -> list[str]:
    """Fields of the wrong type."""
    legal = [(name, _is_text, "a text of at least one character") for name in TEXTS]
    legal += [(name, _is_count, "a whole number >= 0") for name in COUNTS]
    legal += [(name, _is_number, "a finite number") for name in NUMBERS]
    legal += [("seed", _is_seed, "a whole number or a list of different ones")]
    legal += [("versions", _is_versions, "an object of texts")]
    return [
        f"{name}: got {getattr(score, name)!r}, want {want}"
        for name, check, want in legal
        if getattr(score, name) is not None and not check(getattr(score, name))
    ]


def _missing_faults(score: Score) -> list[str]:
    return [f"{name}: missing" for name in REQUIRED if getattr(score, name) is None]


def _value_faults(score: Score) -> list[str]:
    """Fields whose types are right and whose values can't be."""
    averaged = isinstance(score.seed, tuple)
    rules = [
        (score.sentences > 0, f"sentences: got {score.sentences}, want 1 or more"),
        ((score.low is None) == (score.high is None), "low and high: want both or neither"),
        (_ordered(score.low, score.high), f"low {score.low} is above high {score.high}"),
        (_ordered(score.p_value, 1.0), f"p_value: got {score.p_value}, want 0 to 1"),
        (score.baseline is not None or score.delta is None, "delta: of which baseline?"),
        (score.delta is not None or score.p_value is None, "p_value: want a delta too"),
        (averaged or score.deviation is None, "deviation: want a list of seeds too"),
    ]
    rules += [
        (_ordered(0.0, getattr(score, name)), f"{name}: got {getattr(score, name)}, want >= 0")
        for name in ("p_value", "deviation", "train_seconds", "decode_seconds")
    ]
    return [fault for right, fault in rules if not right]


def _ordered(low: float | None, high: float | None) -> bool:
    return low is None or high is None or low <= high


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: object) -> bool:
    return isinstance(value, int) and _is_whole(value) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_seed(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _is_whole(value)
    return bool(value) and all(map(_is_whole, value)) and len(set(value)) == len(value)


def _is_versions(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        _is_text(name) and _is_text(version) for name, version in value.items()
    )
