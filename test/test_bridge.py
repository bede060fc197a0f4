"""A bridge: marginals over one token list in, marginals over another out."""

from __future__ import annotations

import pytest
import torch

from legonn.bridge import Bridge
from legonn.factory import BridgeConfig
from legonn.interface import Marginals
from legonn.length_control import output_lengths

READS, WRITES = 5, 9


def bridge(**options: float) -> Bridge:
    torch.manual_seed(0)
    part = {"width": 8, "heads": 2, "feedforward": 16, "dropout": 0.0, "attention_dropout": 0.0}
    return BridgeConfig(**{**part, **options}).build(reads=READS, writes=WRITES).eval()  # type: ignore[arg-type]


def marginals(lengths: list[int]) -> Marginals:
    random = torch.Generator().manual_seed(1)
    log_probs = torch.randn(len(lengths), max(lengths), READS, generator=random).log_softmax(-1)
    return Marginals(log_probs, torch.tensor(lengths))


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.7])
def test_marginals_over_another_list_and_length_come_out(ratio: float) -> None:
    given = marginals([6, 3])
    out = bridge(length_ratio=ratio)(given)
    assert out.lengths.tolist() == output_lengths(given.lengths, ratio).tolist()
    assert out.log_probs.shape == (2, int(out.lengths.max()), WRITES)
    torch.testing.assert_close(out.probs().sum(-1), torch.ones(out.log_probs.shape[:2]))


def test_batched_and_padded_is_single() -> None:
    model, given = bridge(length_ratio=1.5), marginals([6, 3])
    together = model(given)
    for row, size in enumerate((6, 3)):
        alone = model(Marginals(given.log_probs[row : row + 1, :size], torch.tensor([size])))
        found = together.log_probs[row, : int(alone.lengths)]
        torch.testing.assert_close(found, alone.log_probs[0], atol=1e-6, rtol=1e-5)


def test_the_gradient_crosses() -> None:
    given = marginals([4])
    leaf = given.log_probs.clone().requires_grad_()
    out = bridge()(Marginals(leaf, given.lengths))
    out.ctc_loss(torch.tensor([[3, 4]]), torch.tensor([2])).sum().backward()
    assert leaf.grad is not None and (leaf.grad.abs().sum(-1) > 0).all()


def test_without_a_length_controller_k_stays() -> None:
    model = bridge()
    model.length_control = None
    assert model(marginals([6, 3])).lengths.tolist() == [6, 3]
