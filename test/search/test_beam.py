"""The beam search against exhaustive search, ESPnet's, and distributions made by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from espnet.nets.batch_beam_search import BatchBeamSearch
from espnet.nets.scorer_interface import BatchScorerInterface
from espnet.nets.scorers.ctc import CTCPrefixScorer as ESPnetCTCPrefixScorer
from espnet.nets.scorers.length_bonus import LengthBonus
from torch import Tensor

from legonn.chain import Chain
from legonn.search import BeamSearch, Found
from legonn.search.ctc_prefix import CTCScorer
from legonn.search.scorers import CandidateScorer, DecoderScorer, EspnetScorer, Scorer

EOS = 3


class Table(BatchScorerInterface):
    """The next token's probabilities by utterance, which is the state, and prefix."""

    def __init__(self, rows: Callable[[int, tuple[int, ...]], Tensor]) -> None:
        self.rows = rows
        self.calls = 0

    def init_state(self, x: Tensor) -> int:
        return int(x[0, 0])

    def batch_score(self, ys: Tensor, states: list[Any], xs: Tensor) -> tuple[Tensor, list[Any]]:
        self.calls += 1
        assert [int(x[0, 0]) for x in xs] == states  # each prefix with its own memory
        prefixes = [tuple(row[1:]) for row in ys.tolist()]
        rows = [self.rows(state, y) for state, y in zip(states, prefixes, strict=True)]
        return torch.stack(rows), states


def random_row(utterance: int, prefix: tuple[int, ...]) -> Tensor:
    """Log-probabilities (4,), always the same for one utterance and prefix."""
    seed = 5**8 * utterance + sum((token + 1) * 5**i for i, token in enumerate(prefix))
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(4, generator=generator)
    return logits.log_softmax(dim=-1)


def memory_of(*utterances: int) -> Tensor:
    return torch.tensor(utterances, dtype=torch.float32).view(-1, 1, 1)


def search(
    scorer: BatchScorerInterface,
    *utterances: int,
    fewest: int = 0,
    most: int,
    others: dict[str, BatchScorerInterface] | None = None,
    **options: Any,
) -> list[list[Found]]:
    """Search with one of ESPnet's scorers, `t`, and `others`."""
    usual: dict[str, Any] = {"beam_size": 4, "length_penalty": 1.0, "weights": {"t": 1.0}}
    beam = BeamSearch(sos=EOS, eos=EOS, **usual | options)
    scorers = {
        name: EspnetScorer(one, memory_of(*utterances), size=beam.beam_size, name=name)
        for name, one in {"t": scorer, **(others or {})}.items()
    }
    count = len(utterances)
    return beam(scorers, fewest=[fewest] * count, most=[most] * count)


def every_output(
    utterance: int, fewest: int, most: int, alpha: float, bonus: float = 0.0
) -> list[Found]:
    """All outputs with their normalised scores, the best first."""
    found = []
    for length in range(fewest, most + 1):
        for ids in itertools.product(range(EOS), repeat=length):
            tokens = (*ids, EOS)
            total = sum(
                random_row(utterance, ids[:i])[token].item() for i, token in enumerate(tokens)
            )
            score = (total + bonus * len(tokens)) / len(tokens) ** alpha
            found.append(Found(ids, score, {"t": total}))
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("bonus", [0.0, -0.5, 0.8, 5.0])
@pytest.mark.parametrize(("fewest", "most"), [(0, 3), (2, 4), (3, 3)])
def test_a_wide_beam_is_exhaustive(alpha: float, bonus: float, fewest: int, most: int) -> None:
    options: dict[str, Any] = {"beam_size": 3**4 * 2, "length_penalty": alpha, "nbest": 4}
    options["length_bonus"] = bonus
    results = search(Table(random_row), 1, 2, 3, fewest=fewest, most=most, **options)
    for utterance, found in zip((1, 2, 3), results, strict=True):
        expected = every_output(utterance, fewest, most, alpha, bonus)[:4]
        assert [one.ids for one in found] == [one.ids for one in expected]
        assert [one.score for one in found] == pytest.approx([e.score for e in expected], abs=1e-5)
        assert [one.scores["t"] for one in found] == pytest.approx(
            [e.scores["t"] for e in expected], abs=1e-5
        )


def test_a_beam_of_one_is_greedy() -> None:
    (found,) = search(Table(random_row), 6, most=9, beam_size=1)
    prefix: tuple[int, ...] = ()
    while (token := int(random_row(6, prefix).argmax())) != EOS:
        prefix = (*prefix, token)
    assert [one.ids for one in found] == [prefix]
    assert prefix == (2, 0, 1, 2, 0, 1)


@pytest.mark.parametrize("beam_size", [1, 2, 3])
def test_several_utterances_at_once_equal_each_alone(beam_size: int) -> None:
    options: dict[str, Any] = {"beam_size": beam_size, "fewest": 1, "most": 7}
    together = search(Table(random_row), *range(8), **options)
    alone = [search(Table(random_row), i, **options)[0] for i in range(8)]
    assert together == alone
    assert len({len(found[0].ids) for found in together}) > 1  # they end at different times


def brevity_row(utterance: int, prefix: tuple[int, ...]) -> Tensor:
    """No token at all: 0.30. `1 1 1 1`: 0.60 x 0.45 x 0.99 ... = 0.26, but over five tokens."""
    rows = {0: [0.02, 0.60, 0.08, 0.30], 1: [0.05, 0.45, 0.05, 0.45]}
    late = [0.005, 0.99, 0.0025, 0.0025] if len(prefix) < 4 else [0.005, 0.0025, 0.0025, 0.99]
    return torch.tensor(rows.get(len(prefix), late)).log()


def test_normalisation_decides_between_short_and_long() -> None:
    (summed,) = search(Table(brevity_row), 0, most=8, length_penalty=0.0)
    (mean,) = search(Table(brevity_row), 0, most=8, length_penalty=1.0)
    assert summed[0].ids == ()
    assert summed[0].score == pytest.approx(math.log(0.30))
    assert mean[0].ids == (1, 1, 1, 1)
    assert mean[0].score == pytest.approx(math.log(0.60 * 0.45 * 0.99**3) / 5, abs=1e-5)


def test_ends_when_nothing_can_overtake_and_not_before() -> None:
    table = Table(brevity_row)
    search(table, 0, most=50, length_penalty=0.0)
    assert table.calls == 2  # 0.60 could still win after one token; 0.27 can't after two
    table = Table(brevity_row)
    search(table, 0, most=50, length_penalty=1.0)
    assert 5 <= table.calls < 51


@pytest.mark.parametrize(
    ("patience", "calls", "best"), [(0.25, 1, ()), (0.5, 2, (1,)), (0.0, 0, (1, 1, 1, 1))]
)
def test_patience_ends_a_search_after_so_many_hypotheses(
    patience: float, calls: int, best: tuple[int, ...]
) -> None:
    """Of a beam of four: after the first that ends, which is the empty one, and after the second, `1`."""
    table = Table(brevity_row)
    (found,) = search(table, 0, most=50, length_penalty=1.0, patience=patience)
    assert found[0].ids == best
    assert table.calls == calls or not calls and table.calls >= 5


def test_with_a_bonus_the_search_goes_on_to_the_limit() -> None:
    table = Table(brevity_row)
    (found,) = search(
        table,
        0,
        most=6,
        others={"bonus": LengthBonus(4)},
        weights={"t": 1.0, "bonus": 8.0},
        length_penalty=0.0,
        log_probabilities=False,
    )
    assert table.calls == 7
    assert len(found[0].ids) == 6  # 8 nats a token outweigh what the table takes
    assert found[0].scores["bonus"] == 7.0


def test_a_bonus_without_a_scorer_ends_as_soon_as_it_can() -> None:
    """The same as ESPnet's scorer of it, which makes a search go on to the limit."""
    usual: dict[str, Any] = {"most": 30, "length_penalty": 0.0}
    scored: dict[str, Any] = {
        "others": {"bonus": LengthBonus(4)},
        "weights": {"t": 1.0, "bonus": 0.3},
    }
    (slow,) = search(Table(brevity_row), 0, **usual, **scored, log_probabilities=False)
    table = Table(brevity_row)
    (fast,) = search(table, 0, **usual, length_bonus=0.3)
    assert [one.ids for one in fast] == [one.ids for one in slow]
    assert [one.score for one in fast] == pytest.approx([one.score for one in slow])
    assert fast[0].ids == (1, 1, 1, 1) and table.calls < 31


def test_the_eos_that_the_limit_forces_is_scored() -> None:
    (found,) = search(Table(brevity_row), 0, fewest=2, most=2)
    assert found[0].ids == (1, 1)
    assert found[0].scores["t"] == pytest.approx(math.log(0.60 * 0.45 * 0.0025), abs=1e-5)


def test_limits_are_each_utterances_own() -> None:
    beam = BeamSearch(weights={"t": 1.0}, beam_size=3, length_penalty=1.0, sos=EOS, eos=EOS)
    limits = {1: (0, 0), 2: (2, 2), 3: (5, 6), 4: (0, 7)}
    scorer = EspnetScorer(Table(random_row), memory_of(*limits), size=3)
    fewest, most = zip(*limits.values(), strict=True)
    together = beam({"t": scorer}, fewest=fewest, most=most)
    for utterance, found in zip(limits, together, strict=True):
        low, high = limits[utterance]
        assert [found] == search(Table(random_row), utterance, fewest=low, most=high, beam_size=3)
        assert low <= len(found[0].ids) <= high


def test_nothing_is_found_where_every_output_is_forbidden() -> None:
    def silent(utterance: int, prefix: tuple[int, ...]) -> Tensor:
        return torch.tensor([0.0, 0.0, 0.0, 1.0]).log()

    assert search(Table(silent), 0, fewest=2, most=3) == [[]]
    assert search(Table(silent), 0, most=3) == [[Found((), 0.0, {"t": 0.0})]]


def test_scorers_that_score_only_some_tokens_are_refused() -> None:
    with pytest.raises(TypeError, match="'t' scores only some tokens"):
        search(ESPnetCTCPrefixScorer(None, EOS), 0, most=3)


def test_a_search_needs_a_scorer() -> None:
    with pytest.raises(ValueError, match="no scorer has a weight"):
        search(Table(random_row), 0, most=3, weights={})
    with pytest.raises(ValueError, match="no scorer with a weight scores all tokens"):
        search(Table(random_row), 0, most=3, weights={"other": 1.0})


def ending_row(utterance: int, prefix: tuple[int, ...]) -> Tensor:
    """Random, but `<eos>` is nearly certain from the fourth token on.

    ESPnet's search adds an unscored `<eos>` at its limit; so none gets there.
    """
    bonus = torch.tensor([0.0, 0.0, 0.0, 12.0 if len(prefix) >= 4 else 0.0])
    return (random_row(utterance, prefix) + bonus).log_softmax(dim=-1)


@pytest.mark.parametrize("utterance", range(12))
@pytest.mark.parametrize("beam_size", [1, 2, 4])
def test_equals_espnets_search(utterance: int, beam_size: int) -> None:
    theirs = BatchBeamSearch(
        scorers={"t": Table(ending_row)},
        weights={"t": 1.0},
        beam_size=beam_size,
        vocab_size=4,
        sos=EOS,
        eos=EOS,
        normalize_length=True,
    )
    best = theirs(memory_of(utterance)[0], maxlenratio=-9)[0]
    (ours,) = search(Table(ending_row), utterance, most=9, beam_size=beam_size)
    assert ours[0].ids == tuple(best.yseq[1:-1].tolist())
    assert ours[0].score == pytest.approx(float(best.score) / (len(best.yseq) - 1), abs=1e-5)


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 6, 8, 9, 10, 11])  # 1, 5, 7 leave too few to compare
def test_joint_search_equals_espnets(make_chain: Callable[..., Chain], seed: int) -> None:
    """Our decoder and our CTC scorer in our search; ESPnet's search with its own CTC scorer."""
    chain = make_chain(seed)
    eos = chain.eos

    class Held:
        def log_softmax(self, x: Tensor) -> Tensor:
            return log_probs[None].clone()

    with torch.inference_mode():
        chain.decoder.output.bias[eos] += 2.0  # so that outputs of many lengths end
        encoded = chain.encode(torch.tensor([[2, 3, 4, 5, 2]]), torch.tensor([5]))
        log_probs = encoded.marginals[-1].log_probs[0]
        weights = {"decoder": 0.6, "ctc": 0.4}
        theirs = BatchBeamSearch(
            scorers={"decoder": chain.decoder, "ctc": ESPnetCTCPrefixScorer(Held(), eos)},
            weights=weights,
            beam_size=4,
            vocab_size=eos + 1,
            sos=eos,
            eos=eos,
            normalize_length=True,
            pre_beam_score_key="full",
        )
        most = len(log_probs)  # ESPnet's scorer fails on prefixes as long as the input
        expected = {
            tuple(found.yseq[1:-1].tolist()): float(found.score) / (len(found.yseq) - 1)
            for found in theirs(encoded.memory[0], maxlenratio=-most)
            if len(found.yseq) < most + 1  # at its limit ESPnet adds an <eos> unscored, or a second
            and float(found.score) > -1e8  # it keeps what CTC can't emit: its log(0) is -1e10
        }
        scorers: dict[str, Scorer] = {
            "decoder": DecoderScorer(chain.decoder, encoded.memory, encoded.lengths, size=4),
            "ctc": CTCScorer(log_probs[None], encoded.lengths, size=4, eos=eos),
        }
        (ours,) = BeamSearch(
            weights=weights,
            beam_size=4,
            nbest=100,
            length_penalty=1.0,
            pre_beam=6,
            sos=eos,
            eos=eos,
        )(scorers, fewest=[0], most=[most])
    found = {one.ids: one.score for one in ours if len(one.ids) < most - 1}
    assert len(found) > 2
    assert found == pytest.approx(expected, abs=1e-4)


class Hidden(CandidateScorer):
    """Thinks much of one token, and nothing of the others."""

    def __init__(self, token: int) -> None:
        self.token = token

    def step(self, tokens: Tensor) -> None:
        pass

    def score(self, candidates: Tensor) -> Tensor:
        return torch.where(candidates == self.token, -0.1, -20.0)

    def suggest(self, count: int) -> Tensor:
        return torch.tensor([[self.token]])[:, :count]

    def reorder(self, parents: Tensor) -> None:
        pass

    def keep(self, utterances: Tensor) -> None:
        pass


@pytest.mark.parametrize(("suggestions", "found"), [(0, False), (1, True)])
def test_what_only_one_scorer_thinks_of_is_found_when_it_is_suggested(
    suggestions: int, found: bool
) -> None:
    def row(utterance: int, prefix: tuple[int, ...]) -> Tensor:
        return torch.arange(20).flip(0).float().log_softmax(dim=-1)  # the last token is the worst

    beam = BeamSearch(
        weights={"t": 0.5, "hidden": 0.5},
        beam_size=1,
        length_penalty=0.0,
        pre_beam=2,
        suggestions=suggestions,
        sos=0,
        eos=0,
    )
    scorers = {"t": EspnetScorer(Table(row), memory_of(0), size=1), "hidden": Hidden(19)}
    ((best,),) = beam(scorers, fewest=[1], most=[1])
    assert (best.ids == (19,)) == found
