"""Two passes that shall agree."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from legonn.consistency import disagreement, twice


def test_a_batch_is_followed_by_itself() -> None:
    batch = {"text": torch.tensor([[1, 2], [3, -1]]), "text_lengths": torch.tensor([2, 1])}
    found = twice({"utt_id": ["a", "b"], **batch})
    assert found["utt_id"] == ["a", "b", "a", "b"]
    assert found["text"].tolist() == [[1, 2], [3, -1], [1, 2], [3, -1]]
    assert found["text_lengths"].tolist() == [2, 1, 2, 1]


def test_it_is_half_of_both_divergences() -> None:
    torch.manual_seed(0)
    log_probs = torch.randn(6, 5).log_softmax(dim=-1)
    one, other = log_probs[:3], log_probs[3:]
    golden = [
        functional.kl_div(a, b, reduction="none", log_target=True).sum(dim=-1)
        for a, b in ((one, other), (other, one))
    ]
    torch.testing.assert_close(disagreement(log_probs), sum(golden) / 2)


def test_of_two_coins() -> None:
    """KL of (3/4, 1/4) from (1/2, 1/2) and back: 0.5 (1/4 ln(3/2) + 1/4 ln 2)."""
    coins = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    assert disagreement(coins).tolist() == pytest.approx([0.125 * 1.0986123], rel=1e-5)


def test_equal_passes_agree_and_have_no_slope() -> None:
    scores = torch.randn(4, 7).repeat(2, 1).requires_grad_()
    found = disagreement(scores.log_softmax(dim=-1)).sum()
    found.backward()
    assert float(found) == pytest.approx(0.0, abs=1e-6)
    assert scores.grad is not None and float(scores.grad.abs().max()) < 1e-6
