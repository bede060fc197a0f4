"""What a user holds: a chain with its tokenizers and its contract, loaded or composed, ready to translate."""

from __future__ import annotations

import dataclasses
import datetime
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from legonn.audio.source import Sound
from legonn.chain import Chain
from legonn.ensemble import Ensemble
from legonn.errors import ConfigError, LegonnError
from legonn.experiment import find_checkpoint, load_weights, read_config, split_checkpoint
from legonn.factory import build_chain, check_target, sound_of
from legonn.interface import Interface, token_difference
from legonn.language_model import LanguageModel
from legonn.part import CONFIG_KEYS, Part, bridge_config, check_fits, head_of, in_chain, lent
from legonn.tokenizer import TextCodec, file_sha256

if TYPE_CHECKING:
    from legonn.search import Hypothesis

__all__ = ["System", "interface_model", "load_part"]

TOKEN_KEYS = tuple(
    f"{prefix}{key}" for prefix in ("", "src_") for key in ("token_list", "token_type", "bpemodel")
)
# What an experiment's configuration says of the chain itself; the rest is about its training.
CHAIN_KEYS = (
    "system",
    *CONFIG_KEYS["encoder"],
    *CONFIG_KEYS["decoder"],
    "bridges",
    "interface_token_lists",
    "ctc_weight",
    "precision",
)


@dataclass(frozen=True)
class System:
    """A trained or composed chain.

    Attributes
    ----------
    chain : Chain
        In evaluation mode.
    source, target : TextCodec
        What the encoder reads, and what the decoder writes.
    interface : Interface
        The contract of what crosses into the decoder.
    name : str
        The experiment, or `<encoder>+<decoder>`.
    config : mapping
        What `legonn.factory.build_chain` built the chain from: `CHAIN_KEYS`.
    between : mapping
        Tokens of the interfaces before the last one, by target name.
    """

    chain: Chain
    source: TextCodec | Sound
    target: TextCodec
    interface: Interface
    name: str
    config: Mapping[str, Any]
    between: Mapping[str, TextCodec] = field(default_factory=dict)

    @classmethod
    def load(cls, spec: str | Path, checkpoint: str | None = None) -> System:
        """Load an experiment folder, or one checkpoint of it.

        Parameters
        ----------
        spec : str or Path
            `exp/x` or `exp/x:valid.acc.best.pth`.
        checkpoint : str, optional
            File name, in place of the one in `spec`; by default the average of the best.

        Raises
        ------
        ConfigError
            If something of the experiment is absent, damaged, or doesn't belong to it.
        """
        folder, named = split_checkpoint(spec)
        _refuse_module(folder)
        config = _read_config(folder)
        source, target = _codecs(config, folder)
        interface = Interface.load(folder / "interface.yaml")
        _check_tokenizers(interface, source, target, folder)
        chain = build_chain(config, source_size=len(source.tokens), target_size=len(target.tokens))
        load_weights(chain, find_checkpoint(folder, checkpoint or named))
        described = {key: config[key] for key in CHAIN_KEYS if key in config}
        between = _between(config, folder)
        return cls(chain.eval(), source, target, interface, str(folder), described, between)

    @classmethod
    def compose(
        cls,
        *,
        encoder: str | Path,
        decoder: str | Path,
        bridges: Sequence[str | Path] = (),
        length_ratio: float | None = None,
    ) -> System:
        """Join an encoder, bridges and a decoder of different origin, after checking that they fit.

        Parameters
        ----------
        encoder, decoder : str or Path
            Modules or experiments, as `load_part` takes them. The encoder brings its length
            controller and head, the decoder its ingestor.
        bridges : sequence
            The same for what goes in between, in the order of the chain.
        length_ratio : float, optional
            K / T in place of the encoder's own.

        Raises
        ------
        InterfaceMismatch
            If two neighbours don't fit: token lists, blank or tokenizers differ, or one has no interface.
        """
        return cls.join(
            [
                load_part(encoder, "encoder"),
                *(load_part(spec, "bridge") for spec in bridges),
                load_part(decoder, "decoder"),
            ],
            length_ratio=length_ratio,
        )

    @classmethod
    def join(cls, parts: Sequence[Part], *, length_ratio: float | None = None) -> System:
        """As `compose`, of parts in the order of the chain."""
        kinds = [part.kind for part in parts]
        if kinds != ["encoder", *["bridge"] * (len(kinds) - 2), "decoder"]:
            raise ConfigError(
                "a chain is an encoder, any number of bridges and a decoder, in this order; given: "
                + (", ".join(kinds) or "nothing")
            )
        if parts[1].reads is not None:
            parts = [lent(parts[0]), *parts[1:]]
        # After a hybrid's encoder got its length controller, as a module of it has one.
        if length_ratio is not None:
            parts = [parts[0].with_length_ratio(length_ratio), *parts[1:]]
        first, *between, last = parts
        for left, right in zip(parts[:-1], parts[1:], strict=True):
            for message in check_fits(left, right):
                warnings.warn(message, stacklevel=3)
        if first.writes is not None:
            first = in_chain(first, last.target.tokens, bridged=bool(between))
        between = [
            in_chain(bridge, last.target.tokens, bridged=bridge is not between[-1])
            for bridge in between
        ]
        parts = [first, *between, last]
        targets: dict[str, TextCodec] = {}
        for part in parts[:-1]:
            head = head_of(part)
            if head is None:
                continue
            if targets.setdefault(head.target, part.target).tokens != part.target.tokens:
                raise ConfigError(
                    f"{part.kind} {part.name} calls its tokens {head.target!r}, and so does a part before it that has "
                    f"others: train one of them with another name (a bridge's `target`)"
                )
        reader = last.network
        chain = Chain(
            encoder=first.network["encoder"],  # type: ignore[arg-type]
            head=_get(first.network, "head"),
            bridges=[part.network["bridge"] for part in between],  # type: ignore[misc]
            ingestor=_get(reader, "ingestor"),
            decoder=reader["decoder"],  # type: ignore[arg-type]
            ctc_weight=_ctc_weight(first),
        )
        assert first.source is not None
        return cls(
            chain=chain.eval(),
            source=first.source,
            target=last.target,
            interface=_describe(parts),
            name="+".join(part.name for part in parts),
            config=_join_configs(parts),
            between={name: codec for name, codec in targets.items() if name != "text"},
        )

    def with_decoder(self, decoder: str | Path) -> System:
        """This system's encoder and bridges in front of another decoder, which they must fit as in `compose`.

        Parameters
        ----------
        decoder : str or Path
            A module or an experiment. The layers are shared, not copied.

        Raises
        ------
        InterfaceMismatch
            If it doesn't fit.
        """
        return System.join([*self.parts()[:-1], load_part(decoder, "decoder")])

    def with_others(self, others: Sequence[System]) -> System:
        """This system, to decode with, whose hypotheses the decoders of others score too: see `Ensemble`.

        Parameters
        ----------
        others : sequence of System
            Their layers are shared, not copied. Language models of theirs don't count.

        Raises
        ------
        ConfigError
            If one of them reads or writes something else.
        """
        for other in others:
            apart = _sources_apart(self.source, other.source)
            if not apart and (difference := self.interface.difference(other.interface)):
                apart = (
                    f"of what they write, {difference}. Train one with the other's --token_listdir"
                )
            if apart:
                raise ConfigError(f"{self.name} and {other.name} can't decode together: {apart}")
        return dataclasses.replace(
            self,
            chain=Ensemble(self.chain, [other.chain for other in others]).eval(),
            name=" and ".join(one.name for one in (self, *others)),
            config={**self.config, "others": [dict(other.config) for other in others]},
        )

    def with_language_model(self, model: LanguageModel) -> System:
        """This system, to decode with, whose hypotheses a language model scores too.

        Parameters
        ----------
        model : LanguageModel
            Of the tokens that the system writes; it takes the place of one that is there.

        Raises
        ------
        ConfigError
            If it counts in other tokens.
        """
        if model.tokens != self.target.tokens:
            raise ConfigError(
                f"{self.name} and the language model {model.name} can't decode together: "
                f"{token_difference(self.target.tokens, model.tokens)}. Train it with the system's --token_listdir"
            )
        return dataclasses.replace(
            self,
            chain=Ensemble(self.chain, language_model=model).eval(),
            name=f"{self.name} with {model.name}",
            config={**self.config, "language_model": type(model.lm).__name__},
        )

    def parts(self) -> list[Part]:
        """What it is made of, in the order of the chain; the layers are shared, not copied.

        Those of a composition keep the contract and the provenance that each had before.
        """
        provenance = dict(self.interface.provenance)
        stated = provenance.pop("stated", None)
        interface = dataclasses.replace(self.interface, provenance=provenance)
        modular = self.chain.ingestor is not None
        names = self.chain.interface_targets()
        codecs = [self.target if name == "text" else self.between[name] for name in names]
        crossing = [
            interface
            if name == "text"
            else dataclasses.replace(
                Interface.of(codec), case=interface.case, punctuation=interface.punctuation
            )
            for name, codec in zip(names, codecs, strict=True)
        ]
        chain = self.chain
        writer = {"encoder": chain.encoder, "head": chain.head}
        reader = {"ingestor": chain.ingestor, "decoder": chain.decoder}
        about: dict[str, Any] = {"name": self.name, "provenance": provenance}
        encoder = Part(
            kind="encoder",
            config=_only(self.config, CONFIG_KEYS["encoder"]),
            network=_modules(writer),
            writes=crossing[0] if modular else None,
            lends=interface if chain.head is not None and not modular else None,
            source=self.source,
            target=codecs[0] if modular else self.target,
            **about,
        )
        bridges = [
            Part(
                kind="bridge",
                config=bridge_config(options),
                network=_modules({"bridge": bridge}),
                reads=crossing[i],
                writes=crossing[i + 1],
                source=codecs[i],
                target=codecs[i + 1],
                **about,
            )
            for i, (options, bridge) in enumerate(
                zip(self.config.get("bridges") or [], chain.bridges, strict=True)
            )
        ]
        decoder = Part(
            kind="decoder",
            config=_only(self.config, CONFIG_KEYS["decoder"]),
            network=_modules(reader),
            reads=crossing[-1] if modular else None,
            target=self.target,
            **about,
        )
        parts = [encoder, *bridges, decoder]
        return parts if stated is None else _restated(parts, stated, provenance, self.name)

    def save(self, folder: Path) -> None:
        """Write an experiment folder that `load` reads: to decode with, to train further, to pack.

        Raises
        ------
        ConfigError
            If the folder holds an experiment already; if it is an ensemble.
        LegonnError
            If it can't be written.
        """
        from legonn.data.atomic import write_atomic

        if isinstance(self.chain, Ensemble):
            raise ConfigError(f"{self.name} is not one system: save each by itself")
        if (folder / "config.yaml").exists():
            raise ConfigError(f"{folder} holds an experiment already: name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LegonnError(f"can't write {folder}: {error}") from error
        config: dict[str, Any] = dict(self.config)
        for prefix, codec in (("", self.target), ("src_", self.source)):
            config[f"{prefix}token_list"] = list(codec.tokens)
            config[f"{prefix}token_type"] = codec.token_type
            config[f"{prefix}bpemodel"] = None
            if codec.model is not None:
                config[f"{prefix}bpemodel"] = str(folder / f"{prefix}bpe.model")
                write_atomic(folder / f"{prefix}bpe.model", codec.model.read_bytes())
        config["interface_bpemodels"] = {}
        config["interface_token_types"] = {n: codec.token_type for n, codec in self.between.items()}
        for name, codec in self.between.items():
            if codec.model is not None:
                path = folder / interface_model(name)
                config["interface_bpemodels"][name] = str(path)
                write_atomic(path, codec.model.read_bytes())
        self.interface.save(folder / "interface.yaml")
        stream = io.BytesIO()
        torch.save(self.chain.state_dict(), stream)
        write_atomic(folder / "composed.pth", stream.getvalue())
        # Last, because it makes the folder an experiment.
        text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
        write_atomic(folder / "config.yaml", text)

    def translate(self, lines: Sequence[str], **options: Any) -> list[Hypothesis]:
        """The best translation of each line.

        Parameters
        ----------
        lines : sequence of str
            Source text, one sentence each.
        **options
            Fields of `legonn.search.DecodingOptions`: `beam_size=5, mode="joint"` ...

        Raises
        ------
        ConfigError
            If it hears, and doesn't read; if it is given one line, not a list.
        """
        from legonn.search import DecodingOptions, Translator

        if isinstance(lines, (str, bytes)):
            raise ConfigError(
                "translate takes a list of lines, and was given one: call translate([line])"
            )
        translator = Translator(self, DecodingOptions.load(None, options))
        return [found[0] for found in translator.translate(lines)]

    def transcribe(self, recordings: Sequence[Any], **options: Any) -> list[Hypothesis]:
        """The best output for each recording: its transcript, or its translation.

        All are in memory at once, at 16 kHz 230 MB an hour; `legonn decode` takes any number.

        Parameters
        ----------
        recordings : sequence
            Waveforms, arrays or tensors of samples (N,), full scale 1, at `source.sample_rate` hertz, which are decoded
            whole. Or paths of sound files, str or Path, of any rate and number of channels: one longer than what the
            encoder was trained on is cut at its quietest places, as `legonn decode` does, and the texts are joined.
        **options
            As `translate`'s.

        Raises
        ------
        ConfigError
            If it reads, and doesn't hear; if it is given one recording, not a list.
        DataError
            Naming all files that can't be heard, before any is decoded; if a waveform has several channels, whole
            numbers, or samples that are no numbers.
        """
        from legonn.audio.cutting import limits
        from legonn.search import DecodingOptions, Transcriber
        from legonn.search.listening import transcribe

        if not isinstance(self.source, Sound):
            raise ConfigError(f"{self.name} takes text, not speech: call translate")
        if isinstance(recordings, (str, bytes, os.PathLike, np.ndarray, Tensor)):
            raise ConfigError(
                f"transcribe takes a list of recordings, and was given one {type(recordings).__name__}: "
                "call transcribe([recording]), or of rows transcribe(list(rows))"
            )
        transcriber = Transcriber(self, DecodingOptions.load(None, options))
        whole, longest = limits(self.longest_seconds)
        found = transcribe(transcriber, recordings, longest=longest, whole=whole)
        return [hypotheses[0] for hypotheses in found]

    def parameters(self) -> int:
        """Number of trained numbers; tied ones count once."""
        return sum(p.numel() for p in self.chain.parameters())

    @property
    def longest_seconds(self) -> float | None:
        """How long the longest recordings are that its encoder was trained on; None where it reads, or doesn't say."""
        found = self.interface.provenance.get("longest_seconds")
        return float(found) if found and isinstance(self.source, Sound) else None


def _sources_apart(mine: TextCodec | Sound, theirs: TextCodec | Sound) -> str:
    """Why one input isn't the same to both; empty where it is."""
    if isinstance(mine, TextCodec) and isinstance(theirs, TextCodec):
        if mine.token_type != theirs.token_type:
            return f"they read text as {mine.token_type} and {theirs.token_type} tokens"
        difference = Interface.of(mine).difference(Interface.of(theirs))
        remedy = "Train one with the other's --src_token_listdir"
        return difference and f"of what they read, {difference}. {remedy}"
    kinds = [str(one) if isinstance(one, Sound) else "text" for one in (mine, theirs)]
    return "" if mine == theirs else f"they read {kinds[0]} and {kinds[1]}"


def _refuse_module(folder: Path) -> None:
    from legonn.module import is_module

    _refuse_checkpoint(folder)
    if is_module(folder):
        raise ConfigError(
            f"{folder} is one part of a system: join it to others with `legonn compose`, or decode with "
            f"--encoder and --decoder"
        )


def _refuse_checkpoint(path: Path) -> None:
    """An experiment's checkpoint is no module: it has weights, and nothing that says of what."""
    if path.suffix == ".pth" and path.is_file():
        raise ConfigError(
            f"{path} is a checkpoint: name it with a colon after its experiment, {path.parent}:{path.name}"
        )


def _read_config(folder: Path) -> Mapping[str, Any]:
    config = read_config(folder)
    if not set(TOKEN_KEYS) <= config.keys():
        raise ConfigError(
            f"{folder}/config.yaml is not the configuration of a legonn experiment; ESPnet's own systems have no "
            "interface and can't be taken apart: train one here, --system hybrid is the same kind"
        )
    return config


def _codecs(config: Mapping[str, Any], folder: Path) -> tuple[TextCodec | Sound, TextCodec]:
    sound = sound_of(config)
    *source, target = (
        TextCodec(
            token_type=config[f"{prefix}token_type"],
            tokens=config[f"{prefix}token_list"],
            model=folder / f"{prefix}bpe.model" if config[f"{prefix}bpemodel"] else None,
        )
        for prefix in (("src_", "") if sound is None else ("",))
    )
    return source[0] if sound is None else sound, target


def interface_model(name: str) -> str:
    """In an experiment's folder, the sentencepiece model of the interface whose targets are called `name`."""
    return f"{check_target(name)}_bpe.model"


def _between(config: Mapping[str, Any], folder: Path) -> dict[str, TextCodec]:
    codecs = {}
    for name, tokens in (config.get("interface_token_lists") or {}).items():
        bpe = name in (config.get("interface_bpemodels") or {})
        model = folder / interface_model(name) if bpe else None
        _check_model(model, None, folder)
        kind = (config.get("interface_token_types") or {}).get(name, "bpe" if bpe else "phn")
        codecs[name] = TextCodec(token_type=kind, tokens=tokens, model=model)
    return codecs


def _check_tokenizers(
    interface: Interface, source: TextCodec | Sound, target: TextCodec, folder: Path
) -> None:
    if interface.tokens != target.tokens:
        raise ConfigError(f"{folder}/interface.yaml and config.yaml disagree on the token list")
    _check_model(target.model, interface.tokenizer_sha256, folder)
    _check_model(source.model, interface.provenance.get("source_tokenizer_sha256"), folder)


def _check_model(model: Path | None, sha256: str | None, folder: Path) -> None:
    if model is not None and not model.exists():
        raise ConfigError(f"{model} is absent: the experiment's folder is incomplete")
    if sha256 is not None and file_sha256(model) != sha256:
        raise ConfigError(f"{model} is not the tokenizer that {folder} was trained with")


def load_part(spec: str | Path, kind: str) -> Part:
    """Read the encoder, the bridge or the decoder of a module, or of an experiment.

    Parameters
    ----------
    spec : str or Path
        A module's folder or file, or `hf:owner/name`; an experiment's folder; `exp/x:valid.acc.best.pth`.
    kind : {"encoder", "bridge", "decoder"}
        What is wanted of it.

    Raises
    ------
    ConfigError
        If it is another kind of module, has no such part, or is damaged.
    """
    from legonn.hub import is_hub_name, locate
    from legonn.module import is_module, read_module

    if not is_hub_name(spec):
        _refuse_checkpoint(Path(spec))
    if is_hub_name(spec) or is_module(Path(spec)):
        part = dataclasses.replace(read_module(locate(spec)), name=str(spec))
        if part.kind != kind:
            raise ConfigError(f"{spec} is a module of kind {part.kind}, and {kind} is wanted")
        return part
    found = [part for part in System.load(spec).parts() if part.kind == kind]
    if len(found) != 1:
        raise ConfigError(f"{spec} has {len(found)} parts of kind {kind}, and one is wanted")
    return found[0]


def _get(network: nn.ModuleDict, name: str) -> Any:
    return network[name] if name in network else None


def _modules(layers: Mapping[str, nn.Module | None]) -> nn.ModuleDict:
    return nn.ModuleDict({name: layer for name, layer in layers.items() if layer is not None})


def _only(config: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: config[key] for key in keys if config.get(key) is not None}


def _ctc_weight(encoder: Part) -> float:
    """That it was trained with, as far as it counts later: whether its interface was learned."""
    return float(encoder.provenance.get("ctc_weight", 1.0))


def _join_configs(parts: Sequence[Part]) -> dict[str, Any]:
    """The configuration of the chain that these parts make."""
    first, *between, last = parts
    plain = "hybrid" if "head" in first.network else "attention"
    config = {"system": plain if first.writes is None else "lego", "precision": "auto"}
    heads = [head_of(part) for part in parts[:-1]]
    lists = {
        head.target: list(part.writes.tokens)
        for head, part in zip(heads, parts, strict=False)
        if head is not None and part.writes is not None
    }
    lists.pop("text", None)
    return {
        **config,
        "ctc_weight": _ctc_weight(first),
        **first.config,
        **last.config,
        "bridges": [dict(part.config) for part in between],
        "interface_token_lists": lists,
    }


def _restated(
    parts: Sequence[Part], stated: Any, provenance: Mapping[str, Any], name: str
) -> list[Part]:
    """The parts of a composition, each with what it says of itself."""
    try:
        records = provenance["parents"]
        return [part.restated(*said) for part, *said in zip(parts, stated, records, strict=True)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{name}: interface.yaml doesn't say what its {len(parts)} parts were before: compose it again"
        ) from error


def _describe(parts: Sequence[Part]) -> Interface:
    """The decoder's contract, with the parts as parents, and what each of them states."""
    first, last = parts[0], parts[-1]
    interface = last.reads or dataclasses.replace(Interface.of(last.target), ingestor="none")
    assert first.source is not None
    # What `System.longest_seconds` and `_ctc_weight` read.
    kept = {
        key: first.provenance[key]
        for key in ("longest_seconds", "ctc_weight")
        if first.provenance.get(key) is not None
    }
    return dataclasses.replace(
        interface,
        provenance={
            "date": datetime.date.today().isoformat(),
            "source_tokenizer_sha256": file_sha256(first.source.model),
            "parents": [part.record() for part in parts],
            "stated": [part.statement() for part in parts],
            **kept,
        },
    )
