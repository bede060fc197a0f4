"""Scores as a small aligned table for people."""

from __future__ import annotations

from collections.abc import Sequence

from legonn.scoring.metrics import get_metrics
from legonn.scoring.score import Score

__all__ = ["align", "render_table"]

ALONE = ("metric", "score", "95 % interval", "signature")
COMPARED = ("metric", "score", "95 % interval", "baseline", "delta", "p", "signature")


def render_table(scores: Sequence[Score]) -> str:
    """Render scores; the columns of a comparison appear when one was made, test sets where there are several.

    >>> half = Score(metric="exact", score=50.0, signature="exact|strip", sentences=2)
    >>> print(render_table([half]))
    metric   score  95 % interval  signature
    exact %  50.00                 exact|strip
    """
    header = COMPARED if any(score.baseline for score in scores) else ALONE
    if len({score.test_set for score in scores}) > 1:
        header = ("test set", "sentences", *header)
    return align([header, *(_cells(score, header) for score in scores)])


def _cells(score: Score, header: Sequence[str]) -> list[str]:
    label = get_metrics([score.metric])[0].label
    low, high = score.low, score.high
    cells = {
        "test set": score.test_set or "all",
        "sentences": str(score.sentences),
        "metric": label,
        "score": f"{score.score:.2f}",
        "95 % interval": "" if low is None or high is None else f"{low:.2f} to {high:.2f}",
        "baseline": score.baseline or "",
        "delta": "" if score.delta is None else f"{score.delta:+.2f}",
        "p": "" if score.p_value is None else f"{score.p_value:.3f}",
        "signature": score.signature,
    }
    return [cells[name] for name in header]


def align(rows: Sequence[Sequence[str]]) -> str:
    """Pad the columns to one width each, two blanks between."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
