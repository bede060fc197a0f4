"""What crosses an interface, of sentences and of recordings, and what decoders write from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legonn.audio.hearing import Heard
    from legonn.audio.recordings import Samples
    from legonn.interface import Marginals
    from legonn.part import Part
    from legonn.search.options import DecodingOptions
    from legonn.system import System

__all__ = ["Crossing", "Given", "Look", "Position", "Written", "look", "pieces"]


@dataclass(frozen=True)
class Given:
    """What goes in: a sentence, or a recording, or a piece of one.

    Attributes
    ----------
    source : str or ndarray
        The sentence; samples (N,), full scale 1, of the system's rate.
    name : str
        The utterance's id; empty where it has none.
    span : tuple of (float, float) or None
        Start and end of the piece in seconds of the recording, or of the segment where there are segments.
    """

    source: str | Samples
    name: str = ""
    span: tuple[float, float] | None = None


def pieces(heard: Heard) -> list[Given]:
    """A recording as decoding cuts it; none where there is a fault."""
    name = heard.utterance.utt_id
    return [
        Given(samples, name, span)
        for samples, span in zip(heard.pieces(), heard.times(), strict=True)
    ]


@dataclass(frozen=True)
class Position:
    """One position of an interface.

    Attributes
    ----------
    best : tuple of (str, float)
        Its most probable tokens and their probabilities, the best first; the empty token is the blank.
    entropy : float
        Of all its probabilities, in nats.
    """

    best: tuple[tuple[str, float], ...]
    entropy: float


@dataclass(frozen=True)
class Crossing:
    """What one input sends over one interface.

    Attributes
    ----------
    name : str
        What the interface's tokens are called in training.
    positions : tuple of Position
        K of them.
    greedy : str
        The text of CTC's best path.
    """

    name: str
    positions: tuple[Position, ...]
    greedy: str

    def blanks(self) -> float:
        """Share of positions whose best token is the blank."""
        return sum(not position.best[0][0] for position in self.positions) / len(self.positions)

    def entropy(self) -> float:
        """Mean entropy in nats."""
        return sum(position.entropy for position in self.positions) / len(self.positions)


@dataclass(frozen=True)
class Written:
    """What a decoder made of an input."""

    decoder: str
    text: str


@dataclass(frozen=True)
class Look:
    """One input: what went in, what crossed each interface, what came out."""

    given: Given
    crossings: tuple[Crossing, ...]
    outputs: tuple[Written, ...]

    def starts(self, crossing: Crossing) -> list[float]:
        """Where in the recording each position begins, in seconds, if all share the sound equally; of text none."""
        if self.given.span is None:
            return []
        start, end = self.given.span
        count = len(crossing.positions)
        return [start + (end - start) * k / count for k in range(count)]


def look(
    systems: Mapping[str, System],
    given: Sequence[Given],
    *,
    top: int = 4,
    options: DecodingOptions | None = None,
) -> list[Look]:
    """Follow inputs through a system, and through others that differ from it in their decoders alone.

    Parameters
    ----------
    systems : mapping
        By their decoders' names. What crosses is the first one's.
    given : sequence of Given
        All sentences, none empty, where the systems read; all recordings where they hear.
    top : int
        How many tokens of a position to keep.
    options : DecodingOptions, optional
        For the outputs.

    Raises
    ------
    ConfigError
        If the first is a plain encoder-decoder.
    """
    from legonn.errors import ConfigError

    first = next(iter(systems.values()))
    if first.chain.head is None:
        raise ConfigError(f"{first.name} has no interface: there are no marginals to look at")
    sources = [one.source for one in given]
    written = [
        [Written(name, text) for text in _texts(system, sources, options)]
        for name, system in systems.items()
    ]
    writers = first.parts()[:-1]
    return [
        Look(one, _crossings(first, writers, one.source, top), tuple(outputs))
        for one, *outputs in zip(given, *written, strict=True)
    ]


def _texts(system: System, sources: Sequence[Any], options: DecodingOptions | None) -> list[str]:
    from legonn.audio.source import Sound
    from legonn.search import Transcriber, Translator

    if isinstance(system.source, Sound):
        found = Transcriber(system, options).transcribe(sources)
    else:
        found = Translator(system, options).translate(sources)
    return [hypotheses[0].text for hypotheses in found]


def _crossings(
    system: System, writers: Sequence[Part], source: Any, top: int
) -> tuple[Crossing, ...]:
    import torch

    from legonn.audio.source import Sound

    codec = system.source
    device = next(system.chain.parameters()).device
    row = torch.as_tensor(
        source if isinstance(codec, Sound) else codec.encode(source), device=device
    )
    with torch.no_grad():
        encoded = system.chain.encode(row[None], torch.tensor([len(row)], device=device))
    names = system.chain.interface_targets()
    return tuple(
        _crossing(name, marginals, part.target, top)
        for name, marginals, part in zip(names, encoded.marginals, writers, strict=True)
    )


def _crossing(name: str, marginals: Marginals, codec: Any, top: int) -> Crossing:
    """Of a batch of one."""
    best = marginals.probs()[0].topk(min(top, len(codec.tokens)))
    entropies = marginals.entropy()[0].tolist()
    positions = tuple(
        Position(
            tuple(
                ("" if token == 0 else codec.tokens[token], p)
                for token, p in zip(tokens, probabilities, strict=True)
            ),
            entropy,
        )
        for tokens, probabilities, entropy in zip(
            best.indices.tolist(), best.values.tolist(), entropies, strict=True
        )
    )
    return Crossing(name, positions, codec.decode(marginals.greedy()[0]))
