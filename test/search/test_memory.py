"""Batches within a budget, and halves of those that memory doesn't hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from legonn.chain import Chain
from legonn.ensemble import Ensemble
from legonn.errors import LegonnError
from legonn.factory import build_chain
from legonn.search.memory import Halving, batches, is_out_of_memory, positions


def test_batches_hold_similar_lengths_and_leave_out_the_empty() -> None:
    assert list(batches([3, 2, 0, 3, 2, 3, 1], 2)) == [[6, 1], [4, 0], [3, 5]]
    assert list(batches([0, 0], 2)) == []


def test_a_batch_costs_its_inputs_times_the_dearest() -> None:
    lengths = [1, 2, 2, 3, 5, 9]
    costs = [10 * length for length in lengths]
    parts = list(batches(lengths, 4, costs=costs, budget=60))
    assert parts == [[0, 1, 2], [3], [4], [5]]  # 3 x 20; 2 x 50 is too much; 90 alone is, too
    assert list(batches(lengths, 2, costs=costs, budget=60)) == [[0, 1], [2, 3], [4], [5]]


@pytest.mark.parametrize(
    ("ratio", "bridges", "expected"),
    [(2.0, [], [6, 10]), (0.5, [], [3, 5]), (0.5, [{"length_ratio": 4.0}], [8, 12])],
)
def test_positions_are_the_most_that_there_are_anywhere(
    make_chain: Callable[..., Chain], ratio: float, bridges: list[Any], expected: list[int]
) -> None:
    part = {"width": 16, "heads": 2, "feedforward": 32}
    chain = make_chain(
        encoder_conf={**part, "length_ratio": ratio},
        bridges=[{**part, **bridge} for bridge in bridges],
    )
    assert positions(chain, [3, 5]) == expected
    lengths = torch.tensor([3, 5])
    encoded = chain.encode(torch.full((2, 5), 2), lengths)
    crossed = torch.stack([lengths, *(m.lengths for m in encoded.marginals)])
    assert crossed.amax(dim=0).tolist() == expected


def test_positions_of_an_ensemble_are_those_of_all_members(
    make_chain: Callable[..., Chain],
) -> None:
    part = {"width": 16, "heads": 2, "feedforward": 32}
    few, many = (make_chain(encoder_conf={**part, "length_ratio": ratio}) for ratio in (0.5, 3.0))
    assert positions(Ensemble(few, [many, many]), [3, 5]) == [3 + 9 + 9, 5 + 15 + 15]


@pytest.mark.parametrize(("options", "most"), [({}, 1), ({"positions_per_token": 2.0}, 2)])
def test_positions_of_sound_are_of_states(options: dict[str, float], most: int) -> None:
    """Where tokens are counted there may be twice the ratio's."""
    part = {"width": 16, "heads": 2, "feedforward": 32}
    config = {"encoder": "speech", "encoder_conf": {**part, "length_ratio": 1.0, **options}}
    chain = build_chain(
        {**config, "decoder_conf": {**part, "layers": 1}}, source_size=0, target_size=7
    ).eval()
    samples = [16000, 48000]
    states, counts = chain.encoder.hear(torch.zeros(2, 48000), torch.tensor(samples))
    assert positions(chain, samples) == (most * counts).tolist()
    assert states.size(1) == max(counts.tolist())


class Starved:
    """Has memory for so many tokens, padding too; gives each input's length."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error = room, error
        self.sizes: list[int] = []

    def __call__(self, sources: Sequence[Tensor]) -> Any:
        self.sizes.append(len(sources))
        if len(sources) * max(map(len, sources)) > self.room:
            raise self.error
        return [len(source) for source in sources]


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_halves_are_decoded_in_order_and_told_once(error: Exception) -> None:
    told: list[str] = []
    starved = Starved(12, error)
    halving: Any = Halving(starved, told.append)
    sources = [torch.zeros(length) for length in (1, 2, 3, 4, 5, 6)]
    assert halving(sources) == [1, 2, 3, 4, 5, 6]
    assert starved.sizes == [6, 3, 3, 1, 2]  # 36, 9, 18, 4, 12
    assert len(told) == 1
    assert told[0].startswith("warning: not enough memory for 6 inputs together")
    assert halving(sources) == [1, 2, 3, 4, 5, 6]
    assert starved.sizes[5:] == [3, 1, 2]  # what is as large as one that failed isn't tried
    assert len(told) == 1


def test_an_input_that_does_not_fit_alone_is_an_error() -> None:
    halving = Halving(Starved(4, MemoryError()), lambda message: None)
    with pytest.raises(LegonnError, match="one input of length 5 .* smaller --beam_size, or split"):
        halving([torch.zeros(2), torch.zeros(5)])


def test_other_errors_pass() -> None:
    halving = Halving(Starved(0, RuntimeError("shapes differ")), lambda message: None)
    with pytest.raises(RuntimeError, match="shapes differ"):
        halving([torch.zeros(2), torch.zeros(5)])


def test_what_pytorch_says_without_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(ValueError("not enough memory"))
