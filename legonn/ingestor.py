"""Ingestors: how a module reads marginals (paper section III-B and III-C)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from legonn.encoder import Stack
from legonn.interface import Marginals
from legonn.layers import Dropout, product, sinusoids
from legonn.retiming import retime

__all__ = ["BeamConv", "Ingestor", "WEmb"]


class Ingestor(nn.Module, ABC):
    """Marginals (B, K, V) -> states (B, K, D): `embed`, then positions, then self-attention layers.

    Parameters
    ----------
    marginal_dropout : float
        Probability that a position is hidden in training *(ours)*: a decoder that met only good marginals
        trusts worse ones too much.
    retiming : float
        Strength of the random timing that it reads in training, see `legonn.retiming.retime`; 0 for none.
    """

    kind: str

    def __init__(
        self,
        *,
        stack: Stack,
        width: int,
        dropout: float,
        marginal_dropout: float = 0.0,
        retiming: float = 0.0,
    ) -> None:
        super().__init__()
        self.marginal_dropout = marginal_dropout
        self.retiming = retiming
        self.stack = stack
        self.norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    @abstractmethod
    def embed(self, marginals: Marginals) -> Tensor:
        """Marginals (B, K, V) -> (B, K, D), before position and layers."""

    def receive(self, marginals: Marginals) -> Marginals:
        """What `forward` shall read: the marginals themselves, or in training another timing of them."""
        if self.training and self.retiming > 0:
            return retime(marginals, self.retiming)
        return marginals

    def forward(self, marginals: Marginals) -> Tensor:
        """Marginals (B, K, V) -> (B, K, D)."""
        x = self.embed(marginals)  # (B, K, D)
        if self.training and self.marginal_dropout > 0:
            x = x * (torch.rand(x.shape[:2], device=x.device) >= self.marginal_dropout)[..., None]
        places = torch.arange(x.size(1), device=x.device)
        x = self.dropout(x + sinusoids(places, x.size(2)))
        return self.norm(self.stack(x, marginals.lengths))


class WEmb(Ingestor):
    """Weighted embedding: the expected embedding under the marginals. Differentiable.

    Parameters
    ----------
    embedding : nn.Embedding
        (V, D); the decoder's own where the two are tied.
    receptive_field : int
        R: each output mixes R neighbouring positions; 1 mixes none.
    **options
        `marginal_dropout` and `retiming` of `Ingestor`.
    """

    kind = "wemb"

    def __init__(
        self,
        *,
        embedding: nn.Embedding,
        stack: Stack,
        dropout: float,
        receptive_field: int = 1,
        **options: float,
    ) -> None:
        width = embedding.embedding_dim
        super().__init__(stack=stack, width=width, dropout=dropout, **options)
        self.embedding = embedding
        self.scale = math.sqrt(width)
        self.mix = _window(width, width, receptive_field) if receptive_field > 1 else None

    def embed(self, marginals: Marginals) -> Tensor:
        """Marginals (B, K, V) -> (B, K, D)."""
        x = product(marginals.probs(), self.embedding.weight.t()) * self.scale  # (B, K, D)
        return x if self.mix is None else _along_positions(self.mix, x, marginals.lengths)


class BeamConv(Ingestor):
    """Only the indices of the p best tokens of each position, embedded, joined and convolved.

    Indices carry no gradient: the encoder learns from CTC alone, this side from cross-entropy alone.

    Parameters
    ----------
    beam : int
        p, part of the contract.
    embedding_width : int
        Width of one token's embedding; the p of them are concatenated *(ours)*.
    kernel : int
        Positions that the convolution spans; odd.
    **options
        `marginal_dropout` and `retiming` of `Ingestor`.
    """

    kind = "beamconv"

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int,
        stack: Stack,
        dropout: float,
        beam: int,
        embedding_width: int,
        kernel: int,
        **options: float,
    ) -> None:
        super().__init__(stack=stack, width=width, dropout=dropout, **options)
        self.beam = beam
        self.embedding = nn.Embedding(vocabulary, embedding_width)
        self.convolution = _window(beam * embedding_width, width, kernel)

    def embed(self, marginals: Marginals) -> Tensor:
        """Marginals (B, K, V) -> (B, K, D)."""
        x = self.embedding(marginals.top(self.beam)).flatten(2)  # (B, K, p*E)
        return _along_positions(self.convolution, self.dropout(x), marginals.lengths)


def _window(width_in: int, width_out: int, kernel: int) -> nn.Conv1d:
    if kernel % 2 == 0:
        raise ValueError(f"a window of {kernel} positions has no middle; use an odd number")
    return nn.Conv1d(width_in, width_out, kernel, padding=kernel // 2)


def _along_positions(convolution: nn.Conv1d, x: Tensor, lengths: Tensor) -> Tensor:
    """(B, K, E) -> (B, K, D). Padding is zeroed first, so that a batch gives what each utterance alone gives."""
    inside = torch.arange(x.size(1), device=x.device)[None, :] < lengths[:, None]
    return convolution((x * inside[..., None]).transpose(1, 2)).transpose(1, 2)
