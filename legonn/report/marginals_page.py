"""A page that shows what crosses an interface: the best tokens of each position, shaded by their probability."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from legonn.report.marginals import Crossing, Look, Position

__all__ = ["render_looks"]

BLANK_SIGN = "·"
STEPS = 20  # shades from probability 0 to 1
# Of a theme: the colour of what is certain, the ink on faint shades and on full ones, and the shade from which on the
# second is the more readable.
LIGHT = ("12 58 120", "#1a1a1a", "#fff", 14)
DARK = ("120 185 250", "#f2f2f2", "#0a0a0a", 12)

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1a1a1a; --quiet: #616161; --line: #ddd; }
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: var(--ink); background: var(--ground); }
h1 { font-size: 1.4em; overflow-wrap: anywhere; }
h2 { font-size: 1.1em; margin: 0 0 .4em; }
section { margin: 2em 0; padding-top: 1em; border-top: 1px solid var(--line); }
table { border-collapse: separate; border-spacing: 1px; }
td { padding: .15em .35em; text-align: center; font-size: 12px; white-space: nowrap; }
td, .shades span { print-color-adjust: exact; }
th { font-weight: normal; font-size: 11px; color: var(--quiet); }
tr > th:first-child { position: sticky; left: 0; background: var(--ground); text-align: left; padding-right: .6em;
  white-space: nowrap; }
.scroll { overflow-x: auto; margin: .4em 0; }
.legend { max-width: 60em; }
.legend p { margin: .4em 0; }
.shades span { padding: .15em .6em; font-size: 12px; }
.about { margin: .2em 0; color: var(--quiet); }
dl { display: grid; grid-template-columns: fit-content(40%) 1fr; gap: .2em 1em; margin: .3em 0; }
dt { color: var(--quiet); overflow-wrap: anywhere; }
dd { margin: 0; }
"""
DARK_STYLE = ":root { --ground: #14171a; --ink: #e8e8e8; --quiet: #a3a8ad; --line: #3a3f44; }\n"

LEGEND = """\
<p>Each column is a position of the interface. An encoder gives its decoder, at each position, the probabilities of all
tokens; shown are the {top} most probable, the best above, in a colour the fuller the more probable they are. Point at a
token for its probability, at a position's number for its entropy in nats: 0 where the encoder is sure, the higher the
less it is. Blank positions are those whose best token is the blank.</p>
<p>{blank} is CTC's blank: no token here. ▁ begins a word. CTC's best path is the first row read from left to right,
equal neighbours taken as one, without blanks.</p>
"""
SECONDS = """\
<p>Seconds count from the recording's start, or its segment's, and say where a position begins if all share the sound
equally, which is nearly so.</p>
"""


def render_looks(looks: Sequence[Look], *, title: str, notes: Sequence[str] = ()) -> str:
    """Looks -> one HTML page that needs no other file; equal looks give equal text.

    Parameters
    ----------
    looks : sequence of Look
        At least one.
    title : str
        The page's.
    notes : sequence of str
        Sentences below its legend, such as how was decoded.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title>\n<style>{_style()}</style></head>\n"
        f"<body><h1>{html.escape(title)}</h1>\n{_legend(looks, notes)}"
        f"{''.join(map(_section, looks))}</body></html>\n"
    )


def _style() -> str:
    dark = f"@media (prefers-color-scheme: dark) {{\n{DARK_STYLE}{_shades(*DARK)}}}\n"
    return f"{STYLE}{_shades(*LIGHT)}{dark}"


def _shades(colour: str, faint: str, full: str, turn: int) -> str:
    """A class for each shade: p0 of what is improbable to p20 of what is certain."""
    return "".join(
        f".p{step} {{ background: rgb({colour} / {step / STEPS:g}); color: {faint if step < turn else full}; }}\n"
        for step in range(STEPS + 1)
    )


def _legend(looks: Sequence[Look], notes: Sequence[str]) -> str:
    top = len(looks[0].crossings[0].positions[0].best)
    shades = "".join(f'<span class="{_shade(p)}">{p:g}</span>' for p in (0, 0.25, 0.5, 0.75, 1))
    heard = any(one.given.span is not None for one in looks)
    said = "".join(f"<p>{html.escape(note)}</p>\n" for note in notes)
    return (
        f'<div class="legend">{LEGEND.format(top=top, blank=BLANK_SIGN)}{SECONDS if heard else ""}{said}'
        f'<p class="shades">probability {shades}</p></div>\n'
    )


def _section(one: Look) -> str:
    several = len(one.crossings) > 1
    lines = [
        (f"CTC's best path{f', {c.name}' if several else ''}", c.greedy) for c in one.crossings
    ]
    lines += [(f"{written.decoder} wrote", written.text) for written in one.outputs]
    tables = "".join(_about(c, several) + _table(c, one.starts(c)) for c in one.crossings)
    return f"<section>{_heading(one)}{tables}{_list(lines)}</section>\n"


def _heading(one: Look) -> str:
    """The sentence, after its id where it has one; or a recording's id and seconds."""
    given = one.given
    if given.span is None:
        words = ": ".join(filter(None, [given.name, str(given.source)]))
    else:
        words = f"{given.name}, {given.span[0]:.2f} to {given.span[1]:.2f} s"
    return f'<h2 dir="auto">{html.escape(words)}</h2>\n'


def _list(lines: Iterable[tuple[str, str]]) -> str:
    rows = (
        f'<dt>{html.escape(label)}</dt><dd dir="auto">{html.escape(text)}</dd>\n'
        for label, text in lines
    )
    return f"<dl>{''.join(rows)}</dl>"


def _about(crossing: Crossing, several: bool) -> str:
    words = (
        f"{len(crossing.positions)} positions, {crossing.blanks():.0%} blank, "
        f"{crossing.entropy():.2f} nats a position"
    )
    where = f"interface {crossing.name}: " if several else ""
    return f'<p class="about">{html.escape(where + words)}</p>\n'


def _table(crossing: Crossing, starts: Sequence[float]) -> str:
    positions = crossing.positions
    numbers = "".join(
        f'<th title="{position.entropy:.2f} nats">{k}</th>'
        for k, position in enumerate(positions, 1)
    )
    rows = [f"<th>position</th>{numbers}"]
    if starts:
        rows.append("<th>second</th>" + "".join(f"<th>{start:.2f}</th>" for start in starts))
    rows += [_rank(positions, rank) for rank in range(len(positions[0].best))]
    return (
        f'<div class="scroll"><table>{"".join(f"<tr>{row}</tr>" for row in rows)}</table></div>\n'
    )


def _rank(positions: Sequence[Position], rank: int) -> str:
    cells = "".join(_cell(*position.best[rank]) for position in positions)
    return f"<th>{'best' if rank == 0 else 'then'}</th>{cells}"


def _cell(token: str, probability: float) -> str:
    shown = html.escape(token or BLANK_SIGN)
    return f'<td class="{_shade(probability)}" title="{probability:.3f}">{shown}</td>'


def _shade(probability: float) -> str:
    return f"p{round(probability * STEPS)}"
