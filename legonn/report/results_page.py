"""RESULTS.md, from a results file and nothing else: the same JSON gives the same bytes."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from legonn.errors import DataError
from legonn.scoring.metrics import METRICS, get_metrics
from legonn.scoring.score import Score

__all__ = ["Cell", "markdown_table", "render_results"]

LEGEND = """\
How to read it: one seed shows its score and, in brackets, the 95 % bootstrap interval over the test
set's sentences; more seeds show mean ± sample standard deviation over them. p is the paired
bootstrap's. This page is made from the recipe's results file by `legonn report`; don't edit it.
"""
SPEAKERS = "Where a signature ends in `units:speakers`, the bootstrap is one over speakers instead."

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a table shows of one metric of one system on one test set.

    Parameters
    ----------
    score : float
        The figure, or its mean over seeds.
    seeds : tuple of int
        The seeds behind it; empty when unknown.
    deviation : float, optional
        Sample standard deviation over seeds, where there are two or more.
    low, high : float, optional
        The interval over sentences, where there is one seed.
    """

    score: float
    seeds: tuple[int, ...] = ()
    deviation: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Cell:
        """Join the scores of all seeds.

        Parameters
        ----------
        scores : sequence of Score
            Of one system, test set and metric; a measurement that was compared with several
            baselines stands here several times, and counts once.

        Raises
        ------
        DataError
            When a mean over seeds stands beside other scores, which it may include.
        """
        single = list({score.key: score for score in scores}.values())
        if len(single) == 1:
            (only,) = single
            return cls(
                score=only.score,
                seeds=only.seeds,
                deviation=only.deviation,
                low=only.low,
                high=only.high,
            )
        if any(score.seed is None or len(score.seeds) > 1 for score in single):
            raise DataError(
                f"{scores[0].metric} of {scores[0].system} on {scores[0].test_set}: several "
                "scores, but not each of one seed; give each its --seed, or keep their mean alone"
            )
        values = [score.score for score in single]
        return cls(
            score=statistics.fmean(values),
            seeds=tuple(sorted(seed for score in single for seed in score.seeds)),
            deviation=statistics.stdev(values),
        )

    def __str__(self) -> str:
        if self.deviation is not None:
            return f"{self.score:.2f} ± {self.deviation:.2f}"
        if self.low is None or self.high is None:
            return f"{self.score:.2f}"
        return f"{self.score:.2f} [{self.low:.2f}, {self.high:.2f}]"


def render_results(scores: Sequence[Score], *, preface: str = "") -> str:
    """Render a results page in Markdown.

    Parameters
    ----------
    scores : sequence of Score
        Rows of a results file. Experiments are sorted (E2 before E10); systems and test sets stay
        in the file's order.
    preface : str
        Markdown put at the top.

    Returns
    -------
    str
        The page. Equal scores and preface give equal pages.
    """
    experiments = _group(scores, lambda score: (score.experiment or "", score.recipe or ""))
    parts = [preface.strip() or "# Results", LEGEND.strip()]
    if any(score.signature.endswith("|units:speakers") for score in scores):
        parts += [SPEAKERS]
    if spoken := _unique(score.test_set for score in scores if score.synthetic):
        parts += [
            f"Synthetic speech, not people: {', '.join(name or 'a test set' for name in spoken)}."
        ]
    if len(experiments) > 1:
        parts += _overview(scores)
    for name in sorted(experiments, key=lambda name: [_natural(part) for part in name]):
        parts += _experiment(" · ".join(filter(None, name)) or "Scores", experiments[name])
    parts += _footer(scores)
    return "\n\n".join(parts) + "\n"


def _overview(scores: Sequence[Score]) -> list[str]:
    """All systems of all experiments in one table, by the first metric, one column a test set."""
    metric = _metrics_of(scores)[0]
    chosen = sorted(
        (score for score in scores if score.metric == metric),
        key=lambda score: _natural(score.experiment or ""),
    )
    sets = _unique(score.test_set for score in chosen)
    rows = []
    for (experiment, system), group in _group(chosen, lambda s: (s.experiment, s.system)).items():
        by_set = _group(group, lambda score: score.test_set)
        cells = [str(Cell.of(by_set[name])) if name in by_set else "" for name in sets]
        rows.append([experiment or "", system or "", *cells])
    header = ["experiment", "system", *(name or "" for name in sets)]
    return [f"## All at a glance: {_heading(metric)}", markdown_table(header, rows, left=2)]


def _experiment(title: str, scores: Sequence[Score]) -> list[str]:
    """An experiment's heading, its table, and its comparisons."""
    compared = [score for score in scores if score.delta is not None]
    parts = [f"## {title}", _score_table(scores)]
    if compared:
        parts += ["Paired comparisons, system less baseline:", _comparison_table(compared)]
    return parts


def _score_table(scores: Sequence[Score]) -> str:
    """One row a system and test set, one column a metric."""
    metrics = _metrics_of(scores)
    header = ["system", "test set", *map(_heading, metrics), "seeds", "parameters", "train min"]
    rows = []
    for (system, test_set), group in _group(scores, lambda s: (s.system, s.test_set)).items():
        by_metric = _group(group, lambda score: score.metric)
        cells = {metric: Cell.of(by_metric[metric]) for metric in by_metric}
        figures = [str(cells[metric]) if metric in cells else "" for metric in metrics]
        seeds = {seed for cell in cells.values() for seed in cell.seeds}
        rows.append(
            [system or "", test_set or "", *figures]
            + [str(len(seeds) or ""), _parameters(group), _train_minutes(group)]
        )
    return markdown_table(header, rows, left=2)


def _comparison_table(scores: Sequence[Score]) -> str:
    """One row a system, baseline, test set, metric and seed."""
    header = ["system", "baseline", "test set", "metric", "seed", "delta", "p"]
    rows = [
        [score.system or "", score.baseline or "", score.test_set or "", _heading(score.metric)]
        + [", ".join(map(str, score.seeds)), f"{score.delta:+.2f}", _p(score.p_value)]
        for score in scores
    ]
    return markdown_table(header, rows, left=4)


def _footer(scores: Sequence[Score]) -> list[str]:
    """What the figures were made with: signatures, revisions, versions, commands."""
    if not scores:
        return ["No scores yet."]
    signatures = [
        f"- {_heading(metric)}: " + ", ".join(f"`{s.signature}`" for s in rows)
        for metric, rows in _signatures(scores).items()
    ]
    revisions = ", ".join(_unique(f"`{s.revision}`" for s in scores if s.revision))
    versions = [_versions(score) for score in scores if score.versions]
    made = [f"- revision: {revisions}"] if revisions else []
    made += [f"- versions: {text}" for text in _unique(versions)]
    commands = _unique(score.command.strip() for score in scores if score.command)
    block = ["Commands:", "```sh\n" + "\n".join(commands) + "\n```"] if commands else []
    return ["## Made with", "\n".join([*signatures, *made]), *block]


def _signatures(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """For each metric, the first score of each signature."""
    by_metric = _group(scores, lambda score: score.metric)
    return {
        metric: [rows[0] for rows in _group(by_metric[metric], lambda s: s.signature).values()]
        for metric in _metrics_of(scores)
    }


def _metrics_of(scores: Sequence[Score]) -> list[str]:
    """The metrics that occur, in the registry's order."""
    present = _unique(score.metric for score in scores)
    get_metrics(present)  # an unknown one stops here, with the list of those that exist
    return [name for name in METRICS if name in present]


def _heading(name: str) -> str:
    (metric,) = get_metrics([name])
    return metric.label if metric.higher_is_better else f"{metric.label} ↓"


def _parameters(scores: Sequence[Score]) -> str:
    sizes = _unique(score.parameters for score in scores if score.parameters is not None)
    return ", ".join(f"{size / 1e6:.2f} M" for size in sizes)


def _train_minutes(scores: Sequence[Score]) -> str:
    """Mean over seeds; each seed counts once, whatever the number of its metrics."""
    seconds = {score.seed: score.train_seconds for score in scores}
    known = [value for value in seconds.values() if value is not None]
    return f"{statistics.fmean(known) / 60:.1f}" if known else ""


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _versions(score: Score) -> str:
    return ", ".join(f"{name} {version}" for name, version in (score.versions or {}).items())


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> str:
    """A table whose first `left` columns are texts and whose other ones are figures.

    Columns that are empty in every row are left out.
    """
    rows = list(rows)
    kept = [i for i in range(len(header)) if i < left or any(row[i] for row in rows)]
    ruler = [":--" if i < left else "--:" for i in range(len(header))]
    return "\n".join(
        "| " + " | ".join(row[i].replace("|", "\\|") for i in kept) + " |"
        for row in [header, ruler, *rows]
    )


def _natural(text: str) -> list[tuple[int, str]]:
    """A sort key by which E2 comes before E10."""
    return [
        (int(part or 0), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)
    ]


def _group(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in the order in which the keys come."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _unique(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
