"""The transformer layers that every part is built from.

Notation of all docstrings: B batch, T input tokens or frames, K interface positions, U target tokens,
D model width, V vocabulary, H heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Attention",
    "Block",
    "Dropout",
    "FeedForward",
    "causal_bias",
    "padding_bias",
    "padding_mask",
    "sinusoids",
]


def padding_mask(lengths: Tensor, size: int) -> Tensor:
    """True at padded positions: (B,) -> (B, size)."""
    return torch.arange(size, device=lengths.device)[None, :] >= lengths[:, None]


def padding_bias(lengths: Tensor, size: int) -> Tensor | None:
    """Attention bias that hides padding: (B,) -> (B, 1, 1, size), or None where there is none to hide."""
    if bool((lengths >= size).all()):
        return None
    mask = padding_mask(lengths, size)
    return torch.zeros(mask.shape, device=lengths.device).masked_fill_(mask, -math.inf)[
        :, None, None, :
    ]


def causal_bias(size: int, device: torch.device) -> Tensor:
    """Attention bias that hides the future: (1, 1, size, size)."""
    return torch.full((1, 1, size, size), -math.inf, device=device).triu_(1)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sinusoidal encoding of real-valued positions: (...) -> (..., width)."""
    half = width // 2
    steps = torch.arange(half, device=positions.device, dtype=torch.float32)
    rates = torch.exp(-math.log(10000.0) / max(half - 1, 1) * steps)
    angles = positions[..., None].float() * rates
    return functional.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, width % 2))


class Dropout(nn.Module):
    """Dropout whose mask costs one random byte an element on a CPU.

    PyTorch draws a CPU mask one Bernoulli number at a time on one thread, which took a third of the
    training time of these models. Here the probability is rounded to a multiple of 1/256 and eight
    elements share one 64-bit draw; the scale is that of the rounded probability, so the expectation is exact.
    Other devices use PyTorch's own.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.threshold = round(probability * 256)

    def forward(self, x: Tensor) -> Tensor:
        """(...) -> (...), unchanged in evaluation."""
        if not self.training or self.threshold == 0:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.probability)
        count = x.numel()
        words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        keep = words.view(torch.uint8)[:count].view(x.shape) >= self.threshold
        return x * (keep.to(x.dtype) * (256 / (256 - self.threshold)))

    def extra_repr(self) -> str:
        return f"p={self.probability}"


class Attention(nn.Module):
    """Multi-head attention.

    Written out rather than `scaled_dot_product_attention`: on a CPU the fused bf16 backward is slower than
    three plain products at these lengths, and softmax is faster in fp32 than in bf16.
    """

    def __init__(self, *, width: int, memory: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory, 2 * width)
        self.output = nn.Linear(width, width)
        self.dropout = Dropout(dropout)
        for linear in (self.query, self.key_value, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def split(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, H, N, D/H)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, M) -> two of (B, H, N, D/H)."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return self.split(key), self.split(value)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """(B, H, U, D/H), (B, H, N, D/H) twice, bias broadcast to (B, H, U, N) -> (B, U, D)."""
        scores = torch.matmul(query, key.transpose(-1, -2)).float()  # (B, H, U, N)
        if bias is not None:
            scores = scores + bias
        weights = self.dropout(scores.softmax(dim=-1).to(value.dtype))
        return torch.matmul(weights, value).transpose(1, 2).flatten(2)  # (B, U, D)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None) -> Tensor:
        """x (B, U, D) attends to memory (B, N, M): (B, U, D)."""
        key, value = self.keys_values(memory)
        return self.output(self.attend(self.scaled_query(x), key, value, bias))

    def scaled_query(self, x: Tensor) -> Tensor:
        """(B, U, D) -> (B, H, U, D/H), divided by sqrt(D/H)."""
        query = self.split(self.query(x))
        return query * query.size(-1) ** -0.5


class FeedForward(nn.Sequential):
    """Position-wise feed-forward layer: (..., D) -> (..., D)."""

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(width, hidden), nn.ReLU(), Dropout(dropout), nn.Linear(hidden, width)
        )
        for linear in (self[0], self[3]):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)


class Block(nn.Module):
    """A pre-norm transformer layer; with `memory` it also attends across (source: arXiv 2002.04745).

    Parameters
    ----------
    width, heads, feedforward : int
        D, H and the hidden units of the feed-forward layer.
    memory : int, optional
        Width of the states attended across; None builds no cross-attention.
    self_attention : bool
        False builds none: the length controller's queries know nothing yet to tell each other.
    dropout, attention_dropout : float
        On each sublayer's output and hidden units; on attention weights.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        feedforward: int,
        dropout: float,
        attention_dropout: float,
        memory: int | None = None,
        self_attention: bool = True,
    ) -> None:
        super().__init__()
        self.self_norm = nn.LayerNorm(width) if self_attention else None
        self.self_attention = (
            Attention(width=width, memory=width, heads=heads, dropout=attention_dropout)
            if self_attention
            else None
        )
        self.cross_norm = nn.LayerNorm(width) if memory else None
        self.cross_attention = (
            Attention(width=width, memory=memory, heads=heads, dropout=attention_dropout)
            if memory
            else None
        )
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width=width, hidden=feedforward, dropout=dropout)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None,
        memory: Tensor | None = None,
        memory_bias: Tensor | None = None,
    ) -> Tensor:
        """x (B, U, D), memory (B, N, M) -> (B, U, D)."""
        if self.self_attention is not None and self.self_norm is not None:
            normed = self.self_norm(x)
            x = x + self.dropout(self.self_attention(normed, normed, bias))
        if self.cross_attention is not None and self.cross_norm is not None:
            assert memory is not None
            x = x + self.dropout(self.cross_attention(self.cross_norm(x), memory, memory_bias))
        return self.finish(x)

    def finish(self, x: Tensor) -> Tensor:
        """The feed-forward sublayer: (B, U, D) -> (B, U, D)."""
        return x + self.dropout(self.feedforward(self.feedforward_norm(x)))

    def step(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, memory: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One decoding step with cached keys and values.

        x is (B, 1, D); `past` holds this layer's keys and values of the prefix, two of (B, H, U, D/H);
        `memory` those of the states attended across, two of (B, H, K, D/H). Returns the output and the grown cache.
        """
        assert self.self_attention is not None and self.self_norm is not None
        assert self.cross_attention is not None and self.cross_norm is not None
        normed = self.self_norm(x)
        key, value = self.self_attention.keys_values(normed)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        attention = self.self_attention
        x = x + attention.output(
            attention.attend(attention.scaled_query(normed), key, value, None)
        )
        cross = self.cross_attention
        query = cross.scaled_query(self.cross_norm(x))
        x = x + cross.output(cross.attend(query, *memory, None))
        return self.finish(x), (key, value)
