"""The options by which a command names a system, trained or composed."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legonn.chain import Chain
    from legonn.system import System

__all__ = [
    "add_system_options",
    "check_system_options",
    "load_chain",
    "load_system",
    "load_with_decoders",
]


def add_system_options(parser: argparse.ArgumentParser, *, together: bool = True) -> None:
    """Describe them, in a group of their own; `together`: several systems may decode as one."""
    group = parser.add_argument_group(
        "system (EXP is an experiment folder, or folder:checkpoint; M may be a module too)"
    )
    group.add_argument("--system", metavar="EXP", help="a trained system")
    group.add_argument("--encoder", metavar="M", help="compose: its encoder, with ...")
    group.add_argument("--bridge", metavar="M", action="append", default=[], help="... bridges")
    group.add_argument("--decoder", metavar="M", help="... and this one's decoder")
    group.add_argument(
        "--checkpoint",
        metavar="F",
        help="of --system, in its folder (default: the average of the best)",
    )
    if together:
        group.add_argument(
            "--ensemble",
            metavar="EXP",
            action="append",
            default=[],
            help="in modes attention and joint another system's decoder scores along, of the same input and tokens "
            "(log-linear; see --ensemble_weights); CTC is the first system's. May be given several times",
        )
        group.add_argument(
            "--lm",
            metavar="EXP",
            help="in modes attention and joint one of ESPnet's language models of the same tokens scores along: a "
            "recipe's stage 7, or espnet2.bin.lm_train (see --lm_weight)",
        )


def check_system_options(args: argparse.Namespace) -> None:
    """Raise a ConfigError unless they name one system."""
    from legonn.errors import ConfigError

    parts = [args.encoder, args.decoder]
    if args.system is not None and not any([*parts, args.bridge]):
        return
    if args.system is None and all(parts) and args.checkpoint is None:
        return
    raise ConfigError(
        "name either --system EXP (and --checkpoint), "
        "or --encoder EXP and --decoder EXP (and --bridge EXP)"
    )


def load_system(args: argparse.Namespace) -> tuple[System, list[str]]:
    """Load or compose it, with what scores along; what fits but was not seen in training comes as warnings."""
    from legonn.environment import quiet_imports

    with quiet_imports():  # which come with the first speech encoder and language model
        from legonn.language_model import LanguageModel
        from legonn.system import System

        system, notes = _load_first(args)
        others = [System.load(spec) for spec in getattr(args, "ensemble", [])]
        if others:
            system = system.with_others(others)
        if getattr(args, "lm", None) is not None:
            system = system.with_language_model(LanguageModel.load(args.lm))
    return system, notes


def _load_first(args: argparse.Namespace) -> tuple[System, list[str]]:
    from legonn.system import System

    if args.system is not None:
        return System.load(args.system, args.checkpoint), []
    return _warned(
        lambda: System.compose(
            encoder=args.encoder, decoder=args.decoder, bridges=tuple(args.bridge)
        )
    )


def load_with_decoders(
    system: System, decoders: Sequence[str]
) -> tuple[dict[str, System], list[str]]:
    """The system with each of these in its decoder's place, by their names; warnings as `load_system`'s."""
    systems: dict[str, System] = {}
    notes: list[str] = []
    for decoder in decoders:
        systems[decoder], more = _warned(partial(system.with_decoder, decoder))
        notes += more
    return systems, notes


def _warned(make: Callable[[], System]) -> tuple[System, list[str]]:
    """What `make` gives, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        system = make()
    return system, [f"warning: {warning.message}" for warning in caught]


def load_chain(args: argparse.Namespace) -> Chain:
    """Its chain alone, for a process that decodes with it; warnings are the parent's."""
    return load_system(args)[0].chain
