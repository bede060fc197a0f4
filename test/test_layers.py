"""Layers against PyTorch's attention, the formulas they implement, and the laws of dropout."""

from __future__ import annotations

import math
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from legonn.layers import (
    Block,
    CrossAttention,
    Dropout,
    FeedForward,
    Linear,
    SelfAttention,
    causal_bias,
    padding_bias,
    padding_mask,
    product,
    sinusoids,
)

WIDTH, HEADS = 12, 3


def test_padding_mask_is_true_beyond_the_length() -> None:
    assert padding_mask(torch.tensor([3, 1, 0]), 3).tolist() == [
        [False, False, False],
        [False, True, True],
        [True, True, True],
    ]


def test_padding_bias_is_none_where_nothing_is_padded() -> None:
    assert padding_bias(torch.tensor([3, 3]), 3) is None
    bias = padding_bias(torch.tensor([3, 1]), 3)
    assert bias is not None and bias.shape == (2, 1, 1, 3)
    assert bias[:, 0, 0].tolist() == [[0, 0, 0], [0, -math.inf, -math.inf]]


def test_an_input_without_tokens_sees_its_padding() -> None:
    """Otherwise its row would be NaN, and with it the gradient of the whole batch."""
    bias = padding_bias(torch.tensor([2, 0]), 2)
    assert bias is not None and bias[:, 0, 0].tolist() == [[0, 0], [0, -math.inf]]


def test_causal_bias_hides_the_future() -> None:
    hidden = -math.inf
    assert causal_bias(3, torch.device("cpu"))[0, 0].tolist() == [
        [0, hidden, hidden],
        [0, 0, hidden],
        [0, 0, 0],
    ]


@pytest.mark.parametrize("width", [2, 4, 7, 160])
def test_sinusoids_are_the_formula(width: int) -> None:
    """Golden: sine and cosine of k / 10000^(i / (D/2 - 1)), in `math`; an odd width ends with 0."""
    places = [0.0, 1.0, 2.5, 300.0]
    half = width // 2
    rates = [10000.0 ** (-i / max(half - 1, 1)) for i in range(half)]
    wanted = [
        [math.sin(k * r) for r in rates] + [math.cos(k * r) for r in rates] + [0.0] * (width % 2)
        for k in places
    ]
    found = sinusoids(torch.tensor(places), width)
    torch.testing.assert_close(found, torch.tensor(wanted), atol=1e-4, rtol=0)


def test_sinusoids_take_integers_and_keep_other_dimensions() -> None:
    assert sinusoids(torch.arange(6).reshape(2, 3), 8).shape == (2, 3, 8)


def test_dropout_zeroes_its_share_and_scales_the_rest() -> None:
    torch.manual_seed(0)
    out = Dropout(0.2)(torch.ones(200_000))
    kept = 1 - round(0.2 * 256) / 256  # the probability is a multiple of 1/256
    assert out.unique().tolist() == pytest.approx([0.0, 1 / kept])
    assert (out == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)
    assert out.mean().item() == pytest.approx(1.0, abs=0.005)


def test_dropout_gradient_has_the_mask_of_the_output() -> None:
    torch.manual_seed(0)
    x = torch.ones(5, 7, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, out.detach())


@pytest.mark.parametrize("shape", [(3, 9), (4, 5, 7), (2, 3, 4, 5), (1, 1, 1)])
def test_dropout_keeps_shape_and_type(shape: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        out = Dropout(0.3)(torch.ones(shape, dtype=dtype))
        assert out.shape == shape and out.dtype == dtype


def test_a_shared_mask_is_the_same_at_all_positions_and_differs_between_utterances() -> None:
    torch.manual_seed(0)
    out = Dropout(0.5, shared=True)(torch.ones(4, 9, 64))
    assert torch.equal(out, out[:, :1].expand_as(out))
    masks = {tuple(row) for row in out[:, 0].tolist()}
    assert len(masks) == 4


@pytest.mark.parametrize("shared", [False, True])
def test_dropout_repeats_by_seed(shared: bool) -> None:
    dropout, x = Dropout(0.5, shared=shared), torch.randn(3, 5, 32)
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(dropout(x))
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])


def test_dropout_is_nothing_in_evaluation_or_at_zero() -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize("rows", [1, 255, 256, 257])
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_padded_product_is_pytorchs_in_bf16(rows: int, with_bias: bool) -> None:
    """Golden: `functional.linear` in fp32 on operands rounded to bf16; sums round below 1 %."""
    torch.manual_seed(0)
    rounded = [torch.randn(shape).bfloat16().float() for shape in ((rows, 6), (5, 6), (5,))]
    slope = torch.randn(rows, 5).bfloat16().float()
    found, wanted = ([t.clone().requires_grad_() for t in rounded] for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = product(found[0].view(1, rows, 6), found[1], found[2] if with_bias else None)
    assert out.shape == (1, rows, 5) and out.dtype == torch.bfloat16
    golden = functional.linear(wanted[0], wanted[1], wanted[2] if with_bias else None)
    torch.testing.assert_close(out[0].float(), golden, atol=0.02, rtol=0.01)
    (out[0].float() * slope).sum().backward()
    (golden * slope).sum().backward()
    for ours, theirs in zip(found[: 2 + with_bias], wanted, strict=False):
        assert (
            ours.grad is not None and theirs.grad is not None and ours.grad.dtype == torch.float32
        )
        torch.testing.assert_close(ours.grad, theirs.grad, atol=0.03, rtol=0.01)
    assert with_bias or found[2].grad is None


def test_a_product_in_fp32_is_linear() -> None:
    x, weight, bias = torch.randn(2, 3, 4), torch.randn(5, 4), torch.randn(5)
    assert torch.equal(product(x, weight, bias), functional.linear(x, weight, bias))
    assert torch.equal(product(x, weight), functional.linear(x, weight))


def test_a_product_in_bf16_is_the_same_with_and_without_gradients() -> None:
    x, layer = torch.randn(3, 4), Linear(4, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learning = layer(x)
        with torch.no_grad():
            quiet = layer(x)
    torch.testing.assert_close(quiet, learning.detach())


def test_a_joint_projection_starts_with_each_part_at_glorots_scale() -> None:
    torch.manual_seed(0)
    layer = Linear(200, 600)
    limit = (6 / (200 + 200)) ** 0.5
    for part in layer.weight.detach().split(200):
        assert part.abs().max().item() == pytest.approx(limit, rel=0.01)
    assert layer.bias.abs().max() == 0


def golden_attention(
    bias: Tensor | None, ours: SelfAttention | CrossAttention, x: Tensor, memory: Tensor
) -> Tensor:
    """`torch.nn.MultiheadAttention` with our weights: (B, U, D), (B, N, M) -> (B, U, D)."""
    wide = memory.size(2)
    golden = nn.MultiheadAttention(WIDTH, HEADS, kdim=wide, vdim=wide, batch_first=True)
    joint = (
        [ours.query_key_value] if isinstance(ours, SelfAttention) else [ours.query, ours.key_value]
    )
    rows = [part for linear in joint for part in linear.weight.split(WIDTH)]  # query, key, value
    with torch.no_grad():
        if golden.in_proj_weight is not None:
            golden.in_proj_weight.copy_(torch.cat(rows))
        else:
            for name, row in zip("qkv", rows, strict=True):
                golden.get_parameter(f"{name}_proj_weight").copy_(row)
        golden.in_proj_bias.copy_(torch.cat([linear.bias for linear in joint]))
        golden.out_proj.load_state_dict(ours.output.state_dict())
    mask = None
    if bias is not None:
        mask = bias.expand(x.size(0), HEADS, x.size(1), memory.size(1)).flatten(0, 1)
    return golden(x, memory, memory, attn_mask=mask, need_weights=False)[0]


M = TypeVar("M", bound=nn.Module)


def filled(module: M) -> M:
    """With biases too: they start at zero, where a forgotten one goes unnoticed."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)
    return module.eval()


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_pytorchs(causal: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, WIDTH)
    attention = filled(SelfAttention(width=WIDTH, heads=HEADS, dropout=0.0))
    bias = causal_bias(5, x.device) if causal else padding_bias(torch.tensor([5, 3]), 5)
    torch.testing.assert_close(
        attention(x, bias), golden_attention(bias, attention, x, x), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("memory_width", [WIDTH, 7])
def test_cross_attention_is_pytorchs(memory_width: int) -> None:
    torch.manual_seed(0)
    x, memory = torch.randn(2, 3, WIDTH), torch.randn(2, 6, memory_width)
    attention = filled(CrossAttention(width=WIDTH, memory=memory_width, heads=HEADS, dropout=0.0))
    bias = padding_bias(torch.tensor([4, 6]), 6)
    torch.testing.assert_close(
        attention(x, memory, bias),
        golden_attention(bias, attention, x, memory),
        atol=1e-5,
        rtol=1e-4,
    )


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="width 12 is not a multiple of heads 5"):
        SelfAttention(width=12, heads=5, dropout=0.0)


def test_feedforward_is_two_products_around_a_rectifier() -> None:
    torch.manual_seed(0)
    layer = filled(FeedForward(width=4, hidden=6, dropout=0.5))
    x = torch.randn(2, 3, 4)
    first, second = layer[0], layer[3]
    assert isinstance(first, Linear) and isinstance(second, Linear)
    wanted = (x @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias
    torch.testing.assert_close(layer(x), wanted)


def block(**options: bool | int) -> Block:
    torch.manual_seed(0)
    built = Block(
        width=WIDTH,
        heads=HEADS,
        feedforward=20,
        dropout=0.0,
        attention_dropout=0.0,
        **options,  # type: ignore[arg-type]
    )
    filled(built)
    return built


def test_a_block_is_pytorchs_pre_norm_encoder_layer() -> None:
    """Golden: `torch.nn.TransformerEncoderLayer(norm_first=True)` with copied weights."""
    ours = block()
    golden = nn.TransformerEncoderLayer(WIDTH, HEADS, 20, 0.0, batch_first=True, norm_first=True)
    assert ours.self_attention is not None and ours.self_norm is not None
    with torch.no_grad():
        golden.self_attn.in_proj_weight.copy_(ours.self_attention.query_key_value.weight)
        golden.self_attn.in_proj_bias.copy_(ours.self_attention.query_key_value.bias)
    pairs = [
        (golden.self_attn.out_proj, ours.self_attention.output),
        (golden.norm1, ours.self_norm),
        (golden.norm2, ours.feedforward_norm),
        (golden.linear1, ours.feedforward[0]),
        (golden.linear2, ours.feedforward[3]),
    ]
    for theirs, mine in pairs:
        theirs.load_state_dict(mine.state_dict())
    x = torch.randn(2, 5, WIDTH)
    torch.testing.assert_close(ours(x, None), golden(x), atol=1e-5, rtol=1e-4)


def test_a_block_steps_as_it_runs() -> None:
    layer = block(memory=7)
    x, memory = torch.randn(2, 4, WIDTH), torch.randn(2, 6, 7)
    assert layer.cross_attention is not None
    whole = layer(x, causal_bias(4, x.device), memory, None)
    pairs = layer.cross_attention.keys_values(memory)
    past: list[tuple[torch.Tensor, torch.Tensor]] = []

    def remember(key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        past.append((key, value))
        keys, values = zip(*past, strict=True)
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)

    for i in range(4):
        out = layer.step(x[:, i : i + 1], remember, None, pairs, None)
        torch.testing.assert_close(out, whole[:, i : i + 1], atol=1e-5, rtol=1e-4)


def test_without_self_attention_positions_do_not_see_each_other() -> None:
    layer = block(memory=WIDTH, self_attention=False)
    x, memory = torch.randn(1, 4, WIDTH), torch.randn(1, 6, WIDTH)
    whole = layer(x, None, memory, None)
    alone = layer(x[:, 2:3], None, memory, None)
    torch.testing.assert_close(whole[:, 2:3], alone, atol=1e-5, rtol=1e-4)
