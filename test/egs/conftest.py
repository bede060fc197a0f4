"""Recipes are tested in copies: their data and experiments stay out of the repository."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "egs" / "TEMPLATE" / "lego1"
UTILS = TEMPLATE / "utils"
# The recipes' helpers are scripts, not a package.
sys.path.insert(0, str(UTILS))


@dataclass(frozen=True)
class Recipe:
    """A copy of a recipe, with the template beside it.

    Attributes
    ----------
    folder : Path
        `egs/<name>/lego1` of the copy.
    variables : dict
        Environment variables beside the usual ones.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """This Python first in PATH, this repository's legonn, one thread."""
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CMD_BACKEND": "local",
            **self.variables,
        }

    def start(self, *options: str, script: str = "./run.sh") -> subprocess.Popen[str]:
        """Run in a process group of its own, which a test can kill as a whole."""
        return subprocess.Popen(
            [script, *options],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *options: str, script: str = "./run.sh") -> str:
        """Run to the end, and give what was printed; failing is an error that shows it."""
        process = self.start(*options, script=script)
        printed = process.communicate()[0]
        assert process.returncode == 0, printed
        return printed

    def fail(self, *options: str, script: str = "./run.sh", status: int = 2) -> str:
        """Run, expecting this exit status."""
        process = self.start(*options, script=script)
        printed = process.communicate()[0]
        assert process.returncode == status, printed
        return printed


def copy_recipe(name: str, to: Path) -> Recipe:
    """Copy `egs/<name>/lego1` and the template, without what they have made."""
    made = shutil.ignore_patterns("data", "dump", "exp*", "downloads", "__pycache__")
    shutil.copytree(TEMPLATE, to / "egs/TEMPLATE/lego1", ignore=made, dirs_exist_ok=True)
    shutil.copytree(ROOT / "egs" / name / "lego1", to / "egs" / name / "lego1", ignore=made)
    return Recipe(to / "egs" / name / "lego1")


# Small enough for seconds, with a vocabulary that so few pairs can give.
TINY = """\
system: lego
encoder_conf: {width: 16, heads: 2, feedforward: 32, layers_before: 1, layers_after: 1,
  length_ratio: 6}
ingestor_conf: {layers: 1}
decoder_conf: {width: 16, heads: 2, feedforward: 32, layers: 1}
precision: fp32
batch_type: numel
batch_bins: 40000
max_epoch: 3
optim: adam
optim_conf: {lr: 0.002}
best_model_criterion: [[valid, loss, min]]
keep_nbest_models: 2
seed: 1
num_workers: 0
use_matplotlib: false
"""
OPTIONS = (
    "--train_pairs 120 --low_pairs 80 --spoken_pairs 0 --heldout_pairs 6 --largest 999 --nbpe 50 --src_nbpe 50 "
    "--lego_config conf/tiny.yaml --low_lego_config conf/tiny.yaml --num_threads 1"
).split()


@pytest.fixture
def tiny_options() -> list[str]:
    """Options that make the numbers recipe small."""
    return list(OPTIONS)


@pytest.fixture
def numbers(tmp_path: Path) -> Recipe:
    """A fresh copy of the numbers recipe, with a tiny configuration."""
    recipe = copy_recipe("numbers", tmp_path)
    (recipe.folder / "conf/tiny.yaml").write_text(TINY)
    return recipe


@pytest.fixture
def speechocean762(tmp_path: Path) -> Recipe:
    """A fresh copy of the speechocean762 recipe."""
    return copy_recipe("speechocean762", tmp_path)


@pytest.fixture
def multi30k(tmp_path: Path) -> Recipe:
    """A fresh copy of the Multi30k recipe."""
    return copy_recipe("multi30k", tmp_path)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, str]:
    """The numbers recipe after all its stages, and what it printed; look, don't change."""
    if importlib.util.find_spec("legonn.task") is None:  # looked up, not imported: that is slow
        pytest.skip("stages 10 to 13 need legonn.task")
    recipe = copy_recipe("numbers", tmp_path_factory.mktemp("finished"))
    (recipe.folder / "conf/tiny.yaml").write_text(TINY)
    return recipe, recipe.run(*OPTIONS)


@pytest.fixture(scope="session")
def finished(first_run: tuple[Recipe, str]) -> Recipe:
    """The numbers recipe after all its stages; look, don't change."""
    return first_run[0]


def copy_made(finished: Recipe, to: Path) -> Recipe:
    """A copy of a recipe with all that it has made."""
    root = finished.folder.parents[2]
    shutil.copytree(root, to / "again", symlinks=True)
    return Recipe(to / "again" / finished.folder.relative_to(root))


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Recipe], Recipe]:
    """Gives a copy of a recipe with all that it has made, to change."""
    return lambda recipe: copy_made(recipe, tmp_path)


@pytest.fixture(scope="session")
def copied_for_all(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe, str], Recipe]:
    """As `copied`, for more than one test."""
    return lambda recipe, name: copy_made(recipe, tmp_path_factory.mktemp(name))


@pytest.fixture
def again(finished: Recipe, copied: Callable[[Recipe], Recipe]) -> Recipe:
    """A copy of the finished recipe, to change."""
    return copied(finished)


TINY_SPEECH = """\
base: tiny.yaml
encoder: speech
encoder_conf: {length_ratio: 2.0, mels: 20, normalisation: global}
chain_conf: {early_ctc: 0.5}
batch_bins: 300000
max_epoch: 2
num_workers: 1
"""


@pytest.fixture(scope="session")
def spoken_run(
    first_run: tuple[Recipe, str], copied_for_all: Callable[[Recipe, str], Recipe]
) -> tuple[Recipe, str]:
    """The finished recipe, gone on with speech, and what that printed; look, don't change."""
    recipe = copied_for_all(first_run[0], "spoken")
    (recipe.folder / "conf/tiny_speech.yaml").write_text(TINY_SPEECH)
    options = ["--spoken_pairs", "12", "--speech_lego_config", "conf/tiny_speech.yaml"]
    return recipe, recipe.run(*OPTIONS, *options)
