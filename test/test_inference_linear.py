"""Linear layers for decoding: exact where nothing is rounded, near elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from legonn.errors import ConfigError
from legonn.inference_linear import Bf16Linear, Int8Linear, converted
from legonn.layers import Linear


def test_what_needs_no_rounding_is_exact() -> None:
    """Rows whose largest is 127 are their own integers."""
    linear = nn.Linear(3, 2)
    linear.weight.data = torch.tensor(
        [[127.0, -3.0, 5.0], [-254.0, 20.0, 0.0]]
    )  # the second's steps are of 2
    linear.bias.data = torch.tensor([0.5, -1.0])
    x = torch.tensor([[[127.0, 1.0, -2.0]], [[0.0, 0.0, 0.0]]])
    assert Int8Linear(linear)(x).tolist() == [[[16116.5, -32239.0]], [[0.5, -1.0]]]
    assert torch.equal(Int8Linear(linear)(x), linear(x))


@pytest.mark.parametrize("bias", [True, False])
def test_the_error_is_that_of_rounding(bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    linear = nn.Linear(33, 17, bias=bias)
    linear.weight.data = torch.randn(17, 33, generator=generator)
    x = 3 * torch.randn(5, 33, generator=generator)
    weight = linear.weight.data
    w_step, x_step = (m.abs().amax(dim=1, keepdim=True) / 127 for m in (weight, x))
    half = x.abs().sum(1, keepdim=True) * w_step.T / 2 + weight.abs().sum(1)[None] * x_step / 2
    bound = half + 33 * w_step.T * x_step / 4
    error = (Int8Linear(linear)(x) - linear(x)).abs()
    assert bool((error <= bound + 1e-4).all())
    assert 0.001 < error.mean().item() / linear(x).abs().mean().item() < 0.02


def test_a_row_gives_what_it_gives_alone() -> None:
    layer = Int8Linear(nn.Linear(16, 8))
    x = torch.randn(7, 16) * torch.logspace(-3, 3, 7)[:, None]
    assert torch.equal(layer(x), torch.cat([layer(row[None]) for row in x]))


def test_a_copy_is_quantised_and_what_is_tied_to_a_layer_stays() -> None:
    network: Any = nn.Sequential(
        nn.Embedding(9, 8), nn.Sequential(Linear(8, 8), nn.ReLU()), nn.Linear(8, 9)
    )
    network[2].weight = network[0].weight
    copy: Any = converted(network, "int8")
    assert isinstance(copy[1][0], Int8Linear) and isinstance(copy[2], Int8Linear)
    assert torch.equal(copy[0].weight, network[0].weight)
    assert isinstance(network[2], nn.Linear)
    assert copy[2].weight.dtype == torch.int8


@pytest.mark.parametrize("bias", [True, False])
def test_bf16_is_that_of_rounded_weights(bias: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    linear = nn.Linear(33, 17, bias=bias)
    linear.weight.data = torch.randn(17, 33, generator=generator)
    x = torch.randn(2, 5, 33, generator=generator)
    rounded = [p.data.bfloat16().double() for p in linear.parameters()]
    expected = x.bfloat16().double() @ rounded[0].T + (rounded[1] if bias else 0.0)
    found = Bf16Linear(linear)(x)
    assert found.dtype == torch.bfloat16 and found.shape == (2, 5, 17)
    # A bf16 has 8 bits: half a step is 2**-9 of its size; what is nearly zero comes from sums that are not.
    assert torch.allclose(found.double(), expected, rtol=2**-8, atol=1e-4)


def test_bf16_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = nn.Linear(16, 8)
    x = torch.randn(3, 16)
    sorted_weights = Bf16Linear(linear)(x).float()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    plain = Bf16Linear(linear)
    assert plain.weight.shape == (8, 16)
    assert torch.allclose(plain(x).float(), sorted_weights, rtol=2**-7, atol=1e-3)


def test_only_cpus_have_it() -> None:
    with pytest.raises(ConfigError, match="precision int8 is for CPUs, and the system is on meta"):
        converted(nn.Linear(2, 2, device="meta"), "int8")
