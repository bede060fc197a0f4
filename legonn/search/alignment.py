"""Where in an interface the tokens of an output are: CTC's best path that gives it (Viterbi)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from legonn.interface import BLANK, Marginals
from legonn.search.nested import flat, rows_of, unflat

__all__ = ["Alignment", "align", "join"]


@dataclass(frozen=True)
class Alignment:
    """The positions of each token.

    Attributes
    ----------
    spans : tuple of (int, int)
        First and last position of each token, from 0; in between and around are blanks.
    positions : int
        K, of the interface.
    times : tuple of (float, float) or None
        Start and end of each token in seconds, where it was heard.
    """

    spans: tuple[tuple[int, int], ...]
    positions: int
    times: tuple[tuple[float, float], ...] | None = None

    def timed(self, start: float, end: float) -> Alignment:
        """The same with times: the positions share the seconds from `start` to `end` equally."""
        step = (end - start) / self.positions
        times = tuple(
            (start + first * step, start + (last + 1) * step) for first, last in self.spans
        )
        return replace(self, times=times)


def join(pieces: Iterable[Alignment | None]) -> Alignment | None:
    """Of several pieces one after the other; None where one of them has none."""
    known = []
    for piece in pieces:
        if piece is None:
            return None
        known.append(piece)
    before = itertools.accumulate((piece.positions for piece in known), initial=0)
    return Alignment(
        spans=tuple(
            (first + offset, last + offset)
            for piece, offset in zip(known, before, strict=False)
            for first, last in piece.spans
        ),
        positions=sum(piece.positions for piece in known),
        times=tuple(time for piece in known for time in piece.times or ())
        if all(piece.times is not None for piece in known)
        else None,
    )


def align(
    marginals: Marginals, outputs: Sequence[Sequence[Sequence[int]]], *, blank: int = BLANK
) -> list[list[Alignment | None]]:
    """Align each utterance's outputs with its marginals.

    Parameters
    ----------
    marginals : Marginals
        Of N utterances.
    outputs : sequence of sequence of ids
        Any number for each utterance.

    Returns
    -------
    list of list of Alignment or None
        None where the interface can't give the output: it has too few positions, or a token has no probability.
    """
    every = flat(outputs)
    if not every:
        return [[] for _ in outputs]
    paths = _best_paths(marginals, rows_of(outputs, marginals.log_probs.device), every, blank)
    found = (
        None if states is None else Alignment(_spans(states, len(ids)), len(states))
        for states, ids in zip(paths, every, strict=True)
    )
    return unflat(found, outputs)


def _best_paths(
    marginals: Marginals, rows: Tensor, outputs: Sequence[Sequence[int]], blank: int
) -> list[list[int] | None]:
    """Of each output, of utterance `rows` (n,), the state at each of its K positions.

    State 2 i + 1 is the i-th token, the even ones are the blanks around.
    """
    device, positions = rows.device, marginals.lengths[rows]
    longest = max(map(len, outputs))
    labels = torch.full((len(outputs), 2 * longest + 1), blank, device=device)  # (n, S)
    for i, ids in enumerate(outputs):
        labels[i, 1 : 2 * len(ids) : 2] = torch.as_tensor(ids, dtype=torch.long)
    # A token may follow another at once, if it is another.
    skips = torch.zeros_like(labels, dtype=torch.bool)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    best = torch.full(labels.shape, -torch.inf, dtype=torch.float64, device=device)
    best[:, :2] = marginals.log_probs[rows, 0].double().gather(1, labels[:, :2])
    steps = []  # from how many states before, each (n, S)
    for k in range(1, int(positions.max())):
        one = _moved(best, 1)
        two = _moved(best, 2).masked_fill(~skips, -torch.inf)
        step = (one > best).long()
        ahead = torch.maximum(best, one)
        step = torch.where(two > ahead, 2, step)
        new = torch.maximum(ahead, two) + marginals.log_probs[rows, k].double().gather(1, labels)
        inside = (k < positions)[:, None]
        best = torch.where(inside, new, best)
        steps.append(step)
    return _traced(best, steps, positions, [len(ids) for ids in outputs])


def _moved(scores: Tensor, by: int) -> Tensor:
    """(n, S) -> what was `by` states before."""
    return torch.nn.functional.pad(scores, (by, 0), value=-torch.inf)[:, : scores.size(1)]


def _traced(
    best: Tensor, steps: Sequence[Tensor], positions: Tensor, lengths: Sequence[int]
) -> list[list[int] | None]:
    """Back from the better of the two states that an output may end in."""
    back = torch.stack([*steps, torch.zeros_like(best, dtype=torch.long)]).tolist()
    paths: list[list[int] | None] = []
    for i, (scores, count, length) in enumerate(
        zip(best.tolist(), positions.tolist(), lengths, strict=True)
    ):
        state = max({2 * length, max(0, 2 * length - 1)}, key=lambda end: (scores[end], -end))
        if scores[state] == -torch.inf:
            paths.append(None)
            continue
        path = [state]
        for k in range(count - 2, -1, -1):
            path.append(path[-1] - back[k][i][path[-1]])
        paths.append(path[::-1])
    return paths


def _spans(states: Sequence[int], length: int) -> tuple[tuple[int, int], ...]:
    """First and last position of each token."""
    places: list[list[int]] = [[] for _ in range(length)]
    for position, state in enumerate(states):
        if state % 2:
            places[state // 2].append(position)
    return tuple((row[0], row[-1]) for row in places)
