"""Parts: what they hold, how they are hashed, which may stand behind which."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from legonn.errors import ConfigError, InterfaceMismatch
from legonn.interface import Interface
from legonn.module import KINDS
from legonn.part import CONFIG_KEYS, Part, bridge_config, check_fits, networks
from legonn.system import System, load_part
from legonn.tokenizer import TextCodec

WORDS = ("<blank>", "<unk>", "one", "two", "<sos/eos>")
PHONES = ("<blank>", "<unk>", "W", "AH", "N", "T", "UW", "<sos/eos>")
WIDTHS = {"width": 8, "heads": 2, "feedforward": 16}


def word_side(**options: Any) -> Interface:
    return Interface(**{"tokens": WORDS, "unit": "word", **options})


def phone_side() -> Interface:
    return Interface(tokens=PHONES, unit="phn")


def codec(side: Interface) -> TextCodec:
    return TextCodec(token_type=side.unit, tokens=side.tokens)


def make(kind: str, **options: Any) -> Part:
    """An untrained part: an encoder of words, a bridge from phones to words, a decoder of words."""
    configs: dict[str, dict[str, Any]] = {
        "encoder": {"encoder_conf": {**WIDTHS, "layers_before": 1, "layers_after": 0}},
        "bridge": {**WIDTHS, "layers_before": 0, "layers_after": 0},
        "decoder": {"decoder_conf": {**WIDTHS, "layers": 1}, "ingestor_conf": {"layers": 0}},
    }
    config = configs[kind]
    reads = len(PHONES) if kind == "bridge" else len(WORDS)
    side = word_side()
    sides: dict[str, dict[str, Any]] = {
        "encoder": {"writes": side, "source": codec(side)},
        "bridge": {"reads": phone_side(), "writes": side},
        "decoder": {"reads": side},
    }
    layers = networks(kind, config, reads=reads, writes=len(WORDS))
    about: dict[str, Any] = {
        "kind": kind,
        "name": f"x/{kind}",
        "config": config,
        "target": codec(side),
    }
    return Part(**{**about, "network": nn.ModuleDict(layers), **sides[kind], **options})


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("encoder", ["encoder", "head"]),
        ("bridge", ["bridge"]),
        ("decoder", ["ingestor", "decoder"]),
    ],
)
def test_layers_have_the_names_of_a_checkpoint(kind: str, names: list[str]) -> None:
    assert list(make(kind).network) == names


def test_the_parts_of_a_system_hold_all_its_weights(experiment: Path) -> None:
    system = System.load(experiment)
    encoder, decoder = system.parts()
    assert [encoder.kind, decoder.kind] == ["encoder", "decoder"]
    assert encoder.parameters() + decoder.parameters() == system.parameters()
    wanted = {name for name, _ in system.chain.named_parameters()}
    assert encoder.weights().keys() | decoder.weights().keys() == wanted
    assert encoder.writes == decoder.reads == system.interface
    assert encoder.source is system.source and decoder.target is system.target


def test_a_shared_tensor_counts_once() -> None:
    part = make("decoder")
    layers: Any = part.network
    table = layers["decoder"].embedding.weight
    assert layers["ingestor"].embedding.weight is table
    assert sum(weight.shape == table.shape for weight in part.weights().values()) == 1


def test_the_hash_is_of_names_types_shapes_and_values() -> None:
    layer = nn.Linear(2, 1, bias=False)
    nn.init.constant_(layer.weight, 1.0)
    part = dataclasses.replace(make("bridge"), network=nn.ModuleDict({"bridge": layer}))
    # fp32 1.0 is 3f800000, little-endian
    known = b"bridge.weight torch.float32 [1, 2]\n" + bytes.fromhex("0000803f0000803f")
    assert part.sha256() == hashlib.sha256(known).hexdigest()


def test_a_parent_is_recorded_with_the_hash_that_its_module_states() -> None:
    part = make("decoder")
    found = {"kind": "decoder", "name": "x/decoder", "weights_sha256": part.sha256()}
    assert part.record() == found
    read = dataclasses.replace(part, stated_sha256="ab" * 32)
    assert read.record() == {**found, "weights_sha256": "ab" * 32}
    assert read.sha256() == part.sha256()


@pytest.mark.parametrize("kind", KINDS)
def test_any_changed_number_changes_the_hash(kind: str) -> None:
    part = make(kind)
    before = part.sha256()
    assert part.sha256() == before
    for name, weight in part.weights().items():
        weight.view(-1)[0] += 1
        assert part.sha256() != before, name
        weight.view(-1)[0] -= 1


@pytest.mark.parametrize("kind", KINDS)
def test_options_of_another_kind_are_refused(kind: str) -> None:
    for other in KINDS:
        foreign = sorted(set(CONFIG_KEYS[other]) - set(CONFIG_KEYS[kind]))
        for key in foreign:
            with pytest.raises(ConfigError, match=f"configuration of a {kind} has no {key}"):
                networks(kind, {key: {}}, reads=5, writes=5)


def test_a_bridges_options_are_complete() -> None:
    options = bridge_config({"width": 8, "heads": 2})
    assert options["width"] == 8 and options["layers_before"] == 1 and options["target"] == "text"
    assert set(options) == set(CONFIG_KEYS["bridge"])


# ---- Which fits which: every pair of kinds --------------------------------------------------------


@pytest.mark.parametrize(
    ("writer", "reader"),
    [("encoder", "decoder"), ("bridge", "decoder")],
)
def test_what_was_made_for_each_other_fits(writer: str, reader: str) -> None:
    assert check_fits(make(writer), make(reader)) == []


def test_a_bridge_fits_behind_an_encoder_of_what_it_reads() -> None:
    phones = make("encoder", writes=phone_side())
    assert check_fits(phones, make("bridge")) == []
    with pytest.raises(InterfaceMismatch, match="encoder x/encoder does not fit bridge x/bridge"):
        check_fits(make("encoder"), make("bridge"))


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        ("encoder", "encoder"),
        ("bridge", "encoder"),
        ("decoder", "encoder"),
        ("decoder", "decoder"),
        ("decoder", "bridge"),
    ],
)
def test_other_pairs_of_kinds_are_refused(writer: str, reader: str) -> None:
    with pytest.raises(InterfaceMismatch, match=f"{reader} x/{reader} can't stand behind {writer}"):
        check_fits(make(writer), make(reader))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": (*WORDS[:2], "two", "one", WORDS[4])}, "id 2: 'one' against 'two'"),
        ({"tokens": (*WORDS[:4], "three", WORDS[4])}, "(5 and 6 tokens; first differences id 4"),
        ({"blank": 1}, "the blank is id 0 on the one side and id 1 on the other"),
        ({"tokenizer_sha256": "ab" * 32}, "same tokens, but the tokenizer's model file"),
    ],
)
def test_every_difference_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InterfaceMismatch) as caught:
        check_fits(make("encoder"), make("decoder", reads=word_side(**change)))
    text = str(caught.value)
    assert message in text and "encoder x/encoder does not fit decoder x/decoder" in text
    assert "put a bridge between them" in text


@pytest.mark.parametrize("plain", ["encoder", "decoder"])
def test_a_plain_part_fits_no_interface(plain: str) -> None:
    side = {"encoder": "writes", "decoder": "reads"}[plain]
    parts = {kind: make(kind) for kind in ("encoder", "decoder")}
    parts[plain] = make(plain, **{side: None})
    with pytest.raises(InterfaceMismatch, match=f"x/{plain} is a plain encoder-decoder"):
        check_fits(parts["encoder"], parts["decoder"])


def test_positions_that_the_reader_never_saw_are_a_warning() -> None:
    writer = make("encoder", writes=word_side(positions_per_token=(0.4, 0.5, 0.6)))
    reader = make("decoder", reads=word_side(positions_per_token=(1.0, 2.0, 3.0)))
    (warning,) = check_fits(writer, reader)
    assert "gives 0.50 positions a token" in warning and "legonn compose --length_ratio" in warning
    faster = writer.with_length_ratio(6.0)  # four times the default 1.5
    assert faster.writes is not None
    assert faster.writes.positions_per_token == pytest.approx((1.6, 2.0, 2.4))
    assert check_fits(faster, reader) == []


# ---- Length ratio ---------------------------------------------------------------------------------


def test_a_new_ratio_is_in_layers_and_configuration() -> None:
    part = make("encoder").with_length_ratio(3.0)
    encoder: Any = part.network["encoder"]
    assert encoder.length_control.ratio == 3.0
    assert part.config["encoder_conf"]["length_ratio"] == 3.0
    assert part.config["encoder_conf"]["layers_before"] == 1


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1001.0, float("nan"), float("inf")])
def test_impossible_ratios_are_refused(ratio: float) -> None:
    with pytest.raises(ConfigError, match="length_ratio is .*; it must be above 0"):
        make("encoder").with_length_ratio(ratio)


def test_a_part_is_read_by_kind(experiment: Path) -> None:
    assert load_part(experiment, "decoder").kind == "decoder"
    with pytest.raises(ConfigError, match="has 0 parts of kind bridge, and one is wanted"):
        load_part(experiment, "bridge")


def test_the_hash_depends_on_the_checkpoint(experiment: Path) -> None:
    average = load_part(experiment, "decoder")
    latest = load_part(f"{experiment}:latest.pth", "decoder")
    assert average.sha256() != latest.sha256()
    assert average.sha256() == load_part(f"{experiment}:valid.acc.ave.pth", "decoder").sha256()
