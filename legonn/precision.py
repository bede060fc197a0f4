"""Which number format the matrix products run in: fp32, or bf16 where the processor multiplies it natively."""

from __future__ import annotations

from typing import Literal

import torch

from legonn.errors import ConfigError

__all__ = ["PRECISIONS", "Precision", "autocast", "resolve_precision"]

Precision = Literal["auto", "fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16")


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Turn `auto` into what `device` is fast at.

    A processor without AMX or AVX512-bf16 emulates bf16 and is slower with it than with fp32.

    Raises
    ------
    ConfigError
        If `precision` is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; legal are {', '.join(PRECISIONS)}")
    if precision == "auto":
        precision = "bf16" if _multiplies_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else torch.float32


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """ESPnet's Trainer only autocasts on CUDA, so the model opens its own context in `forward`."""
    enabled = dtype != torch.float32
    return torch.autocast(device.type, dtype=dtype if enabled else torch.bfloat16, enabled=enabled)
