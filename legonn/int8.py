"""Linear layers of 8-bit integers, for decoding on a CPU.

`torch.ao.quantization` is deprecated and shall go, and what follows it, torchao, is another package, whose integer
layers are fast only when compiled. What both stand on, the product of integer matrices, is all that is needed. Inputs
are scaled row by row, not tensor by tensor as in `torch.ao`: so what one input gives doesn't depend on the others of
its batch.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

from legonn.errors import ConfigError
from legonn.layers import Linear

__all__ = ["Int8Linear", "quantised"]

LARGEST = 127
M = TypeVar("M", bound=nn.Module)


class Int8Linear(nn.Module):
    """A linear layer whose weights, and inputs when they come, are rounded to 255 steps.

    Parameters
    ----------
    linear : nn.Linear
        What it stands for; of each output (row of the weights) the largest weight becomes 127.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = _rounded(linear.weight.detach().float())
        self.register_buffer("weight", weight)  # int8 (D', D)
        self.register_buffer("scale", scale[:, 0])  # (D',)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D'), fp32."""
        rows, scale = _rounded(x.flatten(0, -2).float())  # (N, D), (N, 1)
        y = torch._int_mm(rows, self.weight.t()).float().mul_(scale).mul_(self.scale)
        if self.bias is not None:
            y = y.add_(self.bias)
        return y.unflatten(0, x.shape[:-1])


def _rounded(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) -> int8 (N, D), and what to multiply each row with, (N, 1)."""
    scale = x.abs().amax(dim=1, keepdim=True).clamp(min=1e-30) / LARGEST
    return (x / scale).round_().to(torch.int8), scale


def quantised(network: M) -> M:
    """A copy whose linear layers are `Int8Linear`; embeddings, convolutions and norms stay as they are.

    Raises
    ------
    ConfigError
        If the network isn't on a CPU.
    """
    device = next(network.parameters()).device
    if device.type != "cpu":
        raise ConfigError(
            f"precision int8 is for CPUs, and the system is on {device}: give bf16, or leave --ngpu out"
        )
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            # Other classes may be read by their weights, such as those inside nn.MultiheadAttention.
            if isinstance(child, nn.Linear) and type(child) in (nn.Linear, Linear):
                setattr(module, name, Int8Linear(child))
    return network
