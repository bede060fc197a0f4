"""What a user holds: a chain with its tokenizers and its contract, loaded or composed, ready to translate."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from legonn.chain import Chain
from legonn.errors import ConfigError, InterfaceMismatch
from legonn.factory import build_chain
from legonn.interface import Interface
from legonn.tokenizer import TextCodec, file_sha256

if TYPE_CHECKING:
    from legonn.search import Hypothesis

__all__ = ["System"]

# Averages first; `latest` is what a run that was killed in its last minutes still has.
CHECKPOINTS = ("valid.acc.ave.pth", "valid.loss.ave.pth", "*.ave.pth", "*.best.pth", "latest.pth")

CONFIG_KEYS = {
    f"{prefix}{key}" for prefix in ("", "src_") for key in ("token_list", "token_type", "bpemodel")
}


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
    """

    chain: Chain
    source: TextCodec
    target: TextCodec
    interface: Interface
    name: str

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
        folder, checkpoint = _split(spec, checkpoint)
        config = _read_config(folder / "config.yaml")
        source, target = _codecs(config, folder)
        interface = Interface.load(folder / "interface.yaml")
        _check_tokenizers(interface, source, target, folder)
        chain = build_chain(config, source_size=len(source.tokens), target_size=len(target.tokens))
        _load_weights(chain, _find_checkpoint(folder, checkpoint))
        return cls(chain.eval(), source, target, interface, str(folder))

    @classmethod
    def compose(
        cls,
        *,
        encoder: str | Path,
        decoder: str | Path,
        bridges: Sequence[str | Path] = (),
        length_ratio: float | None = None,
    ) -> System:
        """Join the encoder of one experiment to the decoder of another, after checking that they fit.

        Parameters
        ----------
        encoder, decoder : str or Path
            Experiments, as `load` takes them. The encoder brings its length controller and head, the decoder
            its ingestor.
        bridges : sequence
            Experiments whose bridges go in between.
        length_ratio : float, optional
            K / T in place of the encoder's own.

        Raises
        ------
        InterfaceMismatch
            If they don't fit: token lists, blank or tokenizers differ, or only one of them has an interface.
        """
        writer, reader = cls.load(encoder), cls.load(decoder)
        between = [bridge for spec in bridges for bridge in cls.load(spec).chain.bridges]
        for message in _check_fit(writer, reader, length_ratio):
            warnings.warn(message, stacklevel=2)
        chain = Chain(
            encoder=writer.chain.encoder,
            head=writer.chain.head,
            bridges=[*writer.chain.bridges, *between],  # type: ignore[list-item]
            ingestor=reader.chain.ingestor,
            decoder=reader.chain.decoder,
            precision=reader.chain.precision,
        )
        if length_ratio is not None:
            _set_ratio(chain, length_ratio, writer.name)
        name = f"{writer.name}+{reader.name}"
        return cls(chain.eval(), writer.source, reader.target, reader.interface, name)

    def translate(self, lines: Sequence[str], **options: Any) -> list[Hypothesis]:
        """The best translation of each line.

        Parameters
        ----------
        lines : sequence of str
            Source text, one sentence each.
        **options
            Fields of `legonn.search.DecodingOptions`: `beam_size=5, mode="joint"` ...
        """
        from legonn.search import DecodingOptions, Translator

        translator = Translator(self, DecodingOptions.load(None, options))
        return [found[0] for found in translator.translate(lines)]

    def parameters(self) -> int:
        """Number of trained numbers; tied ones count once."""
        return sum(p.numel() for p in self.chain.parameters())


def _split(spec: str | Path, checkpoint: str | None) -> tuple[Path, str | None]:
    folder, colon, name = str(spec).rpartition(":")
    if colon and name.endswith(".pth"):
        return Path(folder), checkpoint or name
    return Path(spec), checkpoint


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=_SAFE_LOADER)
    except FileNotFoundError as error:
        raise ConfigError(f"{path.parent} is no experiment: it has no {path.name}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} can't be read as YAML: {error}") from error
    if not isinstance(config, dict) or not CONFIG_KEYS <= config.keys():
        raise ConfigError(f"{path} is not the configuration of a legonn experiment")
    return config


# The same grammar in C: a configuration holds two token lists, and start-up counts.
_SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _codecs(config: Mapping[str, Any], folder: Path) -> tuple[TextCodec, TextCodec]:
    source, target = (
        TextCodec(
            token_type=config[f"{prefix}token_type"],
            tokens=config[f"{prefix}token_list"],
            model=folder / f"{prefix}bpe.model" if config[f"{prefix}bpemodel"] else None,
        )
        for prefix in ("src_", "")
    )
    return source, target


def _check_tokenizers(
    interface: Interface, source: TextCodec, target: TextCodec, folder: Path
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


def _find_checkpoint(folder: Path, name: str | None) -> Path:
    if name is not None:
        if not (folder / name).exists():
            there = ", ".join(sorted(path.name for path in folder.glob("*.pth"))) or "none"
            raise ConfigError(f"{folder} has no checkpoint {name}; it has {there}")
        return folder / name
    for pattern in CHECKPOINTS:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    raise ConfigError(f"{folder} has no checkpoint yet: train it first (stage 11)")


def _load_weights(chain: Chain, path: Path) -> None:
    """Load tensors, and nothing else, into a chain of exactly their names and shapes."""
    import pickle

    try:
        states = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(f"{path} is no checkpoint, or a damaged one: {error}") from error
    if not isinstance(states, dict):
        raise ConfigError(
            f"{path} doesn't belong to its config.yaml: it holds a {type(states).__name__}, no weights"
        )
    try:
        chain.load_state_dict(states)
    except RuntimeError as error:
        faults = [line.strip() for line in str(error).splitlines()[1:]]
        shown = "; ".join(fault[:200] for fault in faults[:3])
        raise ConfigError(
            f"{path} doesn't belong to its config.yaml: {shown} ({len(faults)} kinds of fault)"
        ) from error


def _check_fit(writer: System, reader: System, length_ratio: float | None) -> list[str]:
    """Warnings; raises InterfaceMismatch."""
    has_writer, has_reader = writer.chain.head is not None, reader.chain.ingestor is not None
    names = {"writer_name": f"encoder {writer.name}", "reader_name": f"decoder {reader.name}"}
    if has_writer and has_reader:
        return _with_ratio(writer, length_ratio).check_fits(reader.interface, **names)
    if has_writer or has_reader:
        plain = reader.name if has_writer else writer.name
        raise InterfaceMismatch(
            f"encoder {writer.name} does not fit decoder {reader.name}: {plain} is a plain encoder-decoder "
            f"(--system attention) and has no interface. Train it with --system lego."
        )
    width = writer.chain.encoder.output_size()
    wanted = reader.chain.decoder.memory_width
    if width != wanted:
        raise InterfaceMismatch(
            f"encoder {writer.name} gives states of width {width}, decoder {reader.name} reads {wanted}"
        )
    return [
        f"{writer.name} and {reader.name} are plain encoder-decoders: their parts share no interface and "
        f"were never trained to fit. Expect noise."
    ]


def _with_ratio(writer: System, ratio: float | None) -> Interface:
    """The writer's interface as another length ratio would have filled it."""
    control, seen = writer.chain.encoder.length_control, writer.interface.positions_per_token
    if ratio is None or control is None or seen is None:
        return writer.interface
    low, middle, high = (value * ratio / control.ratio for value in seen)
    return dataclasses.replace(writer.interface, positions_per_token=(low, middle, high))


def _set_ratio(chain: Chain, ratio: float, name: str) -> None:
    if chain.encoder.length_control is None:
        raise ConfigError(f"{name} has no length controller: length_ratio can't be set")
    if ratio <= 0:
        raise ConfigError(f"length_ratio is {ratio}; it must be above 0")
    chain.encoder.length_control.ratio = ratio
