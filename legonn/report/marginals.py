"""A page that shows what crosses an interface: the best tokens of each position, as dark as they are probable."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legonn.interface import Marginals
    from legonn.system import System

__all__ = ["Crossing", "Look", "Position", "look", "render_looks"]

BLANK_SIGN = "·"


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
    """What one sentence sends over one interface: its positions, and the text of the best path."""

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
class Look:
    """One sentence: what went in, what crossed each interface, what came out."""

    source: str
    crossings: tuple[Crossing, ...]
    output: str


def look(system: System, lines: Sequence[str], *, top: int = 4, **options: Any) -> list[Look]:
    """Follow sentences through a system.

    Parameters
    ----------
    system : System
        That reads text and has an interface.
    lines : sequence of str
        Sentences, none empty.
    top : int
        How many tokens of a position to keep.
    **options
        Fields of `legonn.search.DecodingOptions`, for the output.

    Raises
    ------
    ConfigError
        If the system is a plain encoder-decoder, or hears.
    """
    import torch

    from legonn.audio.source import Sound
    from legonn.errors import ConfigError

    if isinstance(system.source, Sound) or system.chain.head is None:
        why = "takes speech" if isinstance(system.source, Sound) else "has no interface"
        raise ConfigError(f"{system.name} {why}: there are no marginals of text to look at")
    writers = system.parts()[:-1]
    found = []
    device = next(system.chain.parameters()).device
    outputs = system.translate(lines, **options)
    for line, output in zip(lines, outputs, strict=True):
        ids = torch.as_tensor(system.source.encode(line), device=device)
        with torch.no_grad():
            encoded = system.chain.encode(ids[None], torch.tensor([len(ids)], device=device))
        crossings = tuple(
            _crossing(name, marginals, part.target, top)
            for name, marginals, part in zip(
                system.chain.interface_targets(), encoded.marginals, writers, strict=True
            )
        )
        found.append(Look(line, crossings, output.text))
    return found


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


STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }
section { margin: 0 0 2.5em; }
table { border-collapse: collapse; margin: .3em 0; }
td { border: 1px solid #fff; padding: .15em .35em; text-align: center; font-size: 12px; white-space: nowrap; }
th { font-weight: normal; font-size: 10px; color: #888; }
.scroll { overflow-x: auto; }
p { margin: .2em 0; }
.label { display: inline-block; width: 8.5em; color: #666; }
"""


def render_looks(looks: Sequence[Look], *, title: str) -> str:
    """Looks -> one HTML page that needs no other file; equal looks give equal text."""
    sections = "".join(_section(one) for one in looks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n"
        "<p>Each column is a position of the interface, its most probable tokens from top to bottom; the darker, the "
        f"more probable. {BLANK_SIGN} is CTC's blank. Point at a token for its probability.</p>\n"
        f"{sections}</body></html>\n"
    )


def _section(one: Look) -> str:
    parts = [_line("source", one.source)]
    for crossing in one.crossings:
        parts.append(_table(crossing))
        about = (
            f"{crossing.name}: {len(crossing.positions)} positions, {crossing.blanks():.0%} blank, "
            f"{crossing.entropy():.2f} nats a position"
        )
        parts += [_line("", about), _line("best path", crossing.greedy)]
    return f"<section>{''.join(parts)}{_line('output', one.output)}</section>\n"


def _line(label: str, text: str) -> str:
    return f'<p><span class="label">{label}</span>{html.escape(text)}</p>\n'


def _table(crossing: Crossing) -> str:
    head = "".join(f"<th>{k}</th>" for k in range(1, len(crossing.positions) + 1))
    ranks = range(len(crossing.positions[0].best))
    rows = "".join(
        f"<tr>{''.join(_cell(*position.best[rank]) for position in crossing.positions)}</tr>"
        for rank in ranks
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>\n'


def _cell(token: str, probability: float) -> str:
    ink = "#fff" if probability > 0.5 else "#222"
    shade = f"background: rgba(21, 84, 148, {probability:.2f}); color: {ink}"
    shown = html.escape(token.replace("▁", " ").strip() or ("▁" if token else BLANK_SIGN))
    return f'<td style="{shade}" title="{probability:.3f}">{shown}</td>'
