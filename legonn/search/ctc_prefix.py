"""CTC's prefix probability as an ESPnet scorer, so that an interface can vote in the beam search.

psi(h) is the probability that the output starts with the tokens h (Watanabe et al. 2017, IEEE JSTSP
11(8), algorithm 2). Two things make it cheap here: psi of all V extensions of h is one matrix
product, as it needs only the forward probabilities of h itself; and those of the chosen extension
are computed at the next step, for it alone.
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import torch
from espnet.nets.scorer_interface import BatchScorerInterface
from torch import Tensor

from legonn.interface import BLANK

__all__ = ["CTCPrefixScorer", "CTCState"]


class CTCState(NamedTuple):
    """What a hypothesis carries.

    Attributes
    ----------
    log_probs : Tensor
        (K, V) of its utterance, shared by all hypotheses of it.
    forward : Tensor
        (2, K+1): log-probability that the first k positions give the prefix and end in its last
        token, or in blank.
    prefix_score : Tensor
        () log psi of the prefix.
    """

    log_probs: Tensor
    forward: Tensor
    prefix_score: Tensor


class CTCPrefixScorer(BatchScorerInterface):
    """A next token c scores log psi(h c) - log psi(h); `<eos>` by the probability that h is all.

    Its input in `init_state` is the log-probabilities (K, V) of the marginals.

    Parameters
    ----------
    eos, blank : int
        Ids.
    """

    def __init__(self, *, eos: int, blank: int = BLANK) -> None:
        self.eos = eos
        self.blank = blank

    def init_state(self, x: Tensor) -> CTCState:
        """Log-probabilities (K, V) -> the state of the empty prefix."""
        x = x.float()
        never = x.new_full((x.size(0) + 1,), -torch.inf)
        silence = torch.cat([x.new_zeros(1), x[:, self.blank].cumsum(0)])
        return CTCState(x, torch.stack([never, silence]), x.new_zeros(()))

    def batch_score(
        self, ys: Tensor, states: list[CTCState], xs: Tensor
    ) -> tuple[Tensor, list[CTCState]]:
        """Prefixes (n, U) with `<sos>` -> scores of the next token (n, V), and their states.

        The states that come in are of the prefixes without their last token; `xs` is not read.
        """
        parts = []
        start = 0
        for _, group in groupby(states, key=lambda state: id(state.log_probs)):
            own = list(group)
            parts.append(self._score_utterance(ys[start : start + len(own)], own))
            start += len(own)
        scores = torch.cat([scores for scores, _ in parts])
        return scores, [state for _, grown in parts for state in grown]

    def score(self, y: Tensor, state: CTCState, x: Tensor) -> tuple[Tensor, CTCState]:
        """The same for one prefix (U,): (V,) and its state."""
        scores, states = self.batch_score(y[None], [state], x[None])
        return scores[0], states[0]

    def _score_utterance(self, ys: Tensor, states: list[CTCState]) -> tuple[Tensor, list[CTCState]]:
        """`batch_score` for prefixes of one utterance."""
        x = states[0].log_probs
        forward = torch.stack([state.forward for state in states])  # (n, 2, K+1)
        before = torch.stack([state.prefix_score for state in states])  # (n,)
        if ys.size(1) > 1:  # more than <sos>
            previous = ys[:, -2] if ys.size(1) > 2 else torch.full_like(ys[:, -1], -1)
            forward, before = self._advance(x, forward, ys[:, -1], previous)
        prefix = self._prefix_scores(x, forward, ys[:, -1])
        grown = [CTCState(x, *pair) for pair in zip(forward, before, strict=True)]
        return prefix - before[:, None], grown

    def _advance(
        self, x: Tensor, forward: Tensor, tokens: Tensor, previous: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Append `tokens` (n,) to prefixes that end in `previous` (n,).

        Gives their forward probabilities (n, 2, K+1) and log psi (n,).
        """
        begins = _begin(forward, (tokens == previous)[:, None]) + x[:, tokens].T  # (n, K)
        emitted, blanks = x[:, tokens], x[:, self.blank]  # (K, n), (K,)
        token = blank = torch.full_like(begins[:, 0], -torch.inf)
        grown = [torch.stack([token, blank])]
        for k in range(x.size(0)):
            stayed = token + emitted[k]
            token, blank = (
                torch.logaddexp(stayed, begins[:, k]),
                torch.logaddexp(token, blank) + blanks[k],
            )
            grown.append(torch.stack([token, blank]))
        return torch.stack(grown, dim=2).transpose(0, 1), begins.logsumexp(dim=1)

    def _prefix_scores(self, x: Tensor, forward: Tensor, last: Tensor) -> Tensor:
        """Log psi (n, V) of every extension of prefixes that end in `last` (n,)."""
        scores = _log_matmul(_begin(forward, None), x)  # (n, V)
        # The last token again needs a blank between.
        repeat = _begin(forward, torch.ones_like(last, dtype=torch.bool)[:, None])
        rows = torch.arange(len(last), device=last.device)
        scores[rows, last] = (repeat + x[:, last].T).logsumexp(dim=1)
        scores[:, self.eos] = forward[:, :, -1].logsumexp(dim=1)
        scores[:, self.blank] = -torch.inf
        return scores


def _begin(forward: Tensor, repeats: Tensor | None) -> Tensor:
    """Log-probability (n, K) of what precedes a new token that begins at each position.

    `forward` is (n, 2, K+1); `repeats` (n, 1) says which new tokens equal the last one.
    """
    either = torch.logaddexp(forward[:, 0], forward[:, 1])
    if repeats is not None:
        either = torch.where(repeats, forward[:, 1], either)
    return either[:, :-1]


def _log_matmul(a: Tensor, b: Tensor) -> Tensor:
    """log(exp(a) @ exp(b)): (n, K), (K, V) -> (n, V); b holds log-probabilities."""
    top = a.amax(dim=1, keepdim=True).clamp(min=torch.finfo(a.dtype).min)
    return torch.matmul((a - top).exp(), b.exp()).log() + top
