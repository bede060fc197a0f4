"""The autoregressive transformer decoder, with ESPnet's scorer interface for beam search."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from espnet.nets.scorer_interface import BatchScorerInterface
from espnet2.asr.decoder.abs_decoder import AbsDecoder
from torch import Tensor, nn

from legonn.layers import Block, Dropout, Linear, causal_bias, padding_bias, sinusoids

__all__ = ["Decoder", "DecoderState"]

# Keys and values of the prefix (layers, 2, H, U, D/H), and of the memory (layers, 2, H, K, D/H).
DecoderState = tuple[Tensor | None, Tensor]


class Decoder(AbsDecoder, BatchScorerInterface):
    """Token by token, attending to the states that an ingestor (or a plain encoder) gives.

    Parameters
    ----------
    vocabulary, width : int
        V, D.
    blocks : list of Block
        Layers with cross-attention.
    tie_output : bool
        Share the output projection with the embedding.
    word_dropout : float
        Probability that a token of the prefix is read as `<unk>` in training.
    """

    UNKNOWN = 1

    def __init__(
        self,
        *,
        vocabulary: int,
        width: int,
        blocks: list[Block],
        dropout: float,
        tie_output: bool = True,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.scale = math.sqrt(width)
        self.dropout = Dropout(dropout)
        self.word_dropout = word_dropout
        self.blocks = nn.ModuleList(blocks)
        self.memory_width = blocks[0].memory_width
        self.norm = nn.LayerNorm(width)
        self.output = Linear(width, vocabulary)
        if tie_output:
            self.output.weight = self.embedding.weight

    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return cast("list[Block]", list(self.blocks))

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """Ids (B, U) of positions `first` and on -> (B, U, D)."""
        places = torch.arange(first, first + tokens.size(1), device=tokens.device)
        x = self.embedding(tokens) * self.scale
        return self.dropout(x + sinusoids(places, x.size(2)))

    def states(self, memory: Tensor, memory_lengths: Tensor, prefix: Tensor) -> Tensor:
        """(B, K, D), (B,), ids (B, U) -> the states before the output projection (B, U, D)."""
        if self.training and self.word_dropout > 0:
            lost = torch.rand(prefix.shape, device=prefix.device) < self.word_dropout
            lost[:, 0] = False  # <sos>
            prefix = prefix.masked_fill(lost, self.UNKNOWN)
        x = self.embed(prefix)
        future = causal_bias(prefix.size(1), prefix.device)
        hidden = padding_bias(memory_lengths, memory.size(1))
        for block in self.layers():
            x = block(x, future, memory, hidden)
        return self.norm(x)

    def forward(
        self, hs_pad: Tensor, hlens: Tensor, ys_in_pad: Tensor, ys_in_lens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, K, D), (B,), ids (B, U), (B,) -> logits (B, U, V), (B,). Names are ESPnet's."""
        return self.output(self.states(hs_pad, hlens, ys_in_pad)), ys_in_lens

    def init_state(self, x: Tensor) -> DecoderState:
        """Memory of one utterance (K, D) -> the state of an empty prefix."""
        layers = [
            torch.stack(block.memory_keys_values(x[None])) for block in self.layers()
        ]  # each (2, 1, H, K, D/H)
        return None, torch.stack(layers)[:, :, 0]

    def step(self, tokens: Tensor, past: Tensor | None, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One more token for each of B prefixes, from cached keys and values.

        Parameters
        ----------
        tokens : Tensor
            The last id of each prefix, (B,).
        past : Tensor or None
            (B, layers, 2, H, U-1, D/H); None before the first token.
        memory : Tensor
            (B or 1, layers, 2, H, K, D/H).

        Returns
        -------
        Tensor, Tensor
            Log-probabilities of the next token (B, V) and the grown cache (B, layers, 2, H, U, D/H).
        """
        first = 0 if past is None else past.size(4)
        x = self.embed(tokens[:, None], first)
        grown: list[Tensor] = []  # each (B, 2, H, U, D/H)
        for i, block in enumerate(self.layers()):

            def remember(*new: Tensor, layer: int = i) -> tuple[Tensor, Tensor]:
                pair = torch.stack(new, dim=1)  # (B, 2, H, 1, D/H)
                grown.append(pair if past is None else torch.cat([past[:, layer], pair], dim=3))
                return grown[-1][:, 0], grown[-1][:, 1]

            x = block.step(x, remember, None, (memory[:, i, 0], memory[:, i, 1]), None)
        logits = self.output(self.norm(x[:, 0]))
        return logits.float().log_softmax(dim=-1), torch.stack(grown, dim=1)

    def batch_score(
        self, ys: Tensor, states: list[Any], xs: Tensor
    ) -> tuple[Tensor, list[DecoderState]]:
        """ESPnet's batched scorer: prefixes (B, U) of one utterance -> log-probabilities (B, V), new states."""
        memory = states[0][1]
        if any(state[1] is not memory for state in states):
            memory = torch.stack([state[1] for state in states])
        else:
            memory = memory[None]
        past = None if states[0][0] is None else torch.stack([state[0] for state in states])
        scores, grown = self.step(ys[:, -1], past, memory)
        return scores, [(cache, state[1]) for cache, state in zip(grown, states, strict=True)]

    def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, DecoderState]:
        """ESPnet's scorer for one prefix (U,): log-probabilities (V,) and the new state."""
        scores, states = self.batch_score(y[None], [state], x[None])
        return scores[0], states[0]
