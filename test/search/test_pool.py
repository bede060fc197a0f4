"""Processes that decode: their order, and what is told when one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from legonn.errors import LegonnError
from legonn.factory import build_chain
from legonn.search import DecodingOptions, Pool
from legonn.system import System

PART = {"width": 16, "heads": 2, "feedforward": 32}
CONFIG = {"encoder_conf": PART, "decoder_conf": {**PART, "layers": 1}}


def test_batches_come_back_in_their_order() -> None:
    """Told apart by the length of what they give, which is as many tokens as there are positions."""
    load = partial(build_chain, CONFIG, source_size=7, target_size=7)
    options = DecodingOptions(mode="greedy", maxlenratio=1.0, minlenratio=1.0)
    batches = [[torch.tensor([2] * length)] * 2 for length in (1, 2, 3, 5, 8)]
    with Pool(load, options, aligned=True, processes=2) as pool:
        found = list(pool(batches))
    chain = load().eval()
    positions = [int(chain.encode(b[0][None], torch.tensor([len(b[0])])).lengths) for b in batches]
    assert [[len(rows[0].ids) for rows in batch] for batch in found] == [[n, n] for n in positions]
    assert len(set(positions)) == 5


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (partial(System.load, "absent"), "^absent: no such folder; mend the name$"),
        (partial(int, "x"), "^a decoding process failed: ValueError: invalid literal"),
        (dict, "^a decoding process failed: AttributeError: 'dict' object has no attribute"),
        (partial(os._exit, 3), "^a decoding process died.*fewer --num_processes"),
    ],
)
def test_what_goes_wrong_in_a_process_is_told(load: Callable[[], Any], message: str) -> None:
    with (
        pytest.raises(LegonnError, match=message),
        Pool(load, DecodingOptions(), processes=1) as pool,
    ):
        list(pool([[torch.tensor([2])]]))


ORPHAN = """
import os, signal, time
from functools import partial
import torch
from legonn.search import DecodingOptions, Pool
pool = Pool(partial(time.sleep, 900), DecodingOptions(), processes=1)
pool([[torch.tensor([2])]])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_leave_when_their_parent_is_killed() -> None:
    """They hold its standard output, which ends when the last of them has left."""
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL
