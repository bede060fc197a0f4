"""How many interface positions a target token gets, from the shape files of the statistics stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from legonn.audio.source import Sound
from legonn.errors import DataError

__all__ = [
    "DEFAULT_RATIOS",
    "LengthStats",
    "longest_seconds",
    "measure_lengths",
    "positions",
    "positions_per_token",
    "read_shapes",
    "spread",
]

PERCENTILES = (1, 50, 99)
# Where a configuration gives no length ratio; here, as whoever only counts needs no torch.
DEFAULT_RATIOS = {"text": 1.5, "imagined": 1.6, "bridge": 1.0}
LONGEST = 99.9  # percentile: in much data a few recordings are of another kind than all others


@dataclass(frozen=True)
class LengthStats:
    """What a length ratio does to a training set.

    Attributes
    ----------
    target : str
        Whose tokens count: an interface's.
    ratio : float
        K / T that was asked about.
    utterances : int
        In the training set.
    infeasible : float
        Share of it that CTC can't emit from ceil(T x ratio) positions.
    covering_ratio : float
        Smallest ratio that can emit 99.9 % of the training set.
    positions_per_token : tuple of three floats
        K/U at percentiles 1, 50, 99.
    worst : tuple of str
        Ids of the utterances that need the highest ratio, worst first, at most ten.
    """

    target: str
    ratio: float
    utterances: int
    infeasible: float
    covering_ratio: float
    positions_per_token: tuple[float, float, float]
    worst: tuple[str, ...]


def read_shapes(path: Path) -> dict[str, int]:
    """First dimension of every utterance in an ESPnet shape file.

    Raises
    ------
    DataError
        If the file is absent, or has lines of another form: all of them.
    """
    if not path.exists():
        raise DataError(f"{path} is absent: run the statistics stage (10) first")
    shapes, faults = {}, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        uid, _, shape = line.partition(" ")
        size = shape.split(",")[0]
        if size.isdigit():
            shapes[uid] = int(size)
        else:
            faults.append(f"{path}:{number}: {line[:60]!r}")
    if faults:
        raise DataError(
            "lines without '<id> <length>'; run the statistics stage (10) again", faults
        )
    return shapes


def positions(lengths: np.ndarray, ratio: float) -> np.ndarray:
    """K = ceil(T x ratio), at least 1, as `legonn.length_control.output_lengths` has it."""
    return np.maximum(np.ceil(lengths * ratio - 1e-6), 1)


def positions_per_token(
    source: Path, target: Path, ratio: float, *, sound: Sound | None = None
) -> tuple[float, float, float]:
    """K/U at percentiles 1, 50 and 99, from the shape files of source and target.

    Parameters
    ----------
    source : Path
        Lengths in tokens, or of `sound` in samples.
    """
    inputs, tokens = read_shapes(source), read_shapes(target)
    common = _common(inputs, tokens, f"{source} and {target}")
    lengths = np.array([inputs[uid] for uid in common])
    return _percentiles(
        positions(lengths if sound is None else sound.states(lengths), ratio),
        np.array([tokens[uid] for uid in common]),
    )


def _common(inputs: dict[str, int], tokens: dict[str, int], where: str) -> list[str]:
    common = sorted(inputs.keys() & tokens.keys())
    if not common:
        raise DataError(f"{where}: no utterance in common; run the statistics stage (10) again")
    return common


def longest_seconds(speech: Path, sound: Sound) -> float:
    """How long a training set's longest recordings are, in seconds: percentile 99.9.

    Parameters
    ----------
    speech : Path
        Shape file, in samples.

    Raises
    ------
    DataError
        If it is absent, empty or damaged.
    """
    samples = list(read_shapes(speech).values())
    if not samples:
        raise DataError(f"{speech} is empty: run the statistics stage (10) again")
    return round(float(np.percentile(samples, LONGEST)) / sound.sample_rate, 2)


def spread(
    folder: Path, ratio: float, target: str = "text", *, sound: Sound | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Of each utterance of a statistics folder: T/U in front of the length controller, and K/U behind it."""
    inputs = read_shapes(folder / f"{'src_text' if sound is None else 'speech'}_shape")
    tokens = read_shapes(folder / f"{target}_shape")
    uids = _common(inputs, tokens, str(folder))
    source = np.array([inputs[uid] for uid in uids])
    states = source if sound is None else sound.states(source)
    count = np.maximum(np.array([tokens[uid] for uid in uids]), 1)
    return states / count, positions(states, ratio) / count


def _percentiles(given: np.ndarray, tokens: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(given / np.maximum(tokens, 1), PERCENTILES).round(3).tolist()
    return low, middle, high


def _check_same(
    folder: Path, source: str, target: str, inputs: dict[str, int], *others: dict[str, int]
) -> None:
    names = [folder / f"{name}_shape" for name in (source, target, f"{target}_positions")]
    if not inputs:
        raise DataError(f"{names[0]} is empty: run the statistics stage (10) again")
    apart = [inputs.keys() ^ other.keys() for other in others]
    faults = [
        f"{name}: {len(uids)} ids, like {min(uids)}"
        for name, uids in zip(names[1:], apart, strict=True)
        if uids
    ]
    if faults:
        raise DataError(
            f"ids that {names[0]} has not, or has alone; run the statistics stage (10) again",
            faults,
        )


def _check_not_empty(folder: Path, sides: dict[str, dict[str, int]]) -> None:
    """A text of characters that no tokenizer sees, such as a zero-width space, passes for text until here."""
    faults = [
        f"{uid}: no token in {name}"
        for name, sizes in sides.items()
        for uid, size in sizes.items()
        if size == 0
    ]
    if faults:
        raise DataError(
            f"{folder}: {len(faults)} texts have no token; take these ids out of all languages' files, and run "
            "stages 3 to 10 again:",
            faults,
        )


def measure_lengths(
    folder: Path, ratio: float, target: str = "text", *, sound: Sound | None = None
) -> LengthStats:
    """Read the shape files of one statistics folder: of `src_text`, or of `speech` that is `sound`, and of the target.

    The covering ratio is also one of the encoder's states, not of samples.
    """
    name = "src_text" if sound is None else "speech"
    inputs = read_shapes(folder / f"{name}_shape")
    tokens = read_shapes(folder / f"{target}_shape")
    needed = read_shapes(folder / f"{target}_positions_shape")
    uids = sorted(inputs)
    _check_same(folder, name, target, inputs, tokens, needed)
    _check_not_empty(folder, {name: inputs, target: tokens})
    source = np.array([inputs[uid] for uid in uids])
    if sound is not None:
        source = sound.states(source)
    need = np.array([needed[uid] for uid in uids])
    given = positions(source, ratio)
    demand = need / np.maximum(source, 1)
    order = np.argsort(-demand, kind="stable")
    return LengthStats(
        target=target,
        ratio=ratio,
        utterances=len(uids),
        infeasible=float((given < need).mean()),
        covering_ratio=float(demand[order[len(uids) // 1000]]),  # one in a thousand may be lost
        positions_per_token=_percentiles(given, np.array([tokens[uid] for uid in uids])),
        worst=tuple(uids[i] for i in order[:10]),
    )
