"""The picture: sound XML, texts inside their boxes, and the committed file up to date."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

import pytest

from legonn.bin import chain_picture
from legonn.report.chain import HEIGHT, WIDTH, Box, chain_boxes, draw_chain

SVG = "{http://www.w3.org/2000/svg}"
# DejaVu Sans Bold, the widest of the fonts named, takes 0.58 to 0.64 of its size for a letter of
# these words (measured on a rendered picture).
LETTER = 0.66


@pytest.mark.parametrize("box", chain_boxes(), ids=lambda box: box.text.replace("\n", " "))
def test_text_fits_its_box(box: Box) -> None:
    widest = max(len(line) for line in box.text.split("\n")) * LETTER * box.size
    assert widest + 10 <= box.width
    assert 18 * len(box.text.split("\n")) + 8 <= box.height


def test_boxes_keep_apart_and_inside_the_picture() -> None:
    for one, other in itertools.combinations(chain_boxes(), 2):
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        above = one.y + one.height <= other.y or other.y + other.height <= one.y
        assert beside or above, (one.text, other.text)
    assert all(0 <= b.x and b.x + b.width <= WIDTH for b in chain_boxes())
    assert all(0 <= b.y and b.y + b.height <= HEIGHT for b in chain_boxes())


def test_three_sources_one_target() -> None:
    root = ElementTree.fromstring(draw_chain())
    texts = [element.text for element in root.iter(f"{SVG}text")]
    sources = {"German text", "Romanian text", "English speech"}
    assert sources <= set(texts)
    assert texts.count("controller") == texts.count("CTC") == 3
    assert texts.count("ingestor") == texts.count("English text") == 1


def test_the_picture_explains_itself_to_who_can_not_see_it() -> None:
    root = ElementTree.fromstring(draw_chain())
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "LegoNN chains: three encoders, one decoder"
    assert "same ingestor and decoder" in (root.findtext(f"{SVG}desc") or "")


def test_the_committed_picture_is_what_the_code_draws(tmp_path: Path) -> None:
    assert chain_picture.main(["--output", str(tmp_path / "chain.svg")]) == 0
    committed = Path(__file__).parents[2] / "docs" / "chain.svg"
    assert (tmp_path / "chain.svg").read_text() == committed.read_text()
