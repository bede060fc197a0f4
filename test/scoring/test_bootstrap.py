"""The bootstrap against sacreBLEU's, and against what must hold by construction."""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest, Result

from legonn.errors import DataError
from legonn.scoring import get_metrics
from legonn.scoring.bootstrap import draw_weights, interval, p_value, resampled_scores

SACREBLEU = {"bleu": BLEU, "chrf": CHRF, "ter": TER}
Systems = dict[str, list[str]]


def resampled(name: str, hyps: list[str], refs: list[str]) -> tuple[float, NDArray[np.float64]]:
    """Score on the test set and on the resamples."""
    (metric,) = get_metrics([name])
    counts = metric.counts(hyps=hyps, refs=refs)
    weights = draw_weights(len(refs))
    return metric.score(counts.sum(axis=0)), resampled_scores(metric, counts, weights)


def test_every_resample_has_as_many_sentences_as_the_test_set() -> None:
    weights = draw_weights(7, resamples=50)
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_resamples_depend_on_the_seed_alone() -> None:
    assert np.array_equal(draw_weights(20), draw_weights(20))
    assert not np.array_equal(draw_weights(20), draw_weights(20, seed=1))


@pytest.mark.parametrize("name", SACREBLEU)
def test_interval_has_sacrebleus_width(name: str, systems: Systems, refs: list[str]) -> None:
    golden = SACREBLEU[name]().corpus_score(systems["good"], [refs], n_bootstrap=1000)
    low, high = interval(resampled(name, systems["good"], refs)[1])
    assert (high - low) / 2 == pytest.approx(golden._ci, rel=1e-5)


@pytest.mark.parametrize("baseline", ["poor", "close"])
@pytest.mark.parametrize("name", SACREBLEU)
def test_p_value_is_sacrebleus(name: str, baseline: str, systems: Systems, refs: list[str]) -> None:
    pair: list[tuple[str, Sequence[str]]] = [(s, systems[s]) for s in (baseline, "good")]
    _, golden = PairedTest(pair, {name: SACREBLEU[name]()}, [refs], test_type="bs")()
    theirs, their_scores = resampled(name, systems[baseline], refs)
    ours, our_scores = resampled(name, systems["good"], refs)
    result = next(column[1] for title, column in golden.items() if title != "System")
    assert isinstance(result, Result)
    assert ours == pytest.approx(result.score)
    assert p_value(our_scores, their_scores, delta=ours - theirs) == pytest.approx(result.p_value)


def test_interval_cuts_a_fortieth_at_each_end() -> None:
    assert interval(np.arange(1000.0)[::-1]) == (25.0, 974.0)


def test_exact_match_interval_is_the_binomials() -> None:
    # 400 sentences, half of them right: the normal approximation to the binomial gives
    # 50 +- 1.96 * 100 * sqrt(0.25 / 400) = 50 +- 4.9.
    (metric,) = get_metrics(["exact"])
    counts = metric.counts(hyps=["a", "b"] * 200, refs=["a"] * 400)
    low, high = interval(resampled_scores(metric, counts, draw_weights(400)))
    assert low == pytest.approx(45.1, abs=0.6)
    assert high == pytest.approx(54.9, abs=0.6)


def test_a_system_against_itself_has_p_one(systems: Systems, refs: list[str]) -> None:
    _, scores = resampled("bleu", systems["good"], refs)
    assert p_value(scores, scores, delta=0.0) == 1.0


def test_a_system_that_is_never_wrong_against_one_that_always_is() -> None:
    # The difference is 100 on each resample, so it never exceeds its mean: p = 1 / 1001.
    assert p_value(np.full(1000, 100.0), np.zeros(1000), delta=100.0) == pytest.approx(1 / 1001)


def test_p_value_by_hand() -> None:
    # Differences 1, 3, 1, 3 have mean 2; less that they are -1, 1, -1, 1. Two exceed 0.5.
    scores = np.array([1.0, 3.0, 1.0, 3.0])
    assert p_value(scores, np.zeros(4), delta=0.5) == pytest.approx(3 / 5)


# Three speakers with 3, 2 and 1 sentences.
SPEAKERS = ["kim", "ann", "kim", "lee", "ann", "kim"]
SAID = ["a b c", "d e", "f g h i", "j", "k l m", "n o"]
HEARD = ["a b", "d e", "f g x i i", "", "k y z", "n o"]


def draws(resamples: int) -> list[list[int]]:
    """Each resample's sentences, by a plain loop over drawn speakers."""
    generator = np.random.default_rng(12345)
    found = []
    for _ in range(resamples):
        drawn = [sorted(set(SPEAKERS))[i] for i in generator.choice(3, size=3, replace=True)]
        found.append([i for name in drawn for i in range(6) if SPEAKERS[i] == name])
    return found


def test_a_drawn_speaker_brings_all_sentences() -> None:
    weights = draw_weights(6, resamples=50, speakers=SPEAKERS)
    assert [list(row) for row in weights] == [
        [drawn.count(i) for i in range(6)] for drawn in draws(50)
    ]
    # Kim, who has half of the sentences, three times; Lee, who has one, three times.
    assert {9, 3} <= set(weights.sum(axis=1))


def test_scores_of_speakers_resamples_are_those_of_their_texts_joined() -> None:
    (metric,) = get_metrics(["wer"])
    counts = metric.counts(hyps=HEARD, refs=SAID)
    scores = resampled_scores(metric, counts, draw_weights(6, resamples=50, speakers=SPEAKERS))
    golden = [
        100 * jiwer.wer([SAID[i] for i in drawn], [HEARD[i] for i in drawn]) for drawn in draws(50)
    ]
    assert scores == pytest.approx(golden)


def test_speakers_of_one_sentence_each_are_sentences() -> None:
    # Zero-padded, so that the speakers sort as the sentences stand.
    weights = draw_weights(20, speakers=[f"s{i:02d}" for i in range(20)])
    assert np.array_equal(weights, draw_weights(20))


def test_speakers_who_go_wrong_as_a_whole_widen_the_interval() -> None:
    # 10 speakers of 20 sentences each; every second one is all wrong. Binomial, as above:
    # 2 * 1.96 * sqrt(0.25 / 200) = 13.9 % wide over sentences, * sqrt(20) = 62 % over speakers.
    (metric,) = get_metrics(["wer"])
    speakers = [f"s{i // 20}" for i in range(200)]
    counts = metric.counts(hyps=["ab"[i // 20 % 2] for i in range(200)], refs=["a"] * 200)
    low, high = interval(resampled_scores(metric, counts, draw_weights(200)))
    assert high - low == pytest.approx(13.9, abs=1.5)
    low, high = interval(resampled_scores(metric, counts, draw_weights(200, speakers=speakers)))
    assert high - low == pytest.approx(62, abs=6)


def test_one_speaker_is_refused() -> None:
    # All resamples would be the test set: an interval of no width, and p = 1 / 1001 for anything.
    with pytest.raises(
        DataError, match="all 3 sentences have the speaker 'kim': leave the speakers"
    ):
        draw_weights(3, speakers=["kim"] * 3)


def test_each_sentence_needs_its_speaker() -> None:
    with pytest.raises(DataError, match="got 2 for 3 sentences"):
        draw_weights(3, speakers=["kim", "ann"])
