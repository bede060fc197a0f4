"""Metrics against sacreBLEU's own public calls, and exact match against counting by eye."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from legonn.errors import ConfigError
from legonn.scoring import METRICS, get_metrics

Systems = dict[str, list[str]]
SACREBLEU = {"bleu": BLEU, "chrf": CHRF, "ter": TER}


@pytest.mark.parametrize("system", ["good", "poor", "silent", "perfect"])
@pytest.mark.parametrize("name", SACREBLEU)
def test_scores_are_sacrebleus(name: str, system: str, systems: Systems, refs: list[str]) -> None:
    (metric,) = get_metrics([name])
    sums = metric.counts(hyps=systems[system], refs=refs).sum(axis=0)
    golden = SACREBLEU[name]().corpus_score(systems[system], [refs])
    assert metric.score(sums) == pytest.approx(golden.score)


@pytest.mark.parametrize("name", SACREBLEU)
def test_signatures_are_sacrebleus(name: str, refs: list[str]) -> None:
    golden = SACREBLEU[name]()
    golden.corpus_score(refs, [refs], n_bootstrap=1000)
    (metric,) = get_metrics([name])
    metric.counts(hyps=refs, refs=refs)
    assert metric.signature(resamples=1000, seed=12345) == str(golden.get_signature())


@pytest.mark.parametrize(
    ("system", "score"), [("good", 30), ("poor", 10), ("silent", 0), ("perfect", 100)]
)
def test_exact_match(system: str, score: float, systems: Systems, refs: list[str]) -> None:
    (metric,) = get_metrics(["exact"])
    counts = metric.counts(hyps=systems[system], refs=refs)
    assert metric.score(counts.sum(axis=0)) == pytest.approx(score)


def test_exact_match_strips_both_ends_and_nothing_else() -> None:
    (metric,) = get_metrics(["exact"])
    counts = metric.counts(hyps=[" a b\t", "a  b", "A b", ""], refs=["a b"] * 4)
    assert np.array_equal(counts, [[1, 1], [0, 1], [0, 1], [0, 1]])
    assert metric.signature(resamples=1000, seed=12345) == "exact|strip"


@pytest.mark.parametrize("name", METRICS)
def test_scoring_leaves_its_sums_as_they_are(name: str, systems: Systems, refs: list[str]) -> None:
    (metric,) = get_metrics([name])
    sums = metric.counts(hyps=systems["poor"], refs=refs).sum(axis=0)
    before = sums.copy()
    assert metric.score(sums) == metric.score(sums)
    assert np.array_equal(sums, before)


def test_names_agree_with_the_registry_and_only_an_error_rate_is_better_low() -> None:
    metrics = get_metrics(list(METRICS))
    assert [metric.name for metric in metrics] == list(METRICS)
    assert [metric.name for metric in metrics if not metric.higher_is_better] == ["ter"]


def test_each_metric_once_in_the_order_given() -> None:
    assert [m.name for m in get_metrics(["exact", "bleu", "exact"])] == ["exact", "bleu"]


@pytest.mark.parametrize(("names", "got"), [(["bleu", "bluert"], "'bluert'"), ([], "none")])
def test_an_unknown_metric_is_named_with_the_legal_ones(names: list[str], got: str) -> None:
    with pytest.raises(ConfigError, match=f"metric {got}: choose from bleu, chrf, ter, exact"):
        get_metrics(names)
