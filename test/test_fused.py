"""The fused sublayers against `legonn.layers` written out, and their gradients against finite differences."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from legonn import fused
from legonn.layers import CrossAttention, Dropout, FeedForward, SelfAttention, padding_bias

WIDTH, HEADS, HIDDEN = 6, 2, 10
WIDE = torch.float64


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=WIDE, requires_grad=True)


def bits(*shape: int) -> Tensor:
    """A dropout mask."""
    return (torch.rand(shape, dtype=WIDE) < 0.7).double() / 0.7


def check_gradients(function: Any, *inputs: Tensor) -> None:
    """Exact products, finite differences (golden: PyTorch's gradcheck)."""
    assert torch.autograd.gradcheck(function, inputs)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("with_bias", [True, False])
def test_a_product_has_the_gradient_of_its_formula(with_bias: bool) -> None:
    x, weight, bias = drawn(2, 3, 4), drawn(5, 4), drawn(5)
    if with_bias:
        check_gradients(lambda x, w, b: fused.linear(x, w, b, WIDE), x, weight, bias)
    else:
        check_gradients(lambda x, w: fused.linear(x, w, None, WIDE), x, weight)


@pytest.mark.parametrize("hidden", [4, 10])  # narrower and wider than what it is computed from
@pytest.mark.parametrize("masked", [True, False])
def test_a_feed_forward_layer_has_the_gradient_of_its_formula(hidden: int, masked: bool) -> None:
    keep = torch.rand(2, 1, hidden) < 0.7 if masked else None

    def run(x: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return fused.feed_forward(x, (a, b), (c, d), keep, 1 / 0.7, WIDE)

    weights = drawn(hidden, WIDTH), drawn(hidden), drawn(WIDTH, hidden), drawn(WIDTH)
    check_gradients(run, drawn(2, 3, WIDTH), *weights)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_self_attention_has_the_gradient_of_its_formula(masked: bool, padded: bool) -> None:
    mask = bits(2, HEADS, 3, 3) if masked else None
    bias = padding_bias(torch.tensor([3, 2]), 3) if padded else None

    def run(x: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
        return fused.self_attention(x, (a, b), (c, d), HEADS, bias, mask, WIDE)

    weights = drawn(3 * WIDTH, WIDTH), drawn(3 * WIDTH), drawn(WIDTH, WIDTH), drawn(WIDTH)
    check_gradients(run, drawn(2, 3, WIDTH), *weights)


@pytest.mark.parametrize("masked", [True, False])
def test_cross_attention_has_the_gradient_of_its_formula(masked: bool) -> None:
    mask = bits(2, HEADS, 3, 4) if masked else None
    bias = padding_bias(torch.tensor([2, 4]), 4)

    def run(x: Tensor, memory: Tensor, *weights: Tensor) -> Tensor:
        a, b, c, d, e, f = weights
        options = (HEADS, bias, mask, WIDE)
        return fused.cross_attention(x, memory, (a, b), (c, d), (e, f), *options)

    weights = (
        *(drawn(WIDTH, WIDTH), drawn(WIDTH)),
        *(drawn(2 * WIDTH, 5), drawn(2 * WIDTH)),
        *(drawn(WIDTH, WIDTH), drawn(WIDTH)),
    )
    check_gradients(run, drawn(2, 3, WIDTH), drawn(2, 4, 5), *weights)


def layers() -> dict[str, nn.Module]:
    options = {"width": WIDTH, "heads": HEADS, "dropout": 0.3}
    return {
        "self": SelfAttention(**options),  # type: ignore[arg-type]
        "cross": CrossAttention(memory=WIDTH, **options),  # type: ignore[arg-type]
        "feed forward": FeedForward(width=WIDTH, hidden=HIDDEN, dropout=0.3),
    }


@pytest.mark.parametrize("name", list(layers()))
@pytest.mark.parametrize("positions", [3, 129])  # 2 x 129 rows are more than are padded to at once
def test_a_layer_in_training_is_the_layer_written_out(name: str, positions: int) -> None:
    """With the same weights and dropout masks, up to bf16's 8 bits: outputs and all gradients."""
    layer = layers()[name].train()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, positions, WIDTH)
    memory = torch.randn(2, positions + 1, WIDTH)
    slope = torch.randn(2, positions, WIDTH)
    found = []
    for written_out in (True, False):
        torch.manual_seed(1)
        layer.zero_grad()
        given = [t.clone().requires_grad_() for t in (x, memory)]
        bias = padding_bias(torch.tensor([positions, 2]), positions)
        arguments: dict[str, tuple[Any, ...]] = {
            "self": (given[0], bias),
            "cross": (*given, None),
            "feed forward": (given[0],),
        }
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not written_out):
            out = layer(*arguments[name])
        (out.float() * slope).sum().backward()
        gradients = [t.grad for t in (*given, *layer.parameters()) if t.grad is not None]
        found.append([out.detach().float(), *gradients])
    assert len(found[0]) == len(found[1]) >= 6
    for wanted, got in zip(*found, strict=True):
        assert functional.mse_loss(got, wanted).sqrt() < 0.04 * wanted.square().mean().sqrt() + 1e-6


def test_frozen_weights_get_no_gradient_and_their_input_still_does() -> None:
    layer = FeedForward(width=WIDTH, hidden=HIDDEN, dropout=0.0).requires_grad_(False)
    x = torch.randn(2, 3, WIDTH, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x).sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_a_mask_is_the_dropout_that_a_module_applies() -> None:
    dropout, x = Dropout(0.5), torch.randn(4, 5, 6)
    torch.manual_seed(3)
    mask = dropout.mask(x.shape, x.dtype, x.device)
    torch.manual_seed(3)
    assert mask is not None and torch.equal(dropout(x), x * mask)
    assert set(mask.unique().tolist()) == {0.0, dropout.scale}
    assert dropout.eval().mask(x.shape, x.dtype, x.device) is None


def test_a_call_leaves_autocast_as_it_was_in_every_thread() -> None:
    layer = FeedForward(width=WIDTH, hidden=HIDDEN, dropout=0.0)
    x = torch.randn(2, 3, WIDTH)
    states = []

    def work() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for _ in range(50):
                layer(x)
                states.append(torch.is_autocast_enabled("cpu"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == [True] * 150
    assert not torch.is_autocast_enabled("cpu")


def test_no_utterance_gives_nothing() -> None:
    layer = FeedForward(width=WIDTH, hidden=HIDDEN, dropout=0.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(0, 3, WIDTH)).shape == (0, 3, WIDTH)
        assert fused.linear(torch.randn(2, 0, 4), torch.randn(5, 4), None).shape == (2, 0, 5)
