"""Builds a chain from a configuration; the only registry of classes, and closed."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from legonn.audio.source import Sound
from legonn.bridge import Bridge
from legonn.chain import Chain
from legonn.data.lengths import DEFAULT_RATIOS
from legonn.decoder import Decoder
from legonn.encoder import LegoEncoder, Stack, TextFrontEnd
from legonn.errors import ConfigError
from legonn.head import Head
from legonn.imagined import ImaginedEncoder, Passed
from legonn.ingestor import BeamConv, Ingestor, WEmb
from legonn.layers import Block
from legonn.length_control import QUERIES, LengthController
from legonn.precision import PRECISIONS

__all__ = [
    "DECODERS",
    "ENCODERS",
    "INGESTORS",
    "SYSTEMS",
    "BeamConvConfig",
    "BridgeConfig",
    "ChainConfig",
    "ConformerEncoderConfig",
    "DecoderConfig",
    "EBranchformerEncoderConfig",
    "EncoderConfig",
    "ImaginedEncoderConfig",
    "LayerConfig",
    "SpeechEncoderConfig",
    "TextEncoderConfig",
    "WEmbConfig",
    "build_bridge",
    "build_chain",
    "build_decoder",
    "build_encoder",
    "check_length_ratio",
    "check_positions_per_token",
    "check_target",
    "parse",
    "sound_of",
    "without_memory",
]

SYSTEMS = ("lego", "attention", "hybrid")


# Larger than any model so far: a module's description can't ask for more memory than its author had.
MOST_LAYERS, MOST_UNITS, MOST_WINDOW = 256, 65536, 999
MOST_LENGTH_RATIO = 1000.0
MOST_POSITIONS_PER_TOKEN = 100.0
MOST_RETIMING = 10.0
MOST_LOSS_WEIGHT = 100.0
TARGET_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
NORMALISATIONS = ("utterance", "global")


def _in_range(least: int, most: int, config: object, *names: str) -> None:
    """Check those of `names` that `config` has."""
    for name in names:
        value = getattr(config, name, least)
        if value < least:
            raise ConfigError(f"{name} is {value}; it must be at least {least}")
        if value > most:
            raise ConfigError(f"{name} is {value}; {most} is the most")


def check_length_ratio(ratio: float) -> None:
    """Raise a `ConfigError` unless an encoder can give that many positions for each input."""
    if not 0 < ratio <= MOST_LENGTH_RATIO:
        raise ConfigError(
            f"length_ratio is {ratio}; it must be above 0, and at most {MOST_LENGTH_RATIO:.0f}"
        )


def check_positions_per_token(count: float) -> None:
    """Raise a `ConfigError` unless CTC can emit tokens from that many positions each."""
    if not 1 <= count <= MOST_POSITIONS_PER_TOKEN:
        raise ConfigError(
            f"positions_per_token is {count:g}; it must be between 1 and {MOST_POSITIONS_PER_TOKEN:.0f}, or 0 for "
            "those of length_ratio"
        )


def _window(config: object, name: str) -> None:
    value = getattr(config, name)
    if value < 1 or value % 2 == 0:
        raise ConfigError(f"{name} is {value}; it is odd and at least 1")
    _in_range(1, MOST_WINDOW, config, name)


def _probabilities(config: object, *names: str) -> None:
    """Check those of `names` that `config` has."""
    for name in names:
        if not 0 <= getattr(config, name, 0) < 1:
            raise ConfigError(f"{name} is {getattr(config, name)}; it is a probability below 1")


@dataclass(frozen=True)
class LayerConfig:
    """What all transformer layers of a part share.

    Attributes
    ----------
    width, heads, feedforward : int
        D, H, hidden units.
    dropout, attention_dropout : float
        On sublayers and embeddings; on attention weights.
    """

    width: int = 160
    heads: int = 4
    feedforward: int = 640
    dropout: float = 0.1
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        _in_range(1, MOST_UNITS, self, "width", "heads", "feedforward")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} must be a multiple of heads {self.heads}")
        _in_range(0, MOST_LAYERS, self, "layers", "layers_before", "layers_after")
        _probabilities(self, "dropout", "attention_dropout", "word_dropout")

    def block(self, *, memory: int | None = None) -> Block:
        """One layer; with `memory` it attends across states of that width."""
        return Block(
            width=self.width,
            heads=self.heads,
            feedforward=self.feedforward,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            memory=memory,
        )

    def stack(self, layers: int) -> Stack:
        """That many layers without cross-attention."""
        return Stack([self.block() for _ in range(layers)])

    def length_control(
        self, ratio: float, query: str, *, positions_per_token: float = 0.0
    ) -> LengthController:
        """A length controller of this width."""
        check_length_ratio(ratio)
        if positions_per_token:
            check_positions_per_token(positions_per_token)
        if query not in QUERIES:
            raise ConfigError(f"length_query is {query!r}; legal are {', '.join(QUERIES)}")
        return LengthController(
            width=self.width,
            heads=self.heads,
            feedforward=self.feedforward,
            ratio=ratio,
            positions_per_token=positions_per_token,
            query=query,  # type: ignore[arg-type]
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
        )


@dataclass(frozen=True)
class TextEncoderConfig(LayerConfig):
    """A text encoder; `layers_before` and `layers_after` count the layers around the length controller.

    Attributes
    ----------
    length_ratio : float
        K / T.
    length_query : str
        One of `legonn.length_control.QUERIES`, see `LengthController`.
    word_dropout : float
        See `TextFrontEnd`.
    """

    layers_before: int = 3
    layers_after: int = 2
    length_ratio: float = DEFAULT_RATIOS["text"]
    length_query: str = "position"
    word_dropout: float = 0.0

    def build(self, *, vocabulary: int, length_control: bool) -> LegoEncoder:
        return LegoEncoder(
            front_end=TextFrontEnd(
                vocabulary=vocabulary,
                width=self.width,
                dropout=self.dropout,
                word_dropout=self.word_dropout,
            ),
            before=self.stack(self.layers_before),
            length_control=(
                self.length_control(self.length_ratio, self.length_query)
                if length_control
                else None
            ),
            after=self.stack(self.layers_after),
            width=self.width,
        )

    def head(self, *, source_size: int, vocabulary: int, target: str) -> Head:
        return Head(width=self.width, vocabulary=vocabulary, target=target)


@dataclass(frozen=True)
class SpeechEncoderConfig(LayerConfig):
    """A speech encoder of this package's own layers, see `LocalBlock`; their numbers as a text encoder's.

    Attributes
    ----------
    length_ratio : float
        K / T, T being the states that subsampling leaves: 25 a second.
    positions_per_token : float
        In place of that, so many for each token that the encoder counts; 0: no. `length_ratio` is what training begins
        with, which stage 10 checks, and half of the most that there may be. See `LengthController`.
    length_query : str
        One of `legonn.length_control.QUERIES`, see `LengthController`.
    sample_rate, mels, channels, normalisation, spec_augment, time_warp
        See `SpeechFrontEnd`.
    kernel : int
        States that a layer's convolution spans; odd.
    """

    layers_before: int = 4
    layers_after: int = 2
    length_ratio: float = 0.4
    positions_per_token: float = 0.0
    length_query: str = "states"
    sample_rate: int = Sound.sample_rate
    mels: int = 80
    channels: int = 64
    normalisation: str = "utterance"
    spec_augment: bool = True
    time_warp: bool = True
    kernel: int = 15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normalisation not in NORMALISATIONS:
            raise ConfigError(
                f"normalisation is {self.normalisation!r}; legal are {', '.join(NORMALISATIONS)}"
            )
        if not 4000 <= self.sample_rate <= 48000:
            raise ConfigError(f"sample_rate is {self.sample_rate}; it is between 4000 and 48000 Hz")
        if not 8 <= self.mels <= 256:
            raise ConfigError(f"mels is {self.mels}; it is between 8 and 256")
        _in_range(1, MOST_UNITS, self, "channels")
        _window(self, "kernel")

    def build(self, *, vocabulary: int, length_control: bool) -> LegoEncoder:
        from legonn.speech import SpeechFrontEnd

        return LegoEncoder(
            front_end=SpeechFrontEnd(
                width=self.width,
                sample_rate=self.sample_rate,
                mels=self.mels,
                channels=self.channels,
                normalisation=self.normalisation,
                spec_augment=self.spec_augment,
                time_warp=self.time_warp,
                dropout=self.dropout,
            ),
            before=self.group(self.layers_before),
            length_control=(
                self.length_control(
                    self.length_ratio,
                    self.length_query,
                    positions_per_token=self.positions_per_token,
                )
                if length_control
                else None
            ),
            after=self.group(self.layers_after),
            width=self.width,
        )

    def group(self, layers: int) -> nn.Module:
        """The layers on one side of the length controller: (B, T, D), (B,) -> (B, T, D)."""
        from legonn.speech import LocalBlock, LocalStack

        options: dict[str, Any] = {
            "width": self.width,
            "kernel": self.kernel,
            "dropout": self.dropout,
        }
        return LocalStack([LocalBlock(self.block(), **options) for _ in range(layers)])

    def head(self, *, source_size: int, vocabulary: int, target: str) -> Head:
        return Head(width=self.width, vocabulary=vocabulary, target=target)


@dataclass(frozen=True)
class ConformerEncoderConfig(SpeechEncoderConfig):
    """A speech encoder of ESPnet's Conformer layers."""

    def group(self, layers: int) -> nn.Module:
        from legonn.speech import EspnetGroup

        return EspnetGroup.conformer(self, layers)


@dataclass(frozen=True)
class EBranchformerEncoderConfig(SpeechEncoderConfig):
    """A speech encoder of ESPnet's E-Branchformer layers."""

    def group(self, layers: int) -> nn.Module:
        from legonn.speech import EspnetGroup

        return EspnetGroup.e_branchformer(self, layers)


@dataclass(frozen=True)
class ImaginedEncoderConfig:
    """See `ImaginedEncoder`: marginals made of the target's own text."""

    length_ratio: float = DEFAULT_RATIOS["imagined"]
    spread: float = 1.5
    confusion: float = 0.1

    def __post_init__(self) -> None:
        _probabilities(self, "confusion")
        check_length_ratio(self.length_ratio)
        if not 1 <= self.spread <= MOST_RETIMING:
            raise ConfigError(
                f"spread is {self.spread}; it must be at least 1, and at most {MOST_RETIMING}"
            )

    def build(self, *, vocabulary: int, length_control: bool) -> ImaginedEncoder:
        if not length_control:
            raise ConfigError(
                "a plain encoder-decoder (--system attention) has no encoder 'imagined'"
            )
        return ImaginedEncoder(
            vocabulary=vocabulary,
            length_ratio=self.length_ratio,
            spread=self.spread,
            confusion=self.confusion,
        )

    def head(self, *, source_size: int, vocabulary: int, target: str) -> Passed:
        if source_size != vocabulary:
            raise ConfigError(
                f"encoder imagined reads its own target: give one token list for both sides, not one of {source_size} "
                f"and one of {vocabulary} tokens"
            )
        return Passed(target=target)


@dataclass(frozen=True)
class IngestorConfig:
    """What both ingestors share; width and heads are those of the part they belong to.

    Attributes
    ----------
    layers : int
        Self-attention layers after the embedding.
    marginal_dropout, retiming : float
        See `Ingestor`.
    """

    layers: int = 2
    marginal_dropout: float = 0.0
    retiming: float = 0.0

    def __post_init__(self) -> None:
        _in_range(0, MOST_LAYERS, self, "layers")
        _probabilities(self, "marginal_dropout")
        if not 0 <= self.retiming <= MOST_RETIMING:
            raise ConfigError(f"retiming is {self.retiming}; it is between 0 and {MOST_RETIMING}")


@dataclass(frozen=True)
class WEmbConfig(IngestorConfig):
    """See `WEmb`. `tie_embedding` shares the table with the decoder's embedding."""

    receptive_field: int = 1
    tie_embedding: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _window(self, "receptive_field")

    def build(self, layer: LayerConfig, *, vocabulary: int, embedding: Any = None) -> Ingestor:
        if embedding is None or not self.tie_embedding:
            embedding = nn.Embedding(vocabulary, layer.width)
            nn.init.normal_(embedding.weight, std=layer.width**-0.5)
        return WEmb(
            embedding=embedding,
            stack=layer.stack(self.layers),
            dropout=layer.dropout,
            receptive_field=self.receptive_field,
            marginal_dropout=self.marginal_dropout,
            retiming=self.retiming,
        )


@dataclass(frozen=True)
class BeamConvConfig(IngestorConfig):
    """See `BeamConv`. `beam` is p."""

    beam: int = 4
    embedding_width: int = 64
    kernel: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range(1, MOST_UNITS, self, "beam", "embedding_width")
        _window(self, "kernel")

    def build(self, layer: LayerConfig, *, vocabulary: int, embedding: Any = None) -> Ingestor:
        if self.beam > vocabulary:
            raise ConfigError(f"beam is {self.beam}, but the token list has {vocabulary} tokens")
        return BeamConv(
            vocabulary=vocabulary,
            width=layer.width,
            stack=layer.stack(self.layers),
            dropout=layer.dropout,
            beam=self.beam,
            embedding_width=self.embedding_width,
            kernel=self.kernel,
            marginal_dropout=self.marginal_dropout,
            retiming=self.retiming,
        )


@dataclass(frozen=True)
class DecoderConfig(LayerConfig):
    """See `Decoder`. The ingestor's layers have this part's width, heads and dropout."""

    layers: int = 3
    tie_output: bool = True
    word_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _in_range(1, MOST_LAYERS, self, "layers")  # without one, nothing reads the encoder

    def build(self, *, vocabulary: int, memory: int) -> Decoder:
        return Decoder(
            vocabulary=vocabulary,
            width=self.width,
            blocks=[self.block(memory=memory) for _ in range(self.layers)],
            dropout=self.dropout,
            tie_output=self.tie_output,
            word_dropout=self.word_dropout,
        )


@dataclass(frozen=True)
class BridgeConfig(LayerConfig):
    """A bridge: WEmb ingestor with `layers_before` layers, length controller, `layers_after`, head.

    Attributes
    ----------
    target : str
        Name of the batch entry with the tokens of the marginals that it writes.
    """

    layers_before: int = 1
    layers_after: int = 1
    length_ratio: float = DEFAULT_RATIOS["bridge"]
    length_query: str = "position"
    target: str = "text"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_target(self.target)

    def build(self, *, reads: int, writes: int) -> Bridge:
        """`reads`, `writes`: V of the marginals on either side."""
        return Bridge(
            ingestor=WEmbConfig(layers=self.layers_before).build(self, vocabulary=reads),
            length_control=self.length_control(self.length_ratio, self.length_query),
            after=self.stack(self.layers_after),
            width=self.width,
            head=Head(width=self.width, vocabulary=writes, target=self.target),
        )


@dataclass(frozen=True)
class ChainConfig:
    """How the losses of a chain are weighed, see `Chain`.

    Attributes
    ----------
    encoder_target : str
        Batch entry with the tokens of the encoder's own interface; `text` unless a bridge follows.
    """

    label_smoothing: float = 0.1
    encoder_target: str = "text"
    early_ctc: float = 0.0
    ctc_first: float = 0.0
    ctc_consistency: float = 0.0
    ce_consistency: float = 0.0

    def __post_init__(self) -> None:
        _probabilities(self, "label_smoothing")
        check_target(self.encoder_target)
        if not 0 <= self.ctc_first < math.inf:
            raise ConfigError(f"ctc_first is {self.ctc_first}; it is 0 or more, in nats a token")
        for name in ("early_ctc", "ctc_consistency", "ce_consistency"):
            weight = getattr(self, name)
            if not 0 <= weight <= MOST_LOSS_WEIGHT:
                raise ConfigError(
                    f"{name} is {weight}; it is a weight between 0 and {MOST_LOSS_WEIGHT:g}"
                )


EncoderConfig = TextEncoderConfig | SpeechEncoderConfig | ImaginedEncoderConfig
ENCODERS: dict[str, type[EncoderConfig]] = {
    "text": TextEncoderConfig,
    "speech": SpeechEncoderConfig,
    "conformer": ConformerEncoderConfig,
    "e_branchformer": EBranchformerEncoderConfig,
    "imagined": ImaginedEncoderConfig,
}
INGESTORS: dict[str, type[WEmbConfig] | type[BeamConvConfig]] = {
    "wemb": WEmbConfig,
    "beamconv": BeamConvConfig,
}
DECODERS: dict[str, type[DecoderConfig]] = {"transformer": DecoderConfig}

C = TypeVar("C")


def parse(kind: Callable[..., C], options: Mapping[str, Any] | None, name: str) -> C:
    """Fill a configuration class; an unknown key is an error that names the closest.

    Raises
    ------
    ConfigError
        For an unknown key, or a value of the wrong type.
    """
    defaults = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {}
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError(f"{name} is {options!r}; it wants a mapping of options to values")
    for key, value in (options or {}).items():
        if key not in defaults:
            near = difflib.get_close_matches(str(key), defaults, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ConfigError(
                f"{name} has no option {key!r}{hint} Legal are: {', '.join(defaults)}"
            )
        values[key] = _like(defaults[key].default, value, f"{name}: {key}")
    return kind(**values)


def _like(default: Any, value: Any, name: str) -> Any:
    """`value` as the type of `default`: YAML reads 1 where a float is meant, and lists for tuples."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if type(value) is not type(default):
        raise ConfigError(f"{name} is {value!r}; it wants a {type(default).__name__}")
    return value


def _part(registry: Mapping[str, Any], config: Mapping[str, Any], part: str, default: str) -> Any:
    name = config.get(part) or default
    if not isinstance(name, str) or name not in registry:
        raise ConfigError(f"{part} is {name!r}; legal are {', '.join(registry)}")
    return parse(registry[name], config.get(f"{part}_conf"), f"{part}_conf")


def check_target(name: object) -> str:
    """The name of an interface's tokens, which files are called after: it can't lead out of their folder.

    Raises
    ------
    ConfigError
        If it is no such name, or that of the source, whose model is `src_bpe.model`.
    """
    if not isinstance(name, str) or not TARGET_NAME.fullmatch(name) or name.lower() == "src":
        raise ConfigError(
            f"{name!r:.80} is no name for an interface's tokens (encoder_target, a bridge's target, "
            f"interface_token_lists): take up to 64 letters a to z, digits, _ and -, but not src; e.g. text_phn"
        )
    return name


def _sizes(config: Mapping[str, Any], target_size: int) -> dict[str, int]:
    """V of every interface, by the name of its targets."""
    others = config.get("interface_token_lists") or {}
    for name in others:
        check_target(name)
    return {"text": target_size, **{name: len(tokens) for name, tokens in others.items()}}


def _size(sizes: Mapping[str, int], target: str) -> int:
    if target not in sizes:
        raise ConfigError(
            f"interface_token_lists has no token list for {target!r}; it has {', '.join(sizes)}"
        )
    return sizes[target]


class _NoInitialisation(TorchFunctionMode):
    """Leaves out torch.nn.init: on the meta device it changes nothing, and loads 140 MB of code first."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return (kwargs or {}).get("tensor", args[0] if args else None)
        return func(*args, **(kwargs or {}))


@contextmanager
def without_memory() -> Iterator[None]:
    """What is built inside has shapes, and takes neither memory nor random numbers."""
    with torch.device("meta"), _NoInitialisation():
        yield


def sound_of(config: Mapping[str, Any]) -> Sound | None:
    """What the encoder that `config` describes reads, where that is speech."""
    encoder = _part(ENCODERS, config, "encoder", "text")
    return Sound(encoder.sample_rate) if isinstance(encoder, SpeechEncoderConfig) else None


def build_encoder(
    config: Mapping[str, Any],
    *,
    source_size: int,
    vocabulary: int | None,
    length_control: bool = True,
) -> tuple[LegoEncoder | ImaginedEncoder, Head | Passed | None]:
    """The encoder that `encoder` and `encoder_conf` describe, and its head.

    Parameters
    ----------
    source_size : int
        V of what it reads; 0 for speech.
    vocabulary : int or None
        V of the marginals that it writes; None builds no head.
    length_control : bool
        False leaves the length controller out.
    """
    encoder = _part(ENCODERS, config, "encoder", "text")
    losses = parse(ChainConfig, config.get("chain_conf"), "chain_conf")
    if losses.early_ctc and (vocabulary is None or not isinstance(encoder, SpeechEncoderConfig)):
        raise ConfigError(
            "early_ctc is for speech, with a head (--system lego or hybrid): a text has too few states for CTC "
            "before the length controller"
        )
    if losses.ctc_first and vocabulary is None:
        raise ConfigError("ctc_first waits for CTC, which --system attention has not")
    if losses.ctc_consistency and isinstance(encoder, ImaginedEncoderConfig):
        raise ConfigError(
            "ctc_consistency compares positions, and encoder imagined draws anew how many there are: leave it out"
        )
    if getattr(encoder, "positions_per_token", 0.0):
        if not length_control:
            raise ConfigError(
                "positions_per_token is of a length controller, which only --system lego has"
            )
        if losses.ctc_consistency:
            raise ConfigError(
                "ctc_consistency compares positions, and with positions_per_token two passes have not the same number "
                "of them: leave one of the two out"
            )
    return (
        encoder.build(vocabulary=source_size, length_control=length_control),
        encoder.head(source_size=source_size, vocabulary=vocabulary, target=losses.encoder_target)
        if vocabulary is not None
        else None,
    )


def build_bridge(options: Mapping[str, Any], *, reads: int, writes: int) -> Bridge:
    """The bridge that `options` describe; `reads` and `writes` are V of the marginals on either side."""
    return parse(BridgeConfig, options, "bridge").build(reads=reads, writes=writes)


def build_decoder(
    config: Mapping[str, Any], *, vocabulary: int, memory: int | None
) -> tuple[Ingestor | None, Decoder]:
    """The decoder that `decoder`, `ingestor` and their `_conf` describe, and its ingestor.

    Parameters
    ----------
    vocabulary : int
        V of what it reads and writes.
    memory : int or None
        Width of the states that a plain decoder attends to; None builds an ingestor, and the decoder attends to its.
    """
    reader = _part(DECODERS, config, "decoder", "transformer")
    if memory is not None:
        return None, reader.build(vocabulary=vocabulary, memory=memory)
    decoder = reader.build(vocabulary=vocabulary, memory=reader.width)
    ingestor = _part(INGESTORS, config, "ingestor", "wemb")
    return (
        ingestor.build(reader, vocabulary=vocabulary, embedding=decoder.embedding),
        decoder,
    )


def _bridges(config: Mapping[str, Any], reads: str, sizes: Mapping[str, int]) -> list[Bridge]:
    built = []
    for i, options in enumerate(config.get("bridges") or []):
        target = parse(BridgeConfig, options, f"bridges[{i}]").target
        built.append(build_bridge(options, reads=_size(sizes, reads), writes=_size(sizes, target)))
        reads = target
    if reads != "text":
        raise ConfigError(f"the decoder reads 'text', but the last interface writes {reads!r}")
    return built


def build_chain(config: Mapping[str, Any], *, source_size: int, target_size: int) -> Chain:
    """Build the chain that `config` describes.

    Parameters
    ----------
    config : mapping
        `system`; `encoder`, `ingestor`, `decoder`, each with `<part>_conf`; `bridges` (a list of
        `BridgeConfig` options) with `interface_token_lists` (token lists by target name); `chain_conf`,
        `ctc_weight`, `ce_weight`, `precision`.
    source_size, target_size : int
        V of the source and of the decoder.

    Raises
    ------
    ConfigError
        For an unknown name or key, or an illegal value.
    """
    _check_names(config)
    losses = parse(ChainConfig, config.get("chain_conf"), "chain_conf")
    system = config.get("system", "lego")
    lego = system == "lego"
    sizes = _sizes(config, target_size)
    encoder, head = build_encoder(
        config,
        source_size=source_size,
        vocabulary=None if system == "attention" else _size(sizes, losses.encoder_target),
        length_control=lego,
    )
    # A plain decoder attends to the encoder's states, a LegoNN decoder to its own ingestor's.
    ingestor, decoder = build_decoder(
        config, vocabulary=target_size, memory=None if lego else encoder.output_size()
    )
    return Chain(
        encoder=encoder,
        head=head,
        bridges=_bridges(config, losses.encoder_target, sizes) if lego else (),
        ingestor=ingestor,
        decoder=decoder,
        ctc_weight=float(config.get("ctc_weight", 1.0)),
        ce_weight=float(config.get("ce_weight", 1.0)),
        early_ctc=losses.early_ctc,
        ctc_first=losses.ctc_first,
        ctc_consistency=losses.ctc_consistency,
        ce_consistency=losses.ce_consistency,
        label_smoothing=losses.label_smoothing,
        precision=config.get("precision", "auto"),
    )


def _check_names(config: Mapping[str, Any]) -> None:
    for key, default, legal in (("system", "lego", SYSTEMS), ("precision", "auto", PRECISIONS)):
        if config.get(key, default) not in legal:
            raise ConfigError(f"{key} is {config[key]!r}; legal are {', '.join(legal)}")
