"""The bank command: what it says of an encoder, and decoders that learn from what it writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from legonn.bank import MarginalBank
from legonn.bin.bank import main
from legonn.bin.train import main as train_main
from legonn.cli import run
from legonn.data.folder import read_text
from legonn.errors import ConfigError
from legonn.factory import build_chain
from legonn.interface import Interface
from legonn.system import System

RATE = 8000


def options(encoder: Path, folder: Path, side: str = "train", *more: str) -> list[str]:
    """Of the corpus; its files are Kaldi's by their content."""
    files = ["--input", str(folder / f"{side}.src"), "--text", str(folder / f"{side}.tgt")]
    return ["--encoder", str(encoder), *files, *more]


def test_what_it_says_is_what_the_chain_makes_of_each_alone(
    corpus: Any, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options(experiment, corpus.folder, "valid")) == 0
    printed = capsys.readouterr().out
    system = System.load(experiment)
    nats = tokens = positions = 0.0
    targets = read_text(corpus.folder / "valid.tgt")
    for utt_id, line in read_text(corpus.folder / "valid.src").items():
        ids = torch.as_tensor(system.source.encode(line))[None]  # type: ignore[union-attr]
        text = torch.as_tensor(system.target.encode(targets[utt_id]))[None]
        marginals = system.chain.encode(ids, torch.tensor([ids.size(1)])).marginals[0]
        nats += marginals.ctc_loss(text, torch.tensor([text.size(1)])).item()
        tokens += text.size(1)
        positions += int(marginals.lengths)
    said = f"8 utterances: CTC {nats / tokens:.2f} nats a token, best path "
    assert printed.startswith(said)
    assert f" % wrong, {positions / tokens:.2f} positions a token; 0 that CTC" in printed
    assert len(printed.splitlines()) == 1  # nothing is written without --output


def test_a_decoder_learns_from_its_cuttings(
    corpus: Any, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = tmp_path / "bank.safetensors"
    assert main(options(experiment, corpus.folder, "train", "--output", str(bank))) == 0
    count = len(MarginalBank.load(bank).keys)
    assert capsys.readouterr().out.endswith(
        f"{bank}: {count:,} cuttings, {len(MarginalBank.load(bank).ids):,} positions\n"
    )
    words = corpus.options(tmp_path / "reader", "--encoder", "imagined", "--ctc_weight", "0")
    words += ["--max_epoch", "1", "--pretrained_decoder", str(experiment)]
    target = [re.sub(r"\.src\b|/src(?=\.(txt|model)$)", _as_target, word) for word in words]
    fields = yaml.safe_load((corpus.folder / "config.yaml").read_text())
    config = tmp_path / "imagined.yaml"
    config.write_text(yaml.safe_dump({**fields, "encoder_conf": {"bank": str(bank)}}))
    target[target.index("--config") + 1] = str(config)
    assert train_main(target) == 0
    bank.unlink()  # it was for training
    system = System.compose(encoder=experiment, decoder=tmp_path / "reader")
    assert len(system.translate(["unu doi", "trei"], beam_size=2)) == 2
    weights = [
        System.load(one).chain.decoder.embedding.weight for one in (experiment, tmp_path / "reader")
    ]
    assert not torch.equal(*weights)


def _as_target(found: re.Match[str]) -> str:
    return found[0].replace("src", "tgt")


def test_a_bank_of_other_tokens_is_refused(corpus: Any, tmp_path: Path, experiment: Path) -> None:
    bank = tmp_path / "bank"
    assert main(options(experiment, corpus.folder, "valid", "--output", str(bank))) == 0
    words = corpus.options(tmp_path / "reader", "--encoder", "imagined", "--ctc_weight", "0")
    target_files = r"\.tgt\b|/tgt(?=\.(txt|model)$)"
    other = [re.sub(target_files, lambda f: f[0].replace("tgt", "src"), word) for word in words]
    fields = yaml.safe_load((corpus.folder / "config.yaml").read_text())
    config = tmp_path / "imagined.yaml"
    config.write_text(yaml.safe_dump({**fields, "encoder_conf": {"bank": str(bank)}}))
    other[other.index("--config") + 1] = str(config)
    with pytest.raises(ConfigError, match=r"bank=.*bank is of other tokens than text: make it"):
        train_main(other)


@pytest.fixture
def ears(tmp_path: Path, chain_config: Callable[..., dict[str, Any]]) -> Path:
    """A hybrid model that hears 8 kHz, of random weights: its encoder is lent."""
    tokens = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<sos/eos>"]
    config = chain_config(
        system="hybrid",
        encoder="speech",
        encoder_conf={"width": 16, "heads": 2, "feedforward": 32, "sample_rate": RATE, "mels": 20},
    )
    for side, kind, known in (("src_", "speech", []), ("", "char", tokens)):
        config |= {f"{side}token_type": kind, f"{side}token_list": known, f"{side}bpemodel": None}
    folder = tmp_path / "ears"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    Interface(tokens=tuple(tokens), unit="char").save(folder / "interface.yaml")
    torch.manual_seed(5)
    chain = build_chain(config, source_size=0, target_size=len(tokens))
    torch.save(chain.state_dict(), folder / "valid.acc.ave.pth")
    return folder


@pytest.fixture
def recorded(tmp_path: Path) -> list[str]:
    """Three recordings and their text, one of which is too long for its sound."""
    texts = {"u1": "ab", "u2": "cab a", "u3": "abcabcabcabcabcabcabcabc"}
    for i, utt_id in enumerate(texts):
        wave = np.random.default_rng(i).normal(size=RATE // 2) * 0.1
        soundfile.write(tmp_path / f"{utt_id}.wav", wave, RATE)
    (tmp_path / "wav.scp").write_text("".join(f"{i} {tmp_path / i}.wav\n" for i in texts))
    (tmp_path / "text").write_text("".join(f"{i} {text}\n" for i, text in texts.items()))
    return ["--input", str(tmp_path / "wav.scp"), "--text", str(tmp_path / "text")]


def test_recordings_are_heard_in_noise_as_often_as_wanted(
    ears: Path, recorded: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def collect(name: str, *more: str) -> MarginalBank:
        output = tmp_path / name
        assert main(["--encoder", str(ears), *recorded, "--output", str(output), *more]) == 0
        return MarginalBank.load(output)

    clean = collect("clean")
    assert "3 utterances: CTC " in (printed := capsys.readouterr().out)
    assert "; 1 that CTC can't emit are left out" in printed
    nearly = collect("nearly", "--noise_snr", "100", "110")
    torch.testing.assert_close(nearly.log_probs, clean.log_probs, atol=0.05, rtol=0)
    assert capsys.readouterr().out.startswith("3 utterances: CTC ")
    noisy = collect("noisy", "--noise_snr", "0", "10", "--passes", "2")
    assert "6 utterances: CTC " in capsys.readouterr().out
    known = 2 + 5  # tokens of the first two
    absent = len({"<blank>", "<unk>", "<sos/eos>"})
    assert (len(clean.keys), len(noisy.keys)) == (known + absent, 2 * known + absent)
    again = collect("again", "--noise_snr", "0", "10", "--passes", "2")
    assert torch.equal(noisy.log_probs, again.log_probs)
    other = collect("other", "--noise_snr", "0", "10", "--passes", "2", "--seed", "1")
    assert not torch.equal(noisy.log_probs, other.log_probs)


def test_what_is_wrong_is_told(
    ears: Path,
    recorded: list[str],
    corpus: Any,
    experiment: Path,
    plain_experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "few").write_text("u1 ab\n")
    few = [*recorded[:3], str(tmp_path / "few")]
    text = options(experiment, corpus.folder)
    for command, message in (
        (["--encoder", str(ears), *few], "few lacks what "),
        (["--encoder", str(experiment), *recorded], "reads text, and --input"),
        (options(plain_experiment, corpus.folder), "it has no interface"),
        ([*text, "--passes", "0"], "--passes 0: give at least 1"),
        ([*text, "--noise_snr", "5", "0"], "--noise_snr: give the lower number first"),
    ):
        try:
            status = run(main, command)
        except SystemExit as error:  # argparse's own
            status = int(error.code or 0)
        assert status == 2 and message in capsys.readouterr().err
