"""The trained modules in the repository: whatever this package becomes, it reads them, and they translate."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn import System
from legonn.system import load_part

MODULES = Path(__file__).resolve().parents[2] / "egs/multi30k/lego1/modules"
CAPTIONS = {
    "de": {
        "Zwei Hunde spielen im Schnee.": "Two dogs play in the snow.",
        "Ein Mann fährt auf einem Fahrrad.": "A man is riding a bicycle.",
        "Ein kleines Mädchen sitzt am Strand.": "A little girl is sitting on the beach.",
        "Ein Junge in einem roten Hemd wirft einen Ball.": "A boy in a red shirt throwing a ball.",
    },
    "fr": {
        "Deux chiens jouent dans la neige.": "Two dogs play in the snow.",
        "Un homme fait du vélo.": "A man is riding a bike.",
        "Une petite fille est assise sur la plage.": "A little girl is sitting on the beach.",
        "Un garçon en chemise rouge lance une balle.": "A boy in a red shirt throws a ball.",
    },
}


@pytest.mark.parametrize("language", CAPTIONS)
def test_two_encoders_share_a_decoder(language: str) -> None:
    system = System.compose(
        encoder=MODULES / f"{language}_en_encoder", decoder=MODULES / "de_en_decoder"
    )
    found = system.translate(
        list(CAPTIONS[language]), mode="joint", ctc_weight=0.4, length_penalty=1.3, beam_size=5
    )
    assert [hypothesis.text for hypothesis in found] == list(CAPTIONS[language].values())


@pytest.mark.parametrize(
    ("encoder", "decoder", "wanted"),
    [
        (
            "de_en_deep",
            "de_en",
            [
                "Two dogs are playing in the snow.",
                "A man is riding a bike.",
                "A little girl is sitting on the beach.",
                "A boy in a red shirt is throwing a ball.",
            ],
        ),
        ("de_en", "de_en_deep", list(CAPTIONS["de"].values())),
    ],
)
def test_parts_of_two_architectures_are_exchanged(
    encoder: str, decoder: str, wanted: list[str]
) -> None:
    system = System.compose(
        encoder=MODULES / f"{encoder}_encoder", decoder=MODULES / f"{decoder}_decoder"
    )
    found = system.translate(
        list(CAPTIONS["de"]), mode="joint", ctc_weight=0.4, length_penalty=1.3, beam_size=5
    )
    assert [hypothesis.text for hypothesis in found] == wanted


def test_a_decoder_reads_the_pieces_that_listeners_write() -> None:
    part = load_part(MODULES / "de_en_pieces_decoder", "decoder")
    assert part.reads is not None
    assert (len(part.reads.tokens), part.reads.unit, part.parameters()) == (300, "bpe", 1_905_420)
    assert part.sha256().startswith("9d044d5ba1f2")


def test_they_are_small_enough_for_a_repository() -> None:
    sizes = {path: path.stat().st_size for path in MODULES.rglob("*") if path.is_file()}
    assert len(sizes) == 36 and max(sizes.values()) < 5 * 2**20
