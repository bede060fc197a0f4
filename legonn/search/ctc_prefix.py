"""CTC's prefix probability, so that an interface can vote in the beam search.

psi(h) is the probability that the output starts with the tokens h (Watanabe et al. 2017, IEEE JSTSP 11(8), algorithm
2). A next token c scores log psi(h c) - log psi(h); `<eos>` by the probability that h is all. What makes it cheap here:
psi of an extension needs only the forward probabilities of h; those of the chosen extension are computed at the next
step, for it alone; and their recursion over positions, a product of one-step factors, is a cumulative sum.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from espnet.nets.scorer_interface import BatchScorerInterface
from torch import Tensor

from legonn.interface import BLANK
from legonn.layers import padding_mask
from legonn.search.scorers import CandidateScorer

__all__ = ["CTCPrefixScorer", "CTCScorer"]

# Log-probability of a token beyond the end: e to this power is 0, and sums of it are numbers, which -inf's are not.
NEVER = -1e6


class CTCScorer(CandidateScorer):
    """CTC of N utterances, for b hypotheses of each.

    Parameters
    ----------
    log_probs, lengths : Tensor
        (N, K, V) of the marginals, (N,).
    size : int
        b.
    eos, blank : int
        Ids.
    """

    def __init__(
        self, log_probs: Tensor, lengths: Tensor, *, size: int, eos: int, blank: int = BLANK
    ) -> None:
        self.eos, self.blank = eos, blank
        # Beyond its end an utterance is silent for certain, which changes no output's probability.
        beyond = padding_mask(lengths, log_probs.size(1))
        x = log_probs.float().exp().masked_fill(beyond[..., None], 0.0)
        x[..., blank].masked_fill_(beyond, 1.0)
        self.probs = x.transpose(1, 2).contiguous()  # (N, V, K)
        count = len(x)
        self.blanks = _log(self.probs[:, blank])[:, None]  # (N, 1, K)
        self.silence = self.blanks.cumsum(2)  # up to and with each position
        # Log-probability that the first k positions give the prefix and end in its last token, or in blank: (N, b, K+1)
        self.in_token = x.new_full((count, size, x.size(1) + 1), -torch.inf, dtype=torch.float64)
        start = self.silence.new_zeros(count, 1, 1)
        self.in_blank = torch.cat([start, self.silence], dim=2).repeat(1, size, 1)
        self.psi = self.in_token.new_zeros(count, size)  # log psi of the prefix
        self.last = torch.full((count, size), -1, device=x.device)  # its last token; none yet
        self.never = self.in_token[..., :1]
        self.begun = False

    def step(self, tokens: Tensor) -> None:
        """See `CandidateScorer`; the first tokens are `<sos>`, and begin nothing."""
        if not self.begun:
            self.begun = True
            return
        apart = (tokens == self.last)[..., None]  # the last token again needs a blank between
        before = torch.where(apart, self.in_blank[..., :-1], self._before())  # (N, b, K)
        emitted = _log(self._emitted(tokens[..., None])[:, :, 0])  # (N, b, K)
        self.psi = _possible((before + emitted).logsumexp(dim=2))
        path = emitted.cumsum(2)
        in_token = path + (before - (path - emitted)).logcumsumexp(dim=2)
        self.in_token = torch.cat([self.never, in_token], dim=2)
        silent = self.silence - self.blanks  # up to and without each position
        started = (self.in_token[:, :, :-1] - silent).logcumsumexp(dim=2)
        self.in_blank = torch.cat([self.never, self.silence + started], dim=2)
        self.last = tokens

    def score(self, candidates: Tensor) -> Tensor:
        """See `CandidateScorer`."""
        before = self._before()  # (N, b, K)
        top = before.amax(dim=2, keepdim=True).clamp(min=NEVER)
        share = (before - top).exp().float()
        mass = torch.matmul(self._emitted(candidates), share[..., None])[..., 0]  # (N, b, S)
        apart = (self.in_blank[..., :-1] - top).exp().float()
        again = (self._emitted(self.last.clamp(min=0)[..., None])[:, :, 0] * apart).sum(2)  # (N, b)
        mass = torch.where(candidates == self.last[..., None], again[..., None], mass)
        psi = mass.log() + top.float()
        whole = torch.logaddexp(self.in_token[..., -1], self.in_blank[..., -1]).float()
        psi = _possible(torch.where(candidates == self.eos, whole[..., None], psi))
        return psi.masked_fill(candidates == self.blank, -torch.inf) - self.psi[..., None].float()

    def suggest(self, count: int) -> Tensor:
        """See `CandidateScorer`: those that are most probable at some position."""
        best = self.probs.amax(dim=2)  # (N, V)
        best[:, [self.blank, self.eos]] = -1.0
        return best.topk(min(count, best.size(1) - 2), dim=1).indices

    def _before(self) -> Tensor:
        """Log-probability (N, b, K) of what precedes a new token, not the last again, that begins at each position."""
        return torch.logaddexp(self.in_token, self.in_blank)[..., :-1]

    def _emitted(self, tokens: Tensor) -> Tensor:
        """Probabilities of tokens (N, b, S) at each position: (N, b, S, K)."""
        rows = torch.arange(len(tokens), device=tokens.device)[:, None, None]
        return self.probs[rows, tokens]

    def reorder(self, parents: Tensor) -> None:
        """See `Scorer`."""
        rows = torch.arange(len(parents), device=parents.device)[:, None]
        for name in ("in_token", "in_blank", "psi", "last"):
            setattr(self, name, getattr(self, name)[rows, parents])

    def keep(self, utterances: Tensor) -> None:
        """See `Scorer`."""
        for name in ("probs", "blanks", "silence", "in_token", "in_blank", "psi", "last", "never"):
            setattr(self, name, getattr(self, name)[utterances])


def _log(probs: Tensor) -> Tensor:
    """In double precision, `NEVER` for 0."""
    return probs.double().log().clamp(min=NEVER)


def _possible(log_probs: Tensor) -> Tensor:
    """-inf where only what is `NEVER` makes it possible."""
    return log_probs.masked_fill(log_probs < NEVER / 2, -torch.inf)


class CTCPrefixScorer(BatchScorerInterface):
    """The same as a scorer of all tokens for ESPnet's searches, one hypothesis at a time.

    Its input in `init_state` is the log-probabilities (K, V) of the marginals.

    Parameters
    ----------
    eos, blank : int
        Ids.
    """

    def __init__(self, *, eos: int, blank: int = BLANK) -> None:
        self.eos = eos
        self.blank = blank

    def init_state(self, x: Tensor) -> CTCScorer:
        """Log-probabilities (K, V) -> the state of the empty prefix."""
        lengths = torch.tensor([len(x)], device=x.device)
        return CTCScorer(x[None], lengths, size=1, eos=self.eos, blank=self.blank)

    def score(self, y: Tensor, state: Any, x: Tensor) -> tuple[Tensor, CTCScorer]:
        """Prefix (U,) with `<sos>` -> scores of the next token (V,), and its state.

        The state that comes in is of the prefix without its last token; `x` is not read.
        """
        grown = copy.copy(state)
        grown.step(y[-1:][None])
        every = torch.arange(grown.probs.size(1), device=y.device)[None, None]
        return grown.score(every)[0, 0], grown

    def batch_score(
        self, ys: Tensor, states: list[Any], xs: Tensor
    ) -> tuple[Tensor, list[CTCScorer]]:
        """As `score`, for prefixes (n, U): (n, V) and their states."""
        scored = [self.score(y, state, x) for y, state, x in zip(ys, states, xs, strict=True)]
        return torch.stack([scores for scores, _ in scored]), [state for _, state in scored]
