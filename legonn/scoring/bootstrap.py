"""The bootstrap: how far a score would move had the test set been another one of its kind.

Sentences are drawn again with replacement (Koehn 2004, "Statistical significance tests for machine
translation evaluation"). All systems and metrics of one call meet the same resamples, and these are
the ones that sacreBLEU draws for the same seed.

Where speakers are known, they are drawn instead, each with all its sentences (Bisani & Ney 2004,
"Bootstrap estimates for confidence intervals in ASR performance evaluation"): sentences of one
speaker go wrong together, and an interval that takes them for independent is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from legonn.errors import DataError
from legonn.scoring.metrics import Metric

__all__ = ["RESAMPLES", "SEED", "draw_weights", "interval", "p_value", "resampled_scores"]

RESAMPLES = 1000
SEED = 12345  # sacreBLEU's default


def draw_weights(
    sentences: int,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    speakers: Sequence[str] | None = None,
) -> NDArray[np.uint16]:
    """How often each sentence stands in each resample.

    Parameters
    ----------
    sentences : int
        Their number.
    resamples, seed : int
        How many resamples, and of which generator.
    speakers : sequence of str, optional
        Of each sentence: then speakers are drawn, as many as there are, and each brings all its
        sentences (Bisani & Ney 2004).

    Returns
    -------
    array (resamples, sentences)
        Each row adds up to `sentences`; not so with speakers, some of whom have more to say than
        others. 16 bits suffice: a sentence of a resample is seldom drawn more than a dozen times.

    Raises
    ------
    DataError
        When all sentences are one speaker's, so that all resamples would be the test set.
    """
    if speakers is not None:
        names, speaker_of = np.unique(_checked(speakers, sentences), return_inverse=True)
        return draw_weights(len(names), resamples=resamples, seed=seed)[:, speaker_of]
    generator = np.random.default_rng(seed)
    weights = np.empty((resamples, sentences), dtype=np.uint16)
    for row in weights:
        drawn = generator.choice(sentences, size=sentences, replace=True)
        row[:] = np.bincount(drawn, minlength=sentences)
    return weights


def _checked(speakers: Sequence[str], sentences: int) -> list[str]:
    """The speakers, if a bootstrap can be made of them."""
    if len(speakers) != sentences:
        raise DataError(
            f"want one speaker a sentence: got {len(speakers)} for {sentences} sentences"
        )
    if len(set(speakers)) < 2:
        raise DataError(
            f"a bootstrap over speakers needs two or more, and all {sentences} sentences have the "
            f"speaker {speakers[0]!r}: leave the speakers (--utt2spk) out"
        )
    return list(speakers)


def resampled_scores(
    metric: Metric, counts: NDArray[np.float64], weights: NDArray[np.uint16]
) -> NDArray[np.float64]:
    """The metric's score on each resample.

    Parameters
    ----------
    metric : Metric
        What turns sums into a score.
    counts : array (sentences, S)
        `metric.counts`.
    weights : array (resamples, sentences)
        `draw_weights`.

    Returns
    -------
    array (resamples,)
    """
    return np.array([metric.score(row @ counts) for row in weights])


def interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval: a fortieth of the resamples is cut off at each end."""
    ordered = np.sort(scores)
    cut = len(ordered) // 40
    return float(ordered[cut]), float(ordered[len(ordered) - cut - 1])


def p_value(
    scores: NDArray[np.float64], baseline_scores: NDArray[np.float64], *, delta: float
) -> float:
    """How easily chance alone would make a difference like this one, as `sacrebleu --paired-bs`.

    The absolute differences on the resamples, moved to a mean of zero, are held against the
    absolute difference on the test set; the p-value is the part of them that exceeds it. For a
    clear difference that is the chance of one this large in this direction: a one-sided test.

    Parameters
    ----------
    scores, baseline_scores : array (resamples,)
        Of both systems on the same resamples.
    delta : float
        The difference on the whole test set.

    Returns
    -------
    float
        Above 0 and at most 1. Two systems that no resample tells apart get 1, where sacreBLEU
        would give 1 / (resamples + 1).
    """
    differences = np.abs(scores - baseline_scores)
    if delta == 0 and not differences.any():
        return 1.0
    exceeding = np.count_nonzero(differences - differences.mean() > abs(delta))
    return float(exceeding + 1) / (len(differences) + 1)
