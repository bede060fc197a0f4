"""Retiming: another timing, the same message."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from legonn.interface import Marginals
from legonn.retiming import retime

V = 5


def sharp(rows: list[list[int]]) -> Marginals:
    """Marginals whose best tokens are these; shorter rows are padded with token 4."""
    size = max(map(len, rows))
    best = torch.tensor([[*row, *[4] * (size - len(row))] for row in rows])
    log_probs = torch.nn.functional.one_hot(best, V).float().mul(5.0).log_softmax(-1)
    return Marginals(log_probs, torch.tensor([len(row) for row in rows]))


def random_rows(seed: int, batch: int = 16) -> list[list[int]]:
    """Rows of 1 to 20 tokens of 3 kinds, half of them blank: many repeats on either side of blanks."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(batch):
        size = int(torch.randint(1, 21, (), generator=draw))
        row = torch.randint(0, 6, (size,), generator=draw) - 3
        rows.append(row.clamp(min=0).tolist())
    return rows


@pytest.mark.parametrize("strength", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_says_the_same(seed: int, strength: float) -> None:
    given = sharp(random_rows(seed))
    torch.manual_seed(seed)
    seen = set()
    for _ in range(20):
        found = retime(given, strength)
        assert found.greedy() == given.greedy()
        assert int(found.lengths.max()) == found.log_probs.size(1) and int(found.lengths.min()) > 0
        seen.add(tuple(found.lengths.tolist()))
    assert len(seen) > 10


def test_every_kept_position_is_one_of_its_own(strength: float = 1.0) -> None:
    """In order, no other utterance's, and none of the padding."""
    rows = [[0, 1, 0, 2, 0, 0], [3, 0, 3]]
    given = sharp(rows)
    given.log_probs[...] += torch.arange(6)[None, :, None] * 100  # marks the place
    given.log_probs[1] += 10_000  # and the utterance
    torch.manual_seed(0)
    for _ in range(50):
        found = retime(given, strength)
        for i, row in enumerate(rows):
            marks = found.log_probs[i, : found.lengths[i]].max(dim=-1).values
            places = ((marks - 10_000 * i + 50) / 100).floor().long().tolist()
            assert places == sorted(places) and set(places) <= set(range(len(row)))


def counts(rows: list[list[int]], strength: float, draws: int) -> Tensor:
    torch.manual_seed(0)
    given = sharp(rows)
    return torch.stack([retime(given, strength).lengths for _ in range(draws)])


def test_lengths_vary_between_the_tokens_and_the_stretched_whole() -> None:
    # 1 and 2 stand, of the three blanks none is needed; stretched by up to 1.5, times 5 positions.
    found = counts([[0, 1, 0, 0, 2]], 1.5, 400)
    assert int(found.min()) == 2 and 10 < int(found.max()) <= 15


def test_a_blank_between_equal_tokens_stays() -> None:
    found = counts([[1, 0, 0, 0, 1]], 1.0, 400)
    assert int(found.min()) == 3


def test_a_row_of_blanks_keeps_one() -> None:
    assert int(counts([[0, 0, 0]], 1.0, 400).min()) == 1


def test_strength_zero_changes_nothing() -> None:
    given = sharp(random_rows(7))
    found = retime(given, 0.0)
    assert torch.equal(found.lengths, given.lengths)
    for i, size in enumerate(given.lengths.tolist()):
        assert torch.equal(found.log_probs[i, :size], given.log_probs[i, :size])


def test_gradients_flow_to_every_copy() -> None:
    given = sharp([[1, 0, 2]])
    given.log_probs.requires_grad_()
    torch.manual_seed(3)
    found = retime(given, 3.0)
    found.log_probs.sum().backward()
    assert given.log_probs.grad is not None
    times = given.log_probs.grad[0, :, 0]
    assert times.sum() == found.lengths[0] and torch.equal(times, times.round())
