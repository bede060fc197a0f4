"""Marginals made of text, so that a decoder can be trained without any source *(ours)*.

A decoder sees nothing of its encoder but marginals. Those of a text can be imagined: a CTC path of it, here and there
with a wrong token, a lost one, or a doubtful one. `BeamConv`, which takes no gradient across, needs no more.
"""

from __future__ import annotations

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor, nn

from legonn.interface import BLANK, Marginals, positions_needed
from legonn.length_control import output_lengths

__all__ = ["ImaginedEncoder", "Passed"]

FLOOR = 1e-4  # of probability, shared by all tokens


class ImaginedEncoder(AbsEncoder):
    """Reads the target's own tokens and gives log-probabilities; nothing in it is trained.

    In evaluation the path is regular and without fault.

    Parameters
    ----------
    vocabulary : int
        V of the one token list.
    length_ratio : float
        K / U, at the mean.
    spread : float
        At least 1: K / U of an utterance is `length_ratio` times a factor drawn between 1 / spread and spread.
    confusion : float
        The share of positions whose best token is doubtful, for an utterance drawn between 0 and twice this.
    """

    length_control = None
    source = "src_text"

    def __init__(
        self, *, vocabulary: int, length_ratio: float, spread: float, confusion: float
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.length_ratio = length_ratio
        self.spread = spread
        self.confusion = confusion

    def output_size(self) -> int:
        """V."""
        return self.vocabulary

    def forward(
        self, xs_pad: Tensor, ilens: Tensor, prev_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Ids (B, U), padded with anything, and (B,) -> log-probabilities (B, K, V), (B,), None."""
        tokens = xs_pad.clamp(min=0)
        best, lengths = self._path(tokens, ilens)
        probs = torch.full(
            (*best.shape, self.vocabulary), FLOOR / self.vocabulary, device=best.device
        )
        certain = torch.ones_like(best, dtype=torch.float32)
        if self.training:
            certain = self._certainty(best)
            probs.scatter_add_(
                -1, self._others(tokens, ilens, best)[..., None], 1 - certain[..., None]
            )
        probs.scatter_add_(-1, best[..., None], certain[..., None])
        return (probs / (1 + FLOOR)).log(), lengths, None

    def _path(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A CTC path of each target, each token once: int64 (B, K), (B,)."""
        batch, longest = tokens.shape
        places = torch.arange(longest, device=tokens.device)
        inside = places < lengths[:, None]
        twins = torch.zeros_like(tokens)  # a token like the one before needs a blank between
        twins[:, 1:] = (tokens[:, 1:] == tokens[:, :-1]) & inside[:, 1:]
        needed = positions_needed(tokens, lengths)
        positions = torch.maximum(output_lengths(lengths, self.length_ratio), needed)
        if self.training:
            factor = self.spread ** torch.empty(batch, device=tokens.device).uniform_(-1, 1)
            drawn = output_lengths(lengths * factor, self.length_ratio)
            positions = torch.maximum(drawn, needed).clamp(min=1)
        spare = positions - needed  # (B,) blanks that may stand anywhere
        before = self._blanks_before(spare, lengths, longest)  # (B, U), never falling
        where = places + twins.cumsum(dim=1) + before
        path = torch.full((batch, int(positions.max()) + 1), BLANK, device=tokens.device)
        last = path.size(1) - 1  # what is outside goes to a column that is cut off
        path.scatter_(1, where.masked_fill(~inside, last), tokens)
        return path[:, :last], positions

    def _blanks_before(self, spare: Tensor, lengths: Tensor, longest: int) -> Tensor:
        """How many of the spare blanks stand before each token: int64 (B, U)."""
        places = torch.arange(longest, device=spare.device)
        if not self.training:
            share = (places + 0.5) / lengths[:, None].clamp(min=1)
            return (share * spare[:, None]).floor().long().minimum(spare[:, None])
        draws = torch.rand(len(spare), int(spare.max()), device=spare.device)
        gap = (draws * (lengths[:, None] + 1)).floor()  # each blank's: 0 is before the first token
        real = torch.arange(draws.size(1), device=spare.device) < spare[:, None]
        gap = gap.masked_fill(~real, float("inf"))
        return (gap[:, None, :] <= places[:, None]).sum(dim=-1)

    def _certainty(self, best: Tensor) -> Tensor:
        """Probability that the best path's token gets at each position: (B, K)."""
        share = torch.rand(best.size(0), 1, device=best.device) * 2 * self.confusion
        doubtful = torch.rand(best.shape, device=best.device) < share
        return 1 - torch.rand(best.shape, device=best.device) * torch.where(doubtful, 1.0, 0.1)

    def _others(self, tokens: Tensor, lengths: Tensor, best: Tensor) -> Tensor:
        """The token that has the rest: for half of the positions the blank, else any of the batch's: (B, K)."""
        inside = torch.arange(tokens.size(1), device=tokens.device) < lengths[:, None]
        known = tokens[inside]
        if not len(known):
            return torch.full_like(best, BLANK)
        drawn = known[torch.randint(len(known), best.shape, device=best.device)]
        return drawn.masked_fill(torch.rand(best.shape, device=best.device) < 0.5, BLANK)


class Passed(nn.Module):
    """In place of a head: the log-probabilities as they are."""

    def __init__(self, *, target: str = "text") -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor, lengths: Tensor) -> Marginals:
        """(B, K, V), (B,) -> Marginals."""
        return Marginals(x, lengths)
