"""A chain small enough to build in each test, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from legonn.chain import Chain

VOCABULARY = 7


@pytest.fixture
def make_chain() -> Callable[..., Chain]:
    """Builds a chain of width 16 in evaluation mode; options override the configuration."""

    def make(seed: int = 0, **options: Any) -> Chain:
        from legonn.factory import build_chain

        torch.manual_seed(seed)
        part = {"width": 16, "heads": 2, "feedforward": 32}
        config = {
            "encoder_conf": {**part, "layers_before": 1, "layers_after": 1},
            "ingestor_conf": {"layers": 1},
            "decoder_conf": {**part, "layers": 2, "tie_output": False},
            **options,
        }
        chain = build_chain(config, source_size=VOCABULARY, target_size=VOCABULARY).eval()
        with torch.no_grad():  # random weights alone give nearly uniform distributions
            for parameter in chain.parameters():
                if parameter.dim() == 2:
                    parameter.mul_(2)
        return chain

    return make
