"""LegoTask: the only file that knows ESPnet's arguments."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import logging
import math
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from espnet2.tasks.abs_task import AbsTask, optim_classes
from espnet2.train.collate_fn import CommonCollateFn
from espnet2.train.distributed_utils import get_rank, get_world_size
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import float_or_none, str2bool, str_or_none

from legonn.audio.recordings import Utterance, read_sound
from legonn.chain import Chain
from legonn.data.folder import read_text
from legonn.data.lengths import longest_seconds, positions_per_token
from legonn.environment import revision
from legonn.errors import ConfigError
from legonn.factory import (
    DECODERS,
    ENCODERS,
    INGESTORS,
    SYSTEMS,
    BridgeConfig,
    build_chain,
    parse,
    sound_of,
    without_memory,
)
from legonn.finetuning import (
    adopt_configuration,
    adopt_weights,
    check_frozen,
    frozen_kinds,
    kind_of,
    named_weights,
    parameter_groups,
    parents,
    pretrained_parts,
)
from legonn.interface import Interface
from legonn.module import KINDS
from legonn.part import Part
from legonn.plain_yaml import parse_yaml
from legonn.precision import PRECISIONS
from legonn.preflight import check_training
from legonn.schedule import fit_schedule
from legonn.system import interface_model
from legonn.tokenizer import TOKEN_TYPES, TextCodec, check_token_list, file_sha256, read_token_list
from legonn.trainer import LegoTrainer, refuse_init_param

__all__ = ["LegoTask", "Preprocessor"]

SOURCES = ("src_text", "speech")
MODELS = {"bpemodel": "bpe.model", "src_bpemodel": "src_bpe.model"}


class Preprocessor:
    """Text of each entry to ids, sound as it is; with `count_positions`, also what CTC needs, for the statistics stage.

    Parameters
    ----------
    codecs : dict
        By entry name: `src_text`, `text`, and the targets of further interfaces.
    count_positions : bool
        Add `<name>_positions` of size U + equal neighbours: ESPnet's statistics stage writes its shape.
    src_sampling : float, optional
        Segment the source at random, see `TextCodec.sample`.
    """

    def __init__(
        self,
        codecs: dict[str, TextCodec],
        *,
        count_positions: bool,
        src_sampling: float | None = None,
    ) -> None:
        self.codecs = codecs
        self.count_positions = count_positions
        self.src_sampling = src_sampling

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """One utterance as the data loader read it -> arrays of ids."""
        ids = {
            name: self._ids(name, text) if name in self.codecs else _mono(text)
            for name, text in data.items()
        }
        if self.count_positions:
            for name in [name for name in ids if name not in SOURCES]:
                repeats = int((ids[name][1:] == ids[name][:-1]).sum())
                ids[f"{name}_positions"] = np.zeros(len(ids[name]) + repeats, dtype=np.int64)
        return ids

    def _ids(self, name: str, text: str) -> np.ndarray:
        codec = self.codecs[name]
        if name != "src_text" or self.src_sampling is None:
            return codec.encode(text)
        # PyTorch's generator is part of a checkpoint, and each data-loading process has its own.
        return codec.sample(text, alpha=self.src_sampling, draw=lambda n: torch.rand(n).numpy())


def _mono(sound: np.ndarray) -> np.ndarray:
    """Samples (N,) or (N, channels) -> (N,), full scale 1."""
    return sound.mean(axis=1) if sound.ndim == 2 else sound


class LegoTask(AbsTask):
    """Trains a chain with ESPnet's Trainer, iterators, statistics and distributed launch."""

    num_optimizers = 1
    class_choices_list: list[Any] = []
    trainer = LegoTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The chain, its tokens and its losses; all else is ESPnet's."""
        required = parser.get_default("required")
        required += ["token_list"]
        # Attention plots need ESPnet's own attention modules.
        parser.set_defaults(num_att_plot=0)
        _add_chain(parser.add_argument_group("The chain"))
        _add_tokens(parser.add_argument_group("Tokens"))
        _add_finetuning(parser.add_argument_group("Fine-tuning"))

    @classmethod
    def build_collate_fn(
        cls, args: argparse.Namespace, train: bool
    ) -> Callable[[Collection[tuple[str, dict[str, np.ndarray]]]], Any]:
        """Pad to the longest of the batch."""
        return CommonCollateFn(float_pad_value=0.0, int_pad_value=-1)

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Preprocessor:
        """Tokenisation."""
        return Preprocessor(
            _codecs(args),
            count_positions=bool(args.collect_stats),
            src_sampling=args.src_sampling if train and not args.collect_stats else None,
        )

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """Entries that `--*_data_path_and_name_and_type` must name; the encoder's own is seen to by `_check`."""
        return () if inference else ("text",)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """What an encoder may read, and targets of the interfaces before the last."""
        return (*SOURCES, *(f"text_{suffix}" for suffix in ("phn", "char", "word", "bpe")))

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> Chain:
        """The chain of the arguments, initialised."""
        # Contents in place of paths, as in all ESPnet tasks: config.yaml then stands alone.
        args.token_list = _token_list(args.token_list)
        args.src_token_list = _source_tokens(args)
        args.interface_token_lists = {
            name: _token_list(tokens) for name, tokens in args.interface_token_lists.items()
        }
        chain = build_chain(
            vars(args), source_size=len(args.src_token_list), target_size=len(args.token_list)
        )
        if getattr(chain.encoder, "needs_statistics", False) and args.feats_stats:
            cast(Any, chain.encoder).front_end.set_statistics(Path(args.feats_stats))
        replacing = args.src_token_list if args.replace_source else None
        adopt_weights(chain, pretrained_parts(args), replacing)
        size = sum(p.numel() for p in chain.parameters())
        logging.info("%d parameters, precision %s", size, args.precision)
        for name, parameter in chain.named_parameters():
            parameter.requires_grad_(kind_of(name) not in args.freeze)
        return chain

    @classmethod
    def build_optimizers(
        cls, args: argparse.Namespace, model: torch.nn.Module
    ) -> list[torch.optim.Optimizer]:
        """As ESPnet's; with --lr_factors each part has its own learning rate."""
        if not args.lr_factors:
            return list(super().build_optimizers(args, model=model))
        if args.exclude_weight_decay or args.sharded_ddp:
            raise ConfigError(
                "--lr_factors can't be joined to --exclude_weight_decay or --sharded_ddp: drop either"
            )
        if "lr" not in args.optim_conf:
            raise ConfigError("--lr_factors are shares of optim_conf's lr: give it, lr=0.001")
        groups = parameter_groups(model, args.lr_factors, args.optim_conf["lr"])
        return [optim_classes[args.optim](groups, **args.optim_conf)]

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Train, or collect statistics; the experiment folder gets its contract before the first step."""
        _start_logging(args)
        refuse_init_param(args)
        args.freeze = frozen_kinds(args.freeze)
        parts = pretrained_parts(args)
        for kind in args.freeze:
            if not parts[kind]:
                raise ConfigError(
                    f"--freeze {kind} would keep it untrained: name a trained one, --pretrained_{kind}"
                )
        own = _tokens(args, "")
        source = _tokens(args, "src_") if args.src_token_list else None
        interfaces = {name: Interface.of(codec) for name, codec in _interface_codecs(args).items()}
        adopt_configuration(args, parts, {"text": own, **interfaces}, source)
        writes = not args.collect_stats and _is_first(args)
        if writes:
            _check(args)
        fit_schedule(args)
        if writes:
            _describe(args, parts)
        super().main_worker(args)
        if writes and args.freeze:
            _report_frozen(args, parts)


def _add_chain(group: Any) -> None:
    group.add_argument(
        "--system",
        default="lego",
        choices=SYSTEMS,
        help="lego: a chain with interfaces; attention: a plain encoder-decoder of the same parts; hybrid: that, with "
        "CTC on the encoder's states (Watanabe et al. 2017)",
    )
    for part, registry in (("encoder", ENCODERS), ("ingestor", INGESTORS), ("decoder", DECODERS)):
        group.add_argument(f"--{part}", default=next(iter(registry)), choices=list(registry))
        group.add_argument(
            f"--{part}_conf",
            action=NestedDictAction,
            default={},
            help=f"options of the {part}, key=value; classes in legonn/factory.py document them",
        )
    group.add_argument("--bridges", type=_yaml_list, default=[], help="YAML list of bridge options")
    group.add_argument(
        "--chain_conf", action=NestedDictAction, default={}, help="label_smoothing=0.1 ..."
    )
    group.add_argument(
        "--ctc_weight",
        type=float,
        default=1.0,
        help="of every interface's CTC loss; 0 is the ablation",
    )
    group.add_argument(
        "--ce_weight", type=float, default=1.0, help="of the decoder's cross-entropy"
    )
    group.add_argument("--precision", default="auto", choices=PRECISIONS)
    group.add_argument(
        "--feats_stats",
        type=str_or_none,
        default=None,
        help="feats_stats.npz of the statistics stage, for a speech encoder with normalisation=global",
    )


def _add_tokens(group: Any) -> None:
    for prefix, side in (("", "target"), ("src_", "source")):
        group.add_argument(
            f"--{prefix}token_list",
            type=str_or_none,
            default=None,
            help=f"tokens.txt of the {side}",
        )
        group.add_argument(f"--{prefix}token_type", default="bpe", choices=TOKEN_TYPES)
        group.add_argument(
            f"--{prefix}bpemodel",
            type=str_or_none,
            default=None,
            help=f"sentencepiece model of the {side}",
        )
    group.add_argument(
        "--src_sampling",
        type=float_or_none,
        default=None,
        metavar="ALPHA",
        help="segment the source at random in training, each word by probability**ALPHA: 0.2 against overfitting",
    )
    group.add_argument("--case", default="tc", help="case of the target text, part of the contract")
    group.add_argument(
        "--punctuation",
        type=str2bool,
        default=True,
        metavar="{true,false}",
        help="whether the target text has punctuation, part of the contract (default: true)",
    )
    group.add_argument(
        "--interface_token_lists",
        action=NestedDictAction,
        default={},
        help="token lists of the interfaces before the last, by target name: text_phn=data/phn/tokens.txt",
    )
    group.add_argument(
        "--interface_bpemodels",
        action=NestedDictAction,
        default={},
        help="their sentencepiece models, text_bpe=data/x/bpe.model; without one, tokens are split at spaces",
    )


def _add_finetuning(group: Any) -> None:
    for kind in KINDS:
        group.add_argument(
            f"--pretrained_{kind}",
            nargs="*" if kind == "bridge" else None,
            default=[] if kind == "bridge" else None,
            metavar="M",
            help=f"start from the {kind} of a module or an experiment; it brings its configuration",
        )
    group.add_argument(
        "--replace_source",
        type=str2bool,
        default=False,
        help="keep this training's source tokens, not those of --pretrained_encoder: another language for a trained "
        "encoder, whose embedding begins anew for all tokens but those that both have",
    )
    group.add_argument(
        "--freeze",
        nargs="*",
        default=[],
        choices=KINDS,
        metavar="PART",
        help="pretrained parts that stay as they are, bit for bit: encoder, bridge, decoder",
    )
    group.add_argument(
        "--lr_factors",
        action=NestedDictAction,
        default={},
        help="share of the learning rate for each part: decoder=0.1",
    )


def _yaml_list(text: str) -> list[Any]:
    try:
        value = parse_yaml(text, "")
    except ConfigError:
        value = None
    if not isinstance(value, list):
        raise argparse.ArgumentTypeError(f"{text!r} is no YAML list")
    return value


def _token_list(tokens: str | list[str]) -> list[str]:
    if isinstance(tokens, str):
        return list(read_token_list(Path(tokens)))
    check_token_list(tokens, "token_list")
    return list(tokens)


def _source_tokens(args: argparse.Namespace) -> list[str]:
    """The source's token list; none for speech."""
    if sound_of(vars(args)) is not None:
        return []
    if not args.src_token_list:
        named = {name for _, name, _ in args.train_data_path_and_name_and_type}
        raise ConfigError(
            f"--encoder {args.encoder} reads text: "
            + (
                "for speech take a configuration with encoder: speech"
                if "speech" in named
                else "give --src_token_list"
            )
        )
    return _token_list(args.src_token_list)


def _codecs(args: argparse.Namespace) -> dict[str, TextCodec]:
    prefixes = ("", "src_") if sound_of(vars(args)) is None else ("",)
    codecs = {f"{prefix}text": _codec(args, prefix) for prefix in prefixes}
    return codecs | _interface_codecs(args)


def _codec(args: argparse.Namespace, prefix: str) -> TextCodec:
    """Of the target, or with `src_` of the source."""
    return TextCodec(
        token_type=getattr(args, f"{prefix}token_type"),
        tokens=_token_list(getattr(args, f"{prefix}token_list")),
        model=_path(getattr(args, f"{prefix}bpemodel")),
    )


def _interface_codecs(args: argparse.Namespace) -> dict[str, TextCodec]:
    """Of the interfaces before the last, by target name."""
    models = args.interface_bpemodels
    for name in sorted(models.keys() - args.interface_token_lists.keys()):
        raise ConfigError(f"--interface_bpemodels {name} has no --interface_token_lists {name}")
    return {
        name: TextCodec(
            token_type="bpe" if name in models else "phn",
            tokens=_token_list(tokens),
            model=_path(models.get(name)),
        )
        for name, tokens in args.interface_token_lists.items()
    }


def _path(name: str | None) -> Path | None:
    """Of a sentencepiece model, if there is one."""
    if name is not None and not Path(name).is_file():
        raise ConfigError(f"no sentencepiece model at {name}: run stage 5 first, or mend the name")
    return None if name is None else Path(name)


def _is_first(args: argparse.Namespace) -> bool:
    """Whether this process writes the files; torchrun and Slurm tell the rank in the environment."""
    return not args.distributed or get_rank(args.dist_rank, args.dist_launcher) == 0


def _start_logging(args: argparse.Namespace) -> None:
    """As ESPnet's `main_worker` would, but before what is said of the parts: the first word sets the level for good."""
    process = os.uname().nodename.split(".")[0]
    if args.distributed:
        rank = get_rank(args.dist_rank, args.dist_launcher)
        process += f":{rank}/{get_world_size(args.dist_world_size, args.dist_launcher)}"
    logging.basicConfig(
        level=args.log_level if _is_first(args) else "ERROR",
        format=f"[{process}] %(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s",
    )


def _check(args: argparse.Namespace) -> None:
    """Find the configuration's mistakes before anything is written; takes no memory, no random number."""
    others = {name: _token_list(tokens) for name, tokens in args.interface_token_lists.items()}
    with without_memory():
        chain = build_chain(
            {**vars(args), "interface_token_lists": others},
            source_size=len(_source_tokens(args)),
            target_size=len(_token_list(args.token_list)),
        )
    if getattr(chain.encoder, "needs_statistics", False) and not (
        args.feats_stats or args.pretrained_encoder
    ):
        raise ConfigError(
            "normalisation=global needs the training set's statistics: give --feats_stats, which stage 10 wrote, or "
            "take normalisation=utterance"
        )
    _check_imagined(args)
    check_training(args, chain)
    _check_rate(args)
    wanted = chain.encoder.source
    for option in ("train", "valid"):
        given = [name for _, name, _ in getattr(args, f"{option}_data_path_and_name_and_type")]
        if given and wanted not in given:
            raise ConfigError(
                f"--encoder {args.encoder} reads {wanted}, but --{option}_data_path_and_name_and_type "
                f"names {', '.join(given)}"
            )
        for name in chain.interface_targets():
            if given and name not in given:
                raise ConfigError(
                    f"an interface learns {name}, but --{option}_data_path_and_name_and_type names "
                    f"{', '.join(given)}: name the tokens' text there, too"
                )


def _check_imagined(args: argparse.Namespace) -> None:
    """It writes what it reads, so the two lists must be one."""
    if args.encoder != "imagined":
        return
    name = args.chain_conf.get("encoder_target", "text")
    codecs = _codecs(args)
    if Interface.of(codecs["src_text"]) != Interface.of(codecs[name]):
        raise ConfigError(
            f"an imagined encoder writes the tokens that it reads, but --src_token_list and {name} differ: name the "
            "same list for both (recipes: --src_token_listdir and --interface_listdir, or --token_listdir)"
        )


def _check_rate(args: argparse.Namespace) -> None:
    """Look at the first recording; ESPnet checks that the others are like it."""
    sound = sound_of(vars(args))
    given = [*args.train_data_path_and_name_and_type, *args.valid_data_path_and_name_and_type]
    for path in [path for path, _, kind in given if kind == "sound" and sound is not None]:
        assert sound is not None
        first = next(iter(read_text(path).values()), "")
        if not Path(first).is_file():
            continue  # in an archive; what is missing has been told
        rate = read_sound(Utterance("", first, first))[1]
        if rate != sound.sample_rate:
            raise ConfigError(
                f"{first} has {rate} Hz, and the encoder hears {sound.sample_rate}: give its encoder_conf "
                f"sample_rate={rate}, or prepare the data with --fs {sound.sample_rate}"
            )


def _describe(args: argparse.Namespace, parts: Mapping[str, list[Part]]) -> None:
    """Write interface.yaml and the tokenizers' models into the experiment folder."""
    folder = Path(args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    codecs = _codecs(args)
    for option, name in MODELS.items():
        if getattr(args, option) and ("src_text" in codecs or option == "bpemodel"):
            shutil.copyfile(getattr(args, option), folder / name)
    for name, model in args.interface_bpemodels.items():
        shutil.copyfile(model, folder / interface_model(name))
    reads = parse(INGESTORS[args.ingestor], args.ingestor_conf, "ingestor_conf")
    dataclasses.replace(
        _tokens(args, ""),
        case=args.case,
        punctuation=args.punctuation,
        ingestor=args.ingestor if args.system == "lego" else "none",
        beam=getattr(reads, "beam", None),
        positions_per_token=_positions_per_token(args),
        provenance={
            "training_set": [path for path, *_ in args.train_data_path_and_name_and_type],
            "date": datetime.date.today().isoformat(),
            "revision": revision(),
            "source_tokenizer_sha256": (
                file_sha256(_path(args.src_bpemodel)) if "src_text" in codecs else None
            ),
            "parents": parents(parts, replaces_source=args.replace_source),
            **_heard(args, parts["encoder"]),
            **({} if args.ctc_weight else {"ctc_weight": 0.0}),
        },
    ).save(folder / "interface.yaml")


def _tokens(args: argparse.Namespace, prefix: str) -> Interface:
    """The token list and tokenizer of the target, or with `src_` of the source."""
    return Interface.of(_codec(args, prefix))


def _report_frozen(args: argparse.Namespace, parts: Mapping[str, list[Part]]) -> None:
    """Check the checkpoints against the parts that training started from."""
    for kind in args.freeze:
        check_frozen(Path(args.output_dir), named_weights(parts, kind))
        for part in parts[kind]:
            logging.info("frozen: %s %s unchanged, SHA-256 %s", kind, part.name, part.sha256())


def _shapes(args: argparse.Namespace) -> dict[str, Path]:
    """Of the training set, by name; recipes add an ending, `text_shape.bpe`."""
    return {Path(path).name.split(".")[0]: Path(path) for path in args.train_shape_file}


def _heard(args: argparse.Namespace, before: list[Part]) -> dict[str, float]:
    """How long the recordings are that the encoder has been trained on, `before` and now, where that is known."""
    sound, shape = sound_of(vars(args)), _shapes(args).get("speech_shape")
    if sound is None:
        return {}
    known = [float(part.provenance.get("longest_seconds") or 0.0) for part in before]
    if shape is not None and "encoder" not in args.freeze:
        known.append(longest_seconds(shape, sound))
    return {"longest_seconds": max(known)} if any(known) else {}


def _positions_per_token(args: argparse.Namespace) -> tuple[float, float, float] | None:
    """K/U at the interface; a hybrid's CTC reads the encoder's states, one position each, see `lent`."""
    shapes = _shapes(args)
    source = "speech_shape" if sound_of(vars(args)) else "src_text_shape"
    if args.system == "attention" or not {source, "text_shape"} <= set(shapes):
        return None
    encoder: Any = parse(ENCODERS[args.encoder], args.encoder_conf, "encoder_conf")
    lego = args.system == "lego"  # only such a chain has length controllers
    bridges = [parse(BridgeConfig, options, "bridge") for options in args.bridges if lego]
    ratio = encoder.length_ratio if lego else 1.0
    ratio *= math.prod(bridge.length_ratio for bridge in bridges)
    low, middle, high = positions_per_token(
        shapes[source], shapes["text_shape"], ratio, sound=sound_of(vars(args))
    )
    spread = getattr(encoder, "spread", 1.0)  # an imagined encoder draws it
    # Where tokens are counted training begins with the ratio's positions. Behind a bridge, or of other tokens, it isn't
    # known how many they become.
    counted = getattr(encoder, "positions_per_token", 0.0)
    if counted and not bridges:
        middle = counted
    return min(low / spread, middle), middle, max(high * spread, middle)
