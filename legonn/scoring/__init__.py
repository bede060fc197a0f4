"""Scores of translations and transcripts: metrics, intervals, significance, and the file that gathers them."""

from legonn.scoring.alignments import Alignments, align_words
from legonn.scoring.frequency import Band, by_frequency, count_words
from legonn.scoring.measure import Baseline, Labels, measure
from legonn.scoring.metrics import METRICS, Metric, get_metrics
from legonn.scoring.normalise import NORMALISERS
from legonn.scoring.pairs import Pairs, read_pairs
from legonn.scoring.results import add_results, read_results
from legonn.scoring.score import Score
from legonn.scoring.speakers import read_groups, read_speakers

__all__ = [
    "METRICS",
    "NORMALISERS",
    "Alignments",
    "Band",
    "Baseline",
    "Labels",
    "Metric",
    "Pairs",
    "Score",
    "add_results",
    "align_words",
    "by_frequency",
    "count_words",
    "get_metrics",
    "measure",
    "read_groups",
    "read_pairs",
    "read_results",
    "read_speakers",
]
