"""One score: JSON and back, and what isn't legal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from legonn.errors import DataError
from legonn.scoring import Score

FULL: dict[str, Any] = {
    "experiment": "E1",
    "recipe": "multi30k",
    "system": "lego",
    "test_set": "test_2016_flickr",
    "metric": "bleu",
    "score": 40.5,
    "low": 39.0,
    "high": 42.0,
    "baseline": "plain",
    "delta": 0.5,
    "p_value": 0.04,
    "signature": "nrefs:1|version:2",
    "sentences": 1000,
    "seed": 1,
    "deviation": None,
    "parameters": 5_400_000,
    "train_seconds": 3600.0,
    "decode_seconds": 20,
    "command": "./run.sh",
    "revision": "0123abc",
    "versions": {"python": "3.11.7"},
}
SMALL: dict[str, Any] = {"metric": "exact", "score": 50, "signature": "s", "sentences": 2}


def test_the_fields_are_those_of_the_design_in_its_order() -> None:
    assert list(Score(**SMALL).to_dict()) == list(FULL)


@pytest.mark.parametrize("fields", [FULL, FULL | {"seed": [1, 2], "deviation": 0.1}])
def test_json_and_back_is_the_same(fields: dict[str, Any]) -> None:
    score = Score.from_dict(json.loads(json.dumps(fields)))
    assert score.to_dict() == fields
    assert Score.from_dict(score.to_dict()) == score


def test_what_is_not_given_is_none() -> None:
    given = {name: value for name, value in Score(**SMALL).to_dict().items() if value is not None}
    assert given == SMALL


@pytest.mark.parametrize(("seed", "seeds"), [(None, ()), (3, (3,)), ([1, 2], (1, 2))])
def test_seeds(seed: Any, seeds: tuple[int, ...]) -> None:
    assert Score(**SMALL, seed=seed).seeds == seeds


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"score": float("nan")}, "score: got nan, want a finite number"),
        ({"score": "40"}, "score: got '40'"),
        ({"score": None}, "score: missing"),
        ({"metric": " "}, "metric: got ' '"),
        ({"sentences": 0}, "sentences: got 0, want 1 or more"),
        ({"sentences": 1.5}, "sentences: got 1.5"),
        ({"sentences": True}, "sentences: got True"),
        ({"low": 43.0}, "low 43.0 is above high 42.0"),
        ({"low": None}, "low and high: want both or neither"),
        ({"p_value": 1.2}, "p_value: got 1.2, want 0 to 1"),
        ({"p_value": -0.1}, "p_value: got -0.1, want >= 0"),
        ({"baseline": None}, "delta: of which baseline?"),
        ({"delta": None}, "p_value: want a delta too"),
        ({"deviation": 0.1}, "deviation: want a list of seeds too"),
        ({"seed": []}, "seed: got ()"),
        ({"seed": [1, 1]}, "seed: got (1, 1)"),
        ({"seed": "1"}, "seed: got '1'"),
        ({"parameters": -1}, "parameters: got -1"),
        ({"train_seconds": -1.0}, "train_seconds: got -1.0, want >= 0"),
        ({"versions": {"python": 3}}, "versions: got {'python': 3}"),
    ],
)
def test_an_illegal_field_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        Score(**FULL | wrong)
    assert any(item.startswith(message) for item in caught.value.items), caught.value.items


def test_all_illegal_fields_are_named_at_once() -> None:
    with pytest.raises(DataError) as caught:
        Score(**FULL | {"score": "x", "seed": "y", "recipe": ""})
    assert [item.split(":")[0] for item in caught.value.items] == ["recipe", "score", "seed"]


def test_from_dict_names_unknown_and_missing_fields() -> None:
    with pytest.raises(DataError) as caught:
        Score.from_dict({"metric": "bleu", "skore": 1.0, "sentences": 2})
    assert caught.value.items == ["unknown field 'skore'", "score: missing", "signature: missing"]
