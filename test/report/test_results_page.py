"""RESULTS.md: a golden page, and the arithmetic in its cells."""

from __future__ import annotations

import random
from typing import Any

import pytest

from legonn.errors import ConfigError, DataError
from legonn.report.results_page import LEGEND, Cell, render_results
from legonn.scoring import Score


def row(**fields: Any) -> Score:
    """A legal row; `fields` change it."""
    return Score(
        **{
            "experiment": "E1",
            "recipe": "numbers",
            "system": "lego",
            "test_set": "test",
            "metric": "bleu",
            "score": 40.0,
            "signature": "sig-b",
            "sentences": 10,
            "seed": 1,
            **fields,
        }
    )


SIZE: dict[str, Any] = {"parameters": 5_432_100, "train_seconds": 600.0, "command": "./run.sh"}
MADE: dict[str, Any] = {"revision": "abc", "versions": {"python": "3.11.7", "torch": "2.12.1"}}

# Means and deviations by hand: 40 and 42 have mean 41 and sample deviation sqrt(2) = 1.41.
EXAMPLE = [
    row(experiment="E10", system="swap | a", low=39.0, high=41.5, command="./swap.sh"),
    row(**SIZE, **MADE, baseline="plain", delta=1.25, p_value=0.0125),
    row(score=42.0, seed=2, **SIZE | {"train_seconds": 660.0}, baseline="plain", delta=-0.5),
    row(metric="ter", score=30.0, signature="sig-t", **SIZE),
    row(experiment="E2", metric="exact", score=95.5, signature="sig-e", seed=None),
]
PAGE = """\
# Results

{legend}

## All at a glance: BLEU

| experiment | system | test |
| :-- | :-- | --: |
| E1 | lego | 41.00 ± 1.41 |
| E10 | swap \\| a | 40.00 [39.00, 41.50] |

## E1 · numbers

| system | test set | BLEU | TER ↓ | seeds | parameters | train min |
| :-- | :-- | --: | --: | --: | --: | --: |
| lego | test | 41.00 ± 1.41 | 30.00 | 2 | 5.43 M | 10.5 |

Paired comparisons, system less baseline:

| system | baseline | test set | metric | seed | delta | p |
| :-- | :-- | :-- | :-- | --: | --: | --: |
| lego | plain | test | BLEU | 1 | +1.25 | 0.013 |
| lego | plain | test | BLEU | 2 | -0.50 |  |

## E2 · numbers

| system | test set | exact % |
| :-- | :-- | --: |
| lego | test | 95.50 |

## E10 · numbers

| system | test set | BLEU | seeds |
| :-- | :-- | --: | --: |
| swap \\| a | test | 40.00 [39.00, 41.50] | 1 |

## Made with

- BLEU: `sig-b`
- TER ↓: `sig-t`
- exact %: `sig-e`
- revision: `abc`
- versions: python 3.11.7, torch 2.12.1

Commands:

```sh
./swap.sh
./run.sh
```
"""


def test_a_golden_page() -> None:
    assert render_results(EXAMPLE) == PAGE.format(legend=LEGEND.strip())


def test_the_same_rows_give_the_same_page() -> None:
    assert render_results(EXAMPLE) == render_results(list(EXAMPLE))


def test_experiments_are_sorted_whatever_their_order_in_the_file() -> None:
    rows = [row(experiment=f"E{number}") for number in (1, 2, 3, 10)]
    page = render_results(rows)
    random.Random(1).shuffle(rows)
    assert render_results(rows) == page


def test_error_rates_point_down() -> None:
    rows = [row(metric=name, score=12.5, signature=f"{name}|norm:basic") for name in ("cer", "wer")]
    page = render_results([*rows, row()])
    assert "| system | test set | BLEU | WER ↓ | CER ↓ | seeds |" in page
    assert "| lego | test | 40.00 | 12.50 | 12.50 | 1 |" in page
    assert "- WER ↓: `wer|norm:basic`" in page


def test_the_page_says_which_bootstrap_was_over_speakers() -> None:
    note = "Where a signature ends in `units:speakers`, the bootstrap is one over speakers instead."
    assert note not in render_results([row()])
    page = render_results([row(), row(metric="wer", signature="wer|units:speakers")])
    assert f"{LEGEND.strip()}\n\n{note}\n\n## E1" in page


def test_the_page_says_which_speech_is_synthetic() -> None:
    note = "Synthetic speech, not people: spoken.\n"
    assert "Synthetic" not in render_results([row()])
    machine = row(metric="wer", test_set="spoken", signature="wer|speech:synthetic|units:speakers")
    assert note in render_results([row(), machine, machine])


def test_one_experiment_needs_no_overview() -> None:
    assert "All at a glance" not in render_results([row()])


def test_a_preface_takes_the_place_of_the_heading() -> None:
    page = render_results(EXAMPLE, preface="\n# Mine\n\nText.\n\n")
    assert page.startswith("# Mine\n\nText.\n\nHow to read it:")
    assert "# Results" not in page


def test_a_page_without_scores() -> None:
    assert render_results([]) == f"# Results\n\n{LEGEND.strip()}\n\nNo scores yet.\n"


def test_no_experiment_and_no_recipe() -> None:
    assert "\n## Scores\n" in render_results([row(experiment=None, recipe=None)])


def test_a_measurement_with_two_baselines_counts_once() -> None:
    rows = [row(baseline=name, delta=1.0) for name in ("x", "y")]
    assert str(Cell.of([*rows, row(score=42.0, seed=2)])) == "41.00 ± 1.41"


def test_a_mean_that_was_given_is_shown_as_it_is() -> None:
    cell = Cell.of([row(score=41.0, seed=[1, 2, 3], deviation=0.5)])
    assert (str(cell), cell.seeds) == ("41.00 ± 0.50", (1, 2, 3))


@pytest.mark.parametrize("other", [{"seed": [1, 2], "deviation": 0.1}, {"seed": None}])
def test_scores_that_may_hold_each_other_are_not_averaged(other: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="bleu of lego on test: several scores.*--seed"):
        Cell.of([row(), row(**other)])


def test_an_unknown_metric_in_the_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown metric 'bluert'"):
        render_results([row(metric="bluert")])


def test_all_signatures_revisions_and_versions_are_listed_once() -> None:
    rows = [
        row(seed=1, revision="r1", versions={"torch": "1"}),
        row(seed=2, revision="r2", versions={"torch": "2"}, signature="sig-2"),
        row(seed=3, revision="r1", versions={"torch": "1"}),
    ]
    footer = render_results(rows).partition("## Made with\n\n")[2]
    assert footer.splitlines() == [
        "- BLEU: `sig-b`, `sig-2`",
        "- revision: `r1`, `r2`",
        "- versions: torch 1",
        "- versions: torch 2",
    ]
