"""Whole scores: what a row holds, alone and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sacrebleu.metrics import BLEU

from legonn.scoring import METRICS, Baseline, Labels, get_metrics, measure

Systems = dict[str, list[str]]


def test_a_score_alone(systems: Systems, refs: list[str]) -> None:
    labels = Labels(system="lego", seed=3, versions={"python": "3.11.7"})
    (score,) = measure(
        refs=refs, hyps=systems["good"], metrics=get_metrics(["bleu"]), labels=labels
    )
    golden = BLEU().corpus_score(systems["good"], [refs]).score
    assert score.score == pytest.approx(golden, abs=1e-6)
    assert (score.system, score.seed, score.versions) == ("lego", 3, {"python": "3.11.7"})
    assert score.sentences == 10
    assert score.low is not None and score.high is not None
    assert score.low < score.score < score.high
    assert (score.baseline, score.delta, score.p_value) == (None, None, None)


def test_a_row_for_each_metric_and_baseline(systems: Systems, refs: list[str]) -> None:
    rows = measure(
        refs=refs,
        hyps=systems["good"],
        metrics=get_metrics(["exact", "ter"]),
        baselines=[Baseline("poor", systems["poor"]), Baseline("same", systems["good"])],
    )
    assert [(row.metric, row.baseline) for row in rows] == [
        ("exact", "poor"),
        ("exact", "same"),
        ("ter", "poor"),
        ("ter", "same"),
    ]
    assert rows[0].score == rows[1].score == 30.0
    assert rows[0].delta == 20.0
    assert rows[2].delta is not None and rows[2].delta < 0  # fewer errors


@pytest.mark.parametrize("name", METRICS)
def test_a_system_does_not_differ_from_itself(name: str, systems: Systems, refs: list[str]) -> None:
    (row,) = measure(
        refs=refs,
        hyps=systems["poor"],
        metrics=get_metrics([name]),
        baselines=[Baseline("itself", systems["poor"])],
    )
    assert (row.delta, row.p_value) == (0.0, 1.0)


@pytest.mark.parametrize("name", METRICS)
def test_right_against_wrong_is_significant_and_its_reverse_mirrors_it(
    name: str, refs: list[str]
) -> None:
    wrong = ["xyz qrs"] * 10
    (there,) = measure(
        refs=refs, hyps=refs, metrics=get_metrics([name]), baselines=[Baseline("b", wrong)]
    )
    (back,) = measure(
        refs=refs, hyps=wrong, metrics=get_metrics([name]), baselines=[Baseline("b", refs)]
    )
    assert there.p_value == back.p_value == pytest.approx(1 / 1001, abs=1e-6)
    assert there.delta == -(back.delta or 0) != 0


def test_comparing_leaves_score_and_interval_as_they_are(systems: Systems, refs: list[str]) -> None:
    metrics = get_metrics(["bleu"])
    (alone,) = measure(refs=refs, hyps=systems["good"], metrics=metrics)
    (row,) = measure(
        refs=refs, hyps=systems["good"], metrics=metrics, baselines=[Baseline("p", systems["poor"])]
    )
    assert (row.score, row.low, row.high) == (alone.score, alone.low, alone.high)


@pytest.mark.parametrize("name", METRICS)
def test_speakers_change_the_bootstrap_and_not_the_score(
    name: str, systems: Systems, refs: list[str]
) -> None:
    metrics, speakers = get_metrics([name]), list("aabbbccccd")
    (alone,) = measure(refs=refs, hyps=systems["good"], metrics=metrics)
    (score,) = measure(refs=refs, hyps=systems["good"], metrics=metrics, speakers=speakers)
    assert score.score == alone.score
    assert (score.low, score.high) != (alone.low, alone.high)
    assert score.signature == alone.signature + "|units:speakers"


def test_a_signature_says_that_the_speech_is_synthetic(systems: Systems, refs: list[str]) -> None:
    metrics, speakers = get_metrics(["wer"]), list("aabbbccccd")
    (person,) = measure(refs=refs, hyps=systems["good"], metrics=metrics, speakers=speakers)
    (machine,) = measure(
        refs=refs, hyps=systems["good"], metrics=metrics, speakers=speakers, synthetic=True
    )
    assert not person.synthetic and machine.synthetic
    assert machine.signature.split("|")[-2:] == ["speech:synthetic", "units:speakers"]
    assert replace(machine, signature=person.signature) == person


def test_a_paired_test_over_speakers_by_hand() -> None:
    # Three speakers, one word each. The system has c's wrong, the baseline none: on a resample with
    # k draws of c the system has k errors, and the difference is 100 k / 3.
    (row,) = measure(
        refs=["x", "x", "x"],
        hyps=["x", "x", "y"],
        metrics=get_metrics(["wer"]),
        baselines=[Baseline("b", ["x", "x", "x"])],
        speakers=["a", "b", "c"],
    )
    generator = np.random.default_rng(12345)
    draws = [list(generator.choice(3, size=3, replace=True)).count(2) for _ in range(1000)]
    moved = [100 * (drawn - sum(draws) / 1000) / 3 for drawn in draws]
    assert row.delta == pytest.approx(100 / 3, abs=1e-6)
    assert row.p_value == pytest.approx((sum(d > 100 / 3 for d in moved) + 1) / 1001, abs=1e-6)
