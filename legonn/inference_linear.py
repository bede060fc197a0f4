"""Linear layers for decoding on a CPU: of 8-bit integers, or of bf16 weights in the order that the processor reads.

Integers. `torch.ao.quantization` is deprecated and shall go, and what follows it, torchao, is another package, whose
integer layers are fast only when compiled. What both stand on, the product of integer matrices, is all that is needed.
Inputs are scaled row by row, not tensor by tensor as in `torch.ao`: so what one input gives doesn't depend on the
others of its batch.

bf16. Autocast rounds the weights at each call, and oneDNN then sorts them for AMX, at each call again: of a step with
few hypotheses that is most of the time. Here both are done once.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from legonn.errors import ConfigError
from legonn.language_model import LanguageModel
from legonn.layers import FeedForward, Linear
from legonn.length_control import TokenCounter

__all__ = ["Bf16Linear", "Int8Linear", "converted"]

LARGEST = 127
ROWS = 128  # for which weights are sorted; others are as fast
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


class Bf16Linear(nn.Module):
    """A linear layer whose weights are bf16 already, and sorted where PyTorch was built with oneDNN.

    Parameters
    ----------
    linear : nn.Linear
        What it stands for.
    relu : bool
        Whether a ReLU follows, in the same pass.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear, *, relu: bool = False) -> None:
        super().__init__()
        self.relu = relu
        weight = linear.weight.detach().bfloat16()
        bias = None if linear.bias is None else linear.bias.detach().bfloat16()
        self.is_sorted = (
            torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
        if self.is_sorted:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        self.register_buffer(
            "weight", weight, persistent=False
        )  # (D', D), opaque where it is sorted
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D'), bf16."""
        x = x.bfloat16()
        if self.is_sorted:
            then = "relu" if self.relu else "none"
            product = torch.ops.mkldnn._linear_pointwise
            result: Tensor = product(x, self.weight, self.bias, then, [], "")
            return result
        y = functional.linear(x, self.weight, self.bias)
        return y.relu() if self.relu else y


CONVERTED: dict[str, type[Int8Linear] | type[Bf16Linear]] = {"int8": Int8Linear, "bf16": Bf16Linear}


def converted(network: M, precision: str) -> M:
    """A copy for a CPU whose linear layers are of `precision`; embeddings, convolutions, norms, a language model, and
    what counts tokens stay as they are.

    Raises
    ------
    ConfigError
        If the network isn't on a CPU.
    """
    device = next(network.parameters()).device
    if device.type != "cpu":
        raise ConfigError(
            f"precision {precision} is for CPUs, and the system is on {device}: give bf16, or leave --ngpu out"
        )
    network = copy.deepcopy(network)
    whole = [m for m in network.modules() if isinstance(m, (LanguageModel, TokenCounter))]
    kept = {inner for module in whole for inner in module.modules()}
    for module in [module for module in network.modules() if module not in kept]:
        for name, child in module.named_children():
            # Other classes may be read by their weights, such as those inside nn.MultiheadAttention.
            if isinstance(child, nn.Linear) and type(child) in (nn.Linear, Linear):
                setattr(module, name, CONVERTED[precision](child))
        if isinstance(module, FeedForward) and isinstance(module[0], Bf16Linear):
            module[0].relu, module[1] = True, nn.Identity()
    return network
