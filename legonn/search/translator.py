"""Whole texts: lines in, hypotheses out, searched in batches of similar length."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from legonn.audio.source import Sound
from legonn.chain import Chain
from legonn.errors import ConfigError, DataError
from legonn.search.alignment import Alignment
from legonn.search.beam import Found
from legonn.search.decoding import decode_batch, prepare
from legonn.search.memory import Halving, batches, positions
from legonn.search.options import DecodingOptions
from legonn.search.pipeline import Begun
from legonn.tokenizer import TextCodec

__all__ = ["Hypothesis", "SearchedSystem", "Transcriber", "Translator"]


class SearchedSystem(Protocol):
    """What a search needs of a system."""

    @property
    def chain(self) -> Chain: ...

    @property
    def source(self) -> TextCodec | Sound: ...

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
        Each scorer's own sum of log-probabilities in nats: `decoder` and of an ensemble `decoder_2` and on, `ctc` or
        `ctc_path`, `lm`.
    alignment : Alignment or None
        Where in the last interface its tokens are; None where that wasn't asked for, or CTC has no path for them.
    """

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    score: float
    scores: dict[str, float]
    alignment: Alignment | None = None


# Of an input without a token there is nothing to search.
EMPTY = Hypothesis(text="", tokens=(), ids=(), score=0.0, scores={})


BatchDecoder = Callable[[Sequence[Sequence[Tensor]]], Iterable[list[list[Found]]]]


class _Searcher:
    """What reading and hearing share: the system, and what is made of what was found.

    Parameters
    ----------
    system : SearchedSystem
        Its chain is put in evaluation mode.
    options : DecodingOptions
        How.
    aligned : bool
        Whether hypotheses tell where in the last interface their tokens are.
    decode : callable, optional
        Takes batches of inputs (T,), short ones first, and gives the hypotheses of each batch, such as a `Pool` that
        has the same options; by default the system's chain does.
    tell : callable
        Told when memory runs out, and batches are halved.
    """

    def __init__(
        self,
        system: SearchedSystem,
        options: DecodingOptions | None = None,
        *,
        aligned: bool = False,
        decode: BatchDecoder | None = None,
        tell: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.system = system
        self.options = options or DecodingOptions()
        self.aligned = aligned
        self.decode = decode or self.decode_here
        self.halving = Halving(self._decode, tell)
        self.chain = prepare(system.chain, self.options)  # says now what can't be done

    @property
    def ahead(self) -> int:
        """Batches that should be begun at once: where others decode, more than one."""
        return int(getattr(self.decode, "ahead", 0))

    def begin(
        self, sources: Sequence[Tensor], on_done: Callable[[int], None]
    ) -> Begun[list[list[Hypothesis]]]:
        """Inputs (T,) -> their hypotheses, those of similar length searched together; empty ones have an empty one."""
        parts = self.batches([len(source) for source in sources])
        decoded = self.decode([[sources[i] for i in places] for places in parts])
        results = [[EMPTY] for _ in sources]

        def finish() -> list[list[Hypothesis]]:
            on_done(sum(len(source) == 0 for source in sources))
            for places, found in zip(parts, decoded, strict=True):
                for place, hypotheses in zip(places, found, strict=True):
                    results[place] = [self._readable(one) for one in hypotheses]
                on_done(len(places))
            return results

        return Begun(len(parts), finish)

    def decode_here(self, parts: Sequence[Sequence[Tensor]]) -> Iterator[list[list[Found]]]:
        """Batches of inputs (T,) -> the hypotheses of each batch."""
        return map(self.halving, parts)

    def _decode(self, sources: Sequence[Tensor]) -> list[list[Found]]:
        return decode_batch(self.chain, sources, self.options, aligned=self.aligned)

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Places of what is searched together, of inputs so long in tokens or samples."""
        costs = [self.options.hypotheses * count for count in positions(self.chain, lengths)]
        budget = self.options.batch_tokens
        return list(batches(lengths, self.options.batch_size, costs=costs, budget=budget))

    def _readable(self, found: Found) -> Hypothesis:
        target = self.system.target
        return Hypothesis(
            text=target.decode(found.ids),
            tokens=tuple(target.tokens[i] for i in found.ids),
            ids=found.ids,
            score=found.score,
            scores=found.scores,
            alignment=found.alignment,
        )


class Transcriber(_Searcher):
    """Writes down, or translates, what recordings say; parameters as `_Searcher`'s.

    Raises
    ------
    ConfigError
        If the options ask for CTC of a plain encoder-decoder; if the system reads, and doesn't hear.
    """

    def __init__(
        self, system: SearchedSystem, options: DecodingOptions | None = None, **others: Any
    ) -> None:
        super().__init__(system, options, **others)
        if not isinstance(system.source, Sound):
            raise ConfigError("this system takes text, not speech: call System.translate")
        self.sound = system.source

    def transcribe(
        self, waveforms: Sequence[Any], on_done: Callable[[int], None] = lambda count: None
    ) -> list[list[Hypothesis]]:
        """Each recording's hypotheses, the best first; one without samples has an empty one.

        Parameters
        ----------
        waveforms : sequence of arrays or tensors
            Samples (N,), full scale 1.
        on_done : callable
            Told the number of recordings finished since the last time.

        Raises
        ------
        DataError
            If a waveform has several channels, whole numbers, or samples that are no numbers.
        """
        return self.start(waveforms, on_done).finish()

    def start(
        self, waveforms: Sequence[Any], on_done: Callable[[int], None] = lambda count: None
    ) -> Begun[list[list[Hypothesis]]]:
        """Begin with what `transcribe` does."""
        return self.begin([_waveform(*numbered) for numbered in enumerate(waveforms)], on_done)


def _waveform(number: int, samples: Any) -> Tensor:
    """As a tensor, if it is one that the system can hear."""
    waveform = torch.as_tensor(samples)
    fault = ""
    if waveform.ndim != 1:
        fault = (
            f"of shape {tuple(waveform.shape)}, not (N,): mix its channels, samples.mean(axis=1)"
        )
    elif not waveform.dtype.is_floating_point:
        fault = "of whole numbers, not -1 to 1: divide 16-bit samples by 32768"
    elif not waveform.isfinite().all():
        fault = "with NaN or infinite samples: read it again"
    if fault:
        raise DataError(f"waveform {number} (from 0 on) is {fault}")
    return waveform.float()


class Translator(_Searcher):
    """Translates lines; parameters as `_Searcher`'s.

    Raises
    ------
    ConfigError
        If the options ask for CTC of a plain encoder-decoder; if the system hears, and doesn't read.
    """

    def __init__(
        self, system: SearchedSystem, options: DecodingOptions | None = None, **others: Any
    ) -> None:
        super().__init__(system, options, **others)
        if not isinstance(system.source, TextCodec):
            raise ConfigError(
                f"this system takes {system.source}, not text: call System.transcribe"
            )
        self.codec = system.source
        self._known = frozenset(system.source.tokens)

    def translate(
        self, lines: Sequence[str], on_done: Callable[[int], None] = lambda count: None
    ) -> list[list[Hypothesis]]:
        """Each line's hypotheses, the best first; a blank line has an empty one.

        Parameters
        ----------
        lines : sequence of str
            In any order; lines of similar length in tokens are searched together.
        on_done : callable
            Told the number of lines finished since the last time.
        """
        return self.start(lines, on_done).finish()

    def start(
        self, lines: Sequence[str], on_done: Callable[[int], None] = lambda count: None
    ) -> Begun[list[list[Hypothesis]]]:
        """Begin with what `translate` does."""
        encode = self.codec.encode
        ids = [encode(line if line.strip() else "") for line in lines]
        return self.begin([torch.from_numpy(row) for row in ids], on_done)

    def unknown(self, tokens: Iterable[str]) -> list[str]:
        """Those of a line's tokens that the source vocabulary lacks."""
        return [token for token in tokens if token not in self._known]
