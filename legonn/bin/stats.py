"""Positions per token of a training set, and whether CTC can emit it: the end of stage 10."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from legonn.cli import run

if TYPE_CHECKING:
    from legonn.audio.source import Sound

__all__ = ["get_parser", "main"]

LIMIT = 0.01


def get_parser() -> argparse.ArgumentParser:
    """Arguments of `legonn stats`."""
    parser = argparse.ArgumentParser(
        prog="legonn stats",
        description="Print how many interface positions each target token gets, and the length ratio that can "
        "emit 99.9 % of the training set; refuse a ratio that can't emit more than 1 % of it.",
    )
    parser.add_argument("--stats_dir", type=Path, help="of stage 10, with train/*_shape")
    parser.add_argument(
        "--config", type=Path, help="training YAML: its encoder's length_ratio is checked"
    )
    parser.add_argument(
        "--lego_args",
        default="",
        metavar="'...'",
        help="more of training's arguments, as recipes have them: --system, --encoder, --encoder_conf and --chain_conf "
        "count here",
    )
    parser.add_argument(
        "--pretrained_encoder",
        metavar="M",
        help="a module, hf:owner/name, or an experiment: check its encoder's, in place of the config's",
    )
    parser.add_argument(
        "--pretrained_bridge", metavar="M", help="the same of the bridge behind it, if there is one"
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="F.svg",
        help="draw positions per token before and behind the length controller, of --of",
    )
    parser.add_argument(
        "--of",
        action="append",
        default=[],
        metavar="NAME=STATS_DIR:CONFIG",
        help="a training set and its training YAML, for --plot; give it once for each",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each interface, print, write <stats_dir>/length_stats.json."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if bool(args.plot) != bool(args.of):
        parser.error("--plot takes what it draws from --of, and --of is for --plot")
    if not args.plot and not args.stats_dir:
        parser.error("give --stats_dir, or --plot and --of")
    if args.plot:
        return _plot(args.plot, args.of)
    from legonn.data.atomic import write_atomic
    from legonn.data.lengths import measure_lengths
    from legonn.errors import DataError

    config = _config(args)
    ratio, sound = _encoder(config)
    stages = _interfaces(config, ratio)
    totals = list(itertools.accumulate((own for _, own, _ in stages), operator.mul))
    found = [
        measure_lengths(args.stats_dir / "train", total, target, sound=sound)
        for (target, *_), total in zip(stages, totals, strict=True)
    ]
    write_atomic(
        args.stats_dir / "length_stats.json",
        json.dumps([dataclasses.asdict(stats) for stats in found], indent=2) + "\n",
    )
    for (target, own, option), stats in zip(stages, found, strict=True):
        name = "" if target == "text" else f", {target}"
        least = _rounded_up(stats.covering_ratio * own / stats.ratio)
        low, middle, high = stats.positions_per_token
        print(
            f"length ratio {own:g}{name}: {low:.2f} / {middle:.2f} / {high:.2f} positions a token (1, 50, 99 %); "
            f"{stats.infeasible:.2%} of {stats.utterances} targets can't be emitted; ratio {least:.2f} covers 99.9 %"
        )
        # An imagined encoder makes as many positions as its tokens need.
        checked = config.get("encoder") != "imagined" or stats is not found[0]
        if config.get("system", "lego") == "lego" and checked and stats.infeasible > LIMIT:
            raise DataError(
                f"length_ratio {own:g}{name} leaves {stats.infeasible:.1%} of the training set without enough "
                f"positions for CTC (limit {LIMIT:.0%}). Set {option}: length_ratio to {least:.2f} or more, or filter "
                "these utterances, which need most",
                list(stats.worst),
            )
    return 0


def _interfaces(config: Mapping[str, Any], ratio: float) -> list[tuple[str, float, str]]:
    """Of each interface its target, positions for each one before it, and the option that says so."""
    from legonn.data.lengths import DEFAULT_RATIOS

    target = (config.get("chain_conf") or {}).get("encoder_target", "text")
    bridges = config.get("bridges") or []
    found = [(target, ratio, "encoder_conf")]
    for bridge in bridges:
        own = float(bridge.get("length_ratio", DEFAULT_RATIOS["bridge"]))
        found.append((bridge.get("target", "text"), own, "bridges"))
    return found


def _rounded_up(ratio: float) -> float:
    """To two digits: a ratio that is rounded down doesn't cover what it shall."""
    return math.ceil(100 * ratio - 1e-6) / 100


def _plot(path: Path, given: Sequence[str]) -> int:
    """Draw what `--of` names."""
    from legonn.config import read_config
    from legonn.data.atomic import write_atomic
    from legonn.data.lengths import spread
    from legonn.errors import ConfigError
    from legonn.report.lengths import draw_lengths

    series = {}
    for one in given:
        name, equals, rest = one.partition("=")
        folder, colon, config = rest.rpartition(":")
        if not (name and equals and folder and colon and config):
            raise ConfigError(f"--of {one!r}: give NAME=STATS_DIR:CONFIG")
        ratio, sound = _encoder(read_config(Path(config)))
        series[name] = spread(Path(folder) / "train", ratio, sound=sound)
    write_atomic(path, draw_lengths(series))
    print(f"{path}: {', '.join(series)}")
    return 0


def _config(args: argparse.Namespace) -> Mapping[str, Any]:
    """What training is configured with: by the file, by `--lego_args`, and by the encoder that it starts from."""
    config: dict[str, Any] = {}
    if args.config is not None:
        from legonn.config import read_config

        config = read_config(args.config)
    if args.lego_args:
        config |= vars(_overridden(config, args.lego_args))
    if args.pretrained_encoder or args.pretrained_bridge:
        from legonn.environment import quiet_imports

        with quiet_imports():
            from legonn.part import lent
            from legonn.system import load_part
        if args.pretrained_encoder:
            # What it writes is called as this training calls it.
            target = (config.get("chain_conf") or {}).get("encoder_target", "text")
            config |= lent(load_part(args.pretrained_encoder, "encoder")).config
            config["chain_conf"] = {**(config.get("chain_conf") or {}), "encoder_target": target}
        if args.pretrained_bridge:
            config["bridges"] = [load_part(args.pretrained_bridge, "bridge").config]
    return config


def _overridden(config: Mapping[str, Any], arguments: str) -> argparse.Namespace:
    """What `arguments` leave of the options that matter here, as ESPnet reads them."""
    from espnet2.utils.nested_dict_action import NestedDictAction

    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name, default in (("system", "lego"), ("encoder", "text")):
        parser.add_argument(f"--{name}", default=config.get(name, default))
    for name in ("encoder_conf", "chain_conf"):
        parser.add_argument(f"--{name}", action=NestedDictAction, default=config.get(name) or {})
    return parser.parse_known_args(arguments.split())[0]


def _encoder(config: Mapping[str, Any]) -> tuple[float, Sound | None]:
    """The encoder's length ratio, and what it hears if it does."""
    from legonn.data.lengths import DEFAULT_RATIOS

    options = config.get("encoder_conf") or {}
    kind = config.get("encoder", "text")
    if kind in DEFAULT_RATIOS:
        return float(options.get("length_ratio", DEFAULT_RATIOS[kind])), None
    from legonn.factory import ENCODERS, parse, sound_of  # which import torch

    sound = sound_of(config)
    encoder: Any = parse(ENCODERS[kind], options, "encoder_conf")
    return encoder.length_ratio, sound


if __name__ == "__main__":
    raise SystemExit(run(main))
