"""The page of what crosses an interface."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

from legonn.report.marginals import Crossing, Given, Look, Written
from legonn.report.marginals_page import DARK, LIGHT, STEPS, STYLE, render_looks


@pytest.fixture
def sound(crossing: Crossing) -> Look:
    return Look(
        Given(np.zeros(0, np.float32), "u<1>", (1.0, 2.5)), (crossing,), (Written("d", "o"),)
    )


def test_a_page_shows_each_position_and_escapes_what_it_shows(crossing: Crossing) -> None:
    one = Look(Given("a < b"), (crossing,), (Written("x & y", "o & o"),))
    page = render_looks([one], title="t <i>", notes=["n < m"])
    assert "<title>t &lt;i&gt;</title>" in page and "<p>n &lt; m</p>" in page
    assert re.findall('<h2 dir="auto">(.*)</h2>', page) == ["a &lt; b"]
    cells = re.findall(r'<td class="(p\d+)" title="([\d.]+)">([^<]*)</td>', page)
    assert cells == [
        *(("p20", "1.000", "▁b"), ("p12", "0.600", "·"), ("p7", "0.333", "▁")),
        *(("p0", "0.000", "·"), ("p8", "0.400", "&lt;&amp;&gt;"), ("p7", "0.333", "▁b")),
    ]
    columns = re.findall(r'<th title="([\d.]+) nats">(\d+)</th>', page)
    assert columns == [("0.00", "1"), ("0.67", "2"), ("1.10", "3")]
    assert (
        ">3 positions, 33% blank, 0.59 nats a position<" in page and "shown are the 2 most" in page
    )
    rows = re.findall('<dt>(.*)</dt><dd dir="auto">(.*)</dd>', page)
    assert [tuple(map(html.unescape, row)) for row in rows] == [
        ("CTC's best path", "b"),
        ("x & y wrote", "o & o"),
    ]
    assert "second" not in page.lower()


def test_of_a_recording_it_says_id_seconds_and_times(sound: Look) -> None:
    page = render_looks([sound], title="t")
    assert re.findall('<h2 dir="auto">(.*)</h2>', page) == ["u&lt;1&gt;, 1.00 to 2.50 s"]
    assert "<th>second</th><th>1.00</th><th>1.50</th><th>2.00</th></tr>" in page
    assert "Seconds count from the recording's start" in page


def test_a_sentence_has_its_id(crossing: Crossing) -> None:
    page = render_looks([Look(Given("a b", "u1"), (crossing,), ())], title="t")
    assert re.findall('<h2 dir="auto">(.*)</h2>', page) == ["u1: a b"]


def test_each_of_several_interfaces_is_named(crossing: Crossing) -> None:
    other = Crossing("pieces", crossing.positions[:1], "▁b")
    page = render_looks([Look(Given("a"), (other, crossing), ())], title="t")
    assert ">interface pieces: 1 positions, 0% blank, 0.00 nats a position<" in page
    assert ">interface text: 3 positions, " in page
    labels = [html.unescape(label) for label in re.findall("<dt>(.*)</dt>", page)]
    assert labels == ["CTC's best path, pieces", "CTC's best path, text"]


def test_a_page_needs_no_other_file(sound: Look) -> None:
    page = render_looks([sound], title="t")
    assert not re.search("https?:|src=|href=|url\\(|@import|<script", page)


def luminance(colour: np.ndarray) -> float:
    """Relative, of red, green and blue from 0 to 1, as WCAG 2 defines it."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def hexadecimal(colour: str) -> np.ndarray:
    digits = colour[1:] if len(colour) == 7 else "".join(c + c for c in colour[1:])
    return np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])


@pytest.mark.parametrize(("theme", "ground"), [(LIGHT, "#ffffff"), (DARK, "#14171a")])
def test_every_shade_is_readable_on_light_and_on_dark(
    sound: Look, theme: tuple[str, str, str, int], ground: str
) -> None:
    page = render_looks([sound], title="t")
    assert "prefers-color-scheme: dark" in page and "color-scheme: light dark" in STYLE
    colour, faint, full, turn = theme
    certain = np.array([int(x) / 255 for x in colour.split()])
    for step in range(STEPS + 1):
        mixed = hexadecimal(ground) + step / STEPS * (certain - hexadecimal(ground))
        ink = faint if step < turn else full
        assert f".p{step} {{ background: rgb({colour} / {step / STEPS:g}); color: {ink}; }}" in page
        low, high = sorted([luminance(mixed), luminance(hexadecimal(ink))])
        assert (high + 0.05) / (low + 0.05) > 4.1, step
