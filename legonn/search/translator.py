"""Whole texts: lines in, hypotheses out, searched in batches of equal length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from legonn.chain import Chain
from legonn.search.beam import Found
from legonn.search.options import DecodingOptions
from legonn.search.strategies import decode_batch, strategy_for
from legonn.tokenizer import TextCodec

__all__ = ["Hypothesis", "TextSystem", "Translator"]


class TextSystem(Protocol):
    """What a translator needs of a system."""

    @property
    def chain(self) -> Chain: ...

    @property
    def source(self) -> TextCodec: ...

    @property
    def target(self) -> TextCodec: ...


@dataclass(frozen=True)
class Hypothesis:
    """A translation.

    Attributes
    ----------
    text : str
        As a person reads it.
    tokens, ids : tuple
        What it was made of, without `<sos/eos>`.
    score : float
        By which hypotheses are compared, see `DecodingOptions.length_penalty` and `CTCGreedy`.
    scores : dict
        Each scorer's own sum of log-probabilities in nats: `decoder`, `ctc` or `ctc_path`.
    """

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    score: float
    scores: dict[str, float]


# Of an input without a token there is nothing to search.
EMPTY = Hypothesis(text="", tokens=(), ids=(), score=0.0, scores={})


class Translator:
    """Translates lines.

    Parameters
    ----------
    system : TextSystem
        Its chain is put in evaluation mode.
    options : DecodingOptions
        How.

    Raises
    ------
    ConfigError
        If the options ask for CTC of a plain encoder-decoder.
    """

    def __init__(self, system: TextSystem, options: DecodingOptions | None = None) -> None:
        self.system = system
        self.options = options or DecodingOptions()
        self._known = frozenset(system.source.tokens)
        system.chain.eval()
        strategy_for(system.chain, self.options)  # say now what can't be done

    def translate(
        self, lines: Sequence[str], on_done: Callable[[int], None] = lambda count: None
    ) -> list[list[Hypothesis]]:
        """Each line's hypotheses, the best first; a blank line has an empty one.

        Parameters
        ----------
        lines : sequence of str
            In any order; lines of equal length in tokens are searched together.
        on_done : callable
            Told the number of lines finished since the last time.
        """
        encode = self.system.source.encode
        ids = [encode(line if line.strip() else "") for line in lines]
        results = [[EMPTY] for _ in lines]
        on_done(sum(len(row) == 0 for row in ids))
        for places in batches([len(row) for row in ids], self.options.batch_size):
            source = torch.stack([torch.from_numpy(ids[place]) for place in places])  # (N, T)
            found = decode_batch(self.system.chain, source, self.options)
            for place, hypotheses in zip(places, found, strict=True):
                results[place] = [self._readable(one) for one in hypotheses]
            on_done(len(places))
        return results

    def _readable(self, found: Found) -> Hypothesis:
        target = self.system.target
        return Hypothesis(
            text=target.decode(found.ids),
            tokens=tuple(target.tokens[i] for i in found.ids),
            ids=found.ids,
            score=found.score,
            scores=found.scores,
        )

    def unknown(self, line: str) -> list[str]:
        """The tokens of a line that the source vocabulary lacks."""
        return [token for token in self.system.source.split(line) if token not in self._known]


def batches(lengths: Iterable[int], size: int) -> Iterator[list[int]]:
    """Places of equal length, at most `size` together, short ones first; length 0 is left out."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(lengths):
        by_length[length].append(place)
    for length in sorted(by_length.keys() - {0}):
        places = by_length[length]
        yield from (places[i : i + size] for i in range(0, len(places), size))
