"""What decodes a batch: the search of `legonn decode`, for requests that may want different numbers of hypotheses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from legonn.audio.source import Sound
from legonn.chain import Chain
from legonn.search.options import DecodingOptions
from legonn.search.translator import Hypothesis, SearchedSystem, Translator
from legonn.tokenizer import TextCodec

__all__ = ["Ask", "Engine"]


@dataclass(frozen=True)
class Ask:
    """One text to translate.

    Attributes
    ----------
    text : str
        A sentence.
    nbest : int
        Hypotheses wanted.
    """

    text: str
    nbest: int


@dataclass(frozen=True)
class _Prepared:
    """A system whose weights have been converted once, for all numbers of hypotheses."""

    chain: Chain
    source: TextCodec | Sound
    target: TextCodec


class Engine:
    """Translates batches.

    Parameters
    ----------
    system : SearchedSystem
        One that reads text.
    options : DecodingOptions
        Of all requests, but for `nbest`.

    Raises
    ------
    ConfigError
        As `Translator`.
    """

    def __init__(self, system: SearchedSystem, options: DecodingOptions) -> None:
        first = Translator(system, options)
        prepared = _Prepared(first.chain, system.source, system.target)
        self._make: Callable[[int], Translator] = lambda nbest: Translator(
            prepared, dataclasses.replace(options, nbest=nbest)
        )
        self._translators = {options.nbest: first}

    def __call__(self, asks: Sequence[Ask]) -> list[list[Hypothesis]]:
        """The hypotheses of each, the best first; those that want as many are searched together."""
        found: dict[int, list[Hypothesis]] = {}
        for nbest in dict.fromkeys(ask.nbest for ask in asks):
            if nbest not in self._translators:
                self._translators[nbest] = self._make(nbest)
            places = [i for i, ask in enumerate(asks) if ask.nbest == nbest]
            texts = [asks[i].text for i in places]
            found.update(zip(places, self._translators[nbest].translate(texts), strict=True))
        return [found[i] for i in range(len(asks))]
