#!/usr/bin/env python3
"""A small table of scores: table.py [--metric exact,bleu] NAME=score.json ..., one row each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

__all__ = ["main", "rows"]


def rows(named_files: Sequence[str], metrics: Sequence[str]) -> list[list[str]]:
    """Read the files that `legonn score --output` wrote; give the table's cells, header first."""
    from legonn.scoring.metrics import get_metrics
    from legonn.scoring.results import read_results

    table = [["system", "test set", "sentences", *(m.label for m in get_metrics(list(metrics)))]]
    for named in named_files:
        name, _, path = named.partition("=")
        found = read_results(path)
        first = found[0]  # after the whole test set there may be groups of it
        scores = {score.metric: score for score in found if score.test_set == first.test_set}
        figures = [f"{scores[m].score:.1f}" if m in scores else "" for m in metrics]
        table.append([name, first.test_set or "", str(first.sentences), *figures])
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metric", default="exact,bleu")
    parser.add_argument("files", nargs="+", metavar="NAME=score.json")
    args = parser.parse_args(argv)
    from legonn.scoring.table import align

    print(align(rows(args.files, args.metric.split(","))))
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    sys.exit(run(main))
