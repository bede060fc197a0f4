"""CTC prefix beam search: the most probable outputs of marginals, each the sum over all paths that give it.

Each prefix has two log-probabilities, of the paths that end in its last token and of those that end in blank (Hannun et
al. 2014, arXiv 1408.2873, algorithm 1). Two ways to one prefix, a longer one that stays and a shorter one that grows,
are summed. All prefixes of all utterances take a position at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from legonn.interface import BLANK
from legonn.layers import padding_mask

__all__ = ["prefix_beam_search"]

NOTHING = -1  # in place of a token, beyond a prefix's end

Output = tuple[tuple[int, ...], float]


@dataclass
class _Prefixes:
    """b prefixes of each of N utterances; one that there isn't has -inf.

    `tokens` (N, b, U), `NOTHING` beyond `lengths` (N, b); `in_token`, `in_blank` (N, b): log-probabilities in nats.
    """

    tokens: Tensor
    lengths: Tensor
    in_token: Tensor
    in_blank: Tensor

    def totals(self) -> Tensor:
        """(N, b)."""
        return torch.logaddexp(self.in_token, self.in_blank)

    def last(self) -> Tensor:
        """Ids (N, b); `NOTHING` of an empty prefix."""
        last = self.tokens.gather(2, (self.lengths - 1).clamp(min=0)[..., None])
        return last[..., 0]

    def parents(self) -> Tensor:
        """Whether prefix q is prefix p and one token more: bool (N, q, p)."""
        end = (self.lengths - 1).clamp(min=0)[..., None]
        shorter = self.tokens.scatter(2, end, NOTHING)
        same = (shorter[:, :, None] == self.tokens[:, None]).all(dim=3)
        there = (self.lengths > 0) & ~self.totals().isneginf()
        return same & there[..., None]


def prefix_beam_search(
    log_probs: Tensor,
    lengths: Tensor,
    *,
    beam_size: int,
    tokens: int,
    eos: int,
    blank: int = BLANK,
) -> list[list[Output]]:
    """The most probable outputs of each utterance.

    Parameters
    ----------
    log_probs, lengths : Tensor
        (N, K, V) of the marginals, (N,).
    beam_size : int
        b, prefixes kept at each position.
    tokens : int
        A prefix grows by the so many most probable tokens of a position.
    eos, blank : int
        Ids; an output has neither.

    Returns
    -------
    list of list of (ids, float)
        For each utterance at most `beam_size` outputs, the most probable first, and their log-probability in nats: a
        lower bound, exact where the beam has dropped nothing.
    """
    beyond = padding_mask(lengths, log_probs.size(1))
    # Beyond its end an utterance is silent for certain, which changes no output's probability.
    x = log_probs.double().masked_fill(beyond[..., None], -torch.inf)
    x[..., blank].masked_fill_(beyond, 0.0)
    voiced = x.clone()
    voiced[..., [blank, eos]] = -torch.inf
    best = voiced.topk(max(1, min(tokens, x.size(2) - 2)), dim=2)  # (N, K, S)
    prefixes = _start(len(x), beam_size, x)
    for k in range(x.size(1)):
        prefixes = _advance(prefixes, x[:, k], best.values[:, k], best.indices[:, k], blank)
    return _sorted(prefixes)


def _start(count: int, beam_size: int, like: Tensor) -> _Prefixes:
    """The empty prefix."""
    never = like.new_full((count, beam_size), -torch.inf)
    in_blank = never.clone()
    in_blank[:, 0] = 0.0
    tokens = torch.full((count, beam_size, 1), NOTHING, device=like.device)
    return _Prefixes(tokens, torch.zeros_like(tokens[..., 0]), never, in_blank)


def _advance(
    old: _Prefixes, position: Tensor, growth: Tensor, candidates: Tensor, blank: int
) -> _Prefixes:
    """One position: (N, V), its best log-probabilities (N, S) and their ids (N, S)."""
    totals, last = old.totals(), old.last()  # (N, b)
    own = position.gather(1, last.clamp(min=0)).masked_fill(last == NOTHING, -torch.inf)
    parents = old.parents()  # (N, q, p)
    # The last token again needs a blank between.
    again = last[:, :, None] == last[:, None]
    grown = torch.where(again, old.in_blank[:, None], totals[:, None])
    grown = (grown.masked_fill(~parents, -torch.inf)).amax(dim=2) + own  # one parent at most
    in_token = torch.logaddexp(old.in_token + own, grown)
    in_blank = totals + position[:, blank, None]

    repeats = last[..., None] == candidates[:, None]  # (N, b, S)
    longer = growth[:, None] + torch.where(repeats, old.in_blank[..., None], totals[..., None])
    # What is a prefix of its own already has been summed there.
    known = (parents[..., None] & (last[..., None] == candidates[:, None])[:, :, None]).any(dim=1)
    longer = longer.masked_fill(known, -torch.inf)  # (N, p, S)

    size = totals.size(1)
    stay = torch.logaddexp(in_token, in_blank)
    chosen = torch.cat([stay, longer.flatten(1)], dim=1).topk(size, dim=1).indices  # (N, b)
    grows = chosen >= size
    place = (chosen - size).clamp(min=0)
    origin = torch.where(grows, place // candidates.size(1), chosen)
    token = candidates.gather(1, place % candidates.size(1)).masked_fill(~grows, NOTHING)
    lengths = old.lengths.gather(1, origin)
    return _Prefixes(
        tokens=_append(old.tokens, origin, lengths, token),
        lengths=lengths + grows.long(),
        in_token=torch.where(grows, longer.flatten(1).gather(1, place), in_token.gather(1, origin)),
        in_blank=in_blank.gather(1, origin).masked_fill(grows, -torch.inf),
    )


def _append(tokens: Tensor, origin: Tensor, lengths: Tensor, token: Tensor) -> Tensor:
    """Prefixes (N, b, U) from the places `origin` (N, b), with `token` at `lengths`; `NOTHING` adds none."""
    rows = tokens.gather(1, origin[..., None].expand_as(tokens))
    if bool((lengths == tokens.size(2)).any()):
        rows = torch.nn.functional.pad(rows, (0, tokens.size(2)), value=NOTHING)
    return rows.scatter(2, lengths[..., None], token[..., None])


def _sorted(prefixes: _Prefixes) -> list[list[Output]]:
    totals, order = prefixes.totals().sort(dim=1, descending=True, stable=True)
    tokens = prefixes.tokens.gather(1, order[..., None].expand_as(prefixes.tokens)).tolist()
    lengths = prefixes.lengths.gather(1, order).tolist()
    return [
        [
            (tuple(ids[:length]), total)
            for ids, length, total in zip(*rows, strict=True)
            if total > -torch.inf
        ]
        for rows in zip(tokens, lengths, totals.tolist(), strict=True)
    ]
