"""Scores of translations: metrics, intervals, significance, and the file that gathers them."""

from legonn.scoring.measure import Baseline, Labels, measure
from legonn.scoring.metrics import METRICS, Metric, get_metrics
from legonn.scoring.pairs import Pairs, read_pairs
from legonn.scoring.results import add_results, read_results
from legonn.scoring.score import Score

__all__ = [
    "METRICS",
    "Baseline",
    "Labels",
    "Metric",
    "Pairs",
    "Score",
    "add_results",
    "get_metrics",
    "measure",
    "read_pairs",
    "read_results",
]
