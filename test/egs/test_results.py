"""What the pages say is what the committed scores say."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from legonn.bin.report import main

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(path.parent for path in ROOT.glob("egs/*/lego1/results.json"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.parent.name)
def test_a_results_page_is_what_its_scores_render_to(recipe: Path) -> None:
    page = ["--output", str(recipe / "RESULTS.md"), "--preface", str(recipe / "RESULTS.preface.md")]
    assert main(["--results", str(recipe / "results.json"), *page, "--check"]) == 0


def multi30k(test_set: str, metric: str) -> dict[str, list[float]]:
    """The figures of each of multi30k's systems, one a seed."""
    return figures("multi30k", test_set, metric)


def figures(recipe: str, test_set: str, metric: str) -> dict[str, list[float]]:
    """The figures of each system, one a seed and baseline."""
    path = ROOT / "egs" / recipe / "lego1/results.json"
    scores = json.loads(path.read_text(encoding="utf-8"))
    found: dict[str, list[float]] = {}
    for row in scores:
        if (row["test_set"], row["metric"]) == (test_set, metric):
            found.setdefault(row["system"], []).append(row["score"])
    return found


@pytest.fixture
def readme() -> str:
    """README.md on one line."""
    return " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def test_the_readmes_figures_of_speech_are_multi30ks(readme: str) -> None:
    found = multi30k("test_2016_flickr_en_speech", "wer")
    borrowing = "hybrid-encoder,pieces+De-En-decoder"
    names = ["hybrid,pieces,1250", f"{borrowing},1250", f"{borrowing}+own-decoder,1250"]
    advised = ["hybrid,pieces+LM,1250", f"{borrowing}+own-decoder+LM,1250"]
    hybrid, borrowed, both, *lower = (
        f"{statistics.mean(found[name]):.1f}" for name in names + advised
    )
    row = " | ".join([hybrid, borrowed, both, *lower])
    assert f"| 1.2 | {row} |" in readme
    more = [f"{statistics.mean(found[name.replace('1250', '2500')]):.1f}" for name in names]
    assert f"| 2.4 | {' | '.join(more)} | | |" in readme
    errors = multi30k("test_2016_flickr_en_speech", "cer")
    shares = [f"{statistics.mean(errors[name]):.1f}" for name in names]
    assert "characters {}, {} and {} % are wrong in the first three".format(*shares) in readme
    assert {len(found[name]) for name in names + advised} == {1}


def test_the_readmes_other_figures_of_speech(readme: str) -> None:
    found = figures("numbers", "test_en_speech:de", "exact")
    (chain,) = set(found["ASR-encoder+bridge+Ro-De-decoder"])
    (text,) = set(found["ASR-text,bridge+Ro-De-decoder"])
    assert f"{chain:.0f} % of 300 held-out spoken numbers are exactly right in German" in readme
    assert f"and {text:.0f} % where the listener's text goes through the same" in readme
    found = figures("speechocean762", "test", "wer")
    (best,), (alone,) = set(found["both,fine-tuned+LM"]), set(found["hybrid,pieces"])
    assert best == min(min(scores) for scores in found.values())
    assert f"still have {best:.1f} % of the words wrong" in readme
    assert f"a system from those hours alone has {alone:.0f} %" in readme


def test_the_readmes_figures_of_the_swap_are_multi30ks(readme: str) -> None:
    found = multi30k("test_2016_flickr_fr_en", "bleu")
    for words, system in (
        ("Such encoders have {} BLEU", "Fr-encoder-for-De-En-decoder,5000"),
        ("plain encoder-decoder of these pairs has {}.", "encoder-decoder,5000"),
        ("never met the decoder has {} with it", "Fr-encoder+De-En-decoder,5000"),
        ("and {} when both are fine-tuned,", "Fr-encoder+De-En-decoder,fine-tuned,5000"),
    ):
        assert words.format(f"{statistics.mean(found[system]):.1f}") in readme
        assert len(found[system]) == 3 and "means of three seeds" in readme
    few = [found[name] for name in ("Fr-encoder-for-De-En-decoder,1000", "encoder-decoder,1000")]
    borrowed, plain = (f"{score:.1f}" for (score,) in few)
    assert (
        f"With 1,000 pairs, one seed, an encoder in front of the finished decoder has {borrowed}, "
        f"and the plain system {plain};" in readme
    )
    many = [
        f"{found[f'{name},10000'][0]:.1f}"
        for name in (
            "encoder-decoder",
            "Fr-encoder-for-De-En-decoder",
            "Fr-encoder+De-En-decoder,fine-tuned",
        )
    ]
    ahead = (
        "with 10,000 the plain system is ahead, {} and {}, and the two fine-tuned together have {}:"
    )
    assert ahead.format(*many) in readme


def test_the_readmes_table_is_that_of_the_numbers_recipe() -> None:
    scores = json.loads((ROOT / "egs/numbers/lego1/results.json").read_text(encoding="utf-8"))
    demo = [row for row in scores if row["seed"] in (1, None)]  # the demo trains one seed
    by_system = {(row["system"], row["metric"]): row["score"] for row in demo}
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    names = {
        "De-En": "De-En",
        "Ro-En alone": "Ro-En",
        "Ro encoder + De-En decoder": "Ro-encoder+De-En-decoder",
        "English ASR alone": "English-ASR",
        "ASR encoder + De-En decoder": "ASR-encoder+De-En-decoder",
    }
    for shown, system in names.items():
        (line,) = [line for line in readme if line.startswith(f"    {shown}  ")]
        figures = [f"{by_system[system, metric]:.1f}" for metric in ("exact", "bleu", "wer")]
        assert line.split()[-4:] == ["300", *figures]
