"""The length controller: its length formula as a formula, and exactly K positions out."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from legonn.data.lengths import positions
from legonn.layers import sinusoids
from legonn.length_control import QUERIES, LengthController, TokenCounter, output_lengths

RATIOS = ("0.05", "0.1", "0.25", "1/3", "0.5", "1", "1.1", "1.5", "2", "2.2", "3", "3.3", "4.7")
GRID = torch.arange(1, 400)


def control(ratio: float, query: str, positions_per_token: float = 0.0) -> LengthController:
    torch.manual_seed(0)
    return LengthController(
        width=8,
        heads=2,
        feedforward=16,
        ratio=ratio,
        positions_per_token=positions_per_token,
        query=query,  # type: ignore[arg-type]
        dropout=0.0,
        attention_dropout=0.0,
    ).eval()


@pytest.mark.parametrize("ratio", RATIOS)
def test_k_is_the_ceiling_of_t_times_ratio(ratio: str) -> None:
    """Golden: exact arithmetic in fractions, so that 100 x 1.1 is 110 and not 111."""
    exact = Fraction(ratio)
    wanted = [max(1, math.ceil(int(t) * exact)) for t in GRID]
    assert output_lengths(GRID, float(exact)).tolist() == wanted
    assert output_lengths(GRID, float(exact)).dtype == torch.int64


def test_a_product_a_little_above_a_whole_number_gains_no_position() -> None:
    assert 100 * 1.1 > 110  # what makes it worth a test
    assert output_lengths(torch.tensor([100, 10, 1, 0]), 1.1).tolist() == [110, 11, 2, 1]


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_statistics_stage_uses_the_same_formula(ratio: str) -> None:
    value = float(Fraction(ratio))
    found = positions(np.asarray(GRID), value).astype(int).tolist()
    assert found == output_lengths(GRID, value).tolist()


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.5, 2.2])
def test_exactly_k_positions_come_out(ratio: float, query: str) -> None:
    lengths = torch.tensor([7, 3, 1])
    out, found = control(ratio, query)(torch.randn(3, 7, 8), lengths)
    assert found.tolist() == output_lengths(lengths, ratio).tolist()
    assert out.shape == (3, int(found.max()), 8)


@pytest.mark.parametrize("query", QUERIES)
def test_padding_changes_nothing(query: str) -> None:
    controller, x = control(1.5, query), torch.randn(1, 5, 8)
    alone, _ = controller(x, torch.tensor([5]))
    padded = torch.cat([x, torch.full((1, 4, 8), 9.0)], dim=1)
    batch = torch.cat([padded, torch.randn(1, 9, 8)])
    together, lengths = controller(batch, torch.tensor([5, 9]))
    assert lengths.tolist() == [8, 14]
    torch.testing.assert_close(together[:1, :8], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("query", "places"), [("position", [0, 1, 2]), ("source_position", [0, 0.5, 1])]
)
def test_queries_stand_at_their_positions(query: str, places: list[float]) -> None:
    """With its sublayers' outputs at zero, the block passes its queries through."""
    controller = control(2.0, query)
    assert controller.block is not None and controller.block.cross_attention is not None
    for linear in (controller.block.cross_attention.output, controller.block.feedforward[3]):
        for parameter in linear.parameters():
            torch.nn.init.zeros_(parameter)
    out, _ = controller(torch.randn(1, 2, 8), torch.tensor([2]))
    torch.testing.assert_close(out[0, :3], sinusoids(torch.tensor(places), 8))


def test_both_places_are_one_at_ratio_one() -> None:
    x, lengths = torch.randn(2, 4, 8), torch.tensor([4, 3])
    found = [control(1.0, query)(x, lengths)[0] for query in ("position", "source_position")]
    assert torch.equal(*found)


def test_all_states_are_looked_at() -> None:
    x = torch.randn(1, 6, 8, requires_grad=True)
    control(0.5, "position")(x, torch.tensor([6]))[0].sum().backward()
    assert x.grad is not None and (x.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    ("ratio", "wanted"),
    [
        (0.5, [0.5, 2.5, 4]),  # the last position has one state
        (0.4, [1, 3]),  # of 0 to 2.5 and 2.5 to 5: the states 0, 1, 2 and 2, 3, 4
        (1.0, [0, 1, 2, 3, 4]),
        (2.0, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
    ],
)
def test_queries_may_begin_with_the_mean_of_the_states_there(
    ratio: float, wanted: list[float]
) -> None:
    """Of states whose numbers are their places; the second utterance is longer, and padding has other numbers."""
    controller = control(ratio, "states")
    numbers = torch.tensor([[0.0, 1, 2, 3, 4, 99, 99], [0.0, 1, 2, 3, 4, 5, 6]])
    x = numbers[..., None].expand(-1, -1, 8)
    lengths = torch.tensor([5, 7])
    places = torch.arange(int(output_lengths(lengths, ratio).max())) / ratio
    found = controller.means(x, lengths, places, ratio)[0, :, 0]
    assert found[: len(wanted)].tolist() == pytest.approx(wanted)
    assert (found[len(wanted) :] == 4).all()  # beyond its end: the last state, not padding


def test_pooling_gives_those_means_and_learns_nothing() -> None:
    controller, lengths = control(0.5, "pooling"), torch.tensor([5, 6])
    x = torch.tensor([[0.0, 2, 4, 6, 9, 99], [1.0, 1, 3, 3, 5, 5]])[..., None].expand(-1, -1, 8)
    out, found = controller(x, lengths)
    assert found.tolist() == [3, 3]
    assert out[..., 0].tolist() == [[1, 5, 9], [1, 3, 5]]
    assert not list(controller.parameters())


def test_a_query_of_states_keeps_its_place() -> None:
    """With its sublayers' outputs at zero, the block passes its queries through."""
    controller = control(0.5, "states")
    assert controller.block is not None and controller.block.cross_attention is not None
    cross = controller.block.cross_attention
    for layer in (cross.output, controller.block.feedforward[3]):
        for parameter in layer.parameters():
            torch.nn.init.zeros_(parameter)
    x = torch.randn(1, 4, 8)
    out, _ = controller(x, torch.tensor([4]))
    wanted = x.view(2, 2, 8).mean(dim=1) + sinusoids(torch.tensor([0.0, 2.0]), 8)
    torch.testing.assert_close(out[0], wanted, atol=1e-5, rtol=1e-5)


# ---- K from counted tokens -----------------------------------------------------------------------


def counting(
    ratio: float, query: str, positions_per_token: float, weight: float
) -> LengthController:
    """Whose counter finds softplus(weight * x) tokens in a state whose numbers are all x."""
    controller = control(ratio, query, positions_per_token)
    assert controller.counter is not None
    torch.nn.init.constant_(controller.counter.linear.weight, weight / 8)
    torch.nn.init.zeros_(controller.counter.linear.bias)
    return controller


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 2.2])
def test_before_it_has_learned_a_counter_gives_the_ratios_positions(ratio: float) -> None:
    lengths = torch.arange(1, 60)
    found, _ = control(ratio, "states", 2.5).positions(torch.randn(59, 59, 8), lengths)
    more = found - output_lengths(lengths, ratio)
    assert set(more.tolist()) <= {0, 1}  # rounding in 32 bits may add one


@pytest.mark.parametrize("density", [5e-324, 1e-6, 0.2, 3.0, 1000.0])
def test_any_density_can_be_begun_with(density: float) -> None:
    counted = TokenCounter(width=8, density=density)(torch.randn(1, 10, 8), torch.tensor([10]))
    assert counted.item() == pytest.approx(10 * max(density, 1e-6), rel=1e-5)


def test_counted_tokens_have_their_positions() -> None:
    """Golden: softplus by hand, and whole numbers of positions by ceiling."""
    numbers = torch.tensor([[1.0, -2, 0, 3, 99], [-1.0, 0, 0, 0, 0]])
    lengths = torch.tensor([4, 5])
    controller = counting(3.0, "states", 2.5, weight=1.0)
    assert controller.counter is not None
    x = numbers[..., None].expand(-1, -1, 8)
    tokens = [
        sum(math.log(1 + math.exp(value)) for value in row[:length])
        for row, length in zip(numbers.tolist(), lengths.tolist(), strict=True)
    ]
    assert controller.counter(x, lengths).tolist() == pytest.approx(tokens)
    out, found = controller(x, lengths)
    assert found.tolist() == [math.ceil(2.5 * count) for count in tokens]
    assert out.shape == (2, int(found.max()), 8)


def test_counted_positions_spread_over_their_own_utterance() -> None:
    """Of states whose numbers are their places: 4 states in 2 positions, beside 2 states in 2."""
    controller = counting(1.0, "pooling", 1.0, weight=0.0)
    assert controller.counter is not None
    torch.nn.init.constant_(controller.counter.linear.bias, math.log(math.expm1(0.5)))
    x = torch.tensor([[0.0, 1, 2, 3], [0.0, 1, 99, 99]])[..., None].expand(-1, -1, 8)
    out, found = controller(x, torch.tensor([4, 2]))
    assert found.tolist() == [2, 1]
    assert out[0, :, 0].tolist() == [0.5, 2.5] and out[1, 0, 0] == 0.5


@pytest.mark.parametrize("query", QUERIES)
def test_padding_changes_no_count(query: str) -> None:
    controller, x = counting(1.5, query, 1.2, weight=1.0), torch.randn(1, 5, 8)
    alone, count = controller(x, torch.tensor([5]))
    padded = torch.cat([x, torch.full((1, 4, 8), 9.0)], dim=1)
    batch = torch.cat([padded, torch.randn(1, 9, 8)])
    together, lengths = controller(batch, torch.tensor([5, 9]))
    assert lengths[0] == count[0]
    torch.testing.assert_close(together[:1, : count[0]], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weight", [50.0, math.nan, math.inf])
def test_no_count_asks_for_more_than_twice_the_ratios_positions(weight: float) -> None:
    controller = counting(0.5, "states", 3.0, weight)
    found, _ = controller.positions(torch.ones(1, 10, 8), torch.tensor([10]))
    assert 1 <= found.item() <= 10
    assert controller.most == 1.0


def test_a_counter_learns_to_count() -> None:
    """Of states of two kinds, one is a token and the other none; the utterances to count have others' mixtures."""
    controller = control(0.5, "states", 2.0)
    assert controller.counter is not None
    kinds = torch.randn(2, 8)
    which = torch.randint(2, (40, 12))
    lengths = torch.randint(4, 13, (40,))
    inside = torch.arange(12)[None, :] < lengths[:, None]
    tokens = (which * inside).sum(1)
    optimiser = torch.optim.Adam(controller.counter.parameters(), lr=0.1)
    for _ in range(200):
        loss = (controller.counter(kinds[which[:30]], lengths[:30]) - tokens[:30]).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    counted = controller.counter(kinds[which[30:]], lengths[30:])
    assert counted.tolist() == pytest.approx(tokens[30:].tolist(), abs=0.5)
