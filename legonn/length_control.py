"""The output length controller: any T states in, exactly K positions out (paper section III-D)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from legonn.layers import Block, padding_bias, sinusoids

__all__ = ["QUERIES", "LengthController", "output_lengths"]

QUERIES = ("position", "source_position", "states", "pooling")


def output_lengths(lengths: Tensor, ratio: float) -> Tensor:
    """K = ceil(T x ratio), at least 1: (B,) -> int64 (B,).

    The small subtrahend keeps a product such as 100 x 1.1 = 110.00000000000001 from becoming 111.
    """
    return (lengths.double() * ratio - 1e-6).ceil().long().clamp(min=1)


class LengthController(nn.Module):
    """K positional queries cross-attend to T states.

    Parameters
    ----------
    ratio : float
        K / T: above 1 for text, far below 1 for speech frames.
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
        query: Literal["position", "source_position", "states", "pooling"],
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.ratio = ratio
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
        positions = output_lengths(lengths, self.ratio)
        places = torch.arange(int(positions.max()), device=x.device).float()
        if self.query != "position":
            places = places / self.ratio
        if self.block is None:
            return self.means(x, lengths, places), positions
        queries = sinusoids(places, self.width).expand(x.size(0), -1, -1)  # (B, K, D)
        if self.query == "states":
            queries = queries + self.means(x, lengths, places)
        out = self.block(queries, None, x, padding_bias(lengths, x.size(1)))
        return out, positions

    def means(self, x: Tensor, lengths: Tensor, places: Tensor) -> Tensor:
        """The mean of the states (B, T, D) from each place (K,) to the next, one state at least: (B, K, D)."""
        last = (lengths[:, None] - 1).clamp(min=0)
        first = places.floor().long().minimum(last)  # (B, K)
        end = ((places + 1 / self.ratio - 1e-6).ceil().long()).minimum(last + 1).maximum(first + 1)
        sums = functional.pad(x.cumsum(dim=1), (0, 0, 1, 0))  # (B, T+1, D)

        def up_to(where: Tensor) -> Tensor:
            return sums.gather(1, where[..., None].expand(-1, -1, x.size(2)))

        return (up_to(end) - up_to(first)) / (end - first)[..., None]
