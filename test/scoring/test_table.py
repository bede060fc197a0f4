"""The table for people."""

from __future__ import annotations

from legonn.scoring import Score
from legonn.scoring.table import align, render_table

ALONE = Score(
    metric="ter", score=12.345, low=10.0, high=15.0, signature="sig", sentences=2, system="a"
)


def test_a_score_alone() -> None:
    assert render_table([ALONE]).splitlines() == [
        "metric  score  95 % interval   signature",
        "TER     12.35  10.00 to 15.00  sig",
    ]


def test_a_comparison() -> None:
    compared = Score(
        metric="exact",
        score=50.0,
        baseline="plain",
        delta=-2.0,
        p_value=0.0325,
        signature="exact|strip",
        sentences=2,
    )
    assert render_table([compared]).splitlines() == [
        "metric   score  95 % interval  baseline  delta  p      signature",
        "exact %  50.00                 plain     -2.00  0.033  exact|strip",
    ]


def test_error_rates() -> None:
    wer, cer = (
        Score(metric=name, score=50.0, signature=f"{name}|norm:basic", sentences=2)
        for name in ("wer", "cer")
    )
    assert render_table([wer, cer]).splitlines() == [
        "metric  score  95 % interval  signature",
        "WER     50.00                 wer|norm:basic",
        "CER     50.00                 cer|norm:basic",
    ]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert align([["a", "bbb"], ["cccc", ""]]) == "a     bbb\ncccc"
