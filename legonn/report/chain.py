"""A picture of LegoNN chains as SVG: three encoders, one decoder, the same plug between them.

The picture brings its own light ground, so that it reads the same on light and dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["CHAINS", "Box", "Chain", "chain_boxes", "draw_chain"]

FONT = "-apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
GROUND, EDGE, INK, QUIET, WHITE = "#fcfbf8", "#d5d2c8", "#24292f", "#57606a", "#ffffff"
DECODER_COLOR, DECODER_SHADE = "#a9690f", "#8f570a"

# All lengths are in pixels of the unscaled picture.
WIDTH, HEIGHT = 1160, 474
LINE = 18  # from one line of text to the next
TOP, PITCH, BRICK = 96, 112, 66  # first chain, from chain to chain, height of a brick
SOURCE_X, SOURCE_WIDTH, SOURCE_HEIGHT = 24, 140, 44
ENCODER_X, DECODER_X = 196, 770
TARGET_X, TARGET_WIDTH = 1016, 120
STUD_WIDTH, STUD_HEIGHT = 24, 7
PLUG_LENGTH, PLUG_HEIGHT, PLUG_OFFSETS = 11, 14, (11, 41)
CELL = 9  # one probability of the picture of marginals

ENCODER = (("encoder\nlayers", 104), ("length\ncontroller", 112), ("encoder\nlayers", 104))
HEAD = ("CTC\nhead", 76)
DECODER = (("ingestor", 116), ("decoder\nlayers", 106))


@dataclass(frozen=True)
class Chain:
    """One row of the picture.

    Parameters
    ----------
    source : str
        What the encoder reads.
    note : str
        What the line under the encoder says.
    color, shade : str
        Of the encoder's bricks, by turns.
    """

    source: str
    note: str
    color: str
    shade: str


CHAINS = (
    Chain(
        "German text",
        "trained with the decoder, on much data: CTC loss + cross-entropy loss",
        "#2b6cb0",
        "#22568d",
    ),
    Chain(
        "Romanian text",
        "trained on little data, then snapped on: the decoder is untouched",
        "#2f7d4f",
        "#24643e",
    ),
    Chain(
        "English speech",
        "another kind of input, the same plug: the decoder is untouched",
        "#b83b4b",
        "#96303d",
    ),
)


@dataclass(frozen=True)
class Box:
    """A rectangle with centred lines of text.

    Parameters
    ----------
    x, y, width, height : float
        Its place.
    text : str
        Lines, parted by a line feed.
    fill, ink : str
        Colours of the ground and of the text.
    radius : float
        Of its corners.
    size : float
        Of the text.
    """

    x: float
    y: float
    width: float
    height: float
    text: str
    fill: str
    ink: str = WHITE
    radius: float = 5
    size: float = 14.5

    def svg(self) -> list[str]:
        """The elements of the box."""
        edge = f' stroke="{EDGE}" stroke-width="1.5"' if self.ink != WHITE else ""
        lines = self.text.split("\n")
        first = self.y + self.height / 2 - LINE * (len(lines) - 1) / 2 + self.size * 0.35
        middle = self.x + self.width / 2
        return [
            rectangle(self.x, self.y, self.width, self.height, self.fill, self.radius, edge)
        ] + [
            label(middle, first + LINE * number, line, size=self.size, fill=self.ink, weight=600)
            for number, line in enumerate(lines)
        ]


def draw_chain() -> str:
    """Draw the picture.

    Returns
    -------
    str
        An SVG document; the same at every call.
    """
    parts = [_opening(), *_headings()]
    parts += [element for row in range(len(CHAINS)) for element in _links(row)]
    for box in chain_boxes():
        parts += box.svg()
    parts += [element for row in range(len(CHAINS)) for element in _plugs(row)]
    parts += [element for row in range(len(CHAINS)) for element in _marginals(row)]
    parts += [
        label(ENCODER_X, _row_y(row) + BRICK + 21, chain.note, size=13, anchor="start")
        for row, chain in enumerate(CHAINS)
    ]
    parts += _studs()
    return "\n".join([*parts, "</svg>"]) + "\n"


def chain_boxes() -> list[Box]:
    """Every box that holds text."""
    boxes = []
    for row, chain in enumerate(CHAINS):
        boxes.append(_pill(SOURCE_X, _row_y(row), chain.source))
        boxes += _bricks(ENCODER_X, _row_y(row), BRICK, [*ENCODER, HEAD], chain.color, chain.shade)
    height = _row_y(len(CHAINS) - 1) + BRICK - TOP
    boxes += _bricks(DECODER_X, TOP, height, DECODER, DECODER_COLOR, DECODER_SHADE)
    middle = TOP + (height - BRICK) / 2
    return [*boxes, _pill(TARGET_X, middle, "English text", width=TARGET_WIDTH)]


def rectangle(
    x: float, y: float, width: float, height: float, fill: str, radius: float = 0, more: str = ""
) -> str:
    """A filled rectangle."""
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {place} rx="{radius:g}" fill="{fill}"{more}/>'


def label(
    x: float,
    y: float,
    text: str,
    *,
    size: float,
    fill: str = QUIET,
    weight: int = 400,
    anchor: str = "middle",
) -> str:
    """A line of text; `y` is its base line."""
    style = f'font-size="{size:g}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'


def arrow(x: float, y: float, end: float, color: str = QUIET) -> str:
    """A horizontal arrow from `x` to `end`."""
    head = f"M{end - 8:g} {y - 5:g}L{end:g} {y:g}L{end - 8:g} {y + 5:g}Z"
    line = f"M{x:g} {y:g}H{end - 7:g}"
    return (
        f'<path d="{line}" stroke="{color}" stroke-width="2.5"/><path d="{head}" fill="{color}"/>'
    )


def _opening() -> str:
    title = "LegoNN chains: three encoders, one decoder"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="{FONT}" role="img">',
            f"<title>{title}</title>",
            "<desc>German text, Romanian text and English speech each pass an encoder with a "
            "length controller and a CTC head. All three give marginals over one token list, "
            "which the same ingestor and decoder turn into English text.</desc>",
            rectangle(1, 1, WIDTH - 2, HEIGHT - 2, GROUND, 14, f' stroke="{EDGE}"'),
        ]
    )


def _headings() -> list[str]:
    """What the columns are, and the line at the foot."""
    interface = (_encoder_end() + DECODER_X + PLUG_LENGTH) / 2
    columns = [
        ((ENCODER_X + _encoder_end()) / 2, "encoder modules", "one for each kind of input"),
        (interface, "the interface", "marginals"),
        (DECODER_X + _width(DECODER) / 2, "decoder module", "learned once"),
    ]
    headings = []
    for x, title, line in columns:
        headings.append(label(x, 40, title, size=16, fill=INK, weight=700))
        headings.append(label(x, 60, line, size=13))
    moral = "Any encoder that gives marginals over a token list fits any decoder that reads them."
    return [*headings, label(WIDTH / 2, HEIGHT - 24, moral, size=15, fill=INK, weight=600)]


def _row_y(row: int) -> float:
    return TOP + row * PITCH


def _width(bricks: Sequence[tuple[str, float]]) -> float:
    return sum(width for _, width in bricks)


def _encoder_end() -> float:
    return ENCODER_X + _width([*ENCODER, HEAD])


def _pill(x: float, row_y: float, text: str, width: float = SOURCE_WIDTH) -> Box:
    y = row_y + (BRICK - SOURCE_HEIGHT) / 2
    return Box(
        x, y, width, SOURCE_HEIGHT, text, WHITE, ink=INK, radius=SOURCE_HEIGHT / 2, size=13.5
    )


def _bricks(
    x: float,
    y: float,
    height: float,
    bricks: Sequence[tuple[str, float]],
    color: str,
    shade: str,
) -> list[Box]:
    """Bricks side by side, in two colours by turns."""
    boxes = []
    for number, (text, width) in enumerate(bricks):
        boxes.append(Box(x, y, width - 2, height, text, shade if number % 2 else color))
        x += width
    return boxes


def _studs() -> list[str]:
    """The round studs of Lego, seen from the side: two on each brick."""
    bricks = [box for box in chain_boxes() if box.ink == WHITE]
    return [
        rectangle(x, box.y - STUD_HEIGHT, STUD_WIDTH, STUD_HEIGHT + 3, box.fill, 2.5)
        for box in bricks
        for x in (box.x + box.width * 0.27 - 12, box.x + box.width * 0.73 - 12)
    ]


def _links(row: int) -> list[str]:
    """The arrows of a chain: into the encoder, and across the interface."""
    y = _row_y(row) + BRICK / 2
    start = _encoder_end() + PLUG_LENGTH + 2
    links = [
        arrow(SOURCE_X + SOURCE_WIDTH + 5, y, ENCODER_X - 5),
        arrow(start, y, DECODER_X - 6, CHAINS[row].color),
    ]
    if row == len(CHAINS) // 2:
        links.append(arrow(DECODER_X + _width(DECODER) + 3, y, TARGET_X - 5))
    return links


def _plugs(row: int) -> list[str]:
    """The plug of an encoder, and the decoder's sockets of the same shape."""
    color = CHAINS[row].shade
    shapes = []
    for offset in PLUG_OFFSETS:
        y = _row_y(row) + offset
        plug_x = _encoder_end() - 4
        shapes.append(rectangle(plug_x, y, PLUG_LENGTH + 2, PLUG_HEIGHT, color, 2.5))
        shapes.append(
            rectangle(DECODER_X - 1, y - 1, PLUG_LENGTH + 1, PLUG_HEIGHT + 2, GROUND, 2.5)
        )
    return shapes


# The most probable token of each position; 0 is the blank.
PEAKS = (0, 2, 0, 3, 1, 0, 4, 0)
TOKENS = 5


def _marginals(row: int) -> list[str]:
    """A small picture of marginals: positions from left to right, tokens from top to bottom."""
    width, height = CELL * len(PEAKS), CELL * TOKENS
    x = (_encoder_end() + PLUG_LENGTH + DECODER_X - 8) / 2 - width / 2
    y = _row_y(row) + (BRICK - height) / 2
    edge = f' stroke="{CHAINS[row].color}" stroke-width="1.5"'
    cells = [rectangle(x - 3, y - 3, width + 6, height + 6, WHITE, 4, edge)]
    for position, peak in enumerate(PEAKS):
        for token in range(TOKENS):
            # A second guess beside each peak: these are distributions, not decisions.
            opacity = {0: 1.0, 1: 0.38}.get((token - peak) % TOKENS, 0.1)
            cells.append(
                rectangle(
                    x + position * CELL + 0.5,
                    y + token * CELL + 0.5,
                    CELL - 1,
                    CELL - 1,
                    CHAINS[row].color,
                    1.5,
                    f' fill-opacity="{opacity:g}"',
                )
            )
    return cells
