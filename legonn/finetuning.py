"""Training that starts from trained parts: adopt them, keep some as they are, let others move slowly."""

from __future__ import annotations

import argparse
import dataclasses
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from legonn.audio.source import Sound
from legonn.data.atomic import write_atomic
from legonn.errors import ConfigError
from legonn.interface import Interface
from legonn.module import KINDS
from legonn.part import Part, check_fits, in_chain, lent
from legonn.system import load_part
from legonn.tokenizer import TextCodec, file_sha256

__all__ = [
    "adopt_configuration",
    "adopt_weights",
    "check_frozen",
    "frozen_kinds",
    "kind_of",
    "named_weights",
    "parameter_groups",
    "parents",
    "pretrained_parts",
]

# Where the parts of a chain are, by the first word of a parameter's name.
KIND_OF = {
    "encoder": "encoder",
    "head": "encoder",
    "bridges": "bridge",
    "ingestor": "decoder",
    "decoder": "decoder",
}
SOURCE_EMBEDDING = "encoder.front_end.embedding.weight"
# What may differ from the training that a part comes from: it says how to train, not what the part is.
TRAINING_KEYS = frozenset(
    {
        "dropout",
        "attention_dropout",
        "word_dropout",
        "marginal_dropout",
        "retiming",
        "label_smoothing",
        "early_ctc",
        "ctc_first",
        "ctc_consistency",
        "ce_consistency",
        "spec_augment",
        "time_warp",
    }
)


def kind_of(parameter: str) -> str:
    """The part that a parameter of a chain belongs to: encoder, bridge or decoder."""
    return KIND_OF[parameter.partition(".")[0]]


def pretrained_parts(args: argparse.Namespace) -> dict[str, list[Part]]:
    """Read what --pretrained_encoder, --pretrained_bridge and --pretrained_decoder name, by kind."""
    parts = {
        kind: [load_part(spec, kind) for spec in _list(getattr(args, f"pretrained_{kind}"))]
        for kind in KINDS
    }
    if args.system == "lego":
        parts["encoder"] = [lent(part) for part in parts["encoder"]]
    return parts


def _list(value: str | Sequence[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def frozen_kinds(given: Any) -> list[str]:
    """What `--freeze` names, or `freeze` in a configuration, whose values no parser checks.

    Raises
    ------
    ConfigError
        If it is neither the name of a part nor a list of them.
    """
    kinds = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(kinds, list) or not all(kind in KINDS for kind in kinds):
        raise ConfigError(
            f"freeze is {given!r:.80}; it wants the name of a part or a list of them, freeze: [decoder]; legal are "
            f"{', '.join(KINDS)}"
        )
    return kinds


def adopt_configuration(
    args: argparse.Namespace,
    parts: Mapping[str, list[Part]],
    interfaces: Mapping[str, Interface],
    source: Interface | None,
) -> None:
    """Make `args` describe the chain that `parts` belong in; those keys that only training knows stay.

    Parameters
    ----------
    interfaces : mapping
        Tokens and tokenizers that the arguments name, by target name: `text`, of the decoder, and of the interfaces
        before the last.
    source : Interface or None
        Those of the source, where the arguments name them.

    Raises
    ------
    InterfaceMismatch
        If parts don't fit each other, or the token lists of this training.
    """
    between = parts["bridge"]
    bridged = bool(between or args.bridges)
    name = str((args.chain_conf or {}).get("encoder_target", ""))
    encoders = [
        in_chain(part, interfaces["text"].tokens, bridged=bridged, name=name)
        if part.writes is not None
        else part
        for part in parts["encoder"]
    ]
    parts = {**parts, "encoder": encoders}
    _check_tokens(parts, interfaces, source, replaces_source=args.replace_source)
    own = dataclasses.replace(interfaces["text"], case=args.case, punctuation=args.punctuation)
    _compare_text(own, parts)
    if args.replace_source:
        _check_replaceable(args, parts["encoder"])
    chain = [part for kind in KINDS for part in parts[kind]]
    if len(chain) == len(between) + 2 or (between and len(chain) > 1):
        for left, right in zip(chain[:-1], chain[1:], strict=True):
            for message in check_fits(left, right):
                logging.warning(message)
    for part in (*parts["encoder"], *parts["decoder"]):
        for key, value in part.config.items():
            given = getattr(args, key)
            setattr(args, key, _adopted(part, key, value, given))
    if between:
        args.bridges = [dict(part.config) for part in between]


def _check_replaceable(args: argparse.Namespace, encoders: list[Part]) -> None:
    if not encoders or isinstance(encoders[0].source, Sound):
        raise ConfigError(
            "--replace_source gives a trained encoder of text other source tokens: name one, --pretrained_encoder"
        )
    if "encoder" in args.freeze:
        raise ConfigError(
            "--replace_source begins the source's embedding anew, and --freeze encoder would keep it untrained: "
            "drop either"
        )


def _check_tokens(
    parts: Mapping[str, list[Part]],
    interfaces: Mapping[str, Interface],
    source: Interface | None,
    *,
    replaces_source: bool,
) -> None:
    here = "this training (--token_list, --bpemodel)"
    before = "this training's bridge (--interface_token_lists, --interface_bpemodels)"
    for part in parts["decoder"]:
        if part.reads is not None:
            interfaces["text"].check_fits(
                part.reads, writer_name=here, reader_name=f"decoder {part.name}"
            )
    for part in parts["encoder"]:
        if part.writes is not None:
            target = str(part.network["head"].target)
            if target not in interfaces:
                raise ConfigError(
                    f"encoder {part.name} writes {target} before a bridge: give its token list, "
                    f"--interface_token_lists {target}=tokens.txt (recipes: --interface_listdir)"
                )
            part.writes.check_fits(
                interfaces[target],
                writer_name=f"encoder {part.name}",
                reader_name=here if target == "text" else before,
            )
        assert part.source is not None
        if isinstance(part.source, Sound) or replaces_source:
            continue
        reads = (part.source.tokens, file_sha256(part.source.model))
        if source is None or reads != (source.tokens, source.tokenizer_sha256):
            raise ConfigError(
                f"encoder {part.name} reads other source tokens than this training's: give its token list "
                f"(--src_token_listdir; a module's folder has src_tokens.txt and src_bpe.model), or keep this "
                f"training's and begin its embedding anew with --replace_source true"
            )


def _compare_text(own: Interface, parts: Mapping[str, list[Part]]) -> None:
    """Tokens are the same in any case of the text, but a part has learned one."""
    for part in (*parts["encoder"], *parts["decoder"]):
        side = part.writes or part.reads
        if side is not None and not side.same_text(own):
            logging.warning(
                "%s %s was trained on text of %s, and this training's is of %s (--case, --punctuation; recipes: "
                "--tgt_case, --tgt_punctuation): what one writes the other has never read",
                part.kind,
                part.name,
                side.normalisation,
                own.normalisation,
            )


def _adopted(part: Part, key: str, value: Any, given: Any) -> Any:
    """The part's option; a mapping's keys that only say how to train are the given ones, where they are given."""
    if not isinstance(value, Mapping):
        return value
    kept = {k: v for k, v in (given or {}).items() if k in TRAINING_KEYS}
    for name in sorted((given or {}).keys() - kept.keys()):
        if given[name] != value.get(name):
            logging.info(
                "%s: %s of %s is %s, not %s", key, name, part.name, value.get(name), given[name]
            )
    for name in sorted((value.keys() & TRAINING_KEYS) - kept.keys()):
        logging.info(
            "%s: %s=%s stays as %s was trained, no other is given",
            key,
            name,
            value[name],
            part.name,
        )
    return {**value, **kept}


def adopt_weights(
    chain: nn.Module,
    parts: Mapping[str, list[Part]],
    source_tokens: Sequence[str] | None = None,
) -> None:
    """Copy the parts' weights into a chain built from the configuration that `adopt_configuration` made.

    With `source_tokens`, those of a source that replaces the encoder's own, an embedding is copied only where both
    have its token; the others stay as they are initialised (Zoph et al. 2016, arXiv 1604.02201).
    """
    weights: dict[str, Tensor] = {}
    for kind in KINDS:
        weights |= named_weights(parts, kind)
    if source_tokens is not None:
        codec = parts["encoder"][0].source
        assert isinstance(codec, TextCodec)
        place = {token: i for i, token in enumerate(codec.tokens)}
        both = [(i, place[token]) for i, token in enumerate(source_tokens) if token in place]
        rows, known = (torch.tensor(side) for side in zip(*both, strict=True))
        embedding = chain.get_parameter(SOURCE_EMBEDDING).detach().clone()
        embedding[rows] = weights[SOURCE_EMBEDDING][known]
        weights[SOURCE_EMBEDDING] = embedding
        logging.info("%d of %d source tokens keep their embedding", len(both), len(source_tokens))
    unknown = chain.load_state_dict(weights, strict=False).unexpected_keys
    assert not unknown, unknown


def named_weights(parts: Mapping[str, list[Part]], kind: str) -> dict[str, Tensor]:
    """The weights of the parts of a kind, under the names that they have in a checkpoint; shared ones under each."""
    weights = {}
    for number, part in enumerate(parts[kind]):
        for name, value in part.network.state_dict().items():
            if kind == "bridge":
                name = f"bridges.{number}.{name.removeprefix('bridge.')}"
            weights[name] = value
    return weights


def parents(
    parts: Mapping[str, list[Part]], *, replaces_source: bool = False
) -> list[dict[str, str]]:
    """What the provenance says of them."""
    return [
        part.record() | ({"source": "replaced"} if replaces_source and kind == "encoder" else {})
        for kind in KINDS
        for part in parts[kind]
    ]


def parameter_groups(
    chain: nn.Module, factors: Mapping[str, float], lr: float
) -> list[dict[str, Any]]:
    """The optimiser's groups: each part with its share of the learning rate; frozen parameters in none.

    Raises
    ------
    ConfigError
        If a factor is of no part, or negative.
    """
    for kind, factor in factors.items():
        if kind not in KINDS:
            raise ConfigError(
                f"--lr_factors has no part {kind!r}; legal are {', '.join(KINDS)}, e.g. decoder=0.1"
            )
        if not isinstance(factor, (int, float)) or factor < 0:
            raise ConfigError(f"--lr_factors: {kind} is {factor!r}; it must be 0 or more")
    groups = {
        kind: [p for n, p in chain.named_parameters() if kind_of(n) == kind] for kind in KINDS
    }
    return [
        {"params": members, "lr": lr * float(factors.get(kind, 1.0))}
        for kind, parameters in groups.items()
        if (members := [p for p in parameters if p.requires_grad])
    ]


def check_frozen(folder: Path, before: Mapping[str, Tensor]) -> None:
    """Make sure that every checkpoint in `folder` holds these weights, bit for bit.

    An average of equal weights may differ from them in the last bit: it gets the weights themselves.

    Raises
    ------
    RuntimeError
        If training changed one.
    """
    for path in sorted(folder.glob("*.pth")):
        if path.name == "checkpoint.pth" or path.is_symlink():
            continue
        states = torch.load(path, map_location="cpu", weights_only=True)
        changed = [name for name, value in before.items() if not torch.equal(states[name], value)]
        if not changed:
            continue
        # ESPnet adds up whole numbers, as a normalisation's count of batches is one, and doesn't divide them.
        near = all(
            torch.allclose(states[n], before[n], rtol=1e-6, atol=0)
            for n in changed
            if before[n].is_floating_point()
        )
        if ".ave" not in path.name or not near:
            raise RuntimeError(f"{path}: {changed[0]} was frozen, and changed in training")
        stream = io.BytesIO()
        torch.save({**states, **before}, stream)
        write_atomic(path, stream.getvalue())
