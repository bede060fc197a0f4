"""The head that grounds states in tokens: linear, log-softmax, trained with CTC (paper section III-A)."""

from __future__ import annotations

from torch import Tensor, nn

from legonn.interface import Marginals
from legonn.layers import Linear

__all__ = ["Head"]


class Head(nn.Module):
    """States to marginals.

    Parameters
    ----------
    width, vocabulary : int
        D, V.
    target : str
        Name of the batch entry with this interface's tokens: `text` where they are also the decoder's.
    """

    def __init__(self, *, width: int, vocabulary: int, target: str = "text") -> None:
        super().__init__()
        self.linear = Linear(width, vocabulary)
        self.target = target

    def forward(self, x: Tensor, lengths: Tensor) -> Marginals:
        """(B, K, D), (B,) -> Marginals (B, K, V)."""
        return Marginals(self.linear(x).float().log_softmax(dim=-1), lengths)
