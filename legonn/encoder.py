"""Encoders: a front end, then layers, with the length controller between two groups of them."""

from __future__ import annotations

import math

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from torch import Tensor, nn

from legonn.layers import Block, Dropout, padding_bias, sinusoids
from legonn.length_control import LengthController

__all__ = ["LegoEncoder", "Stack", "TextFrontEnd"]


class TextFrontEnd(nn.Module):
    """Scaled embedding plus position.

    Parameters
    ----------
    vocabulary, width : int
        V of the source, D.
    dropout, word_dropout : float
        On the sum; probability that a source token is read as `<unk>`, a cheap guard against overfitting.
    """

    UNKNOWN = 1
    source = "src_text"

    def __init__(
        self, *, vocabulary: int, width: int, dropout: float, word_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.scale = math.sqrt(width)
        self.word_dropout = word_dropout
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Ids (B, T), padded with anything, and (B,) -> (B, T, D), (B,)."""
        tokens = tokens.clamp(min=0)
        if self.training and self.word_dropout > 0:
            lost = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(lost, self.UNKNOWN)
        x = self.embedding(tokens) * self.scale
        places = torch.arange(x.size(1), device=x.device)
        return self.dropout(x + sinusoids(places, x.size(2))), lengths


class Stack(nn.Module):
    """Transformer layers that see each other's positions, none beyond `lengths`: (B, N, D) -> (B, N, D)."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, N, D), (B,) -> (B, N, D)."""
        bias = padding_bias(lengths, x.size(1))
        for block in self.blocks:
            x = block(x, bias)
        return x


class LegoEncoder(AbsEncoder):
    """Front end -> layers -> length controller -> layers -> norm.

    Without a length controller it is an ordinary encoder, and K = T.

    Attributes
    ----------
    source : str
        Name of the batch entry that it reads.
    """

    def __init__(
        self,
        *,
        front_end: nn.Module,
        before: nn.Module,
        length_control: LengthController | None,
        after: nn.Module,
        width: int,
    ) -> None:
        super().__init__()
        self.front_end = front_end
        self.before = before
        self.length_control = length_control
        self.after = after
        self.norm = nn.LayerNorm(width)
        self.width = width
        self.source = str(front_end.source)

    def around(self, control: LengthController) -> LegoEncoder:
        """The same layers, shared, on either side of another length controller."""
        other = LegoEncoder(
            front_end=self.front_end,
            before=self.before,
            length_control=control,
            after=self.after,
            width=self.width,
        )
        other.norm = self.norm
        return other.train(self.training)

    @property
    def needs_statistics(self) -> bool:
        """Whether its front end normalises by those of a training set."""
        return getattr(self.front_end, "normalisation", None) == "global"

    @property
    def sees_padding(self) -> bool:
        """Whether an utterance's states depend on how far its batch is padded."""
        return any(getattr(part, "sees_padding", False) for part in (self.before, self.after))

    def output_size(self) -> int:
        """D."""
        return self.width

    def forward(
        self, xs_pad: Tensor, ilens: Tensor, prev_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Input as the front end takes it, and (B,) -> (B, K, D), (B,), None. Names are ESPnet's."""
        return *self.answer(*self.hear(xs_pad, ilens)), None

    def hear(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What comes before the length controller: input as the front end takes it, and (B,) -> (B, T, D), (B,)."""
        x, lengths = self.front_end(source, lengths)
        return self.before(x, lengths), lengths

    def answer(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The length controller and what comes behind it: (B, T, D), (B,) -> (B, K, D), (B,)."""
        if self.length_control is not None:
            x, lengths = self.length_control(x, lengths)
        return self.norm(self.after(x, lengths)), lengths
