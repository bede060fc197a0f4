"""The options by which a command says how to decode, and on what."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from legonn.errors import ConfigError
from legonn.search.options import MODES, DecodingOptions, read_mapping

__all__ = ["add_decoding_options", "add_device_options", "decoding_options", "prepare_device"]

OPTION_HELP = {
    "mode": "beam search with the decoder (attention), or with it and the last interface's CTC (joint); joint where an "
    "interface was learned with CTC, else attention (auto); the decoder's "
    "best token at each step (greedy); that interface alone, its best path (ctc_greedy) or its most probable outputs "
    "(ctc_beam); or these, scored again by the decoder (rescore)",
    "beam_size": "hypotheses kept at each step, or in ctc_beam and rescore at each position",
    "length_penalty": "finished hypotheses compare by score / tokens**X; 0 favours short ones",
    "length_bonus": "added to a hypothesis's score for each token, in modes attention and joint (ESPnet's penalty)",
    "ctc_weight": "of the CTC score in modes joint and rescore, 0 to below 1",
    "ensemble_weights": "with --ensemble, of the decoders' scores: one number for the system, then one for each "
    "--ensemble; only their proportions count",
    "lm_weight": "with --lm, of the language model's score, which is added to the others'",
    "maxlenratio": "most tokens a position the decoder reads; negative: a count; 0: twice the positions and ten more",
    "minlenratio": "fewest tokens a position the decoder reads; negative: a count",
    "nbest": "hypotheses of each line, <n>best_recog",
    "pre_beam_ratio": "in mode joint, X * beam_size next tokens of the decoder's choice are looked at",
    "ctc_beam_ratio": "and X * beam_size of CTC's choice; in ctc_beam and rescore so many of each position",
    "patience": "done when X * beam_size hypotheses are; 0: when no better one can come",
    "batch_size": "inputs of similar length searched together",
    "batch_tokens": "most of them by memory: positions of the longest x beam_size x inputs; 0: no such limit. Where "
    "memory runs out all the same a batch is decoded in halves",
    "precision": "fp32, bf16, int8 (weights and inputs of linear layers, on a CPU), or auto: bf16 where the processor "
    "is fast at it",
}


def add_decoding_options(group: Any, *, without: Sequence[str] = (), **other_help: str) -> None:
    """Describe them, all but those in `without`; `other_help` says by name what one means to this command."""
    group.add_argument("--config", metavar="F", help="YAML file of the options below")
    for field in dataclasses.fields(DecodingOptions):
        if field.name in without:
            continue
        meaning = {**OPTION_HELP, **other_help}[field.name]
        several = isinstance(field.default, tuple)
        group.add_argument(
            f"--{field.name}",
            type=float if several else type(field.default),
            nargs="+" if several else None,
            choices=MODES if field.name == "mode" else None,
            help=f"{meaning} (default: {'all the same' if several else field.default})",
        )


def add_device_options(group: Any) -> None:
    """Describe what it runs on."""
    group.add_argument(
        "--num_threads", type=int, default=1, help="of each process (default: %(default)s)"
    )
    group.add_argument(
        "--ngpu", type=int, default=0, choices=(0, 1), help="1: on the GPU (default: %(default)s)"
    )


def decoding_options(args: argparse.Namespace) -> DecodingOptions:
    """What `--config` says, and the options that were given.

    Raises
    ------
    ConfigError
        As `DecodingOptions.load`; for a weight of a language model that isn't named.
    """
    names = [field.name for field in dataclasses.fields(DecodingOptions)]
    values = {name: getattr(args, name, None) for name in names}
    given = {name: value for name, value in values.items() if value is not None}
    options = DecodingOptions.load(args.config, given)
    if getattr(args, "lm", None) is None:
        if "lm_weight" in given:
            raise ConfigError("--lm_weight is of a language model: name it with --lm EXP")
        if args.config is not None and "lm_weight" in read_mapping(Path(args.config)):
            named = "name it with --lm EXP (recipes: --pretrained_lm, or --use_lm true), or "
            raise ConfigError(
                f"{args.config} has an lm_weight, of a language model: {named if hasattr(args, 'lm') else ''}take a "
                "configuration without"
            )
    return options


def prepare_device(args: argparse.Namespace) -> None:
    """Set the calling thread's number of threads, and look for the GPU that is wanted.

    Raises
    ------
    ConfigError
        If there is none.
    """
    import torch

    if args.ngpu and not torch.cuda.is_available():
        raise ConfigError("--ngpu 1: PyTorch finds no GPU here; leave it out to decode on the CPU")
    torch.set_num_threads(args.num_threads)
