"""Any number of outputs for each utterance, as one list and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["flat", "rows_of", "unflat"]

T = TypeVar("T")


def flat(nested: Sequence[Sequence[T]]) -> list[T]:
    """All of all utterances, in their order."""
    return [one for row in nested for one in row]


def rows_of(nested: Sequence[Sequence[T]], device: torch.device) -> Tensor:
    """The utterance that each of `flat` belongs to: int64 (n,)."""
    counts = torch.tensor([len(row) for row in nested], device=device)
    return torch.arange(len(counts), device=device).repeat_interleave(counts)


def unflat(values: Iterable[T], like: Sequence[Sequence[object]]) -> list[list[T]]:
    """What was made of each of `flat`, by utterance again."""
    each = iter(values)
    return [[next(each) for _ in row] for row in like]
