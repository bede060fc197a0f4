"""Train a language model, or collect the lengths of its text: what stages 6 and 7 run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from legonn.bin.train import TrainingCommand
from legonn.cli import run

if TYPE_CHECKING:
    from espnet2.tasks.abs_task import AbsTask

__all__ = ["get_parser", "main"]

DESCRIPTION = """Train one of ESPnet's language models, which then scores along where a system decodes (--lm).

The arguments are those of espnet2.bin.lm_train; what differs is that it can be killed at any moment and goes on with
--resume true, and that --config may have a base. The recipes' stages 6 to 8 type them for you:
    cd egs/multi30k/lego1 && ./run.sh --use_lm true --stage 6 --stop_stage 8
Without a recipe:
    legonn train_lm --config conf/train_lm.yaml --output_dir exp/lm --token_list ... --bpemodel ... \\
        --train_data_path_and_name_and_type text.en,text,text ...
"""


def get_parser() -> argparse.ArgumentParser:
    """ESPnet's parser."""
    return COMMAND.parser()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the task; ESPnet logs to standard error."""
    return COMMAND.run(argv)


def _task() -> type[AbsTask]:
    from legonn.lm_task import LanguageModelTask

    return LanguageModelTask


COMMAND = TrainingCommand("legonn train_lm", DESCRIPTION, _task)


if __name__ == "__main__":
    raise SystemExit(run(main))
