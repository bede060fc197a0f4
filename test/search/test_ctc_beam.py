"""CTC prefix beam search against the enumeration of every path."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from legonn.search.ctc_beam import prefix_beam_search

A, B, EOS = 1, 2, 3  # 0 is the blank


def marginals(seed: int, positions: int) -> Tensor:
    """Log-probabilities (K, 4); a trained interface gives `<eos>` nothing."""
    generator = torch.Generator().manual_seed(seed)
    scores = 1.5 * torch.randn(positions, 4, generator=generator)
    scores[:, EOS] = -torch.inf
    return scores.log_softmax(dim=-1)


def enumerated(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Log-probability of every output: all paths that give it, summed."""
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(EOS), repeat=len(log_probs)):
        output = tuple(token for token, _ in itertools.groupby(path) if token)
        found[output] += math.exp(sum(log_probs[k, token].item() for k, token in enumerate(path)))
    return {output: math.log(total) for output, total in found.items()}


def search(
    *utterances: Tensor, beam_size: int, tokens: int = 2
) -> list[dict[tuple[int, ...], float]]:
    lengths = torch.tensor([len(one) for one in utterances])
    padded = torch.full((len(utterances), int(lengths.max()), 4), 0.25).log()
    for row, one in zip(padded, utterances, strict=True):
        row[: len(one)] = one
    found = prefix_beam_search(padded, lengths, beam_size=beam_size, tokens=tokens, eos=EOS)
    assert all(len({ids for ids, _ in row}) == len(row) for row in found)
    return [dict(row) for row in found]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("positions", [1, 2, 5])
def test_a_wide_beam_has_every_output_with_its_probability(seed: int, positions: int) -> None:
    log_probs = marginals(seed, positions)
    expected = enumerated(log_probs)
    (found,) = search(log_probs, beam_size=len(expected) + 3)
    assert found == pytest.approx(expected, abs=1e-6)
    assert list(found) == sorted(expected, key=lambda output: -expected[output])
    assert math.fsum(map(math.exp, found.values())) == pytest.approx(1.0, abs=1e-6)


def plain_search(log_probs: Tensor, beam_size: int) -> dict[tuple[int, ...], float]:
    """The textbook's, one utterance, prefixes in a dictionary: probabilities of paths that end in a token, in blank."""
    prefixes: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, 1.0)}
    for row in log_probs.exp().tolist():
        longer: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (in_token, in_blank) in prefixes.items():
            longer[prefix][1] += (in_token + in_blank) * row[0]
            for token in (A, B):
                if prefix[-1:] == (token,):
                    longer[prefix][0] += in_token * row[token]
                    longer[prefix + (token,)][0] += in_blank * row[token]
                else:
                    longer[prefix + (token,)][0] += (in_token + in_blank) * row[token]
        best = sorted(longer, key=lambda prefix: -sum(longer[prefix]))[:beam_size]
        prefixes = {prefix: (longer[prefix][0], longer[prefix][1]) for prefix in best}
    return {prefix: math.log(sum(both)) for prefix, both in prefixes.items()}


@pytest.mark.parametrize("seed", range(8))
def test_a_narrow_beam_is_the_textbooks_and_never_promises_too_much(seed: int) -> None:
    log_probs = marginals(seed, 7)
    expected = enumerated(log_probs)
    (found,) = search(log_probs, beam_size=4)
    assert found == pytest.approx(plain_search(log_probs, 4), abs=1e-6)
    assert all(total <= expected[ids] + 1e-6 for ids, total in found.items())


def test_the_best_output_is_not_that_of_the_best_path() -> None:
    """Blank twice is the best path, 0.36; `a` comes by three paths, 0.24 + 0.24 + 0.16."""
    log_probs = torch.tensor([[0.6, 0.4, 0.0, 0.0]] * 2).log()
    (found,) = search(log_probs, beam_size=3)
    assert found == pytest.approx({(A,): math.log(0.64), (): math.log(0.36)}, abs=1e-6)


def test_the_same_token_twice_needs_a_blank_between() -> None:
    sure = torch.tensor([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]).log()
    (apart,) = search(sure, beam_size=2)
    (together,) = search(sure[[0, 2]], beam_size=2)
    assert list(apart) == [(A, A)]
    assert list(together) == [(A,)]


def test_together_is_as_alone() -> None:
    several = [marginals(seed, positions) for seed, positions in ((1, 3), (2, 6), (3, 1))]
    for one, found in zip(several, search(*several, beam_size=3), strict=True):
        assert found == pytest.approx(search(one, beam_size=3)[0], abs=1e-12)


def test_only_the_best_tokens_of_a_position_are_looked_at() -> None:
    log_probs = torch.tensor([[0.1, 0.6, 0.3, 0.0], [0.1, 0.2, 0.7, 0.0]]).log()
    (found,) = search(log_probs, beam_size=9, tokens=1)
    assert set(found) == {(), (A,), (B,), (A, B)}
    assert found[A, B] == pytest.approx(math.log(0.6 * 0.7), abs=1e-6)


def test_neither_blank_nor_eos_is_in_an_output() -> None:
    log_probs = torch.tensor([[0.1, 0.2, 0.1, 0.6]] * 3).log()
    (found,) = search(log_probs, beam_size=20, tokens=9)
    assert {token for ids in found for token in ids} == {A, B}
