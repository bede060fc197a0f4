"""ESPnet's task of language models, with this package's Trainer."""

from __future__ import annotations

import argparse

from espnet2.tasks.lm import LMTask

from legonn.trainer import LegoTrainer, refuse_init_param

__all__ = ["LanguageModelTask"]


class LanguageModelTask(LMTask):
    """Whose checkpoints are whole or absent, and are read as tensors alone."""

    trainer = LegoTrainer

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Train, or collect statistics."""
        refuse_init_param(args)
        super().main_worker(args)
