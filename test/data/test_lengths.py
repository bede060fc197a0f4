"""Statistics of lengths, on shape files short enough to count by eye."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from legonn.audio.source import Sound
from legonn.data.lengths import (
    longest_seconds,
    measure_lengths,
    positions,
    positions_per_token,
    read_shapes,
    spread,
)
from legonn.errors import DataError


def shapes(path: Path, sizes: list[int]) -> Path:
    path.write_text("".join(f"u{i} {size}\n" for i, size in enumerate(sizes)))
    return path


def folder_of(tmp_path: Path, source: list[int], target: list[int], needed: list[int]) -> Path:
    for name, sizes in (("src_text", source), ("text", target), ("text_positions", needed)):
        shapes(tmp_path / f"{name}_shape", sizes)
    return tmp_path


def test_the_first_dimension_is_read(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a 3\nb 12,80\nc 1,2,3\n")
    assert read_shapes(tmp_path / "s") == {"a": 3, "b": 12, "c": 1}


def test_all_bad_lines_are_listed_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a 3\nb\nc x\nd -1\ne 5\n")
    with pytest.raises(DataError, match=r"stage \(10\) again") as caught:
        read_shapes(tmp_path / "s")
    assert caught.value.items == [
        f"{tmp_path / 's'}:{line}" for line in ("2: 'b'", "3: 'c x'", "4: 'd -1'")
    ]


def test_an_absent_file_says_which_stage_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent: run the statistics stage \(10\) first"):
        read_shapes(tmp_path / "s")


@pytest.mark.parametrize("ratio", [0.1, 0.3, 1.0, 1.1, 1.5, 2.2])
def test_positions_are_a_ceiling(ratio: float) -> None:
    lengths = np.arange(1, 200)
    wanted = [max(1, math.ceil(round(n * ratio, 9))) for n in lengths]
    assert positions(lengths, ratio).tolist() == wanted


def test_infeasible_targets_are_counted(tmp_path: Path) -> None:
    # K = 2T = 4 each; targets need 3, 4, 5 and 9 positions.
    folder = folder_of(tmp_path, [2, 2, 2, 2], [3, 4, 4, 8], [3, 4, 5, 9])
    stats = measure_lengths(folder, 2.0)
    assert (stats.ratio, stats.utterances, stats.infeasible) == (2.0, 4, 0.5)
    assert stats.covering_ratio == 4.5
    assert stats.worst == ("u3", "u2", "u1", "u0")


def test_texts_without_a_token_are_refused_all_at_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [2, 0, 3], [1, 1, 0], [1, 1, 0])
    with pytest.raises(DataError, match="2 texts have no token; take these ids out") as caught:
        measure_lengths(folder, 2.0)
    assert caught.value.items == ["u1: no token in src_text", "u2: no token in text"]


def test_the_covering_ratio_covers_all_but_one_in_a_thousand(tmp_path: Path) -> None:
    source, needed = [10] * 2000, [10] * 1997 + [30, 40, 50]
    folder = folder_of(tmp_path, source, needed, needed)
    stats = measure_lengths(folder, 1.0)
    assert stats.infeasible == pytest.approx(3 / 2000)
    assert stats.covering_ratio == 3.0
    assert stats.worst[:3] == ("u1999", "u1998", "u1997") and len(stats.worst) == 10
    left = measure_lengths(folder, stats.covering_ratio)
    assert left.infeasible == pytest.approx(1 / 1000)


def test_positions_per_token_are_percentiles(tmp_path: Path) -> None:
    target = list(range(1, 102))  # K = 100 over U = 1..101
    source = shapes(tmp_path / "src", [100] * 101)
    low, middle, high = positions_per_token(source, shapes(tmp_path / "tgt", target), 1.0)
    assert (low, middle, high) == pytest.approx((100 / 100, 100 / 51, 100 / 2), abs=1e-3)
    folder = folder_of(tmp_path, [100] * 101, target, target)
    assert measure_lengths(folder, 1.0).positions_per_token == (low, middle, high)


def test_utterances_of_only_one_side_are_left_out(tmp_path: Path) -> None:
    source = shapes(tmp_path / "src", [4, 4, 400])
    assert positions_per_token(source, shapes(tmp_path / "tgt", [2, 2]), 1.0) == (2.0, 2.0, 2.0)


def test_the_longest_recording_is_one_of_many(tmp_path: Path) -> None:
    """One of 100,000 doesn't count, of 2 the longer one does."""
    listener = Sound(8000)
    many = shapes(tmp_path / "many", [16000] * 99_999 + [240_000])
    assert longest_seconds(many, listener) == 2.0
    assert longest_seconds(shapes(tmp_path / "two", [8000, 24000]), listener) == 3.0
    (tmp_path / "none").touch()
    with pytest.raises(DataError, match="none is empty: run the statistics stage"):
        longest_seconds(tmp_path / "none", listener)


def test_an_empty_target_counts_as_one_token(tmp_path: Path) -> None:
    source = shapes(tmp_path / "src", [4])
    assert positions_per_token(source, shapes(tmp_path / "tgt", [0]), 1.0) == (4.0, 4.0, 4.0)


def test_files_of_different_utterances_are_an_error(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [2, 2, 2], [1, 1, 1], [1])
    with pytest.raises(DataError, match="text_positions_shape"):
        measure_lengths(folder, 1.0)


def test_no_utterances_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="src_text_shape"):
        measure_lengths(folder_of(tmp_path, [], [], []), 1.0)


def test_spread_is_of_each_utterance(tmp_path: Path) -> None:
    for name, sizes in {"speech": (16000, 32000), "text": (5, 8)}.items():
        lines = [f"u{i} {size}\n" for i, size in enumerate(sizes)]
        (tmp_path / f"{name}_shape").write_text("".join(lines))
    sound = Sound(16000)
    states = sound.states(np.array([16000, 32000]))
    before, behind = spread(tmp_path, 0.5, sound=sound)
    assert before.tolist() == [states[0] / 5, states[1] / 8]
    assert behind.tolist() == [math.ceil(states[0] / 2) / 5, math.ceil(states[1] / 2) / 8]
    (tmp_path / "text_shape").write_text("other 3\n")
    with pytest.raises(DataError, match="no utterance in common"):
        spread(tmp_path, 0.5, sound=sound)
