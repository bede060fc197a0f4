"""Train a chain, or collect the statistics of its data: what stages 10 and 11 run."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legonn.allocator import keep_freed_memory
from legonn.cli import run
from legonn.errors import ConfigError

if TYPE_CHECKING:
    from espnet2.tasks.abs_task import AbsTask

__all__ = ["TrainingCommand", "get_parser", "main"]

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
    return COMMAND.parser()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the task; ESPnet logs to standard error."""
    return COMMAND.run(argv)


def _task() -> type[AbsTask]:
    from legonn.task import LegoTask

    return LegoTask


@dataclass(frozen=True)
class TrainingCommand:
    """What the commands that train have in common.

    Attributes
    ----------
    prog, description : str
        Its name, and what its help says.
    task : callable
        Imports one of ESPnet's tasks, and gives it.
    """

    prog: str
    description: str
    task: Callable[[], type[AbsTask]]

    def parser(self) -> argparse.ArgumentParser:
        """ESPnet's, of this task."""
        from legonn.environment import quiet_imports

        with quiet_imports():
            task = self.task()
        parser: argparse.ArgumentParser = task.get_parser()
        parser.prog, parser.description = self.prog, self.description
        return parser

    def run(self, argv: Sequence[str] | None) -> int:
        """Run the task."""
        _prepare()
        argv = list(sys.argv[1:] if argv is None else argv)
        if argv in ([], ["-h"], ["--help"]):
            file = sys.stdout if argv else sys.stderr
            print(self.description, file=file)
            print(
                f"All arguments: {self.prog} --help_all (takes some seconds: it asks ESPnet)",
                file=file,
            )
            return 0 if argv else 2
        parser = self.parser()
        if argv == ["--help_all"]:
            parser.print_help()
            return 0
        legal = {action.dest for action in parser._actions}
        with tempfile.TemporaryDirectory() as folder:
            args = parser.parse_args(_resolve_config(argv, Path(folder), legal, self.prog))
        given, _ = _config_option().parse_known_args(argv)
        args.config = given.config
        self.task().main(args=args)
        return 0


COMMAND = TrainingCommand("legonn train", DESCRIPTION, _task)


def _prepare() -> None:
    """What must be set before torch's first product."""
    # oneDNN compiles a kernel for each new shape and keeps 1,024: an epoch of text batches has some
    # 20,000, and compiling them anew took a quarter of the training time. Read at torch's first product.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "40000")
    keep_freed_memory()


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
