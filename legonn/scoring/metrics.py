"""Metrics: what is counted in each sentence, and the figure made from the sums of these counts.

Kept apart so that a bootstrap resample costs one sum, not another look at the texts.
"""

from __future__ import annotations

import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from legonn.errors import ConfigError
from legonn.scoring.edits import Edits, align
from legonn.scoring.normalise import get_normaliser

__all__ = ["METRICS", "ErrorRate", "ExactMatch", "Metric", "SacreBLEUMetric", "get_metrics"]


class Metric(ABC):
    """What the scorer asks of a metric. N sentences, S counts a sentence.

    Attributes
    ----------
    name : str
        Its key in `METRICS` and in a results file.
    label : str
        Its name in tables.
    higher_is_better : bool
        False for error rates.
    """

    name: str
    label: str
    higher_is_better: bool

    @abstractmethod
    def counts(self, *, hyps: Sequence[str], refs: Sequence[str]) -> NDArray[np.float64]:
        """Count in each sentence what the figure needs: (N, S)."""

    @abstractmethod
    def score(self, sums: NDArray[np.float64]) -> float:
        """The figure, from the counts summed over sentences: (S,)."""

    @abstractmethod
    def signature(self, *, resamples: int, seed: int) -> str:
        """Version and settings, one line; ask after `counts`."""


class SacreBLEUMetric(Metric):
    """One of sacreBLEU's metrics, at its defaults.

    sacreBLEU's public calls give an interval's half width and no percentiles, so its counts are
    taken from the methods under them; the tests hold both to be equal.

    Parameters
    ----------
    name, label, higher_is_better
        As in `Metric`.
    implementation : str
        The class in `sacrebleu.metrics`: `BLEU`, `CHRF` or `TER`.
    """

    def __init__(
        self, *, name: str, label: str, higher_is_better: bool, implementation: str
    ) -> None:
        # Imported here: a user of exact match alone, or of the report, needn't wait for it.
        from sacrebleu import metrics

        self.name = name
        self.label = label
        self.higher_is_better = higher_is_better
        self._metric: Any = getattr(metrics, implementation)()

    def counts(self, *, hyps: Sequence[str], refs: Sequence[str]) -> NDArray[np.float64]:
        statistics = self._metric._extract_corpus_statistics(list(hyps), [list(refs)])
        return np.asarray(statistics, dtype=np.float64)

    def score(self, sums: NDArray[np.float64]) -> float:
        return float(self._metric._compute_score_from_stats(sums.copy()).score)

    def signature(self, *, resamples: int, seed: int) -> str:
        self._metric.n_bootstrap, self._metric.seed = resamples, seed
        return str(self._metric.get_signature())


class ExactMatch(Metric):
    """Percentage of sentences equal to their reference, white space at both ends aside."""

    name = "exact"
    label = "exact %"
    higher_is_better = True

    def counts(self, *, hyps: Sequence[str], refs: Sequence[str]) -> NDArray[np.float64]:
        equal = [(hyp.strip() == ref.strip(), True) for hyp, ref in zip(hyps, refs, strict=True)]
        return np.asarray(equal, dtype=np.float64)  # (N, 2): equal, one

    def score(self, sums: NDArray[np.float64]) -> float:
        return float(100.0 * sums[0] / sums[1])

    def signature(self, *, resamples: int, seed: int) -> str:
        return "exact|strip"


class ErrorRate(Metric):
    """Words or characters that are wrong, in percent of the reference's: WER, CER.

    Above 100 where a system says much more than the reference. For scripts without blanks between
    words, CER is the one to look at.

    Parameters
    ----------
    name, label
        As in `Metric`.
    units : str
        `words` or `characters`.
    normaliser : str
        What both texts go through first, a key of `legonn.scoring.normalise.NORMALISERS`.
    """

    higher_is_better = False

    def __init__(self, *, name: str, label: str, units: str, normaliser: str) -> None:
        get_normaliser(normaliser)  # an unknown one stops here
        self.name = name
        self.label = label
        self.units = units
        self.normaliser = normaliser

    def counts(self, *, hyps: Sequence[str], refs: Sequence[str]) -> NDArray[np.float64]:
        output = align(hyps=hyps, refs=refs, units=self.units, normaliser=self.normaliser)
        edits = [Edits.of(chunks) for chunks in output.alignments]
        rows = [(e.substitutions, e.deletions, e.insertions, e.length) for e in edits]
        return np.asarray(rows, dtype=np.float64)  # (N, 4)

    def score(self, sums: NDArray[np.float64]) -> float:
        # A resample of empty references alone has no rate; as in jiwer, it counts its insertions.
        return float(100.0 * sums[:3].sum() / max(sums[3], 1.0))

    def signature(self, *, resamples: int, seed: int) -> str:
        version = importlib.metadata.version("jiwer")
        return f"{self.name}|norm:{self.normaliser}|bs:{resamples}|seed:{seed}|jiwer:{version}"


# Closed: a metric that isn't here doesn't exist. The order is that of the tables' columns. Each is
# built with the name of a normaliser, which only the error rates heed.
METRICS: dict[str, Callable[[str], Metric]] = {
    "bleu": lambda _: SacreBLEUMetric(
        name="bleu", label="BLEU", higher_is_better=True, implementation="BLEU"
    ),
    "chrf": lambda _: SacreBLEUMetric(
        name="chrf", label="chrF2", higher_is_better=True, implementation="CHRF"
    ),
    "ter": lambda _: SacreBLEUMetric(
        name="ter", label="TER", higher_is_better=False, implementation="TER"
    ),
    "exact": lambda _: ExactMatch(),
    "wer": lambda normaliser: ErrorRate(
        name="wer", label="WER", units="words", normaliser=normaliser
    ),
    "cer": lambda normaliser: ErrorRate(
        name="cer", label="CER", units="characters", normaliser=normaliser
    ),
}


def get_metrics(names: Sequence[str], *, normaliser: str = "basic") -> list[Metric]:
    """Build the metrics of these names, each once, in the order given.

    Parameters
    ----------
    names : sequence of str
        Keys of `METRICS`.
    normaliser : str
        For the error rates: a key of `legonn.scoring.normalise.NORMALISERS`.

    Raises
    ------
    ConfigError
        When a name is unknown, or none is given.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        got = ", ".join(map(repr, unknown)) or "none"
        raise ConfigError(f"unknown metric {got}: choose from {', '.join(METRICS)}")
    return [METRICS[name](normaliser) for name in dict.fromkeys(names)]
