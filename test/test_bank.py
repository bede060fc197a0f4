"""Cuttings of marginals: where they are cut, which are drawn, and what is no bank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from legonn.bank import FEW, Cuttings, MarginalBank
from legonn.errors import ConfigError

TOKENS = ("<blank>", "a", "b", "c", "<sos/eos>")
V = len(TOKENS)


def certain(*path: int, mark: float = 0.9) -> Tensor:
    """Log-probabilities (K, V) whose best tokens these are."""
    probs = torch.full((len(path), V), (1 - mark) / (V - 1))
    probs[range(len(path)), list(path)] = mark
    return probs.log()


def spans(bank: MarginalBank) -> dict[tuple[int, int, int], list[list[int]]]:
    """By (before, token, after) the best path of each cutting."""
    found: dict[tuple[int, int, int], list[list[int]]] = {}
    for key, start, end in zip(
        bank.keys.tolist(), bank.starts[:-1].tolist(), bank.starts[1:].tolist(), strict=True
    ):
        context = key % V, key // V**2, key // V % V
        found.setdefault(context, []).append(bank.ids[start:end, 0].tolist())
    return found


def test_blanks_between_two_tokens_are_shared_and_all_positions_are_somewhere() -> None:
    cuttings = Cuttings(TOKENS)
    cuttings.add(certain(0, 1, 1, 0, 0, 0, 2, 3, 0), [1, 2, 3], [(1, 2), (6, 6), (7, 7)])
    found = spans(cuttings.bank())
    assert found[4, 1, 2] == [[0, 1, 1, 0]]  # of three blanks one, and two
    assert found[1, 2, 3] == [[0, 0, 2]]
    assert found[2, 3, 4] == [[3, 0]]
    # What was nowhere has one cutting without doubt.
    assert found[4, 0, 4] == [[0, 0]] and found[4, 4, 4] == [[4, 0]]
    assert sum(map(len, found.values())) == 5


def test_drawn_marginals_are_the_cuttings_one_after_the_other() -> None:
    cuttings = Cuttings(TOKENS)
    cuttings.add(certain(1, 1, 2, mark=0.8), [1, 2], [(0, 1), (2, 2)])
    cuttings.add(certain(0, 3, mark=0.7), [3], [(1, 1)])
    texts = torch.tensor([[1, 2, 3], [3, -1, -1], [0, 0, 0]])
    drawn = cuttings.bank().draw(texts, torch.tensor([3, 1, 0]))
    assert drawn.lengths.tolist() == [5, 2, 1]
    assert drawn.greedy()[:2] == [[1, 2, 3], [3]]
    probs = drawn.probs()
    golden = torch.cat([certain(1, 1, 2, mark=0.8), certain(0, 3, mark=0.7)]).exp()
    torch.testing.assert_close(probs[0], golden, atol=1e-3, rtol=0)
    torch.testing.assert_close(probs[1, :2], golden[3:], atol=1e-3, rtol=0)


def test_what_the_best_tokens_leave_is_shared_by_all() -> None:
    cuttings = Cuttings(TOKENS, best=2)
    probs = torch.tensor([[0.05, 0.6, 0.2, 0.1, 0.05]])
    cuttings.add(probs.log(), [1], [(0, 0)])
    bank = cuttings.bank()
    assert bank.ids.shape == bank.log_probs.shape == (len(bank.ids), 2)
    drawn = bank.draw(torch.tensor([[1]]), torch.tensor([1])).probs()[0, 0]
    rest = 0.2 / V
    expected = [rest, 0.6 + rest, 0.2 + rest, rest, rest]
    assert drawn.tolist() == pytest.approx(expected, abs=1e-3)


def bank_of_contexts() -> MarginalBank:
    """Cuttings of b that are told apart by their number of positions: 2 after a, 3 after c, 4 after a and before c."""
    cuttings = Cuttings(TOKENS)
    for _ in range(FEW):
        cuttings.add(certain(1, 2, 2), [1, 2], [(0, 0), (1, 2)])
        cuttings.add(certain(3, 2, 2, 2), [3, 2], [(0, 0), (1, 3)])
    for _ in range(FEW - 1):
        cuttings.add(certain(1, 2, 2, 2, 2, 3), [1, 2, 3], [(0, 0), (1, 4), (5, 5)])
    return cuttings.bank()


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ([1, 2], {2}),  # both neighbours as in enough cuttings
        ([3, 2], {3}),
        ([1, 2, 3], {2, 3, 4}),  # one cutting too few in this context: any
    ],
)
def test_cuttings_are_drawn_from_their_context_if_there_are_enough(
    text: list[int], sizes: set[int]
) -> None:
    torch.manual_seed(0)
    bank, seen = bank_of_contexts(), set()
    for _ in range(100):
        drawn = bank.draw(torch.tensor([text]), torch.tensor([len(text)]))
        path = drawn.log_probs[0].argmax(dim=-1).tolist()
        seen.add(path.count(2))
    assert seen == sizes


def test_the_same_generator_draws_the_same() -> None:
    bank = bank_of_contexts()
    texts, lengths = torch.tensor([[1, 2, 3, 2, 2]] * 4), torch.tensor([5, 4, 5, 3])
    first, second = (
        bank.draw(texts, lengths, torch.Generator().manual_seed(seed)).log_probs for seed in (3, 3)
    )
    assert torch.equal(first, second)


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    bank = bank_of_contexts()
    bank.save(tmp_path / "bank")
    loaded = MarginalBank.load(tmp_path / "bank")
    assert loaded.tokens == bank.tokens
    for name in ("keys", "starts", "ids", "log_probs"):
        assert torch.equal(getattr(loaded, name), getattr(bank, name))


def changed(**tensors: Any) -> MarginalBank:
    bank = bank_of_contexts()
    values = {
        name: getattr(bank, name) for name in ("tokens", "keys", "starts", "ids", "log_probs")
    }
    return MarginalBank(**{**values, **tensors})


@pytest.mark.parametrize(
    "bank",
    [
        changed(keys=bank_of_contexts().keys.flip(0)),
        changed(keys=bank_of_contexts().keys + V**2),
        changed(starts=bank_of_contexts().starts * 2),
        changed(starts=bank_of_contexts().starts[1:]),
        changed(ids=bank_of_contexts().ids + 1),
        changed(ids=bank_of_contexts().ids.long()),
        changed(log_probs=bank_of_contexts().log_probs[:-1]),
        changed(tokens=TOKENS[:-1]),
    ],
)
def test_a_damaged_one_is_refused(bank: MarginalBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank")
    with pytest.raises(ConfigError, match="bank is a damaged bank of marginals: make it anew"):
        MarginalBank.load(tmp_path / "bank")


@pytest.mark.parametrize("content", [None, b"", b"<html>", b"\x08\0\0\0\0\0\0\0{}      "])
def test_something_else_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "bank").write_bytes(content)
    with pytest.raises(ConfigError, match="bank is no bank of marginals: make one with"):
        MarginalBank.load(tmp_path / "bank")
