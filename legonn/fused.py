"""Sublayers for training in bf16 on a CPU: what `legonn.layers` says, in fewer passes over memory.

Where a processor multiplies bf16 natively, a product of these models' sizes takes 0.1 ms, and each elementwise pass
around it as long. So a whole sublayer is one function here, forward and backward, whose products read and write
the buffers of their neighbours: its conversions, its rectifier and its masks are done in place or not at all.

oneDNN compiles a kernel for each new number of rows, at some milliseconds each, and text batches hardly ever repeat
theirs: all products have a multiple of `ROWS` rows. Attention's own products are small, and stay in fp32.

Each function takes the number format of its products, so that tests can ask for exact gradients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

__all__ = ["ROWS", "cross_attention", "feed_forward", "linear", "self_attention"]

ROWS = 256
F = TypeVar("F", bound=Callable[..., Any])


def _plain(function: F) -> F:
    """Without autocast: products are in the format that they are given."""

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return function(*arguments)

    return cast(F, run)


def linear(
    x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    """`x W' + b`: (..., D), (D', D), (D',) -> (..., D')."""
    out: Tensor = _Linear.apply(x, weight, bias, dtype)
    return out


def feed_forward(
    x: Tensor,
    first: tuple[Tensor, Tensor],
    second: tuple[Tensor, Tensor],
    keep: Tensor | None,
    scale: float,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """Linear, rectifier, dropout, linear.

    Parameters
    ----------
    x : Tensor
        (B, N, D).
    first, second : (Tensor, Tensor)
        Weights and biases: (H, D) and (H,), (D, H) and (D,).
    keep : Tensor or None
        bool (B, 1, H): the hidden units of an utterance that dropout leaves.
    scale : float
        What those are multiplied with.

    Returns
    -------
    Tensor
        (B, N, D).
    """
    out: Tensor = _FeedForward.apply(x, *first, *second, keep, scale, dtype)
    return out


def self_attention(
    x: Tensor,
    projection: tuple[Tensor, Tensor],
    output: tuple[Tensor, Tensor],
    heads: int,
    bias: Tensor | None,
    mask: Tensor | None,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """Attention among the positions of x.

    Parameters
    ----------
    x : Tensor
        (B, N, D).
    projection, output : (Tensor, Tensor)
        Weights and biases: queries, keys and values (3D, D) and (3D,); (D, D) and (D,).
    bias : Tensor or None
        Added to the scores, broadcast to (B, H, N, N).
    mask : Tensor or None
        (B, H, N, N): what the attention weights are multiplied with.

    Returns
    -------
    Tensor
        (B, N, D).
    """
    out: Tensor = _SelfAttention.apply(x, *projection, *output, heads, bias, mask, dtype)
    return out


def cross_attention(
    x: Tensor,
    memory: Tensor,
    query: tuple[Tensor, Tensor],
    key_value: tuple[Tensor, Tensor],
    output: tuple[Tensor, Tensor],
    heads: int,
    bias: Tensor | None,
    mask: Tensor | None,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """Attention of x (B, U, D) to memory (B, N, M) -> (B, U, D); otherwise as `self_attention`."""
    out: Tensor = _CrossAttention.apply(
        x, memory, *query, *key_value, *output, heads, bias, mask, dtype
    )
    return out


def _pad(x: Tensor, dtype: torch.dtype) -> Tensor:
    """(..., D) -> (rows rounded up, D), zeros below."""
    rows = x.numel() // x.size(-1)
    padded = torch.empty(rows + -rows % ROWS, x.size(-1), dtype=dtype)
    padded[:rows] = x.reshape(rows, x.size(-1))
    padded[rows:] = 0
    return padded


def _unpad(rows: Tensor, shape: torch.Size) -> Tensor:
    """(R, D') -> (..., D') of the rows that are real; autograd converts a gradient to its input's format."""
    return rows[: shape[:-1].numel()].view(*shape[:-1], rows.size(1))


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Rows (R, D), (D', D) and (D',) -> (R, D')."""
    return x @ weight.t() if bias is None else torch.addmm(bias.to(x.dtype), x, weight.t())


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What parameters, and attention's own products, are held in beside products in `dtype`."""
    return torch.promote_types(dtype, torch.float32)


def _of_weight(slope: Tensor, x: Tensor) -> Tensor:
    """Gradient of a product's weight from that of its output (R, D') and its input (R, D): (D', D)."""
    if slope.size(1) > x.size(1):  # oneDNN is a quarter faster with the narrower one transposed
        product = (x.t() @ slope).t()
    else:
        product = slope.t() @ x
    return product.to(_wide(x.dtype), memory_format=torch.contiguous_format)


def _of_bias(slope: Tensor) -> Tensor:
    """Gradient of a product's bias: (R, D') -> (D',); in bf16 a product sums three times as fast as `sum`."""
    return (slope.new_ones(1, slope.size(0)) @ slope)[0].to(_wide(slope.dtype))


def _gradients(
    slope: Tensor, x: Tensor, wants_weight: bool, wants_bias: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Of weight and bias, where they are wanted: frozen ones are not."""
    return (
        _of_weight(slope, x) if wants_weight else None,
        _of_bias(slope) if wants_bias else None,
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    @_plain
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        padded, weight = _pad(x, dtype), weight.to(dtype)
        ctx.save_for_backward(padded, weight)
        ctx.shape = x.shape
        return _unpad(_multiply(padded, weight, bias), x.shape)

    @staticmethod
    @_plain
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        padded, weight = ctx.saved_tensors
        slope = _pad(slope, padded.dtype)
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        by_x = _unpad(slope @ weight, ctx.shape) if wants_x else None
        return by_x, *_gradients(slope, padded, wants_weight, wants_bias), None


class _FeedForward(torch.autograd.Function):
    @staticmethod
    @_plain
    def forward(
        ctx: Any,
        x: Tensor,
        first: Tensor,
        first_bias: Tensor,
        second: Tensor,
        second_bias: Tensor,
        keep: Tensor | None,
        scale: float,
        dtype: torch.dtype,
    ) -> Tensor:
        batch, positions, _ = x.shape
        rows = batch * positions
        ctx.scale = 1.0 if keep is None else scale
        # The scale goes into the weight: a mask of 1.11 in bf16 would be one of 1.109.
        padded, first, second = _pad(x, dtype), first.to(dtype), (second * ctx.scale).to(dtype)
        hidden = _multiply(padded, first, first_bias).relu_()  # (R, H)
        if keep is not None:
            hidden[:rows].view(batch, positions, hidden.size(1)).mul_(keep.to(dtype))
        ctx.save_for_backward(padded, first, second, hidden)
        ctx.shape = x.shape
        return _unpad(_multiply(hidden, second, second_bias), x.shape)

    @staticmethod
    @_plain
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        padded, first, second, hidden = ctx.saved_tensors
        slope = _pad(slope, padded.dtype)
        wants_x, *wanted = ctx.needs_input_grad[:5]
        by_second, by_second_bias = _gradients(slope, hidden, *wanted[2:])
        if by_second is not None:
            by_second *= ctx.scale
        inner = slope @ second  # (R, H)
        # Zero where the rectifier or dropout gave zero.
        torch.ops.aten.threshold_backward.grad_input(inner, hidden, 0, grad_input=inner)
        by_x = _unpad(inner @ first, ctx.shape) if wants_x else None
        of_first = _gradients(inner, padded, *wanted[:2])
        return by_x, *of_first, by_second, by_second_bias, *(None,) * 3


def _split(rows: Tensor, batch: int, parts: int, heads: int, positions: int) -> Tensor:
    """(R, parts x D) -> (parts, B x H, N, D/H), the heads' own matrices."""
    real = rows[: batch * positions].view(batch, positions, parts, heads, -1)
    split = real.permute(
        2, 0, 3, 1, 4
    ).contiguous()  # converted afterwards: both at once take twice as long
    return split.flatten(1, 2).to(_wide(rows.dtype))


def _join(split: Tensor, batch: int, dtype: torch.dtype) -> Tensor:
    """The reverse of `_split`, zeros below: (parts, B x H, N, D/H) -> (R, parts x D)."""
    parts, all_heads, positions, width = split.shape
    rows = batch * positions
    heads = all_heads // batch
    joined = torch.empty(rows + -rows % ROWS, parts * heads * width, dtype=dtype)
    shape = (batch, positions, parts, heads, width)
    joined[:rows].view(shape).copy_(split.unflatten(1, (batch, heads)).permute(1, 3, 0, 2, 4))
    joined[rows:] = 0
    return joined


def _attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, mask: Tensor | None, batch: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(B x H, U, D/H), (B x H, N, D/H) twice -> mixed values (B x H, U, D/H); weights before and after the mask."""
    scores = query.new_empty(query.size(0), query.size(1), key.size(1))
    scale = query.size(2) ** -0.5
    torch.baddbmm(scores, query, key.transpose(1, 2), beta=0, alpha=scale, out=scores)
    if bias is not None:
        scores.view(batch, -1, *scores.shape[1:]).add_(bias)
    weights = scores.softmax(dim=-1)
    seen = weights if mask is None else weights * mask.view_as(weights)
    return torch.bmm(seen, value), weights, seen


def _attend_backward(
    slope: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    weights: Tensor,
    seen: Tensor,
    mask: Tensor | None,
    gradients: Iterable[Tensor],
) -> None:
    """Fill in the gradients by query, key and value of `_attend`'s output."""
    scale = query.size(2) ** -0.5
    by_query, by_key, by_value = gradients
    torch.bmm(seen.transpose(1, 2), slope, out=by_value)
    by_seen = torch.bmm(slope, value.transpose(1, 2))
    if mask is not None:
        by_seen.mul_(mask.view_as(by_seen))
    by_scores = torch._softmax_backward_data(by_seen, weights, -1, weights.dtype)
    torch.baddbmm(by_query, by_scores, key, beta=0, alpha=scale, out=by_query)
    torch.baddbmm(by_key, by_scores.transpose(1, 2), query, beta=0, alpha=scale, out=by_key)


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    @_plain
    def forward(
        ctx: Any,
        x: Tensor,
        projection: Tensor,
        projection_bias: Tensor,
        output: Tensor,
        output_bias: Tensor,
        heads: int,
        bias: Tensor | None,
        mask: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        batch, positions, _ = x.shape
        padded, projection, output = _pad(x, dtype), projection.to(dtype), output.to(dtype)
        projected = _multiply(padded, projection, projection_bias)
        query, key, value = _split(projected, batch, 3, heads, positions)
        mixed, weights, seen = _attend(query, key, value, bias, mask, batch)
        joined = _join(mixed[None], batch, dtype)
        ctx.save_for_backward(
            padded, projection, output, query, key, value, weights, seen, mask, joined
        )
        ctx.heads, ctx.shape = heads, x.shape
        return _unpad(_multiply(joined, output, output_bias), x.shape)

    @staticmethod
    @_plain
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        padded, projection, output, *kept = ctx.saved_tensors
        query, key, value, weights, seen, mask, joined = kept
        batch, positions, _ = ctx.shape
        slope = _pad(slope, padded.dtype)
        wants_x, *wanted = ctx.needs_input_grad[:5]
        of_output = _gradients(slope, joined, *wanted[2:])
        by_mixed = _split(slope @ output, batch, 1, ctx.heads, positions)[0]
        by_parts = query.new_empty(3, *query.shape)
        _attend_backward(by_mixed, query, key, value, weights, seen, mask, by_parts)
        inner = _join(by_parts, batch, padded.dtype)  # (R, 3D)
        by_x = _unpad(inner @ projection, ctx.shape) if wants_x else None
        return by_x, *_gradients(inner, padded, *wanted[:2]), *of_output, *(None,) * 4


class _CrossAttention(torch.autograd.Function):
    @staticmethod
    @_plain
    def forward(
        ctx: Any,
        x: Tensor,
        memory: Tensor,
        query: Tensor,
        query_bias: Tensor,
        key_value: Tensor,
        key_value_bias: Tensor,
        output: Tensor,
        output_bias: Tensor,
        heads: int,
        bias: Tensor | None,
        mask: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        batch, positions, _ = x.shape
        query, key_value, output = (w.to(dtype) for w in (query, key_value, output))
        padded, padded_memory = _pad(x, dtype), _pad(memory, dtype)
        asked = _split(_multiply(padded, query, query_bias), batch, 1, heads, positions)[0]
        told = _multiply(padded_memory, key_value, key_value_bias)
        key, value = _split(told, batch, 2, heads, memory.size(1))
        mixed, weights, seen = _attend(asked, key, value, bias, mask, batch)
        joined = _join(mixed[None], batch, dtype)
        ctx.save_for_backward(
            padded,
            padded_memory,
            query,
            key_value,
            output,
            asked,
            key,
            value,
            weights,
            seen,
            mask,
            joined,
        )
        ctx.heads, ctx.shape, ctx.memory_shape = heads, x.shape, memory.shape
        return _unpad(_multiply(joined, output, output_bias), x.shape)

    @staticmethod
    @_plain
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        padded, padded_memory, query, key_value, output, *kept = ctx.saved_tensors
        asked, key, value, weights, seen, mask, joined = kept
        batch, positions, _ = ctx.shape
        slope = _pad(slope, padded.dtype)
        wants_x, wants_memory, *wanted = ctx.needs_input_grad[:8]
        of_output = _gradients(slope, joined, *wanted[4:])
        by_mixed = _split(slope @ output, batch, 1, ctx.heads, positions)[0]
        by_asked, by_told = asked.new_empty(1, *asked.shape), key.new_empty(2, *key.shape)
        by_parts = (by_asked[0], *by_told)
        _attend_backward(by_mixed, asked, key, value, weights, seen, mask, by_parts)
        inner = _join(by_asked, batch, padded.dtype)  # (R, D)
        inner_memory = _join(by_told, batch, padded.dtype)  # (R', 2D)
        return (
            _unpad(inner @ query, ctx.shape) if wants_x else None,
            _unpad(inner_memory @ key_value, ctx.memory_shape) if wants_memory else None,
            *_gradients(inner, padded, *wanted[:2]),
            *_gradients(inner_memory, padded_memory, *wanted[2:4]),
            *of_output,
            *(None,) * 4,
        )
