"""A bridge reads marginals over one token list and writes marginals over another (paper section III-E)."""

from __future__ import annotations

from torch import nn

from legonn.encoder import Stack
from legonn.head import Head
from legonn.ingestor import Ingestor
from legonn.interface import Marginals
from legonn.length_control import LengthController

__all__ = ["Bridge"]


class Bridge(nn.Module):
    """Ingestor -> length controller -> layers -> head, for example phonemes to subwords."""

    def __init__(
        self,
        *,
        ingestor: Ingestor,
        length_control: LengthController | None,
        after: Stack,
        width: int,
        head: Head,
    ) -> None:
        super().__init__()
        self.ingestor = ingestor
        self.length_control = length_control
        self.after = after
        self.norm = nn.LayerNorm(width)
        self.head = head

    def forward(self, marginals: Marginals) -> Marginals:
        """Marginals (B, K, V) -> Marginals (B, K', V')."""
        x, lengths = self.ingestor(marginals), marginals.lengths
        if self.length_control is not None:
            x, lengths = self.length_control(x, lengths)
        return self.head(self.norm(self.after(x, lengths)), lengths)
