"""The decoder's score of whole outputs, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from legonn.chain import Chain, Encoded
from legonn.search.nested import flat, rows_of, unflat

__all__ = ["decoder_scores"]


def decoder_scores(
    chain: Chain, encoded: Encoded, outputs: Sequence[Sequence[Sequence[int]]]
) -> list[list[float]]:
    """The log-probability in nats that the decoder gives each output, `<eos>` included.

    Parameters
    ----------
    chain : Chain
        In evaluation mode.
    encoded : Encoded
        N utterances.
    outputs : sequence of sequence of ids
        Those of each utterance, any number of them; without `<sos>` and `<eos>`.
    """
    device = encoded.memory.device
    every = flat(outputs)
    if not every:
        return [[] for _ in outputs]
    rows = rows_of(outputs, device)
    lengths = torch.tensor([len(ids) + 1 for ids in every], device=device)
    longest = int(lengths.max())
    wanted = _padded([[*ids, chain.eos] for ids in every], longest, device)  # (n, U)
    prefix = _padded([[chain.sos, *ids] for ids in every], longest, device)
    real = torch.arange(longest, device=device) < lengths[:, None]
    states = chain.decoder.states(encoded.memory[rows], encoded.lengths[rows], prefix)
    # Only real positions meet the vocabulary: that product is the largest.
    logits = chain.decoder.output(states[real]).float()
    losses = torch.zeros(wanted.shape, device=device)
    losses[real] = functional.cross_entropy(logits, wanted[real], reduction="none")
    return unflat((-losses.double().sum(dim=1)).tolist(), outputs)


def _padded(rows: Sequence[Sequence[int]], size: int, device: torch.device) -> Tensor:
    """Ids (n, size), 0 beyond the end."""
    return torch.tensor([[*row, *[0] * (size - len(row))] for row in rows], device=device)
