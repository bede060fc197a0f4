"""Systems loaded and composed: equal to the original, or clear about what is wrong."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from legonn.audio.source import Sound
from legonn.errors import ConfigError, InterfaceMismatch, LegonnError
from legonn.interface import Interface
from legonn.search.options import DecodingOptions
from legonn.search.strategies import mode_for
from legonn.system import System, interface_model
from legonn.tokenizer import TextCodec

LINES = ["unu doi", "trei", "patru cinci unu"]


@pytest.fixture
def copy(experiment: Path, tmp_path: Path) -> Path:
    """The experiment, to be damaged."""
    return Path(shutil.copytree(experiment, tmp_path / "exp" / "x", symlinks=True))


def logits(system: System) -> torch.Tensor:
    """Of one made-up target, (1, U, V)."""
    assert isinstance(system.source, TextCodec)
    ids = torch.tensor(system.source.encode(LINES[2]))[None]
    with torch.no_grad():
        encoded = system.chain.encode(ids, torch.tensor([ids.size(1)]))
        prefix = torch.tensor([[system.chain.sos, 3, 4]])
        return system.chain.decoder(encoded.memory, encoded.lengths, prefix, torch.tensor([3]))[0]


def edit(path: Path, **changes: Any) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**document, **changes}, allow_unicode=True), encoding="utf-8")


def test_an_experiment_is_loaded_with_its_contract(experiment: Path) -> None:
    system = System.load(experiment)
    assert not system.chain.training and system.name == str(experiment)
    assert system.interface.tokens == system.target.tokens
    assert system.interface.ingestor == "wemb" and system.interface.unit == "bpe"
    assert system.target.decode(system.target.encode("three one")) == "three one"
    assert system.parameters() == sum(p.numel() for p in system.chain.parameters())


@pytest.mark.parametrize(
    ("recording", "kind"),
    [
        ("a.wav", "str"),
        (Path("a.wav"), r"\w*Path"),
        (np.zeros(9000, np.float32), "ndarray"),
        (torch.zeros(9000), "Tensor"),
    ],
)
def test_one_recording_is_no_list_of_them(experiment: Path, recording: Any, kind: str) -> None:
    system = dataclasses.replace(System.load(experiment), source=Sound(16000))
    message = (
        rf"takes a list of recordings, and was given one {kind}: call transcribe\(\[recording\]\)"
    )
    with pytest.raises(ConfigError, match=message):
        system.transcribe(recording)


def test_translations_are_text(experiment: Path) -> None:
    found = System.load(experiment).translate(LINES, beam_size=2)
    assert len(found) == 3 and all(isinstance(one.text, str) for one in found)


def test_the_average_is_taken_unless_a_checkpoint_is_named(experiment: Path) -> None:
    average = torch.load(experiment / "valid.acc.ave.pth", weights_only=True)
    for spec, name in (
        (experiment, "valid.acc.ave.pth"),
        (f"{experiment}:latest.pth", "latest.pth"),
        (f"{experiment}:3epoch.pth", "3epoch.pth"),
    ):
        wanted = torch.load(experiment / name, weights_only=True)
        found = System.load(spec).chain.state_dict()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    named = System.load(f"{experiment}:latest.pth", "valid.acc.ave.pth").chain.state_dict()
    assert all(torch.equal(named[key], average[key]) for key in average)


def test_a_moved_folder_still_loads(copy: Path, experiment: Path) -> None:
    assert torch.equal(logits(System.load(copy)), logits(System.load(experiment)))


def test_loading_leaves_the_files_as_they_were(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    System.load(copy)
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def replace(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = Path(os.path.realpath(folder / name))
        path.write_bytes(content)

    return damage


def truncate(name: str, share: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = Path(os.path.realpath(folder / name))
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return damage


def save(states: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        torch.save(states, Path(os.path.realpath(folder / "valid.acc.ave.pth")))

    return damage


AVERAGE = "valid.acc.ave.pth"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.yaml"), "is no experiment: it has no config.yaml"),
        (replace("config.yaml", b"a: [\n"), "config.yaml can't be read as YAML"),
        (replace("config.yaml", b"a: \xff\n"), "config.yaml can't be read as YAML"),
        (replace("config.yaml", b"batch_size: 3\n"), "is not the configuration of a legonn"),
        (replace("config.yaml", b""), "is not the configuration of a legonn"),
        (replace("config.yaml", b"token_list: [a]\n"), "is not the configuration of a legonn"),
        (remove("interface.yaml"), "interface.yaml is no interface description"),
        (replace("interface.yaml", b"tokens: [a]\n"), "config.yaml disagree on the token list"),
        (remove("bpe.model"), "bpe.model is absent: the experiment's folder is incomplete"),
        (replace("bpe.model", b"x"), "bpe.model is not the tokenizer that"),
        (truncate("bpe.model", 0.9), "bpe.model is not the tokenizer that"),
        (replace(AVERAGE, b""), "is no checkpoint, or a damaged one"),
        (replace(AVERAGE, LFS), "is no checkpoint, or a damaged one"),
        (replace(AVERAGE, b"<!DOCTYPE html>"), "is no checkpoint, or a damaged one"),
        (truncate(AVERAGE, 0.1), "is no checkpoint, or a damaged one"),
        (truncate(AVERAGE, 0.5), "is no checkpoint, or a damaged one"),
        (truncate(AVERAGE, 0.999), "is no checkpoint, or a damaged one"),
        (save({"other.weight": torch.zeros(2)}), "doesn't belong to its config.yaml"),
        (save({"model": {"a": torch.zeros(2)}, "epoch": 3}), "doesn't belong to its config.yaml"),
        (save(torch.zeros(2)), "doesn't belong to its config.yaml"),
        (save([torch.zeros(2)]), "doesn't belong to its config.yaml"),
    ],
)
def test_damage_is_named(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copy)
    with pytest.raises(ConfigError) as caught:
        System.load(copy)
    assert message in str(caught.value) and str(copy) in str(caught.value)


def test_the_sources_tokenizer_is_checked_too(copy: Path) -> None:
    shutil.copyfile(copy / "bpe.model", copy / "src_bpe.model")
    with pytest.raises(ConfigError, match="src_bpe.model is not the tokenizer that"):
        System.load(copy)


def test_no_interface_has_files_outside_of_the_experiment(copy: Path) -> None:
    assert interface_model("text_bpe") == "text_bpe_bpe.model"
    with pytest.raises(ConfigError, match="'../victim/src' is no name for an interface's tokens"):
        interface_model("../victim/src")
    edit(copy / "config.yaml", interface_token_lists={"../victim/src": ["a"]})
    with pytest.raises(ConfigError, match="'../victim/src' is no name for an interface's tokens"):
        System.load(copy)


def test_an_absent_source_tokenizer_is_named(copy: Path) -> None:
    (copy / "src_bpe.model").unlink()
    with pytest.raises(ConfigError, match="src_bpe.model"):
        System.load(copy).translate(["unu"])


def test_a_checkpoint_of_other_sizes_is_refused(copy: Path) -> None:
    states = torch.load(copy / AVERAGE, weights_only=True)
    for change in ("missing", "extra", "shape"):
        changed = dict(states)
        if change == "missing":
            del changed["head.linear.bias"]
        elif change == "extra":
            changed["head.linear.extra"] = torch.zeros(1)
        else:
            changed["head.linear.bias"] = torch.zeros(3)
        save(changed)(copy)
        with pytest.raises(ConfigError, match="doesn't belong to its config.yaml.*") as caught:
            System.load(copy)
        assert "head.linear" in str(caught.value)


class Bomb:
    """What a malicious checkpoint holds: unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_bomb_is_refused_and_not_executed(copy: Path, tmp_path: Path, plain: bool) -> None:
    target, bomb = Path(os.path.realpath(copy / AVERAGE)), Bomb(tmp_path / "executed")
    if plain:
        target.write_bytes(pickle.dumps(bomb))
    else:
        torch.save({"a": bomb}, target)
    with pytest.raises(ConfigError, match="is no checkpoint, or a damaged one"):
        System.load(copy)
    assert not (tmp_path / "executed").exists()


def test_an_absent_checkpoint_lists_what_is_there(experiment: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        System.load(f"{experiment}:valid.bleu.best.pth")
    message = str(caught.value)
    assert "has no checkpoint valid.bleu.best.pth; it has " in message
    assert "3epoch.pth" in message and "valid.acc.ave.pth" in message


def test_an_untrained_experiment_says_what_to_do(copy: Path) -> None:
    for path in copy.glob("*.pth"):
        path.unlink()
    with pytest.raises(ConfigError, match="no checkpoint yet: train it first"):
        System.load(copy)
    with pytest.raises(ConfigError, match="it has none"):
        System.load(f"{copy}:latest.pth")


def test_the_latest_serves_until_there_is_an_average(copy: Path) -> None:
    for path in copy.glob("valid.*.pth"):
        path.unlink()
    wanted = torch.load(copy / "latest.pth", weights_only=True)
    found = System.load(copy).chain.state_dict()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_an_interface_that_was_not_learned_is_not_asked(
    experiment: Path, copy: Path, tmp_path: Path
) -> None:
    """By mode auto: of an experiment, in front of another decoder, saved, and beside others."""
    edit(copy / "config.yaml", ctc_weight=0.0)
    interface = Interface.load(copy / "interface.yaml")
    assert "ctc_weight" not in interface.provenance  # as it was learned
    without = dataclasses.replace(interface, provenance={**interface.provenance, "ctc_weight": 0.0})
    without.save(copy / "interface.yaml")
    composed = System.compose(encoder=copy, decoder=experiment)
    composed.save(tmp_path / "composed")
    systems = [System.load(copy), composed, System.load(tmp_path / "composed")]
    systems.append(composed.with_others([System.load(experiment)]))
    for system in systems:
        assert mode_for(system.chain, DecodingOptions()) == "attention"
    other = System.compose(encoder=experiment, decoder=copy)
    assert mode_for(other.chain, DecodingOptions()) == "joint"
    assert mode_for(composed.chain, DecodingOptions(mode="joint")) == "joint"


def test_composed_with_itself_is_the_original(experiment: Path) -> None:
    original = System.load(experiment)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        composed = System.compose(encoder=experiment, decoder=experiment)
    assert torch.equal(logits(composed), logits(original))
    texts = [[one.text for one in s.translate(LINES, beam_size=3)] for s in (original, composed)]
    scores = [[one.score for one in s.translate(LINES, beam_size=3)] for s in (original, composed)]
    assert texts[0] == texts[1] and scores[0] == scores[1]
    assert composed.name == f"{experiment}+{experiment}"
    assert composed.parameters() == original.parameters()


@pytest.mark.parametrize(
    ("places", "given"),
    [([], "nothing"), ([0], "encoder"), ([0, 0], "encoder, encoder"), ([1, 0], "decoder, encoder")],
)
def test_parts_that_make_no_chain_are_told(experiment: Path, places: list[int], given: str) -> None:
    parts = System.load(experiment).parts()
    with pytest.raises(ConfigError, match=f"and a decoder, in this order; given: {given}$"):
        System.join([parts[place] for place in places])


def test_each_part_comes_from_its_own_experiment(experiment: Path, copy: Path) -> None:
    states = torch.load(copy / AVERAGE, weights_only=True)
    save({name: value + 1 for name, value in states.items()})(copy)
    chain = System.compose(encoder=experiment, decoder=copy).chain.state_dict()
    for name, value in states.items():
        wanted = value if name.startswith(("encoder.", "head.")) else value + 1
        assert torch.equal(chain[name], wanted), name


def test_a_composition_takes_named_checkpoints(experiment: Path) -> None:
    system = System.compose(encoder=f"{experiment}:latest.pth", decoder=f"{experiment}:latest.pth")
    assert torch.equal(logits(system), logits(System.load(f"{experiment}:latest.pth")))


def test_another_decoder_stands_behind_the_same_encoder(
    experiment: Path, other_decoder: Path
) -> None:
    found = System.load(experiment).with_decoder(other_decoder)
    composed = System.compose(encoder=experiment, decoder=other_decoder)
    assert torch.equal(logits(found), logits(composed))
    assert not torch.equal(logits(found), logits(System.load(experiment)))
    assert found.name == composed.name == f"{experiment}+{other_decoder}"


def test_a_decoder_of_other_tokens_does_not_stand_there(experiment: Path, copy: Path) -> None:
    tokens = yaml.safe_load((copy / "config.yaml").read_text())["token_list"]
    changed = [*tokens[:3], "other", *tokens[4:]]
    for name, key in (("config.yaml", "token_list"), ("interface.yaml", "tokens")):
        edit(copy / name, **{key: changed})
    with pytest.raises(InterfaceMismatch, match="id 3: "):
        System.load(experiment).with_decoder(copy)


def test_other_tokens_do_not_compose(experiment: Path, copy: Path) -> None:
    tokens = list(System.load(copy).target.tokens)
    tokens[2], tokens[3] = tokens[3], tokens[2]
    edit(copy / "config.yaml", token_list=tokens)
    edit(copy / "interface.yaml", tokens=tokens)
    with pytest.raises(InterfaceMismatch) as caught:
        System.compose(encoder=copy, decoder=experiment)
    message = str(caught.value)
    assert f"encoder {copy} does not fit decoder {experiment}" in message
    assert f"id 2: {tokens[2]!r} against {tokens[3]!r}" in message


def test_another_tokenizer_does_not_compose(experiment: Path, copy: Path) -> None:
    from legonn.tokenizer import file_sha256

    shutil.copyfile(copy / "src_bpe.model", copy / "bpe.model")
    edit(copy / "interface.yaml", tokenizer_sha256=file_sha256(copy / "bpe.model"))
    with pytest.raises(InterfaceMismatch, match="same tokens, but the tokenizer's model file"):
        System.compose(encoder=experiment, decoder=copy)


@pytest.mark.parametrize("plain_side", ["encoder", "decoder"])
def test_a_plain_part_does_not_fit_a_module(
    experiment: Path, plain_experiment: Path, plain_side: str
) -> None:
    parts = {"encoder": experiment, "decoder": experiment, plain_side: plain_experiment}
    with pytest.raises(InterfaceMismatch) as caught:
        System.compose(encoder=parts["encoder"], decoder=parts["decoder"])
    message = str(caught.value)
    assert f"{plain_experiment} is a plain encoder-decoder" in message
    assert "Train it with --system lego" in message


def test_two_plain_parts_compose_with_a_warning(plain_experiment: Path) -> None:
    with pytest.warns(UserWarning, match="share no interface and were never trained to fit"):
        composed = System.compose(encoder=plain_experiment, decoder=plain_experiment)
    assert torch.equal(logits(composed), logits(System.load(plain_experiment)))


def seen(folder: Path, low: float, middle: float, high: float) -> None:
    edit(folder / "interface.yaml", positions_per_token=[low, middle, high])


def test_positions_outside_the_decoders_range_are_a_warning(experiment: Path, copy: Path) -> None:
    seen(copy, 0.4, 0.5, 0.6)
    other = copy.with_name("y")
    shutil.copytree(experiment, other, symlinks=True)
    seen(other, 1.0, 2.0, 3.0)
    with pytest.warns(UserWarning, match="gives 0.50 positions a token .* saw 1.00 to 3.00"):
        System.compose(encoder=copy, decoder=other)


def test_length_ratio_replaces_the_encoders(experiment: Path) -> None:
    system = System.compose(encoder=experiment, decoder=experiment, length_ratio=3.0)
    encoded = system.chain.encode(torch.tensor([[3, 4, 5]]), torch.tensor([3]))
    assert encoded.lengths.tolist() == [9]
    assert System.load(experiment).chain.encoder.length_control.ratio == 2.0  # type: ignore[union-attr]


def test_a_length_ratio_that_mends_the_range_ends_the_warning(experiment: Path, copy: Path) -> None:
    seen(copy, 0.4, 0.5, 0.6)
    other = copy.with_name("y")
    shutil.copytree(experiment, other, symlinks=True)
    seen(other, 1.0, 2.0, 3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        System.compose(encoder=copy, decoder=other, length_ratio=8.0)  # 2.0 x 4: now 2.00 a token


def test_a_length_ratio_must_be_positive_and_have_a_controller(
    experiment: Path, plain_experiment: Path
) -> None:
    with pytest.raises(ConfigError, match="length_ratio is -1; it must be above 0"):
        System.compose(encoder=experiment, decoder=experiment, length_ratio=-1)
    with pytest.raises(ConfigError, match="has no length controller"):
        System.compose(encoder=plain_experiment, decoder=plain_experiment, length_ratio=2.0)


def test_plain_parts_of_different_widths_do_not_compose(
    plain_experiment: Path, tmp_path: Path
) -> None:
    from legonn.factory import build_chain

    other = Path(shutil.copytree(plain_experiment, tmp_path / "wide", symlinks=True))
    config = yaml.safe_load((other / "config.yaml").read_text())
    config["encoder_conf"]["width"] = 24
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    sizes = {"source_size": len(config["src_token_list"]), "target_size": len(config["token_list"])}
    chain = build_chain(config, **sizes)
    save(chain.state_dict())(other)
    with pytest.raises(InterfaceMismatch, match="states of width 24, decoder .* reads 16"):
        System.compose(encoder=other, decoder=plain_experiment)


def test_one_line_is_no_list_of_lines(experiment: Path) -> None:
    with pytest.raises(ConfigError, match=r"was given one: call translate\(\[line\]\)"):
        System.load(experiment).translate("ein Haus")


def test_every_error_is_one_that_commands_print() -> None:
    assert issubclass(ConfigError, LegonnError) and issubclass(InterfaceMismatch, LegonnError)
    with pytest.raises(LegonnError, match="nowhere: no such folder"):
        System.load("nowhere")


def test_the_contract_on_disk_is_the_one_in_memory(experiment: Path) -> None:
    assert Interface.load(experiment / "interface.yaml") == System.load(experiment).interface
