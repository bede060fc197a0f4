"""CTC's best path of an output against the enumeration of every path, and by eye."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from legonn.interface import Marginals
from legonn.search.alignment import Alignment, align, join

A, B = 1, 2  # 0 is the blank


def sure(*tokens: int) -> Tensor:
    """Marginals (K, 3) that are nearly certain of these tokens."""
    return torch.nn.functional.one_hot(torch.tensor(tokens), 3).mul(9.0).log_softmax(dim=-1)


def marginals(*utterances: Tensor) -> Marginals:
    lengths = torch.tensor([len(one) for one in utterances])
    return Marginals(torch.nn.utils.rnn.pad_sequence(list(utterances), batch_first=True), lengths)


def spans(log_probs: Tensor, *outputs: tuple[int, ...]) -> list[object]:
    (found,) = align(marginals(log_probs), [outputs])
    return [None if one is None else one.spans for one in found]


def test_tokens_are_where_the_eye_sees_them() -> None:
    log_probs = sure(0, A, A, 0, A, B, B, 0)
    assert spans(log_probs, (A, A, B)) == [((1, 2), (4, 4), (5, 6))]
    assert spans(sure(B, B, 0, 0, A), (B, A)) == [((0, 1), (4, 4))]


def test_what_needs_more_positions_than_there_are_has_no_alignment() -> None:
    log_probs = torch.tensor([[0.2, 0.5, 0.3], [0.2, 0.3, 0.5]]).log()
    assert spans(log_probs, (A, B), (A, A), (A, B, A)) == [((0, 0), (1, 1)), None, None]


def test_what_has_no_probability_has_no_alignment() -> None:
    log_probs = torch.tensor([[0.5, 0.5, 0.0]] * 3).log()
    assert spans(log_probs, (B,), (A, B)) == [None, None]


def test_an_empty_output_has_no_spans() -> None:
    (found,) = align(marginals(sure(0, A, 0)), [[()]])
    assert found == [Alignment((), 3)]
    assert align(marginals(sure(0)), [[]]) == [[]]


def score(log_probs: Tensor, path: tuple[int, ...]) -> float:
    return sum(log_probs[k, token].item() for k, token in enumerate(path))


def path_of(alignment: Alignment, output: tuple[int, ...]) -> tuple[int, ...]:
    path = [0] * alignment.positions
    for token, (first, last) in zip(output, alignment.spans, strict=True):
        path[first : last + 1] = [token] * (last + 1 - first)
    return tuple(path)


@pytest.mark.parametrize("seed", range(5))
def test_the_path_is_the_best_of_all_that_give_the_output(seed: int) -> None:
    """Outputs of all lengths and utterances of two at once."""
    generator = torch.Generator().manual_seed(seed)
    several = [torch.randn(k, 3, generator=generator).log_softmax(dim=-1) for k in (6, 4)]
    outputs = [ids for length in range(5) for ids in itertools.product((A, B), repeat=length)]
    together = align(marginals(*several), [outputs, outputs])
    for log_probs, found in zip(several, together, strict=True):
        best: dict[tuple[int, ...], float] = {}
        for path in itertools.product(range(3), repeat=len(log_probs)):
            output = tuple(token for token, _ in itertools.groupby(path) if token)
            best[output] = max(best.get(output, -1e9), score(log_probs, path))
        for output, alignment in zip(outputs, found, strict=True):
            if alignment is None:
                assert output not in best
                continue
            path = path_of(alignment, output)
            assert tuple(token for token, _ in itertools.groupby(path) if token) == output
            assert score(log_probs, path) == pytest.approx(best[output], abs=1e-5)


def test_positions_share_the_seconds() -> None:
    timed = Alignment(((0, 1), (3, 3)), 4).timed(1.0, 3.0)
    assert timed.times == ((1.0, 2.0), (2.5, 3.0))


def test_pieces_follow_each_other() -> None:
    first, second = Alignment(((0, 1),), 3), Alignment(((1, 1), (2, 4)), 5)
    assert join([first, second]) == Alignment(((0, 1), (4, 4), (5, 7)), 8)
    joined = join([first.timed(0, 3), second.timed(3, 13)])
    assert joined is not None
    assert joined.times == ((0, 2), (5, 7), (7, 13))
    assert join([first, None]) is None
