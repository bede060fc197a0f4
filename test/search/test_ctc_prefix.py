"""CTC prefix probabilities against the enumeration of every path, and against ESPnet's own."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch
from espnet.nets.scorers.ctc import CTCPrefixScorer as ESPnetCTCPrefixScorer
from torch import Tensor

from legonn.search.ctc_prefix import CTCPrefixScorer, CTCScorer

EOS = 3  # of 0 blank, 1, 2, 3


def log_probs_of(seed: int, positions: int = 4, vocabulary: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(positions, vocabulary, generator=generator)).log_softmax(dim=-1)


def output_probabilities(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Probability of every output: the sum over all V**K paths that collapse to it."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    positions, vocabulary = log_probs.shape
    for path in itertools.product(range(vocabulary), repeat=positions):
        merged = tuple(token for token, _ in itertools.groupby(path) if token != 0)
        found[merged] += math.exp(sum(log_probs[k, token].item() for k, token in enumerate(path)))
    return found


def follow(scorer: CTCPrefixScorer, log_probs: Tensor, prefix: tuple[int, ...]) -> Tensor:
    """Scores of the next token after each token of `prefix`: (len(prefix) + 1, V)."""
    state = scorer.init_state(log_probs)
    rows = []
    for length in range(len(prefix) + 1):
        y = torch.tensor([EOS, *prefix[:length]])
        scores, state = scorer.score(y, state, log_probs)
        rows.append(scores)
    return torch.stack(rows)


@pytest.mark.parametrize("prefix", [(), (1,), (2, 1), (1, 1), (2, 2, 1)])
def test_every_next_token_against_enumeration(prefix: tuple[int, ...]) -> None:
    log_probs = log_probs_of(0)
    # The token list has <eos>, but no CTC target has: a trained interface gives it nothing.
    log_probs[:, EOS] = -torch.inf
    log_probs = log_probs.log_softmax(dim=-1)
    outputs = output_probabilities(log_probs)

    def psi(start: tuple[int, ...]) -> float:
        return sum(p for output, p in outputs.items() if output[: len(start)] == start)

    scores = follow(CTCPrefixScorer(eos=EOS), log_probs, prefix)[-1].exp()
    assert scores[1].item() == pytest.approx(psi((*prefix, 1)) / psi(prefix), abs=1e-6)
    assert scores[2].item() == pytest.approx(psi((*prefix, 2)) / psi(prefix), abs=1e-6)
    assert scores[EOS].item() == pytest.approx(outputs[prefix] / psi(prefix), abs=1e-6)
    assert scores[0].item() == 0.0  # no output holds a blank
    assert scores.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_the_scores_of_a_whole_output_add_up_to_its_probability() -> None:
    log_probs = log_probs_of(1, positions=6)
    output = (1, 1, 2)
    rows = follow(CTCPrefixScorer(eos=EOS), log_probs, output)
    total = sum(rows[i, token].item() for i, token in enumerate((*output, EOS)))
    expected = -torch.nn.functional.ctc_loss(
        log_probs[:, None],
        torch.tensor([output]),
        torch.tensor([6]),
        torch.tensor([3]),
        reduction="sum",
    )
    assert total == pytest.approx(expected.item(), abs=1e-4)


def test_an_output_that_does_not_fit_is_impossible() -> None:
    rows = follow(CTCPrefixScorer(eos=EOS), log_probs_of(2, positions=3), (1, 2))
    assert rows[2, 1].isfinite()  # 1 2 1 fills three positions
    assert rows[2, 2] == -math.inf  # 1 2 2 needs a blank, so four


def test_two_utterances_at_once_equal_each_alone() -> None:
    scorer = CTCPrefixScorer(eos=EOS)
    both = [log_probs_of(3), log_probs_of(4)]
    states = [scorer.init_state(x) for x in both for _ in range(2)]
    for ys in ([[EOS]] * 4, [[EOS, 1], [EOS, 2], [EOS, 1], [EOS, 2]]):
        scores, states = scorer.batch_score(torch.tensor(ys), states, torch.zeros(4, 1, 1))
    for row, (x, prefix) in enumerate([(both[i], (token,)) for i in (0, 1) for token in (1, 2)]):
        torch.testing.assert_close(scores[row], follow(scorer, x, prefix)[-1])


@pytest.mark.parametrize("seed", range(5))
def test_equals_espnets_scorer(seed: int) -> None:
    log_probs = log_probs_of(seed, positions=8, vocabulary=6)
    eos, prefix = 5, [1, 1, 4, 2, 2]

    class Held:
        def log_softmax(self, x: Tensor) -> Tensor:
            return log_probs[None]

    theirs = ESPnetCTCPrefixScorer(Held(), eos)
    theirs.batch_init_state(log_probs)
    ours = CTCPrefixScorer(eos=eos)
    state, their_state = ours.init_state(log_probs), None
    for length in range(len(prefix) + 1):
        y = torch.tensor([eos, *prefix[:length]])
        scores, state = ours.score(y, state, log_probs)
        expected, grown = theirs.batch_score_partial(y[None], None, [their_state], log_probs)
        finite = scores.isfinite()
        assert finite.tolist() == (expected[0] > -1e8).tolist()
        torch.testing.assert_close(scores[finite], expected[0][finite], atol=1e-4, rtol=1e-4)
        if length < len(prefix):
            their_state = theirs.select_state(grown, 0, prefix[length])


def test_many_hypotheses_of_padded_utterances_equal_one_by_one() -> None:
    """Against ESPnet's way of asking, which the tests above hold against enumeration."""
    lengths = (7, 4, 5)
    rows = [log_probs_of(i, positions=n, vocabulary=6) for i, n in enumerate(lengths)]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-0.1)
    scorer = CTCScorer(padded, torch.tensor(lengths), size=2, eos=5)
    one = CTCPrefixScorer(eos=5)
    prefixes = [[[5], [5]] for _ in lengths]
    candidates = torch.tensor([[[1, 2, 3, 4, 0, 5], [4, 4, 2, 5, 0, 1]]] * 3)
    scorer.step(torch.full((3, 2), 5))
    # Tokens, and which slots they go on from; then utterance 1 leaves.
    for tokens, parents in (([1, 2], [0, 1]), ([1, 3], [1, 1]), ([3, 3], [1, 0])):
        scorer.reorder(torch.tensor([parents] * 3))
        scorer.step(torch.tensor([tokens] * 3))
        prefixes = [
            [[*slots[parent], token] for token, parent in zip(tokens, parents, strict=True)]
            for slots in prefixes
        ]
        _compare(scorer, one, candidates, prefixes, rows)
    kept = torch.tensor([2, 0])
    scorer.keep(kept)
    _compare(scorer, one, candidates[kept], [prefixes[2], prefixes[0]], [rows[2], rows[0]])


def _compare(
    scorer: CTCScorer,
    one: CTCPrefixScorer,
    candidates: Tensor,
    prefixes: list[list[list[int]]],
    rows: list[Tensor],
) -> None:
    found = scorer.score(candidates)
    for n, slots in enumerate(prefixes):
        for j, prefix in enumerate(slots):
            wanted = follow(one, rows[n], tuple(prefix[1:]))[-1][candidates[n, j]]
            if wanted.isnan().any():  # the prefix doesn't fit: its scores may be anything
                continue
            torch.testing.assert_close(found[n, j], wanted, atol=1e-5, rtol=1e-5)


def test_many_positions_lose_no_precision() -> None:
    """Golden: PyTorch's `ctc_loss` in double precision, of a long output that is far from the best."""
    log_probs = 3 * log_probs_of(7, positions=400, vocabulary=5)
    log_probs = log_probs.log_softmax(dim=-1)
    output = tuple(1 + i % 3 for i in range(100))
    rows = follow(CTCPrefixScorer(eos=4), log_probs, output)
    total = sum(rows[i, token].item() for i, token in enumerate((*output, 4)))
    expected = -torch.nn.functional.ctc_loss(
        log_probs.double()[:, None],
        torch.tensor([output]),
        torch.tensor([400]),
        torch.tensor([100]),
        reduction="sum",
    )
    assert total == pytest.approx(expected.item(), abs=2e-3)


def test_it_suggests_what_is_probable_anywhere() -> None:
    rows = torch.tensor(
        [
            [[0.1, 0.6, 0.1, 0.1, 0.1], [0.5, 0.1, 0.1, 0.2, 0.1], [0.1, 0.1, 0.1, 0.1, 0.6]],
            [[0.2, 0.2, 0.4, 0.1, 0.1], [0.1, 0.1, 0.1, 0.6, 0.1], [0.0, 0.9, 0.1, 0.0, 0.0]],
        ]
    )
    # Of the second, two positions: what is beyond the end doesn't count; nor do blank and <eos>, ids 0 and 4.
    scorer = CTCScorer(rows.log(), torch.tensor([3, 2]), size=1, eos=4)
    assert scorer.suggest(2).tolist() == [[1, 3], [3, 2]]
    assert scorer.suggest(9).shape == (2, 3)
