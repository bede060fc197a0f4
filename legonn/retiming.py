"""Other timings of the same message: what makes a decoder independent of its encoder's habits *(ours)*."""

from __future__ import annotations

import torch
from torch import Tensor

from legonn.interface import BLANK, Marginals

__all__ = ["retime"]


def retime(marginals: Marginals, strength: float) -> Marginals:
    """Repeat positions at random, or drop blank ones, such that the best path says the same.

    CTC reads a token off any number of equal positions and skips any number of blanks; where tokens stand is the
    encoder's habit: its language, its length ratio. A decoder that only met one encoder learns that habit by heart.

    Parameters
    ----------
    marginals : Marginals
        (B, K, V).
    strength : float
        At least 0. Half of the utterances are stretched, by a factor drawn from 1 to 1 + `strength`; of the others,
        a share of the blanks drawn from 0 to `strength` is dropped.

    Returns
    -------
    Marginals
        (B, K', V), through which gradients flow.
    """
    log_probs = marginals.log_probs
    batch, positions, _ = log_probs.shape
    best = log_probs.detach().max(dim=-1).indices  # (B, K)
    inside = torch.arange(positions, device=best.device)[None, :] < marginals.lengths[:, None]
    times = _times(best, inside, strength)
    times[:, 0] += times.sum(dim=1) == 0  # something must be left to read
    lengths = times.sum(dim=1)

    kept = torch.arange(batch * positions, device=best.device)
    kept = kept.repeat_interleave(times.flatten())  # (N,), N = lengths.sum()
    row = kept // positions
    start = lengths.cumsum(dim=0) - lengths
    place = torch.arange(len(kept), device=best.device) - start[row]
    origin = torch.zeros(batch, int(lengths.max()), dtype=torch.int64, device=best.device)
    origin += torch.arange(batch, device=best.device)[:, None] * positions  # padding: anything
    origin[row, place] = kept
    return Marginals(log_probs.flatten(0, 1)[origin], lengths)


def _times(best: Tensor, inside: Tensor, strength: float) -> Tensor:
    """How often each position is to stand in the new sequence: (B, K) -> int64 (B, K)."""
    batch = best.size(0)
    factor = torch.rand(batch, 1, device=best.device) * strength
    chance = torch.rand(best.shape, device=best.device)
    repeated = 1 + (factor + chance).floor().long()
    dropped = 1 - (_droppable(best, inside) & (chance < factor)).long()
    stretch = torch.rand(batch, 1, device=best.device) < 0.5
    return torch.where(stretch, repeated, dropped) * inside


def _droppable(best: Tensor, inside: Tensor) -> Tensor:
    """Blanks that don't keep two equal tokens apart, or don't alone: bool (B, K)."""
    blank = (best == BLANK) | ~inside
    places = torch.arange(best.size(1), device=best.device).expand_as(best)
    # The nearest tokens on either side, -1 where there are none.
    before = torch.where(blank, -1, places).cummax(dim=1).values
    after = torch.where(blank, best.size(1), places).flip(1).cummin(dim=1).values.flip(1)
    left = best.gather(1, before.clamp(min=0)).masked_fill(before < 0, -1)
    right = best.gather(1, after.clamp(max=best.size(1) - 1)).masked_fill(after == best.size(1), -2)
    run_goes_on = torch.nn.functional.pad(blank[:, :-1], (1, 0), value=False)
    return blank & inside & ((left != right) | run_goes_on)
