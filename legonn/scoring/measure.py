"""From paired texts to scores: the figure, its interval, and what it is worth against baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from legonn.scoring.bootstrap import (
    RESAMPLES,
    SEED,
    draw_weights,
    interval,
    p_value,
    resampled_scores,
)
from legonn.scoring.metrics import Metric
from legonn.scoring.score import SYNTHETIC, Score

__all__ = ["Baseline", "Labels", "measure"]

# Scores are kept to a millionth: what lies below differs between machines, and would make a
# results file that was made again look changed.
DIGITS = 6


@dataclass(frozen=True)
class Baseline:
    """A system to compare with.

    Parameters
    ----------
    name : str
        As it is to stand in tables.
    hyps : sequence of str
        Its N hypotheses.
    """

    name: str
    hyps: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a score records beside its figures; each field as in `Score`."""

    experiment: str | None = None
    recipe: str | None = None
    system: str | None = None
    test_set: str | None = None
    seed: int | None = None
    parameters: int | None = None
    train_seconds: float | None = None
    decode_seconds: float | None = None
    command: str | None = None
    revision: str | None = None
    versions: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Measured:
    """A system's score on the test set, and on each resample (R,)."""

    score: float
    resampled: NDArray[np.float64]


def measure(
    *,
    refs: Sequence[str],
    hyps: Sequence[str],
    metrics: Sequence[Metric],
    baselines: Sequence[Baseline] = (),
    labels: Labels | None = None,
    speakers: Sequence[str] | None = None,
    synthetic: bool = False,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Score]:
    """Score a system, alone or against baselines.

    Parameters
    ----------
    refs, hyps : sequence of str
        N references and the system's N hypotheses.
    metrics : sequence of Metric
        From `get_metrics`.
    baselines : sequence of Baseline
        Systems to compare with, on the same resamples.
    labels : Labels, optional
        What to record in each score.
    speakers : sequence of str, optional
        Of each sentence: then the bootstrap, paired or not, is one over speakers.
    synthetic : bool
        Whether the test set is synthetic speech: the signatures say so.
    resamples, seed : int
        Of the bootstrap.

    Returns
    -------
    list of Score
        One a metric; with baselines, one a metric and baseline, in that order.
    """
    weights = draw_weights(len(refs), resamples=resamples, seed=seed, speakers=speakers)
    units = f"|{SYNTHETIC}" if synthetic else ""
    units += "" if speakers is None else "|units:speakers"
    recorded = asdict(labels or Labels())

    def evaluate(metric: Metric, texts: Sequence[str]) -> _Measured:
        counts = metric.counts(hyps=texts, refs=refs)
        return _Measured(
            metric.score(counts.sum(axis=0)), resampled_scores(metric, counts, weights)
        )

    scores = []
    for metric in metrics:
        system = evaluate(metric, hyps)
        low, high = interval(system.resampled)
        row = Score(
            metric=metric.name,
            score=round(system.score, DIGITS),
            low=round(low, DIGITS),
            high=round(high, DIGITS),
            signature=metric.signature(resamples=resamples, seed=seed) + units,
            sentences=len(refs),
            **recorded,
        )
        compared = [_compare(row, system, b.name, evaluate(metric, b.hyps)) for b in baselines]
        scores += compared or [row]
    return scores


def _compare(row: Score, system: _Measured, name: str, baseline: _Measured) -> Score:
    """`row` with its difference from a baseline."""
    delta = system.score - baseline.score
    return replace(
        row,
        baseline=name,
        delta=round(delta, DIGITS),
        p_value=round(p_value(system.resampled, baseline.resampled, delta=delta), DIGITS),
    )
