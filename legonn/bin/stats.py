"""Positions per token of a training set, and whether CTC can emit it: the end of stage 10."""

from __future__ import annotations

import argparse
import dataclasses
import json
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
        help="more of training's arguments, as recipes have them: --system, --encoder and --encoder_conf count here",
    )
    parser.add_argument(
        "--pretrained_encoder",
        metavar="M",
        help="a module, hf:owner/name, or an experiment: check its encoder's, in place of the config's",
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
    """Measure, print, write <stats_dir>/length_stats.json."""
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
    stats = measure_lengths(args.stats_dir / "train", ratio, sound=sound)
    write_atomic(
        args.stats_dir / "length_stats.json", json.dumps(dataclasses.asdict(stats), indent=2) + "\n"
    )
    low, middle, high = stats.positions_per_token
    print(
        f"length ratio {ratio:g}: {low:.2f} / {middle:.2f} / {high:.2f} positions a token (1, 50, 99 %); "
        f"{stats.infeasible:.2%} of {stats.utterances} targets can't be emitted; "
        f"ratio {stats.covering_ratio:.2f} covers 99.9 %"
    )
    if config.get("system", "lego") == "lego" and stats.infeasible > LIMIT:
        raise DataError(
            f"length_ratio {ratio:g} leaves {stats.infeasible:.1%} of the training set without enough "
            f"positions for CTC (limit {LIMIT:.0%}). Set encoder_conf: length_ratio to "
            f"{stats.covering_ratio:.2f} or more, or filter these utterances, which need most",
            list(stats.worst),
        )
    return 0


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
    if args.pretrained_encoder:
        from legonn.environment import quiet_imports

        with quiet_imports():
            from legonn.part import lent
            from legonn.system import load_part
        config |= lent(load_part(args.pretrained_encoder, "encoder")).config
    return config


def _overridden(config: Mapping[str, Any], arguments: str) -> argparse.Namespace:
    """What `arguments` leave of the options that matter here, as ESPnet reads them."""
    from espnet2.utils.nested_dict_action import NestedDictAction

    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name, default in (("system", "lego"), ("encoder", "text")):
        parser.add_argument(f"--{name}", default=config.get(name, default))
    parser.add_argument(
        "--encoder_conf", action=NestedDictAction, default=config.get("encoder_conf") or {}
    )
    return parser.parse_known_args(arguments.split())[0]


def _encoder(config: Mapping[str, Any]) -> tuple[float, Sound | None]:
    """The encoder's length ratio, and what it hears if it does."""
    options = config.get("encoder_conf") or {}
    if config.get("encoder", "text") in ("text", "imagined"):
        return float(options.get("length_ratio", 1.5)), None
    from legonn.factory import ENCODERS, parse, sound_of  # which import torch

    sound = sound_of(config)
    encoder: Any = parse(ENCODERS[config["encoder"]], options, "encoder_conf")
    return encoder.length_ratio, sound


if __name__ == "__main__":
    raise SystemExit(run(main))
