"""One part of a chain, with all that it needs to work in another: what is packed, checked and composed."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from legonn.audio.source import Sound
from legonn.bridge import Bridge
from legonn.encoder import LegoEncoder
from legonn.errors import ConfigError, InterfaceMismatch
from legonn.factory import (
    BridgeConfig,
    build_bridge,
    build_decoder,
    build_encoder,
    check_length_ratio,
    check_positions_per_token,
    parse,
)
from legonn.head import Head
from legonn.interface import Interface
from legonn.length_control import LengthController
from legonn.tokenizer import TextCodec

__all__ = [
    "CONFIG_KEYS",
    "Part",
    "check_fits",
    "head_of",
    "in_chain",
    "lent",
    "networks",
    "stored",
    "weights_sha256",
]

# What of an experiment's configuration describes a part; a bridge's is one item of `bridges`.
CONFIG_KEYS = {
    "encoder": ("encoder", "encoder_conf", "chain_conf"),
    "bridge": tuple(f.name for f in dataclasses.fields(BridgeConfig)),
    "decoder": ("decoder", "decoder_conf", "ingestor", "ingestor_conf"),
}
SIDES = ("reads", "writes", "lends")  # a part's interfaces


@dataclass(frozen=True)
class Part:
    """An encoder with its head, a bridge, or a decoder with its ingestor.

    Attributes
    ----------
    kind : {"encoder", "bridge", "decoder"}
        Which of them.
    name : str
        Where it was read from.
    config : mapping
        Those of `CONFIG_KEYS` that `legonn.factory` builds it from.
    network : nn.ModuleDict
        Its layers, under the names that they have in a checkpoint: `encoder` and `head`, `bridge`, or
        `ingestor` and `decoder`.
    reads, writes : Interface or None
        The marginals on either side. Both are None for the parts of a plain encoder-decoder.
    lends : Interface or None
        What the encoder of a hybrid encoder-decoder writes when it is lent to a chain, see `lent`.
    source : TextCodec or Sound or None
        What an encoder reads; of a bridge, the tokens of `reads`, unless its module has no tokenizer of them.
    target : TextCodec
        The tokens of `writes`; of a decoder, its output.
    provenance : mapping
        Training set, date, revision, parents, scores.
    stated_sha256 : str or None
        What the description of its module says of the weights, where it was read from one. A module of 16 bits holds
        them rounded, and those have another hash.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    network: nn.ModuleDict
    target: TextCodec
    reads: Interface | None = None
    writes: Interface | None = None
    lends: Interface | None = None
    source: TextCodec | Sound | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    stated_sha256: str | None = None

    def weights(self) -> dict[str, Tensor]:
        """By name, with the statistics that a network keeps; a tensor that two layers share is there once."""
        return {name: tensor.detach() for name, tensor in stored(self.network).items()}

    def sha256(self) -> str:
        """Of names, shapes and values of the weights: the same in whatever file they lie."""
        return weights_sha256(self.weights())

    def record(self) -> dict[str, str]:
        """What the provenance of its descendants says of it."""
        digest = self.stated_sha256 or self.sha256()
        return {"kind": self.kind, "name": self.name, "weights_sha256": digest}

    def statement(self) -> dict[str, Any]:
        """What it says of itself, but for the tokens: `restated` takes it, and YAML can hold it."""
        sides = {name: getattr(self, name) for name in SIDES}
        return {
            "weights_sha256": self.sha256(),
            "provenance": dict(self.provenance),
            **{name: side.without_tokens() for name, side in sides.items() if side is not None},
        }

    def restated(self, statement: Mapping[str, Any], record: Mapping[str, str]) -> Part:
        """This part of a composition as it was before: its own contract and provenance.

        Parameters
        ----------
        statement : mapping
            What `statement` gave when it was composed. It holds for those weights, and no others.
        record : mapping
            What `record` gave. It becomes a parent: by its hash the part is found again.
        """
        if self.sha256() != statement["weights_sha256"]:
            return self
        provenance = dict(statement["provenance"])
        provenance["parents"] = [*provenance.get("parents", []), dict(record)]
        sides: dict[str, Any] = {
            name: Interface.from_dict({**statement[name], "tokens": side.tokens}, self.name)
            for name in SIDES
            if (side := getattr(self, name)) is not None and name in statement
        }
        digest = record["weights_sha256"]
        return dataclasses.replace(self, provenance=provenance, stated_sha256=digest, **sides)

    def parameters(self) -> int:
        """Number of trained numbers; tied ones count once."""
        return sum(value.numel() for value in self.network.parameters())

    def with_length_ratio(self, ratio: float) -> Part:
        """This encoder giving `ratio` positions for each of its inputs; its layers are shared, not copied.

        Where it counts tokens, as many more for each of them as `ratio` is more than its own.

        Raises
        ------
        ConfigError
            If it has no length controller, or `ratio` isn't above 0 and at most 1,000.
        """
        control = cast(LegoEncoder, self.network["encoder"]).length_control
        if control is None:
            raise ConfigError(f"{self.name} has no length controller: length_ratio can't be set")
        check_length_ratio(ratio)
        writes = self.writes
        if writes is not None and writes.positions_per_token is not None:
            low, middle, high = (x * ratio / control.ratio for x in writes.positions_per_token)
            writes = dataclasses.replace(writes, positions_per_token=(low, middle, high))
        options = {**self.config.get("encoder_conf", {}), "length_ratio": ratio}
        if control.positions_per_token:
            count = control.positions_per_token * ratio / control.ratio
            if count < 1:
                least = control.ratio / control.positions_per_token
                raise ConfigError(
                    f"length_ratio {ratio:g} would leave {count:.2f} positions for each token that {self.name} counts: "
                    f"give {least:.3g} or more"
                )
            check_positions_per_token(count)
            control.positions_per_token = options["positions_per_token"] = count
        control.ratio = ratio
        return dataclasses.replace(
            self, writes=writes, config={**self.config, "encoder_conf": options}
        )


def lent(encoder: Part) -> Part:
    """The encoder of a hybrid encoder-decoder as one of a chain *(ours)*; any other as it is. Layers are shared.

    Its CTC, which only helped training and search, becomes an interface, with a position for each of its states: the
    length controller that it never had passes them on.
    """
    if encoder.lends is None:
        return encoder
    network = cast(LegoEncoder, encoder.network["encoder"])
    control = LengthController(
        width=network.output_size(),
        heads=1,
        feedforward=1,
        ratio=1.0,
        query="pooling",
        dropout=0.0,
        attention_dropout=0.0,
    )
    options = encoder.config.get("encoder_conf") or {}
    return dataclasses.replace(
        encoder,
        writes=encoder.lends,
        lends=None,
        stated_sha256=None,  # of other layers
        network=nn.ModuleDict({**encoder.network, "encoder": network.around(control)}),
        config={
            **encoder.config,
            "encoder_conf": {**options, "length_query": "pooling", "length_ratio": 1.0},
        },
    )


def in_chain(part: Part, text: Sequence[str], *, bridged: bool, name: str = "") -> Part:
    """An encoder or a bridge in a chain whose decoder writes the tokens `text`; its layers are shared, not copied.

    In a chain, `text` is the name of the decoder's tokens. Behind a part of other ones bridges follow, and what it
    writes is called `name`, or after its unit, `text_bpe`; where none follows it is `text` that it writes.
    """
    head = head_of(part)
    if head is None:
        return part
    if not bridged:
        name = "text"
    elif head.target != "text" or part.target.tokens == tuple(text):
        name = head.target
    elif name in ("", "text"):
        name = f"text_{part.target.token_type}"
    if head.target == name:
        return part
    head = copy.copy(head)
    head.target = name
    if part.kind == "bridge":
        bridge = copy.copy(part.network["bridge"])
        bridge._modules = {**bridge._modules, "head": head}
        network, config = {"bridge": bridge}, {**part.config, "target": name}
    else:
        network = {**part.network, "head": head}
        options = {**(part.config.get("chain_conf") or {}), "encoder_target": name}
        config = {**part.config, "chain_conf": options}
    return dataclasses.replace(part, network=nn.ModuleDict(network), config=config)


def head_of(part: Part) -> Head | None:
    """What writes its interface; None of a decoder, and of a plain encoder."""
    if part.kind == "bridge":
        return cast(Bridge, part.network["bridge"]).head
    return cast("Head | None", part.network["head"] if "head" in part.network else None)


def stored(network: nn.Module) -> dict[str, Tensor]:
    """What a network's file holds: its parameters, those that layers share once, then its persistent buffers."""
    parameters = dict(network.named_parameters())
    shared = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    states = network.state_dict(keep_vars=True)
    return parameters | {name: value for name, value in states.items() if name not in shared}


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 of names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()


def networks(
    kind: str, config: Mapping[str, Any], *, reads: int, writes: int
) -> dict[str, nn.Module]:
    """Build the layers of a part that has interfaces, untrained.

    Parameters
    ----------
    kind, config
        As `Part`'s.
    reads, writes : int
        V of what it reads and of what it writes.

    Raises
    ------
    ConfigError
        For an unknown name or key, or an illegal value.
    """
    unknown = set(config) - set(CONFIG_KEYS[kind])
    if unknown:
        raise ConfigError(
            f"the configuration of a {kind} has no {', '.join(sorted(map(str, unknown)))}"
        )
    if kind == "encoder":
        encoder, head = build_encoder(config, source_size=reads, vocabulary=writes)
        assert head is not None
        return {"encoder": encoder, "head": head}
    if kind == "bridge":
        return {"bridge": build_bridge(config, reads=reads, writes=writes)}
    ingestor, decoder = build_decoder(config, vocabulary=writes, memory=None)
    assert ingestor is not None
    return {"ingestor": ingestor, "decoder": decoder}


def bridge_config(options: Mapping[str, Any]) -> dict[str, Any]:
    """A bridge's options with the defaults filled in."""
    return dataclasses.asdict(parse(BridgeConfig, options, "bridge"))


def check_fits(writer: Part, reader: Part) -> list[str]:
    """Check that `reader` can stand behind `writer`, before any weight is used.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    InterfaceMismatch
        If their kinds can't be neighbours; if token lists, blank or tokenizers differ; if only one of the two has an
        interface.
    """
    here, there = f"{writer.kind} {writer.name}", f"{reader.kind} {reader.name}"
    if writer.kind == "decoder" or reader.kind == "encoder":
        raise InterfaceMismatch(
            f"{there} can't stand behind {here}: a chain is one encoder, any number of bridges, and one decoder"
        )
    if writer.writes is not None and reader.reads is not None:
        return writer.writes.check_fits(reader.reads, writer_name=here, reader_name=there)
    if writer.writes is not None or reader.reads is not None:
        plain = reader.name if writer.writes is not None else writer.name
        raise InterfaceMismatch(
            f"{here} does not fit {there}: {plain} is a plain encoder-decoder (--system attention) and has no "
            f"interface. Train it with --system lego."
        )
    width = cast(LegoEncoder, writer.network["encoder"]).output_size()
    wanted = reader.network["decoder"].memory_width
    if width != wanted:
        raise InterfaceMismatch(f"{here} gives states of width {width}, {there} reads {wanted}")
    return [
        f"{writer.name} and {reader.name} are plain encoder-decoders: their parts share no interface and "
        f"were never trained to fit. Expect noise."
    ]
