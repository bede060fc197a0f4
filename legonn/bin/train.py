"""Train a chain, or collect the statistics of its data: what stages 10 and 11 run."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from legonn.allocator import keep_freed_memory
from legonn.cli import run
from legonn.errors import ConfigError

if TYPE_CHECKING:
    from espnet2.tasks.abs_task import AbsTask

__all__ = ["get_parser", "main", "run_task"]

DESCRIPTION = """Train a LegoNN chain or a plain encoder-decoder with ESPnet's Trainer.

The arguments are those of every ESPnet task (config, optimiser, batches, distributed launch) plus the
chain's own: --system, --encoder, --ingestor, --decoder, each with _conf, --ctc_weight, --precision, and
the token lists. The recipes' stage 11 types them for you:
    cd egs/numbers/lego1 && ./run.sh --stage 11 --stop_stage 11
Without a recipe:
    legonn train --config conf/train.yaml --output_dir exp/x --src_token_list ... --token_list ... \\
        --train_data_path_and_name_and_type text.de,src_text,text ...
"""


def get_parser() -> argparse.ArgumentParser:
    """ESPnet's parser, with the chain's arguments in front."""
    parser: argparse.ArgumentParser = _task().get_parser()
    parser.description = DESCRIPTION
    parser.prog = "legonn train"
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the task; ESPnet logs to standard error."""
    return run_task(_task, get_parser, argv, prog="legonn train", description=DESCRIPTION)


def _task() -> type[AbsTask]:
    from legonn.environment import quiet_imports

    with quiet_imports():
        from legonn.task import LegoTask
    return LegoTask


def run_task(
    task: Callable[[], type[AbsTask]],
    get_parser: Callable[[], argparse.ArgumentParser],
    argv: Sequence[str] | None,
    *,
    prog: str,
    description: str,
) -> int:
    """What the commands that train have in common: `task` imports one of ESPnet's, which `get_parser` describes."""
    # oneDNN compiles a kernel for each new shape and keeps 1,024: an epoch of text batches has some
    # 20,000, and compiling them anew took a quarter of the training time. Read at torch's first product.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "40000")
    keep_freed_memory()
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv in (["-h"], ["--help"]):
        print(description)
        print(f"All arguments: {prog} --help_all (takes some seconds: it asks ESPnet)")
        return 0
    parser = get_parser()
    if argv == ["--help_all"]:
        parser.print_help()
        return 0
    legal = {action.dest for action in parser._actions}
    with tempfile.TemporaryDirectory() as folder:
        args = parser.parse_args(_resolve_config(argv, Path(folder), legal, prog))
    given, _ = _config_option().parse_known_args(argv)
    args.config = given.config
    task().main(args=args)
    return 0


def _config_option() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=str)
    return parser


def _resolve_config(argv: list[str], folder: Path, legal: Collection[str], prog: str) -> list[str]:
    """ESPnet's parser reads one YAML file: give it one without `base`, and with legal keys only."""
    given, rest = _config_option().parse_known_args(argv)
    if given.config is None:
        return argv
    import yaml

    from legonn.config import read_config

    config = read_config(Path(given.config))
    for key in config:
        if key not in legal:
            near = difflib.get_close_matches(str(key), legal, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"see {prog} --help_all"
            raise ConfigError(f"{given.config} has no option {key!r}; {hint}")
    path = folder / Path(given.config).name
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return ["--config", str(path), *rest]


if __name__ == "__main__":
    raise SystemExit(run(main))
