"""Tiny experiments, trained once a test run in this process, and shared by the tests."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

# Language models of ESPnet's, small enough to build in each test.
LM_SIZES = {
    "seq_rnn": {"unit": 8, "nlayers": 2},
    "transformer": {"embed_unit": 8, "att_unit": 8, "head": 2, "unit": 16, "layer": 2},
}

# Numbers of a made-up language and their figures: short, repetitive, learnt by a toy at once.
WORDS = {"unu": "one", "doi": "two", "trei": "three", "patru": "four", "cinci": "five"}
ROOT = Path(__file__).resolve().parents[1]

CONFIG = {
    "encoder_conf": {
        "width": 16,
        "heads": 2,
        "feedforward": 32,
        "layers_before": 1,
        "layers_after": 1,
        "length_ratio": 2.0,
    },
    "ingestor_conf": {"layers": 1},
    "decoder_conf": {"width": 16, "heads": 2, "feedforward": 32, "layers": 1},
    "batch_type": "unsorted",
    "batch_size": 8,
    "max_epoch": 3,
    "optim": "adam",
    "optim_conf": {"lr": 0.01},
    "best_model_criterion": [["valid", "acc", "max"], ["valid", "loss", "min"]],
    "keep_nbest_models": 2,
    "num_workers": 0,
    "seed": 1,
    "precision": "fp32",
    "use_matplotlib": False,
    "use_tensorboard": False,
}


def pytest_configure() -> None:
    """One thread, here and in child processes: sums are in the same order wherever a test runs."""
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True)
def _torch_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that changes its threads, or leaves autograd off, would fail others far from it."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # restored afterwards, whoever sets it
    yield
    torch.set_num_threads(1)
    enabled = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    assert enabled, "this test leaves torch.is_grad_enabled() false"


@pytest.fixture(scope="session")
def load_tool() -> Callable[[str], ModuleType]:
    """Gives a script of `tools/` by its name: they are no package, and import each other by their names."""
    sys.path.insert(0, str(ROOT / "tools"))

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@dataclass(frozen=True)
class Corpus:
    """Training and validation text, token lists and sentencepiece models, in one folder.

    Attributes
    ----------
    folder : Path
        Holds `{train,valid}.{src,tgt}`, `{src,tgt,small}.{model,txt}` (small: fewer pieces of the target), and
        `config.yaml` of `CONFIG`.
    """

    folder: Path

    def options(self, output: Path, *more: str) -> list[str]:
        """The command line of `legonn train` that writes to `output`; `more` overrides."""
        command = ["--config", str(self.folder / "config.yaml"), "--output_dir", str(output)]
        for prefix, side in (("src_", "src"), ("", "tgt")):
            command += [f"--{prefix}token_list", str(self.folder / f"{side}.txt")]
            command += [f"--{prefix}bpemodel", str(self.folder / f"{side}.model")]
        for part in ("train", "valid"):
            for side, name in (("src", "src_text"), ("tgt", "text")):
                text = f"{self.folder / f'{part}.{side}'},{name},text"
                command += [f"--{part}_data_path_and_name_and_type", text]
            command += [f"--{part}_shape_file", str(self.folder / f"{part}.src")]
        return [*command, *more]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """48 pairs to train on, 8 to validate, two languages' tokens."""
    import random

    folder = tmp_path_factory.mktemp("corpus")
    draw = random.Random(1)
    for part, size in (("train", 48), ("valid", 8)):
        pairs = [draw.choices(list(WORDS), k=draw.randint(1, 4)) for _ in range(size)]
        for side, table in (("src", {word: word for word in WORDS}), ("tgt", WORDS)):
            lines = [
                f"{part}{i:02d} {' '.join(table[w] for w in words)}\n"
                for i, words in enumerate(pairs)
            ]
            (folder / f"{part}.{side}").write_text("".join(lines), encoding="utf-8")
    for side in ("src", "tgt"):
        learn_pieces(folder / f"train.{side}", folder / side)
    learn_pieces(folder / "train.tgt", folder / "small", size=16)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return Corpus(folder)


def learn_pieces(text: Path, prefix: Path, size: int = 24) -> None:
    """Of a Kaldi text: sentencepiece model `<prefix>.model`, token list `<prefix>.txt`."""
    import sentencepiece

    with prefix.with_suffix(".model").open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(
                line.partition(" ")[2] for line in text.read_text(encoding="utf-8").splitlines()
            ),
            model_writer=model,
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            num_threads=1,
            minloglevel=2,
        )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(prefix.with_suffix(".model")))
    known = [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]
    special = {"<unk>", "<s>", "</s>"}
    tokens = ["<blank>", "<unk>", *(t for t in known if t not in special), "<sos/eos>"]
    prefix.with_suffix(".txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def train(corpus: Corpus) -> Callable[..., Path]:
    """Trains in this process: `train(folder, "--max_epoch", "1")` -> folder."""

    def run(folder: Path, *more: str) -> Path:
        from legonn.bin.train import main

        assert main(corpus.options(folder, *more)) == 0
        return folder

    return run


@pytest.fixture(scope="session")
def experiment(train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs of a LegoNN system with WEmb; look, don't change."""
    return train(tmp_path_factory.mktemp("exp") / "lego")


@pytest.fixture(scope="session")
def plain_experiment(train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch of a plain encoder-decoder; look, don't change."""
    folder = tmp_path_factory.mktemp("exp") / "plain"
    return train(folder, "--system", "attention", "--max_epoch", "1")


@pytest.fixture(scope="session")
def other_decoder(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`experiment`, whose decoder likes least what that one likes best; look, don't change."""
    import torch

    folder = tmp_path_factory.mktemp("exp") / "other"
    shutil.copytree(experiment, folder, symlinks=True)
    states = torch.load(folder / "valid.acc.ave.pth", weights_only=True)
    for name in states:
        if name.startswith("decoder.output"):
            states[name] = -states[name]
    (folder / "valid.acc.ave.pth").unlink()  # a link
    torch.save(states, folder / "valid.acc.ave.pth")
    return folder


@pytest.fixture(scope="session")
def hearing_experiment(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained: hears 8 kHz, and writes in the tokens of `experiment`; look, don't change."""
    import torch

    from legonn.audio.source import Sound
    from legonn.factory import build_chain
    from legonn.system import System

    reading = System.load(experiment)
    part = {"width": 16, "heads": 2, "feedforward": 32}
    config = {
        "encoder": "speech",
        "encoder_conf": {**part, "sample_rate": 8000, "mels": 20, "length_ratio": 0.5},
        "decoder_conf": {**part, "tie_output": False},
    }
    torch.manual_seed(5)
    chain = build_chain(config, source_size=0, target_size=len(reading.target.tokens))
    with torch.no_grad():  # random weights alone give nearly uniform distributions
        for parameter in chain.parameters():
            if parameter.dim() == 2:
                parameter.mul_(2)
    folder = tmp_path_factory.mktemp("exp") / "ears"
    contract = dataclasses.replace(reading.interface, provenance={})
    System(chain.eval(), Sound(8000), reading.target, contract, "ears", config).save(folder)
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of a child process that imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def chain_config() -> Callable[..., dict[str, Any]]:
    """Configuration of a chain of width 16 without dropout, in fp32; options override its keys."""

    def make(**options: Any) -> dict[str, Any]:
        part = {
            "width": 16,
            "heads": 2,
            "feedforward": 32,
            "dropout": 0.0,
            "attention_dropout": 0.0,
        }
        return {
            "encoder_conf": {**part, "layers_before": 1, "layers_after": 1, "length_ratio": 1.5},
            "ingestor_conf": {"layers": 1},
            "decoder_conf": {**part, "layers": 2},
            "chain_conf": {"label_smoothing": 0.1},
            "precision": "fp32",
            **options,
        }

    return make


@pytest.fixture
def lm_network() -> Callable[[str, int], Any]:
    """Builds one of ESPnet's language models, always the same: its kind, its number of tokens."""

    def build(kind: str, size: int) -> Any:
        import torch
        from espnet2.lm.seq_rnn_lm import SequentialRNNLM
        from espnet2.lm.transformer_lm import TransformerLM

        torch.manual_seed(1)
        network = {"seq_rnn": SequentialRNNLM, "transformer": TransformerLM}[kind]
        return network(size, **LM_SIZES[kind]).eval()

    return build


@pytest.fixture
def lm_experiment(lm_network: Callable[[str, int], Any], tmp_path: Path) -> Callable[..., Path]:
    """Writes such a model as ESPnet leaves it, untrained: of these tokens, its configuration changed so."""

    def make(tokens: Sequence[str], kind: str = "seq_rnn", **changes: Any) -> Path:
        import torch

        folder = tmp_path / "lm"
        folder.mkdir()
        states = lm_network(kind, len(tokens)).state_dict()
        states = {f"lm.{name}": value for name, value in states.items()}
        torch.save(states, folder / "valid.loss.best.pth")
        config = {"lm": kind, "lm_conf": LM_SIZES[kind], "token_list": list(tokens), **changes}
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        return folder

    return make
