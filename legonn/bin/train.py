"""Train a chain, or collect the statistics of its data: what stages 10 and 11 run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from legonn.cli import run

__all__ = ["get_parser", "main"]

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
    from legonn.environment import quiet_imports

    with quiet_imports():
        from legonn.task import LegoTask
    parser: argparse.ArgumentParser = LegoTask.get_parser()
    parser.description = DESCRIPTION
    parser.prog = "legonn train"
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the task; ESPnet logs to standard error."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv in (["-h"], ["--help"]):
        print(DESCRIPTION)
        print("All arguments: legonn train --help_all (takes some seconds: it asks ESPnet)")
        return 0
    parser = get_parser()
    if argv == ["--help_all"]:
        parser.print_help()
        return 0
    from legonn.task import LegoTask

    LegoTask.main(args=parser.parse_args(argv))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
