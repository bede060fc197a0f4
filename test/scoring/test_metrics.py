"""Metrics against sacreBLEU's and jiwer's own public calls, and against counting by eye."""

from __future__ import annotations

from importlib.metadata import version

import jiwer
import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from legonn.errors import ConfigError, DataError
from legonn.scoring import METRICS, get_metrics

Systems = dict[str, list[str]]
SACREBLEU = {"bleu": BLEU, "chrf": CHRF, "ter": TER}
JIWER = {"wer": jiwer.wer, "cer": jiwer.cer}


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


@pytest.mark.parametrize("system", ["good", "poor", "silent", "perfect"])
@pytest.mark.parametrize("name", JIWER)
def test_error_rates_are_jiwers_of_the_whole_lists(
    name: str, system: str, systems: Systems, refs: list[str]
) -> None:
    (metric,) = get_metrics([name], normaliser="none")
    sums = metric.counts(hyps=systems[system], refs=refs).sum(axis=0)
    assert metric.score(sums) == pytest.approx(100 * JIWER[name](refs, systems[system]))


def test_word_errors_by_eye() -> None:
    (metric,) = get_metrics(["wer"])
    refs = ["a b c d", "a b c d", "a b", "a b c", "a", "!"]
    hyps = ["A, b c d.", "a X c", "a b b b", "", "b c", "um"]
    counts = metric.counts(hyps=hyps, refs=refs)
    # substitutions, deletions, insertions, reference words
    rows = [(0, 0, 0, 4), (1, 1, 0, 4), (0, 0, 2, 2), (0, 3, 0, 3), (1, 0, 1, 1), (0, 0, 1, 0)]
    assert [tuple(row) for row in counts] == rows
    assert metric.score(counts.sum(axis=0)) == pytest.approx(100 * (2 + 4 + 4) / 14)


def test_character_errors_by_eye() -> None:
    (metric,) = get_metrics(["cer"])
    counts = metric.counts(
        hyps=["ab c", "abc", "你坏", ""], refs=["ab cd", "ab c", "你好。", "e\u0301"]
    )
    assert [tuple(row) for row in counts] == [
        (0, 1, 0, 5),
        (0, 1, 0, 4),
        (1, 0, 0, 2),
        (0, 1, 0, 1),
    ]
    assert metric.score(counts.sum(axis=0)) == pytest.approx(100 * 4 / 12)


def test_a_rate_may_exceed_a_hundred() -> None:
    (metric,) = get_metrics(["wer"])
    assert metric.score(metric.counts(hyps=["a b c"], refs=["d"]).sum(axis=0)) == 300


def test_a_resample_without_reference_words_counts_insertions_as_jiwer_does() -> None:
    (metric,) = get_metrics(["wer"])
    assert metric.score(np.array([0.0, 0.0, 2.0, 0.0])) == 100 * jiwer.wer([""], ["b c"]) == 200
    assert metric.score(np.zeros(4)) == 100 * jiwer.wer([""], [""]) == 0


@pytest.mark.parametrize(("name", "units"), [("wer", "words"), ("cer", "characters")])
def test_a_set_without_reference_words_has_no_rate(name: str, units: str) -> None:
    (metric,) = get_metrics([name])
    message = (
        f"without reference {units}: the normaliser 'basic' leaves nothing of 2 references.*'!'"
    )
    with pytest.raises(DataError, match=message):
        metric.counts(hyps=["a", ""], refs=["!", "?"])


@pytest.mark.parametrize(("normaliser", "score"), [("basic", 0), ("none", 100)])
def test_the_normaliser_is_that_of_error_rates_and_in_their_signatures(
    normaliser: str, score: float
) -> None:
    wer, exact = get_metrics(["wer", "exact"], normaliser=normaliser)
    texts = {"hyps": ["Two  dogs."], "refs": ["two DOGS"]}
    assert wer.score(wer.counts(**texts).sum(axis=0)) == score
    assert exact.score(exact.counts(**texts).sum(axis=0)) == 0
    golden = f"wer|norm:{normaliser}|bs:50|seed:3|jiwer:{version('jiwer')}"
    assert wer.signature(resamples=50, seed=3) == golden
    assert "norm" not in exact.signature(resamples=50, seed=3)


def test_an_unknown_normaliser_is_named_with_the_legal_ones() -> None:
    with pytest.raises(ConfigError, match="normaliser 'whisper': choose from basic, none"):
        get_metrics(["wer"], normaliser="whisper")


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
    assert [metric.name for metric in metrics if not metric.higher_is_better] == [
        "ter",
        "wer",
        "cer",
    ]


def test_each_metric_once_in_the_order_given() -> None:
    assert [m.name for m in get_metrics(["exact", "bleu", "exact"])] == ["exact", "bleu"]


@pytest.mark.parametrize(("names", "got"), [(["bleu", "bluert"], "'bluert'"), ([], "none")])
def test_an_unknown_metric_is_named_with_the_legal_ones(names: list[str], got: str) -> None:
    with pytest.raises(
        ConfigError, match=f"metric {got}: choose from bleu, chrf, ter, exact, wer, cer"
    ):
        get_metrics(names)
