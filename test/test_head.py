"""The head: linear, log-softmax in fp32, nothing else."""

from __future__ import annotations

import torch

from legonn.head import Head
from legonn.precision import autocast


def test_marginals_are_the_softmax_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    head = Head(width=4, vocabulary=3)
    torch.nn.init.normal_(head.linear.bias)
    x = torch.randn(2, 5, 4)
    marginals = head(x, torch.tensor([5, 2]))
    scores = torch.einsum("bkd,vd->bkv", x, head.linear.weight) + head.linear.bias
    wanted = scores.exp() / scores.exp().sum(-1, keepdim=True)
    torch.testing.assert_close(marginals.probs(), wanted)
    assert marginals.lengths.tolist() == [5, 2]


def test_marginals_stay_in_fp32_under_autocast() -> None:
    head, x = Head(width=4, vocabulary=300), torch.randn(1, 5, 4)
    with autocast(x.device, torch.bfloat16):
        marginals = head(x, torch.tensor([5]))
    assert marginals.log_probs.dtype == torch.float32
    torch.testing.assert_close(marginals.probs().sum(-1), torch.ones(1, 5))


def test_training_and_evaluation_are_one() -> None:
    head, x, lengths = Head(width=4, vocabulary=3), torch.randn(1, 5, 4), torch.tensor([5])
    assert torch.equal(head.train()(x, lengths).log_probs, head.eval()(x, lengths).log_probs)


def test_it_knows_the_batch_entry_of_its_targets() -> None:
    assert Head(width=4, vocabulary=3).target == "text"
    assert Head(width=4, vocabulary=3, target="text_phn").target == "text_phn"
