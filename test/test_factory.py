"""The factory: every configuration of every recipe is built; every mistake has its message."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from legonn.config import read_config
from legonn.encoder import TextFrontEnd
from legonn.errors import ConfigError
from legonn.factory import (
    DecoderConfig,
    LayerConfig,
    TextEncoderConfig,
    build_chain,
    check_target,
    parse,
)
from legonn.head import Head
from legonn.ingestor import BeamConv, WEmb
from legonn.schedule import AUTO

EGS = Path(__file__).resolve().parents[1] / "egs"
CONFIGS = sorted(EGS.glob("*/lego1/conf/**/train*.yaml"))
NAMES = [str(path.relative_to(EGS)) for path in CONFIGS]
LANGUAGE_MODELS = [path for path in CONFIGS if path.name.startswith("train_lm")]
Config = Callable[..., dict[str, Any]]


def build(config: dict[str, Any], size: int = 20) -> Any:
    return build_chain(config, source_size=size, target_size=size)


@pytest.mark.parametrize("path", [p for p in CONFIGS if p not in LANGUAGE_MODELS])
def test_every_recipes_configuration_is_built(path: Path) -> None:
    size = 2000 if "multi30k" in str(path) else 100
    chain = build(read_config(path), size)
    parameters = sum(p.numel() for p in chain.parameters())
    if path.parent.name == "conf":
        assert parameters <= 6_000_000


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_the_task_knows_every_key_of_every_configuration(path: Path) -> None:
    from legonn.bin import train, train_lm

    get_parser = (train_lm if path in LANGUAGE_MODELS else train).get_parser
    known = {action.dest for action in get_parser()._actions}
    assert set(read_config(path)) <= known


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_every_optimiser_and_scheduler_is_built(path: Path) -> None:
    import torch
    from espnet2.tasks.abs_task import optim_classes, scheduler_classes

    config = read_config(path)
    weights = [torch.nn.Parameter(torch.zeros(2))]
    optimiser = optim_classes[config["optim"]](weights, **config.get("optim_conf", {}))
    if config.get("scheduler"):
        conf = dict(config.get("scheduler_conf", {}))
        if conf.get("max_steps") == AUTO:
            assert (
                path not in LANGUAGE_MODELS
            )  # ESPnet's task trains them, which knows no such word
            conf["max_steps"] = 9
        scheduler_classes[config["scheduler"]](optimiser, **conf)


def test_both_recipes_have_configurations() -> None:
    assert {name.split("/")[0] for name in NAMES} >= {"numbers", "multi30k"}


def test_the_chain_is_what_its_configuration_says(chain_config: Config) -> None:
    config = chain_config(
        encoder_conf={
            "width": 24,
            "heads": 3,
            "layers_before": 2,
            "layers_after": 4,
            "length_ratio": 2.5,
        },
        ingestor_conf={"layers": 3, "receptive_field": 5, "marginal_dropout": 0.2, "retiming": 0.5},
        ctc_weight=0.25,
        ce_weight=2,
        chain_conf={"label_smoothing": 0.2},
    )
    chain = build_chain(config, source_size=30, target_size=20)
    assert isinstance(chain.encoder.front_end, TextFrontEnd)
    assert chain.encoder.front_end.embedding.weight.shape == (30, 24)
    before, after = (chain.encoder.get_submodule(f"{side}.blocks") for side in ("before", "after"))
    assert len(list(before.children())) == 2 and len(list(after.children())) == 4
    assert chain.encoder.length_control is not None and chain.encoder.length_control.ratio == 2.5
    assert isinstance(chain.head, Head) and chain.head.linear.weight.shape == (20, 24)
    assert isinstance(chain.ingestor, WEmb) and len(chain.ingestor.stack.blocks) == 3
    assert chain.ingestor.mix is not None and chain.ingestor.mix.kernel_size == (5,)
    assert chain.ingestor.marginal_dropout == 0.2 and chain.ingestor.retiming == 0.5
    assert chain.decoder.embedding.weight.shape == (20, 16)
    assert (chain.ctc_weight, chain.ce_weight, chain.label_smoothing) == (0.25, 2.0, 0.2)
    assert chain.sos == chain.eos == 19


def test_beamconv_is_what_its_configuration_says(chain_config: Config) -> None:
    conf = {"layers": 2, "beam": 3, "embedding_width": 6, "kernel": 5}
    ingestor = build(chain_config(ingestor="beamconv", ingestor_conf=conf)).ingestor
    assert isinstance(ingestor, BeamConv) and ingestor.beam == 3
    assert ingestor.embedding.weight.shape == (20, 6)
    assert ingestor.convolution.weight.shape == (16, 18, 5)


def test_a_plain_decoder_reads_the_encoders_width(chain_config: Config) -> None:
    config = chain_config(system="attention", encoder_conf={"width": 24, "heads": 3})
    chain = build(config)
    assert chain.decoder.blocks[0].cross_attention.key_value.in_features == 24


def test_nothing_at_all_is_the_default_system() -> None:
    chain = build({})
    assert chain.head is not None and isinstance(chain.ingestor, WEmb)


@pytest.mark.parametrize(
    ("key", "guess"),
    [
        ("widht", "; did you mean 'width'?"),
        ("lenght_ratio", "; did you mean 'length_ratio'?"),
        ("xyz", "."),
    ],
)
def test_an_unknown_key_names_the_closest_and_the_legal_ones(key: str, guess: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TextEncoderConfig, {key: 1}, "encoder_conf")
    message = str(caught.value)
    assert f"encoder_conf has no option {key!r}{guess} Legal are: width, heads, " in message
    assert message.endswith("word_dropout")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": "wide"}, "conf: width is 'wide'; it wants a int"),
        ({"width": 16.0}, "conf: width is 16.0; it wants a int"),
        ({"layers": True}, "conf: layers is True; it wants a int"),
        ({"tie_output": "yes"}, "conf: tie_output is 'yes'; it wants a bool"),
        ({"tie_output": 1}, "conf: tie_output is 1; it wants a bool"),
        ({"dropout": None}, "conf: dropout is None; it wants a float"),
        ({"dropout": True}, "conf: dropout is True; it wants a float"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(DecoderConfig, options, "conf")
    assert str(caught.value) == message


def test_a_whole_number_serves_as_a_float() -> None:
    found = parse(LayerConfig, {"dropout": 0}, "conf").dropout
    assert found == 0.0 and type(found) is float
    assert parse(LayerConfig, None, "conf") == LayerConfig()


PART = {"width": 16, "heads": 2}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"system": "plain"}, "system is 'plain'; legal are lego, attention"),
        ({"precision": "fp16"}, "precision is 'fp16'; legal are auto, fp32, bf16"),
        ({"encoder": "lstm"}, "encoder is 'lstm'; legal are text, speech, conformer"),
        ({"ingestor": "embed"}, "ingestor is 'embed'; legal are wemb, beamconv"),
        ({"decoder": "rnn"}, "decoder is 'rnn'; legal are transformer"),
        ({"encoder_conf": {"width": 10, "heads": 4}}, "width 10 must be a multiple of heads 4"),
        ({"decoder_conf": {"width": 10, "heads": 4}}, "width 10 must be a multiple of heads 4"),
        ({"encoder_conf": {"dropout": 1.0}}, "dropout is 1.0; it is a probability below 1"),
        ({"encoder_conf": {"dropout": -0.1}}, "dropout is -0.1; it is a probability below 1"),
        (
            {"decoder_conf": {"attention_dropout": 1.5}},
            "attention_dropout is 1.5; it is a probability below 1",
        ),
        ({"encoder_conf": {"length_ratio": 0.0}}, "length_ratio is 0.0; it must be above 0"),
        ({"encoder_conf": {"length_ratio": -1.5}}, "length_ratio is -1.5; it must be above 0"),
        (
            {"encoder_conf": {"length_query": "learned"}},
            "length_query is 'learned'; legal are position, source_position",
        ),
        (
            {"ingestor_conf": {"receptive_field": 2}},
            "receptive_field is 2; it is odd and at least 1",
        ),
        (
            {"ingestor_conf": {"receptive_field": -1}},
            "receptive_field is -1; it is odd and at least 1",
        ),
        (
            {"ingestor": "beamconv", "ingestor_conf": {"beam": 0}},
            "beam is 0; it must be at least 1",
        ),
        (
            {"ingestor": "beamconv", "ingestor_conf": {"beam": 21}},
            "beam is 21, but the token list has 20 tokens",
        ),
        (
            {"ingestor": "beamconv", "ingestor_conf": {"kernel": 4}},
            "kernel is 4; it is odd and at least 1",
        ),
        ({"ingestor_conf": {"beam": 4}}, "ingestor_conf has no option 'beam'"),
        (
            {"chain_conf": {"label_smoothig": 0.1}},
            "chain_conf has no option 'label_smoothig'; did you mean 'label_smoothing'?",
        ),
        ({"bridges": [{"widht": 8}]}, "bridges[0] has no option 'widht'; did you mean 'width'?"),
        (
            {"chain_conf": {"encoder_target": "text_phn"}},
            "interface_token_lists has no token list for 'text_phn'; it has text",
        ),
        (
            {
                "bridges": [{**PART, "target": "text_phn"}],
                "interface_token_lists": {"text_phn": ["a", "b", "c", "d"]},
            },
            "the decoder reads 'text', but the last interface writes 'text_phn'",
        ),
        (
            {
                "chain_conf": {"encoder_target": "text_phn"},
                "interface_token_lists": {"text_phn": ["a", "b", "c", "d"]},
            },
            "the decoder reads 'text', but the last interface writes 'text_phn'",
        ),
        # What Python or PyTorch would otherwise say, hours or a traceback later.
        ({"encoder_conf": {"heads": 0}}, "heads is 0; it must be at least 1"),
        ({"decoder_conf": {"width": 0}}, "width is 0; it must be at least 1"),
        ({"decoder_conf": {"layers": -1}}, "layers is -1; it must be at least 0"),
        ({"decoder_conf": {"layers": 0}}, "layers is 0; it must be at least 1"),
        ({"encoder_conf": {"layers_after": -2}}, "layers_after is -2; it must be at least 0"),
        (
            {"encoder_conf": {"word_dropout": 1.2}},
            "word_dropout is 1.2; it is a probability below 1",
        ),
        ({"ingestor_conf": {"retiming": -1.0}}, "retiming is -1.0; it is between 0 and 10.0"),
        (
            {"ingestor_conf": {"marginal_dropout": 2.0}},
            "marginal_dropout is 2.0; it is a probability below 1",
        ),
        (
            {"chain_conf": {"label_smoothing": 1.5}},
            "label_smoothing is 1.5; it is a probability below 1",
        ),
        ({"encoder_conf": "width=8"}, "encoder_conf is 'width=8'; it wants a mapping"),
    ],
)
def test_an_illegal_value_is_named_with_what_is_legal(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(config)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../victim/src", "/etc/x", "a/b", "..", "", "a b", "text\n", "é", "a" * 65, "src"]
)
def test_a_target_that_leads_out_of_a_folder_is_refused(chain_config: Config, name: str) -> None:
    message = re.escape(f"{name!r} is no name for an interface's tokens")
    with pytest.raises(ConfigError, match=message):
        build(chain_config(chain_conf={"encoder_target": name}))
    with pytest.raises(ConfigError, match=message):
        build(chain_config(bridges=[{**PART, "target": name}]))
    with pytest.raises(ConfigError, match=message):
        build(chain_config(interface_token_lists={name: list("abcdef")}))


def test_usual_target_names_are_legal() -> None:
    assert [check_target(name) for name in ("text", "text_phn", "Text-2", "a" * 64)]


def test_bridges_chain_their_token_lists(chain_config: Config) -> None:
    lists = {"text_phn": list("abcdef"), "text_char": list("abcdefgh")}
    config = chain_config(
        chain_conf={"encoder_target": "text_phn"},
        bridges=[{**PART, "target": "text_char"}, {**PART}],
        interface_token_lists=lists,
    )
    chain = build(config)
    assert chain.interface_targets() == ["text_phn", "text_char", "text"]
    reads = [bridge.ingestor.embedding.num_embeddings for bridge in chain.bridges]
    assert reads == [6, 8]
