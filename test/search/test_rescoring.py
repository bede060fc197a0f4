"""Whole outputs scored in one pass, against one forward pass each."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from legonn.chain import Chain
from legonn.search.rescoring import decoder_scores


def test_each_output_has_the_score_that_it_has_alone(make_chain: Callable[..., Chain]) -> None:
    """Utterances of different lengths, with different numbers of outputs, one of them empty."""
    chain = make_chain()
    sources = torch.tensor([[2, 5, 3, 3, 4], [4, 2, 0, 0, 0], [3, 3, 3, 0, 0]])
    lengths = torch.tensor([5, 2, 3])
    outputs: list[list[tuple[int, ...]]] = [[(2, 3, 3), (), (5,)], [(4, 4, 2, 2, 5)], []]
    with torch.inference_mode():
        found = decoder_scores(chain, chain.encode(sources, lengths), outputs)
        assert [len(row) for row in found] == [3, 1, 0]
        for source, length, rows, scores in zip(sources, lengths, outputs, found, strict=True):
            encoded = chain.encode(source[None, :length], length[None])
            for ids, score in zip(rows, scores, strict=True):
                prefix = torch.tensor([[chain.sos, *ids]])
                wanted = torch.tensor([*ids, chain.eos])
                states = chain.decoder.states(encoded.memory, encoded.lengths, prefix)
                log_probs = chain.decoder.output(states)[0].log_softmax(dim=-1)
                total = log_probs.gather(1, wanted[:, None]).sum().item()
                assert score == pytest.approx(total, abs=1e-4)


def test_nothing_to_score(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain()
    encoded = chain.encode(torch.tensor([[2, 5]]), torch.tensor([2]))
    assert decoder_scores(chain, encoded, [[]]) == [[]]
