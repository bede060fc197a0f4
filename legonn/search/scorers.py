"""What a beam search asks of those that score: the decoder, an interface's CTC, ESPnet's scorers.

Notation: N utterances, b hypotheses of each, V vocabulary, S candidates for the next token, K positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from espnet.nets.scorer_interface import BatchPartialScorerInterface, BatchScorerInterface
from torch import Tensor

from legonn.decoder import Decoder
from legonn.layers import padding_bias

__all__ = ["CandidateScorer", "DecoderScorer", "EspnetScorer", "Scorer", "TokenScorer"]

Pair = tuple[Tensor, Tensor]  # keys and values


class Scorer(ABC):
    """Knows something of N x b running hypotheses; serves one search."""

    @abstractmethod
    def reorder(self, parents: Tensor) -> None:
        """Slot j of utterance n goes on from its slot `parents[n, j]`: (N, b)."""

    @abstractmethod
    def keep(self, utterances: Tensor) -> None:
        """Forget all but these, in this order: (N',)."""


class TokenScorer(Scorer):
    """Scores every token."""

    @abstractmethod
    def step(self, tokens: Tensor) -> Tensor:
        """Append `tokens` (N, b), at first `<sos>`, and score the next: log-probabilities (N, b, V)."""


class CandidateScorer(Scorer):
    """Scores some tokens, which others have chosen."""

    @abstractmethod
    def step(self, tokens: Tensor) -> None:
        """Append `tokens` (N, b), at first `<sos>`."""

    @abstractmethod
    def score(self, candidates: Tensor) -> Tensor:
        """Next tokens (N, b, S) -> log-probabilities (N, b, S)."""

    @abstractmethod
    def suggest(self, count: int) -> Tensor:
        """Tokens that the others should not overlook in these utterances: ids (N, at most `count`), no `<eos>`."""


class DecoderScorer(TokenScorer):
    """The decoder, with keys and values kept.

    Those of the memory are computed once an utterance, and read by all its hypotheses. Those of the prefixes stay where
    they were written when hypotheses change places: a table says which of them are a hypothesis's own, and attention
    sees no others. That costs little, as b is small, and saves moving them at each step. Hypotheses soon have most of
    their tokens in common, so what none of them sees any more is dropped every few steps.

    Parameters
    ----------
    decoder : Decoder
        In evaluation mode.
    memory, lengths : Tensor
        (N, K, D), (N,).
    size : int
        b.
    """

    FIRST = 16  # tokens that there is room for at first
    TIDY = 8  # steps

    def __init__(self, decoder: Decoder, memory: Tensor, lengths: Tensor, *, size: int) -> None:
        self.decoder = decoder
        self.size = size
        self.length = 0
        self.filled = 0  # of the room
        self.hidden = padding_bias(lengths, memory.size(1))  # (N, 1, 1, K)
        # Contiguous, or each product with them would first make a copy that is.
        self.memory: list[Pair] = [
            (keys.contiguous(), values.contiguous())
            for keys, values in (block.memory_keys_values(memory) for block in decoder.layers())
        ]
        count = len(memory)
        # Layers x 2 x (N, H, room * b, D/H); 0 where a hypothesis sees, -inf where not: (N, 1, b, room * b).
        self.past = [
            (_room(keys, self.FIRST * size), _room(values, self.FIRST * size))
            for keys, values in self.memory
        ]
        self.seen = memory.new_full(
            (count, 1, size, self.FIRST * size), -torch.inf, dtype=torch.float32
        )

    def step(self, tokens: Tensor) -> Tensor:
        """See `TokenScorer`."""
        if self.length % self.TIDY == 0:
            self._drop_unseen()
        self._make_room()
        count, size = tokens.shape
        start, end = self.filled, self.filled + size
        own = torch.arange(size, device=tokens.device)
        self.seen[:, 0, own, start + own] = 0.0
        seen = self.seen[..., :end]
        x = self.decoder.embed(tokens.reshape(-1, 1), self.length).view(
            count, size, -1
        )  # (N, b, D)
        for block, past, memory in zip(self.decoder.layers(), self.past, self.memory, strict=True):

            def remember(key: Tensor, value: Tensor, past: Pair = past) -> Pair:
                keys, values = past
                keys[:, :, start:end], values[:, :, start:end] = key, value
                return keys[:, :, :end], values[:, :, :end]

            x = block.step(x, remember, seen, memory, self.hidden)
        self.length += 1
        self.filled = end
        logits = self.decoder.output(self.decoder.norm(x))
        return logits.float().log_softmax(dim=-1)

    def _make_room(self) -> None:
        """Twice as much where there is none left."""
        room = self.seen.size(-1)
        if self.filled + self.size <= room:
            return
        more = torch.full_like(self.seen, -torch.inf)
        self.seen = torch.cat([self.seen, more], dim=-1)
        self.past = [
            (torch.cat([k, _room(k, room)], dim=2), torch.cat([v, _room(v, room)], dim=2))
            for k, v in self.past
        ]

    def _drop_unseen(self) -> None:
        """Move what some hypothesis sees to the front; utterances that have less of it keep some that none sees."""
        seen = self.seen[..., : self.filled]
        used = (seen == 0.0).any(dim=2)[:, 0]  # (N, filled)
        width = int(used.sum(dim=1).max()) if self.filled else 0
        if width > self.filled * 3 // 4:
            return
        kept = (~used).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]  # (N, width)
        for pair in self.past:
            for cache in pair:
                places = kept[:, None, :, None].expand(-1, cache.size(1), -1, cache.size(3))
                cache[:, :, :width] = cache.gather(2, places)
        self.seen[..., :width] = seen.gather(3, kept[:, None, None].expand(-1, 1, self.size, -1))
        self.seen[..., width:] = -torch.inf
        self.filled = width

    def reorder(self, parents: Tensor) -> None:
        """See `Scorer`."""
        end = self.filled
        seen = self.seen[:, 0, :, :end]
        rows = parents[:, :, None].expand(-1, -1, end)
        self.seen[:, 0, :, :end] = seen.gather(1, rows)

    def keep(self, utterances: Tensor) -> None:
        """See `Scorer`."""
        self.memory = [(k[utterances], v[utterances]) for k, v in self.memory]
        self.past = [(k[utterances], v[utterances]) for k, v in self.past]
        self.seen = self.seen[utterances]
        self.hidden = None if self.hidden is None else self.hidden[utterances]


def _room(like: Tensor, size: int) -> Tensor:
    """(N, H, ..., D/H) -> as yet empty (N, H, size, D/H)."""
    return like.new_empty(*like.shape[:2], size, like.size(3))


class EspnetScorer(TokenScorer):
    """Any of ESPnet's batched scorers that score all tokens, such as its language models.

    Parameters
    ----------
    scorer : BatchScorerInterface
        Keeps a state a hypothesis.
    inputs : Tensor
        (N, ...): what each utterance's state begins with, and the scorer is given as `xs`.
    size : int
        b.
    name : str
        For messages.

    Raises
    ------
    TypeError
        If it scores only some tokens.
    """

    def __init__(
        self, scorer: BatchScorerInterface, inputs: Tensor, *, size: int, name: str = "scorer"
    ) -> None:
        if isinstance(scorer, BatchPartialScorerInterface):
            raise TypeError(f"scorer {name!r} scores only some tokens; give one that scores all")
        self.scorer = scorer
        self.size = size
        self.inputs = inputs.repeat_interleave(size, dim=0)  # (N*b, ...)
        self.states = [state for x in inputs for state in [scorer.batch_init_state(x)] * size]
        self.prefixes = inputs.new_empty((len(self.inputs), 0), dtype=torch.long)

    def step(self, tokens: Tensor) -> Tensor:
        """See `TokenScorer`."""
        self.prefixes = torch.cat([self.prefixes, tokens.reshape(-1, 1)], dim=1)
        scores, self.states = self.scorer.batch_score(self.prefixes, self.states, self.inputs)
        return scores.float().view(*tokens.shape, -1)

    def reorder(self, parents: Tensor) -> None:
        """See `Scorer`."""
        first = torch.arange(len(parents), device=parents.device)[:, None] * self.size
        self._take((parents + first).flatten())

    def keep(self, utterances: Tensor) -> None:
        """See `Scorer`."""
        slots = torch.arange(self.size, device=utterances.device)
        rows = (utterances[:, None] * self.size + slots).flatten()
        self._take(rows)
        self.inputs = self.inputs[rows]

    def _take(self, rows: Tensor) -> None:
        self.prefixes = self.prefixes[rows]
        self.states = [self.scorer.select_state(self.states, row) for row in rows.tolist()]
