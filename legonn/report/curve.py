"""A picture of scores over the number of training pairs, for a results page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from legonn.errors import DataError
from legonn.report.results_page import Cell
from legonn.scoring.metrics import get_metrics
from legonn.scoring.score import Score

__all__ = ["Point", "curves", "draw_curves"]


@dataclass(frozen=True)
class Point:
    """One system's score at one size of the training set."""

    pairs: int
    cell: Cell


def curves(scores: Sequence[Score], *, metric: str, test_set: str) -> dict[str, list[Point]]:
    """Series of points, from systems named `NAME,PAIRS` that have two sizes or more.

    Parameters
    ----------
    scores : sequence of Score
        Rows of a results file.
    metric, test_set : str
        Which of them count.

    Returns
    -------
    dict of str to list of Point
        By NAME, in the order of the file, points by size.
    """
    groups: dict[str, dict[int, list[Score]]] = {}
    for score in scores:
        name, comma, pairs = (score.system or "").rpartition(",")
        if comma and pairs.isdecimal() and (score.metric, score.test_set) == (metric, test_set):
            groups.setdefault(name, {}).setdefault(int(pairs), []).append(score)
    return {
        name: [Point(pairs, Cell.of(group)) for pairs, group in sorted(sizes.items())]
        for name, sizes in groups.items()
        if len(sizes) > 1
    }


def draw_curves(scores: Sequence[Score], *, metric: str, test_set: str) -> str:
    """Draw the curves, with the deviation over seeds or the bootstrap interval as bars.

    Returns
    -------
    str
        SVG; equal scores give equal text.

    Raises
    ------
    DataError
        When no system has two sizes.
    """
    found = curves(scores, metric=metric, test_set=test_set)
    if not found:
        raise DataError(
            f"nothing to draw: no system NAME,PAIRS has {metric} on {test_set} for two numbers of pairs"
        )

    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "legonn", "font.size": 9}):
        figure = Figure(figsize=(6.5, 4), layout="constrained")
        axes = figure.subplots()
        for name, points in found.items():
            sizes = [point.pairs for point in points]
            middle = [point.cell.score for point in points]
            axes.errorbar(sizes, middle, yerr=_bars(points), marker="o", capsize=3, label=name)
        ticks = sorted({point.pairs for points in found.values() for point in points})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("training pairs")
        axes.set_ylabel(f"{get_metrics([metric])[0].label} on {test_set}")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        page = io.StringIO()
        figure.savefig(page, format="svg", metadata={"Date": None})
    return page.getvalue()


def _bars(points: Sequence[Point]) -> list[list[float]]:
    """How far each bar reaches, down and up."""
    down, up = [], []
    for cell in (point.cell for point in points):
        if cell.deviation is not None:
            down.append(cell.deviation)
            up.append(cell.deviation)
        else:
            down.append(cell.score - (cell.score if cell.low is None else cell.low))
            up.append((cell.score if cell.high is None else cell.high) - cell.score)
    return [down, up]
