"""The transformer layers that every part is built from.

Notation of all docstrings: B batch, T input tokens or frames, K interface positions, U target tokens,
D model width, V vocabulary, H heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from legonn import fused

__all__ = [
    "Block",
    "CrossAttention",
    "Dropout",
    "FeedForward",
    "Linear",
    "SelfAttention",
    "causal_bias",
    "padding_bias",
    "padding_mask",
    "product",
    "sinusoids",
]


def padding_mask(lengths: Tensor, size: int) -> Tensor:
    """True at padded positions: (B,) -> (B, size)."""
    return torch.arange(size, device=lengths.device)[None, :] >= lengths[:, None]


def padding_bias(lengths: Tensor, size: int) -> Tensor | None:
    """Attention bias that hides padding: (B,) -> (B, 1, 1, size), or None where there is none to hide."""
    if bool((lengths >= size).all()):
        return None
    mask = padding_mask(lengths.clamp(min=1), size)  # a row without anything to see would be NaN
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
    elements share one 64-bit draw; the scale is that of the rounded probability, so the
    expectation is exact, but for the rounding of that scale where x is bf16.
    Other devices use PyTorch's own.

    Parameters
    ----------
    probability : float
        Of an element to be zeroed.
    shared : bool
        Draw one mask an utterance, the same at all its positions (variational dropout, arXiv 1512.05287):
        cheap enough for the wide hidden layer.
    """

    def __init__(self, probability: float, *, shared: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.shared = shared
        self.threshold = round(probability * 256)

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., D) -> (B, ..., D), unchanged in evaluation."""
        shape = (x.size(0), *[1] * (x.dim() - 2), x.size(-1)) if self.shared else x.shape
        mask = self.mask(shape, x.dtype, x.device)
        return x if mask is None else x * mask

    @property
    def scale(self) -> float:
        """What elements that are kept are multiplied with."""
        return 256 / (256 - self.threshold)

    def mask(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor | None:
        """What to multiply with, 0 or `scale`; None where that is 1 throughout."""
        if device.type != "cpu" and self.training and self.threshold:
            ones = torch.ones(tuple(shape), dtype=dtype, device=device)
            return functional.dropout(ones, self.probability)
        keep = self.keep(shape)
        return None if keep is None else keep.to(dtype) * self.scale

    def keep(self, shape: Sequence[int]) -> Tensor | None:
        """Which elements stay, on a CPU: bool; None where all do."""
        if not self.training or self.threshold == 0:
            return None
        count = math.prod(shape)
        words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        return words.view(torch.uint8)[:count].view(*shape) >= self.threshold

    def extra_repr(self) -> str:
        return f"p={self.probability}, shared={self.shared}"


def _wide(x: Tensor) -> Tensor:
    """fp32 on a CPU: attention's products are small, and in bf16 each new shape of theirs is compiled first."""
    return x.float() if x.device.type == "cpu" else x


def _is_fused(x: Tensor) -> bool:
    """Whether `legonn.fused` has this product: in training on a CPU under autocast."""
    return x.device.type == "cpu" and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x W' + b`: (..., D), (D', D), (D',) -> (..., D'), in bf16 under autocast."""
    if _is_fused(x):
        return fused.linear(x, weight, bias)
    return functional.linear(x, weight, bias)


class Linear(nn.Linear):
    """`nn.Linear` that starts at Glorot's scale, each D x D part of a joint projection by itself."""

    def reset_parameters(self) -> None:
        """Initialise."""
        for part in self.weight.detach().split(min(self.weight.shape)):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D')."""
        return product(x, self.weight, self.bias)

    def pair(self) -> tuple[Tensor, Tensor]:
        """Weight and bias."""
        return self.weight, self.bias


class Attention(nn.Module):
    """What self- and cross-attention share: heads, the products, the output projection.

    In training written out rather than `scaled_dot_product_attention`: on a CPU the fused bf16 backward is slower than
    three plain products at these lengths, and softmax is faster in fp32 than in bf16.
    """

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.output = Linear(width, width)
        self.dropout = Dropout(dropout)

    def split(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, H, N, D/H)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
        """(B, H, U, D/H), (B, H, N, D/H) twice, bias broadcast to (B, H, U, N) -> (B, U, D)."""
        with torch.autocast("cpu", enabled=False):  # see `_wide`; a GPU's autocast stays as it is
            if self.training:
                scores = torch.matmul(query * self.scale, key.transpose(-1, -2)).float()
                if bias is not None:
                    scores = scores + bias  # (B, H, U, N)
                weights = self.dropout(scores.softmax(dim=-1).to(value.dtype))
                mixed = torch.matmul(weights, value)
            else:
                seen = None if bias is None else bias.to(query.dtype)
                mixed = functional.scaled_dot_product_attention(
                    query, key, value, attn_mask=seen, scale=self.scale
                )
            mixed = mixed.transpose(1, 2).flatten(2)  # (B, U, D)
        return self.output(mixed)

    def mask(self, x: Tensor, memory: Tensor) -> Tensor | None:
        """The dropout of attention weights from (B, U, D) to (B, N, M): (B, H, U, N)."""
        shape = (x.size(0), self.heads, x.size(1), memory.size(1))
        return self.dropout.mask(shape, torch.float32, x.device)


class SelfAttention(Attention):
    """Attention among the positions of one sequence."""

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__(width=width, heads=heads, dropout=dropout)
        self.query_key_value = Linear(width, 3 * width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, U, D) -> queries, keys and values, three of (B, H, U, D/H)."""
        query, key, value = _wide(self.query_key_value(x)).chunk(3, dim=-1)
        return self.split(query), self.split(key), self.split(value)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """(B, U, D) -> (B, U, D)."""
        if _is_fused(x):
            mask = self.mask(x, x)
            weights = self.query_key_value.pair(), self.output.pair()
            return fused.self_attention(x, *weights, self.heads, bias, mask)
        return self.attend(*self.project(x), bias)


class CrossAttention(Attention):
    """Attention from one sequence to another of width `memory`."""

    def __init__(self, *, width: int, memory: int, heads: int, dropout: float) -> None:
        super().__init__(width=width, heads=heads, dropout=dropout)
        self.query = Linear(width, width)
        self.key_value = Linear(memory, 2 * width)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, M) -> two of (B, H, N, D/H)."""
        key, value = _wide(self.key_value(memory)).chunk(2, dim=-1)
        return self.split(key), self.split(value)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None) -> Tensor:
        """x (B, U, D) attends to memory (B, N, M): (B, U, D)."""
        if _is_fused(x):
            weights = self.query.pair(), self.key_value.pair(), self.output.pair()
            mask = self.mask(x, memory)
            return fused.cross_attention(x, memory, *weights, self.heads, bias, mask)
        query = self.split(_wide(self.query(x)))
        return self.attend(query, *self.keys_values(memory), bias)


class FeedForward(nn.Sequential):
    """Position-wise feed-forward layer: (B, N, D) -> (B, N, D)."""

    def __init__(self, *, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            Linear(width, hidden),
            nn.ReLU(),
            Dropout(dropout, shared=True),
            Linear(hidden, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        if not _is_fused(x):
            return cast(Tensor, super().forward(x))
        first, _, dropout, second = cast("tuple[Linear, nn.Module, Dropout, Linear]", tuple(self))
        keep = dropout.keep((x.size(0), 1, first.out_features))
        return fused.feed_forward(x, first.pair(), second.pair(), keep, dropout.scale)


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
            SelfAttention(width=width, heads=heads, dropout=attention_dropout)
            if self_attention
            else None
        )
        self.cross_norm = nn.LayerNorm(width) if memory else None
        self.cross_attention = (
            CrossAttention(width=width, memory=memory, heads=heads, dropout=attention_dropout)
            if memory
            else None
        )
        self.memory_width = memory
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
            x = x + self.dropout(self.self_attention(self.self_norm(x), bias))
        if self.cross_attention is not None and self.cross_norm is not None:
            assert memory is not None
            x = x + self.dropout(self.cross_attention(self.cross_norm(x), memory, memory_bias))
        return self.finish(x)

    def memory_keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """What `step` needs of the states attended across: (B, N, M) -> two of (B, H, N, D/H)."""
        assert self.cross_attention is not None
        return self.cross_attention.keys_values(memory)

    def finish(self, x: Tensor) -> Tensor:
        """The feed-forward sublayer: (B, U, D) -> (B, U, D)."""
        return x + self.dropout(self.feedforward(self.feedforward_norm(x)))

    def step(
        self,
        x: Tensor,
        remember: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        bias: Tensor | None,
        memory: tuple[Tensor, Tensor],
        memory_bias: Tensor | None,
    ) -> Tensor:
        """One decoding step with cached keys and values: x (B, n, D) -> (B, n, D).

        Parameters
        ----------
        remember : callable
            Takes the n new keys and values, two of (B, H, n, D/H), and gives all that there are, two of (B, H, U, D/H).
        bias, memory_bias : Tensor or None
            Of attention to those, and to `memory`; broadcast to (B, H, n, ...).
        memory : pair of Tensor
            Keys and values of the states attended across, two of (B, H, K, D/H).
        """
        assert self.self_attention is not None and self.self_norm is not None
        assert self.cross_attention is not None and self.cross_norm is not None
        query, *new = self.self_attention.project(self.self_norm(x))
        x = x + self.self_attention.attend(query, *remember(*new), bias)
        cross = self.cross_attention
        query = cross.split(_wide(cross.query(self.cross_norm(x))))
        x = x + cross.attend(query, *memory, memory_bias)
        return self.finish(x)
