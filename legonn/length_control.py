"""The output length controller: any T states in, exactly K positions out (paper section III-D)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from legonn.layers import Block, padding_bias, padding_mask, sinusoids

__all__ = ["QUERIES", "LengthController", "TokenCounter", "output_lengths"]

QUERIES = ("position", "source_position", "states", "pooling")


def output_lengths(lengths: Tensor, ratio: float) -> Tensor:
    """K = ceil(T x ratio), at least 1: (B,) -> int64 (B,).

    The small subtrahend keeps a product such as 100 x 1.1 = 110.00000000000001 from becoming 111.
    """
    return (lengths.double() * ratio - 1e-6).ceil().long().clamp(min=1)


class TokenCounter(nn.Module):
    """How many target tokens a source has: the sum over its states of what each of them seems to hold *(ours)*.

    The count of continuous integrate-and-fire (Dong and Xu 2020, arXiv 1905.11235), without its firing.

    Parameters
    ----------
    density : float
        Tokens a state, for all of them before it has learned.
    """

    def __init__(self, *, width: int, density: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        density = max(density, 1e-6)  # below, no count would ever come back from 0
        inverse = density + math.log(-math.expm1(-density))  # of softplus
        nn.init.constant_(self.linear.bias, inverse)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> tokens, a real number each, (B,)."""
        with torch.autocast(x.device.type, enabled=False):
            density = functional.softplus(self.linear(x.float())[..., 0])
        return density.masked_fill(padding_mask(lengths, x.size(1)), 0.0).sum(dim=1)


class LengthController(nn.Module):
    """K positional queries cross-attend to T states.

    Parameters
    ----------
    ratio : float
        K / T: above 1 for text, far below 1 for speech frames.
    positions_per_token : float
        With another value than 0, K isn't `ratio` times T but that many for each token that a `TokenCounter` finds
        *(ours)*: who speaks slowly gives the decoder no more positions a token than who speaks fast. It begins with
        `ratio`'s K, and never gives more than twice as many.
    query : {"position", "source_position", "states", "pooling"}
        What position k asks with: the encoding of k itself; of the place k / ratio that it stands for among the states
        *(ours)*; or that and the mean of the states there *(ours)*, so that it has something to say before attention
        has learned to look. With "pooling" nothing is asked: positions are those means, average pooling, for
        comparison.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        feedforward: int,
        ratio: float,
        positions_per_token: float = 0.0,
        query: Literal["position", "source_position", "states", "pooling"],
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.ratio = ratio
        self.positions_per_token = positions_per_token
        self.counter = (
            TokenCounter(width=width, density=ratio / positions_per_token)
            if positions_per_token
            else None
        )
        self.query = query
        self.width = width
        self.block = (
            Block(
                width=width,
                heads=heads,
                feedforward=feedforward,
                dropout=dropout,
                attention_dropout=attention_dropout,
                memory=width,
                self_attention=False,
            )
            if query != "pooling"
            else None
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D), (B,) -> (B, K, D), (B,)."""
        positions, rate = self.positions(x, lengths)
        places = torch.arange(int(positions.max()), device=x.device).float()  # (K,)
        if self.query != "position":
            places = places / rate  # or (B, K)
        if self.block is None:
            return self.means(x, lengths, places, rate), positions
        queries = sinusoids(places, self.width).expand(x.size(0), -1, -1)  # (B, K, D)
        if self.query == "states":
            queries = queries + self.means(x, lengths, places, rate)
        out = self.block(queries, None, x, padding_bias(lengths, x.size(1)))
        return out, positions

    @property
    def most(self) -> float:
        """K / T can't be above it."""
        return self.ratio if self.counter is None else 2 * self.ratio

    def positions(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor | float]:
        """K (B,) of states (B, T, D), (B,), and K / T: one for all, or (B, 1)."""
        if self.counter is None:
            return output_lengths(lengths, self.ratio), self.ratio
        tokens = self.counter(x, lengths).detach()
        positions = output_lengths(tokens, self.positions_per_token)
        positions = positions.minimum(output_lengths(lengths, self.most))
        return positions, (positions / lengths)[:, None]

    def means(self, x: Tensor, lengths: Tensor, places: Tensor, rate: Tensor | float) -> Tensor:
        """The mean of the states (B, T, D) from each place to the next, one state at least: (B, K, D)."""
        last = (lengths[:, None] - 1).clamp(min=0)
        first = places.floor().long().minimum(last)  # (B, K)
        end = ((places + 1 / rate - 1e-6).ceil().long()).minimum(last + 1).maximum(first + 1)
        sums = functional.pad(x.cumsum(dim=1), (0, 0, 1, 0))  # (B, T+1, D)

        def up_to(where: Tensor) -> Tensor:
            return sums.gather(1, where[..., None].expand(-1, -1, x.size(2)))

        return (up_to(end) - up_to(first)) / (end - first)[..., None]
