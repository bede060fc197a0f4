"""A module's card: what it says, in Markdown that the Hub reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from legonn.audio.source import Sound
from legonn.report.card import model_card
from legonn.scoring import Score
from legonn.system import load_part


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_the_card_names_kind_contract_and_origin(experiment: Path, kind: str) -> None:
    part = load_part(experiment, kind)
    card = model_card(part, [], title="numbers")
    side = part.writes or part.reads
    assert side is not None
    verb = {"encoder": "writes", "decoder": "reads"}[kind]
    assert "\n# numbers\n" in card
    assert (
        f"- {verb}: marginals over {len(side.tokens)} tokens (bpe, case tc, with punctuation)"
        in card
    )
    assert f"interface `{side.fingerprint()}`" in card
    assert f"legonn compose --{kind} numbers" in card
    assert f"- date: {part.provenance['date']}" in card
    assert "## Scores" not in card and "Weights: not stated." in card
    front = yaml.safe_load(card.split("---")[1])
    assert front["tags"] == ["legonn", f"legonn-{kind}", "ctc"] and "license" not in front


def test_who_listens_is_given_recordings(experiment: Path) -> None:
    part = load_part(experiment, "encoder")
    assert "legonn decode --system exp/composed --input source.txt\n" in model_card(
        part, [], title="t"
    )
    card = model_card(dataclasses.replace(part, source=Sound()), [], title="t")
    assert "legonn decode --system exp/composed --input a.wav\n" in card
    assert "source.txt" not in card and "- source: speech" in card


def test_synthetic_speech_is_called_so_where_its_figure_stands(experiment: Path) -> None:
    part = load_part(experiment, "decoder")
    scores = [
        Score(
            metric="wer", score=3.3, sentences=9, test_set=name, signature=f"wer|norm:basic{mark}"
        )
        for name, mark in (("spoken", "|speech:synthetic|units:speakers"), ("read", ""))
    ]
    rows = [line for line in model_card(part, scores, title="t").splitlines() if "| wer |" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| spoken (synthetic speech)", "| read"]


def test_parents_have_their_hashes(experiment: Path) -> None:
    part = load_part(experiment, "decoder")
    parents = [{"kind": "decoder", "name": "x", "weights_sha256": "ab" * 32}]
    part = dataclasses.replace(part, provenance={"parents": parents})
    assert "- parents: decoder x (`abababababab`)" in model_card(part, [], title="t")
