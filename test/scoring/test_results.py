"""The results file: adding, replacing, refusing, and adding side by side."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from legonn.errors import ConfigError, DataError, LegonnError
from legonn.scoring import Score, add_results, read_results


def row(system: str = "lego", score: float = 40.0, **fields: Any) -> Score:
    """A legal row; `fields` change it."""
    return Score(
        **{
            "experiment": "E1",
            "recipe": "numbers",
            "system": system,
            "test_set": "test",
            "metric": "bleu",
            "score": score,
            "signature": "s",
            "sentences": 10,
            "seed": 1,
            **fields,
        }
    )


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    rows = [row("a"), row("b", seed=None, versions={"python": "3.11.7"})]
    assert add_results(path, rows) == rows == read_results(path)
    assert [fields["system"] for fields in json.loads(path.read_text())] == ["a", "b"]


def test_a_measurement_is_replaced_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    add_results(path, [row("a"), row("b"), row("c")])
    add_results(path, [row("d"), row("b", 41.0)])
    assert [(s.system, s.score) for s in read_results(path)] == [
        ("a", 40.0),
        ("b", 41.0),
        ("c", 40.0),
        ("d", 40.0),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"experiment": "E2"},
        {"recipe": "multi30k"},
        {"system": "b"},
        {"test_set": "val"},
        {"metric": "ter"},
        {"seed": 2},
        {"seed": None},
    ],
)
def test_a_difference_in_any_part_of_the_key_is_another_measurement(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    path = tmp_path / "results.json"
    add_results(path, [row("a")])
    rows = add_results(path, [dataclasses.replace(row("a"), **other)])
    assert len(rows) == 2


def test_comparisons_of_one_measurement_stand_together_and_are_replaced_together(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.json"
    add_results(path, [row("a", baseline=name, delta=1.0) for name in "xyz"] + [row("b")])
    rows = add_results(path, [row("a", baseline="w", delta=2.0)])
    assert [(s.system, s.baseline) for s in rows] == [("a", "w"), ("b", None)]


def test_adding_again_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    rows = [row("a", baseline=name, delta=1.0) for name in "xy"] + [row("ü")]
    add_results(path, rows)
    before = path.read_bytes()
    add_results(path, rows)
    assert path.read_bytes() == before
    assert "ü".encode() in before


def test_a_row_needs_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(ConfigError, match="needs its recipe, test_set"):
        add_results(path, [row(), row(recipe=None, test_set=None)])
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[\n{\n", "results.json:3: not JSON"),
        ("{}", "want a JSON list of scores, got dict"),
        ("[3]", "row 1: a score is a JSON object, got int"),
        ('[{"metric": "bleu", "score": 1, "signature": "s"}]', "row 1: sentences: missing"),
    ],
)
def test_an_illegal_file_is_refused_and_left_as_it_was(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        add_results(path, [row()])
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_rows_of_one_measurement_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    rows = [row("a", baseline="x", delta=1.0), row("a", 41.0, baseline="y", delta=1.0)]
    path.write_text(json.dumps([r.to_dict() for r in rows]))
    with pytest.raises(DataError, match="rows 1 and 2 are one measurement.*40.0 and 41.0"):
        read_results(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LegonnError, match="can't read .*results.json: No such file"):
        read_results(tmp_path / "results.json")


# One job: five rows, one at a time. argv: the file, a row as JSON, the job's name.
JOB = """
import dataclasses, json, sys
from legonn.scoring import Score, add_results
row = Score.from_dict(json.loads(sys.argv[2]))
for number in range(5):
    add_results(sys.argv[1], [dataclasses.replace(row, system=sys.argv[3] + str(number))])
"""


def test_jobs_side_by_side_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    command = [sys.executable, "-c", JOB, str(path), json.dumps(row().to_dict())]
    jobs = [subprocess.Popen([*command, name]) for name in "abc"]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    expected = sorted(f"{name}{number}" for name in "abc" for number in range(5))
    assert sorted(score.system or "" for score in read_results(path)) == expected
    assert list(tmp_path.iterdir()) == [path]
