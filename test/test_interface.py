"""Marginals against every path and PyTorch's own CTC; the contract's checks, word by word."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from legonn.errors import ConfigError, InterfaceMismatch
from legonn.interface import Interface, Marginals, feasible, positions_needed


def ids(*rows: str) -> tuple[Tensor, Tensor]:
    """Targets written as letters, a = 1: "aab" -> 1 1 2, padded with 0 as the chain does."""
    size = max(len(row) for row in rows)
    table = [[ord(c) - ord("a") + 1 for c in row] + [0] * (size - len(row)) for row in rows]
    return torch.tensor(table, dtype=torch.int64).reshape(len(rows), size), lengths(*map(len, rows))


def lengths(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def random_marginals(positions: int, vocabulary: int, batch: int = 1, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(batch, positions, vocabulary, generator=random).log_softmax(-1)


def collapse(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token != 0]


def enumerated(log_probs: Tensor, target: list[int]) -> Tensor:
    """Golden: the sum over all V^K paths that collapse to the target, in double."""
    positions, vocabulary = log_probs.shape
    table = log_probs.double()
    total = [
        sum((table[k, token] for k, token in enumerate(path)), start=table.new_zeros(()))
        for path in itertools.product(range(vocabulary), repeat=positions)
        if collapse(path) == target
    ]
    return -torch.stack(total).logsumexp(0) if total else torch.tensor(0.0)


@pytest.mark.parametrize("target", ["", "a", "b", "ab", "ba", "aa", "bb", "aba", "bab"])
def test_ctc_is_the_sum_over_every_path_at_k3_v3(target: str) -> None:
    log_probs = random_marginals(3, 3)
    loss = Marginals(log_probs, lengths(3)).ctc_loss(*ids(target))
    assert loss.item() == pytest.approx(enumerated(log_probs[0], ids(target)[0][0].tolist()).item())


@pytest.mark.parametrize(
    ("positions", "vocabulary", "target"),
    [(1, 2, "a"), (1, 4, ""), (4, 3, "aab"), (5, 2, "aaa"), (4, 4, "cac"), (5, 3, "abba")],
)
def test_ctc_is_the_sum_over_every_path(positions: int, vocabulary: int, target: str) -> None:
    log_probs = random_marginals(positions, vocabulary, seed=positions)
    loss = Marginals(log_probs, lengths(positions)).ctc_loss(*ids(target))
    # "abba" needs 5 positions, "aaa" too: one path each, or all lost.
    assert loss.item() == pytest.approx(enumerated(log_probs[0], ids(target)[0][0].tolist()).item())


@pytest.mark.parametrize("target", ["ab", "aa", "", "b"])
def test_ctc_gradient_by_the_log_probabilities_is_the_enumerated_one(target: str) -> None:
    """Golden: autograd through the enumeration. PyTorch's CTC gives p - gamma here."""
    log_probs = random_marginals(4, 3)
    wanted = log_probs.clone().double().requires_grad_()
    enumerated(wanted[0], ids(target)[0][0].tolist()).backward()
    ours = log_probs.clone().requires_grad_()
    Marginals(ours, lengths(4)).ctc_loss(*ids(target)).sum().backward()
    assert wanted.grad is not None
    torch.testing.assert_close(ours.grad, wanted.grad.float(), atol=1e-6, rtol=1e-5)


def test_ctc_gradient_is_the_finite_difference() -> None:
    scores = torch.randn(4, 3, generator=torch.Generator().manual_seed(3)).double()
    target = [1, 2]
    ours = scores.float()[None].requires_grad_()
    Marginals(ours.log_softmax(-1), lengths(4)).ctc_loss(*ids("ab")).sum().backward()
    assert ours.grad is not None
    step = 1e-5
    for k, v in itertools.product(range(4), range(3)):
        nudge = torch.zeros(4, 3, dtype=torch.float64)
        nudge[k, v] = step
        up, down = (enumerated((scores + s * nudge).log_softmax(-1), target) for s in (1, -1))
        assert ours.grad[0, k, v].item() == pytest.approx(
            ((up - down) / (2 * step)).item(), abs=1e-5
        )


def both_gradients(
    scores: Tensor, positions: Tensor, targets: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Losses and gradients by the scores: ours, then PyTorch's over all columns."""
    mine, theirs = (scores.clone().requires_grad_() for _ in range(2))
    weights = torch.arange(1.0, len(positions) + 1)  # utterances count differently
    ours = Marginals(mine.log_softmax(-1), positions).ctc_loss(targets, target_lengths)
    (ours * weights).sum().backward()
    golden = functional.ctc_loss(
        theirs.log_softmax(-1).transpose(0, 1),
        targets,
        positions,
        target_lengths,
        reduction="none",
        zero_infinity=True,
    )
    (golden * weights).sum().backward()
    assert mine.grad is not None and theirs.grad is not None
    return ours.detach(), golden.detach(), mine.grad, theirs.grad


def test_a_ragged_batch_has_pytorchs_losses_and_gradients() -> None:
    targets, target_lengths = ids("abcab", "aa", "", "dd", "eeee")
    positions = lengths(9, 4, 3, 2, 7)  # the fourth, "dd" from 2, is infeasible
    scores = torch.randn(5, 9, 6, generator=torch.Generator().manual_seed(1)) * 2
    ours, golden, mine, theirs = both_gradients(scores, positions, targets, target_lengths)
    torch.testing.assert_close(ours, golden)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert ours[3] == 0 and mine[3].abs().max() == 0
    for row, size in enumerate(positions.tolist()):
        assert mine[row, size:].abs().sum() == 0


def test_the_gradient_is_right_where_a_posterior_equals_its_probability() -> None:
    """Uniform over V = 2, "a" from 3: gamma is 1/2 = p at the ends, so p - gamma vanishes."""
    log_probs = torch.full((1, 3, 2), math.log(0.5)).requires_grad_()
    Marginals(log_probs, lengths(3)).ctc_loss(*ids("a")).sum().backward()
    # By eye: of the six paths a--, -a-, --a, aa-, -aa, aaa, `a` stands at 3, 4, 3 of them.
    wanted = -torch.tensor([[[3 / 6, 3 / 6], [2 / 6, 4 / 6], [3 / 6, 3 / 6]]])
    torch.testing.assert_close(log_probs.grad, wanted)


def test_saturated_marginals_have_pytorchs_gradients() -> None:
    scores = torch.zeros(1, 6, 5)
    for position, token in enumerate([0, 1, 1, 0, 2, 0]):
        scores[0, position, token] = 40.0  # p rounds to 1, and so does gamma
    ours, golden, mine, theirs = both_gradients(scores, lengths(6), *ids("ab"))
    torch.testing.assert_close(ours, golden, atol=1e-6, rtol=0)
    torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=0)


def test_padding_of_marginals_and_targets_changes_nothing() -> None:
    log_probs = random_marginals(6, 4)
    alone = Marginals(log_probs[:, :5], lengths(5)).ctc_loss(*ids("abc"))
    padded = Marginals(log_probs, lengths(5)).ctc_loss(torch.tensor([[1, 2, 3, 0, 0]]), lengths(3))
    assert torch.equal(alone, padded)


def test_ctc_without_gradients_gives_the_same_figure() -> None:
    log_probs = random_marginals(5, 4).requires_grad_()
    marginals = Marginals(log_probs, lengths(5))
    with torch.no_grad():
        quiet = marginals.ctc_loss(*ids("ab"))
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, marginals.ctc_loss(*ids("ab")).detach())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_ctc_on_a_gpu_is_that_of_the_cpu() -> None:
    targets, target_lengths = ids("abcab", "aa", "dd")
    positions, scores = lengths(9, 4, 2), torch.randn(3, 9, 6)
    found = []
    for device in ("cpu", "cuda"):
        leaf = scores.to(device).requires_grad_()
        marginals = Marginals(leaf.log_softmax(-1), positions.to(device))
        loss = marginals.ctc_loss(targets.to(device), target_lengths.to(device))
        loss.sum().backward()
        assert leaf.grad is not None
        found.append((loss.detach().cpu(), leaf.grad.cpu()))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_positions_needed_are_the_tokens_and_their_equal_neighbours() -> None:
    targets, target_lengths = ids("abc", "aab", "aaa", "aba", "")
    assert positions_needed(targets, target_lengths).tolist() == [3, 4, 5, 3, 0]
    assert feasible(lengths(3, 3, 5, 2, 1), targets, target_lengths).tolist() == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_equal_padding_is_no_repeat() -> None:
    assert positions_needed(torch.tensor([[1, 2, 0, 0, 0]]), lengths(2)).tolist() == [2]
    assert positions_needed(torch.tensor([[2, 2, 2, 2, 2]]), lengths(2)).tolist() == [3]


@pytest.mark.parametrize("target", ["", "a", "aa", "ab", "aab", "aaa"])
def test_feasible_says_whether_any_path_exists(target: str) -> None:
    wanted = ids(target)[0][0].tolist()
    for positions in range(1, 6):
        paths = itertools.product(range(3), repeat=positions)
        exists = any(collapse(path) == wanted for path in paths)
        assert feasible(lengths(positions), *ids(target)).tolist() == [exists]


def test_greedy_merges_neighbours_then_drops_blanks() -> None:
    letters = "-abc"
    rows = ["aa-ab--c", "a-a-bbb-", "--------", "cba" + "bbbbb"]
    best = torch.tensor([[letters.index(c) for c in row] for row in rows])
    log_probs = functional.one_hot(best, 4).float().log_softmax(-1)
    found = Marginals(log_probs, lengths(8, 8, 8, 3)).greedy()  # of the last only "cba" is real
    assert ["".join(letters[i] for i in row) for row in found] == ["aabc", "aab", "", "cba"]


def test_top_gives_the_best_ids_first_and_no_gradient() -> None:
    probs = torch.tensor([[[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]], requires_grad=True)
    top = Marginals(probs.log(), lengths(2)).top(2)
    assert top.tolist() == [[[1, 2], [0, 2]]] and top.dtype == torch.int64
    assert not top.requires_grad


def test_entropy_is_in_nats() -> None:
    probs = torch.tensor([[[0.25] * 4, [1 - 3e-9, 1e-9, 1e-9, 1e-9], [0.5, 0.5, 1e-30, 1e-30]]])
    entropy = Marginals(probs.log(), lengths(3)).entropy()
    torch.testing.assert_close(
        entropy, torch.tensor([[math.log(4), 0.0, math.log(2)]]), atol=1e-6, rtol=0
    )


def test_probs_sum_to_one() -> None:
    probs = Marginals(random_marginals(3, 5), lengths(3)).probs()
    torch.testing.assert_close(probs.sum(-1), torch.ones(1, 3))


TOKENS = ("<blank>", "<unk>", "a", "b", "c", "<sos/eos>")
NAMES = {"writer_name": "encoder exp/fr", "reader_name": "decoder exp/de"}


def test_equal_interfaces_fit_without_a_word() -> None:
    seen = Interface(tokens=TOKENS, tokenizer_sha256="00" * 32, positions_per_token=(1.0, 1.5, 2.0))
    other = Interface(
        tokens=TOKENS,
        tokenizer_sha256="00" * 32,
        positions_per_token=(1.2, 1.4, 2.5),
        ingestor="beamconv",
        beam=4,
        provenance={"training_set": ["x"]},
    )
    assert seen.check_fits(other, **NAMES) == []
    assert seen.check_fits(Interface(tokens=TOKENS, tokenizer_sha256="00" * 32), **NAMES) == []


def mismatch(writer: Interface, reader: Interface) -> str:
    with pytest.raises(InterfaceMismatch) as caught:
        writer.check_fits(reader, **NAMES)
    message = str(caught.value)
    assert "encoder exp/fr does not fit decoder exp/de: " in message
    assert "token list" in message and "bridge" in message  # what to do
    return message


def test_the_first_differing_tokens_are_named_with_their_ids() -> None:
    other = ("<blank>", "<unk>", "a", "B", "C", "<sos/eos>")
    message = mismatch(Interface(tokens=TOKENS), Interface(tokens=other))
    assert (
        "6 and 6 tokens; first differences id 3: 'b' against 'B', id 4: 'c' against 'C'" in message
    )


def test_at_most_three_differences_are_named() -> None:
    other = ("<blank>", "<unk>", "x", "y", "z", "w", "<sos/eos>")
    message = mismatch(Interface(tokens=TOKENS), Interface(tokens=other))
    assert "6 and 7 tokens" in message and "id 4: 'c' against 'z'" in message
    assert "id 5" not in message


def test_a_list_that_goes_on_is_a_misfit_of_sizes() -> None:
    message = mismatch(Interface(tokens=TOKENS), Interface(tokens=(*TOKENS, "d")))
    assert "token lists differ (6 and 7 tokens)" in message


def test_another_blank_is_a_misfit() -> None:
    message = mismatch(Interface(tokens=TOKENS), Interface(tokens=TOKENS, blank=5))
    assert "id 0 on the one side and id 5 on the other" in message


def test_another_tokenizer_is_a_misfit() -> None:
    message = mismatch(
        Interface(tokens=TOKENS, tokenizer_sha256="ab" * 32),
        Interface(tokens=TOKENS, tokenizer_sha256="cd" * 32),
    )
    assert "same tokens, but" in message
    assert "abababababab..." in message and "cdcdcdcdcdcd..." in message


@pytest.mark.parametrize("median", [0.9, 3.1])
def test_a_median_outside_the_readers_range_is_a_warning_with_both_figures(median: float) -> None:
    writer = Interface(tokens=TOKENS, positions_per_token=(0.5, median, 4.0))
    reader = Interface(tokens=TOKENS, positions_per_token=(1.0, 1.5, 3.0))
    (warning,) = writer.check_fits(reader, **NAMES)
    assert f"encoder exp/fr gives {median:.2f} positions" in warning
    assert "decoder exp/de saw 1.00 to 3.00" in warning and "length_ratio" in warning


@pytest.mark.parametrize("edge", [1.0, 3.0])
def test_the_edges_of_the_range_are_inside(edge: float) -> None:
    writer = Interface(tokens=TOKENS, positions_per_token=(0.5, edge, 4.0))
    reader = Interface(tokens=TOKENS, positions_per_token=(1.0, 1.5, 3.0))
    assert writer.check_fits(reader, **NAMES) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"case": "lc"}, "case lc, with punctuation"),
        ({"punctuation": False}, "case tc, no punctuation"),
    ],
)
def test_text_normalised_in_two_ways_is_a_warning(change: dict[str, Any], text: str) -> None:
    (warning,) = Interface(tokens=TOKENS, **change).check_fits(Interface(tokens=TOKENS), **NAMES)
    assert f"encoder exp/fr was trained on text of {text}, and decoder exp/de on text of" in warning
    assert "on text of case tc, with punctuation: what the one writes" in warning
    assert "recipes: --tgt_case, --tgt_punctuation" in warning
    phones = Interface(tokens=TOKENS, unit="phn", **change)
    assert phones.check_fits(Interface(tokens=TOKENS, unit="phn"), **NAMES) == []


@pytest.mark.parametrize("longest", ["12", -1.0, 0, float("nan"), float("inf"), None, [3]])
def test_a_length_that_is_none_is_refused(longest: Any) -> None:
    given = Interface(tokens=TOKENS, provenance={"longest_seconds": longest})
    with pytest.raises(ConfigError, match="x is no interface description: longest_seconds is "):
        Interface.from_dict(given.to_dict(), "x")


def test_saved_and_loaded_is_equal(tmp_path: Path) -> None:
    written = Interface(
        tokens=("<blank>", "<unk>", "▁größe", "no", "1.5", "~", "<sos/eos>"),  # YAML traps
        tokenizer_sha256="0e" * 32,
        case="lc",
        punctuation=False,
        ingestor="beamconv",
        beam=4,
        positions_per_token=(1.0, 1.5, 2.25),
        provenance={"training_set": ["dump/train"], "date": "2024-01-31", "parents": []},
    )
    written.save(tmp_path / "interface.yaml")
    assert Interface.load(tmp_path / "interface.yaml") == written
    plain = Interface(tokens=TOKENS)
    plain.save(tmp_path / "interface.yaml")
    assert Interface.load(tmp_path / "interface.yaml") == plain


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- a\n- b\n",
        b"tokens: [a\n",
        b"unit: bpe\n",
        b"tokens: [a]\nflavour: sweet\n",
        b"tokens: 5\n",
        b"tokens: [a]\npositions_per_token: 1.5\n",
        b"tokens: [\xff\xfe]\n",
        b"<!DOCTYPE html><title>Not found</title>\n",
        b"tokens: !!python/object/apply:os.system ['true']\n",
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "interface.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="interface.yaml is no interface description"):
        Interface.load(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="interface.yaml is no interface description: .*No such"):
        Interface.load(tmp_path / "interface.yaml")
