"""ESPnet's task of language models, with this package's Trainer."""

from __future__ import annotations

from espnet2.tasks.lm import LMTask

from legonn.trainer import LegoTrainer

__all__ = ["LanguageModelTask"]


class LanguageModelTask(LMTask):
    """Whose checkpoints are whole or absent, and are read as tensors alone."""

    trainer = LegoTrainer
