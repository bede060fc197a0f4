"""Beam search of many utterances at once.

The search of `espnet.nets.batch_beam_search.BatchBeamSearch`, save where that costs time or quality: it searches many
utterances together; it ends one when no running hypothesis can overtake by *normalised* score, where ESPnet's
`end_detect` compares sums; and the `<eos>` that the length limit forces is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from legonn.search.alignment import Alignment
from legonn.search.scorers import CandidateScorer, Scorer, TokenScorer

__all__ = ["BeamSearch", "Found"]

# Finished utterances leave the batch when they are so large a part of it: moving the others takes time, too.
LEAVE = 0.25


@dataclass(frozen=True)
class Found:
    """A finished hypothesis.

    Attributes
    ----------
    ids : tuple of int
        Without `<sos>` and `<eos>`.
    score : float
        Normalised: the weighted sum in nats / U**length_penalty, U counting `<eos>`.
    scores : dict
        Each scorer's own sum in nats, unweighted and not normalised.
    alignment : Alignment or None
        Where in the last interface its tokens are; None where that wasn't asked for, or there is no such path.
    """

    ids: tuple[int, ...]
    score: float
    scores: dict[str, float]
    alignment: Alignment | None = None


@dataclass
class _Beams:
    """Running hypotheses of N utterances, b each; a dead one has total -inf and is nobody's parent.

    `prefixes` (N, b, U) with `<sos>`; `totals` (N, b), weighted; `sums` (N, b) by scorer; `utterances` (N,): which they
    are; `going` (N,): whose result is open; `fewest`, `most` (N,) tokens; `worst` (N,): the score to be beaten;
    `finished` (N,): hypotheses that have; `suggested` (N, S'): tokens.
    """

    ROWS = ("prefixes", "totals", "utterances", "going", "fewest", "most", "worst", "finished")

    prefixes: Tensor
    totals: Tensor
    sums: dict[str, Tensor]
    utterances: Tensor
    going: Tensor
    fewest: Tensor
    most: Tensor
    worst: Tensor
    finished: Tensor
    suggested: Tensor | None = None
    ended: dict[int, list[Found]] = field(default_factory=dict)


class BeamSearch:
    """Finds the best outputs under a weighted sum of scorers.

    Parameters
    ----------
    weights : mapping of str to float
        By scorer's name.
    beam_size, nbest : int
        b, hypotheses kept at each step; and those given at the end.
    length_penalty : float
        alpha, see `DecodingOptions`.
    length_bonus : float
        Added to the score of a hypothesis for each of its tokens, `<eos>` too.
    pre_beam : int
        Of each hypothesis's next tokens, so many of the best by those scorers that score all are given to those that
        don't; 4 `beam_size` by default.
    suggestions : int
        Beside them, so many that each of those others suggests. ESPnet's search has none.
    sos, eos : int
        Ids.
    patience : float
        An utterance is finished when this many times `beam_size` of its hypotheses are (Kasai et al. 2022, arXiv
        2204.05424; 1 is what fairseq and CTranslate2 do), or when no better one can come; 0: only then.
    log_probabilities : bool
        False where a scorer may give more than 0, such as ESPnet's LengthBonus: then a running
        hypothesis can always overtake, and each search goes on to the length limit.
    """

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        beam_size: int,
        length_penalty: float,
        length_bonus: float = 0.0,
        sos: int,
        eos: int,
        nbest: int = 1,
        pre_beam: int | None = None,
        suggestions: int = 0,
        patience: float = 0.0,
        log_probabilities: bool = True,
    ) -> None:
        if not any(weights.values()):
            raise ValueError("no scorer has a weight; give one of them more than 0")
        self.weights = weights
        self.beam_size = beam_size
        self.length_penalty = length_penalty
        self.length_bonus = length_bonus
        self.sos, self.eos = sos, eos
        self.nbest = nbest
        self.pre_beam = max(pre_beam or 4 * beam_size, beam_size + 1)
        self.suggestions = suggestions
        self.enough = patience * beam_size or float("inf")
        self.log_probabilities = log_probabilities

    def __call__(
        self,
        scorers: Mapping[str, Scorer],
        *,
        fewest: Sequence[int],
        most: Sequence[int],
        device: torch.device | None = None,
    ) -> list[list[Found]]:
        """Search N utterances.

        Parameters
        ----------
        scorers : mapping
            Of these N x b hypotheses, which have not begun; one at least scores all tokens. One without a weight is
            not asked.
        fewest, most : sequence of int
            N each: tokens of a hypothesis, `<eos>` not counted.
        device : torch.device, optional
            The scorers'; the CPU by default.

        Returns
        -------
        list of list of Found
            For each utterance at most `nbest`, the best first; none where a scorer forbids all of `fewest` tokens.
        """
        asked = {name: s for name, s in scorers.items() if self.weights.get(name, 0) != 0}
        beams = self._start(asked, fewest, most, device)
        for length in range(max(most) + 1):
            self._extend(beams, asked, length)
            self._collect(beams)
            self._retire(beams)
            if not bool(beams.going.any()):
                break
            self._leave(beams, asked)
        return [beams.ended[i] for i in range(len(most))]

    def _start(
        self,
        scorers: Mapping[str, Scorer],
        fewest: Sequence[int],
        most: Sequence[int],
        device: torch.device | None,
    ) -> _Beams:
        if not any(isinstance(scorer, TokenScorer) for scorer in scorers.values()):
            raise ValueError("no scorer with a weight scores all tokens; give one that does")
        count = len(most)
        totals = torch.full((count, self.beam_size), -torch.inf, device=device)
        totals[:, 0] = 0.0
        return _Beams(
            prefixes=torch.full((count, self.beam_size, 1), self.sos, device=device),
            totals=totals,
            sums={name: torch.zeros_like(totals) for name in scorers},
            utterances=torch.arange(count, device=device),
            going=torch.ones(count, dtype=torch.bool, device=device),
            fewest=torch.tensor(fewest, device=device),
            most=torch.tensor(most, device=device),
            worst=torch.full((count,), -torch.inf, device=device),
            finished=torch.zeros(count, dtype=torch.long, device=device),
            ended={i: [] for i in range(count)},
        )

    def _extend(self, beams: _Beams, scorers: Mapping[str, Scorer], length: int) -> None:
        """One more token for every hypothesis; the best `beam_size` of each utterance stay."""
        last = beams.prefixes[:, :, -1]
        whole: dict[str, Tensor] = {}
        partial: dict[str, CandidateScorer] = {}
        for name, scorer in scorers.items():
            if isinstance(scorer, TokenScorer):
                whole[name] = scorer.step(last)  # (N, b, V)
            elif isinstance(scorer, CandidateScorer):
                scorer.step(last)
                partial[name] = scorer
        # Only the order counts here: one scorer alone needs no weight.
        (total, *others) = whole.values()
        total = _sum(whole, self.weights) if others else total
        candidates = self._candidates(total, beams, partial)  # (N, b, S)
        news = {name: scores.gather(2, candidates) for name, scores in whole.items()}
        news |= {name: scorer.score(candidates) for name, scorer in partial.items()}
        total = self._allowed(_sum(news, self.weights), candidates, beams, length)
        dead = beams.totals.isneginf()[:, :, None]  # their scores may be anything, NaN too
        before = beams.totals[:, :, None] + self.length_bonus
        total = (before + total).masked_fill(dead, -torch.inf)
        beams.totals, best = total.flatten(1).topk(self.beam_size, dim=1)  # (N, b)
        parents = best // total.size(2)
        tokens = candidates.flatten(1).gather(1, best)
        rows = parents[:, :, None].expand(-1, -1, beams.prefixes.size(2))
        beams.prefixes = torch.cat([beams.prefixes.gather(1, rows), tokens[:, :, None]], dim=2)
        for name, new in news.items():
            beams.sums[name] = beams.sums[name].gather(1, parents) + new.flatten(1).gather(1, best)
        for scorer in scorers.values():
            scorer.reorder(parents)

    def _candidates(
        self, total: Tensor, beams: _Beams, partial: Mapping[str, CandidateScorer]
    ) -> Tensor:
        """The next tokens that are looked at: (N, b, V) -> ids (N, b, S); `<eos>` is the last of them.

        Of each hypothesis the best `pre_beam` and what is suggested; or without scorers of candidates as many as the
        beam can need, which is one more than its size, as `<eos>` may not be allowed.
        """
        size, others = self.pre_beam if partial else self.beam_size + 1, total.size(2)
        chosen = [total.new_full((*total.shape[:2], 1), self.eos, dtype=torch.long)]
        if beams.suggested is None and self.suggestions:
            found = [scorer.suggest(self.suggestions) for scorer in partial.values()]
            beams.suggested = torch.cat(found, dim=1) if found else None
        if beams.suggested is not None:
            chosen.insert(0, beams.suggested[:, None].expand(-1, total.size(1), -1))
            total = total.scatter(2, chosen[0], -torch.inf)  # no token twice
            others -= chosen[0].size(2)
        return torch.cat([total.topk(min(size, others), dim=2).indices, *chosen], dim=2)

    def _allowed(self, scores: Tensor, candidates: Tensor, beams: _Beams, length: int) -> Tensor:
        """Scores (N, b, S) with -inf for what the length limits forbid, and for an `<eos>` that is there twice."""
        hidden = (candidates == self.eos) | (beams.most == length)[:, None, None]
        hidden[:, :, -1] = (beams.fewest > length)[:, None]
        return scores.masked_fill(hidden, -torch.inf)

    def _collect(self, beams: _Beams) -> None:
        """Move the hypotheses that end in `<eos>` from the beams to what has finished."""
        ends = beams.prefixes[:, :, -1] == self.eos
        length = beams.prefixes.size(2) - 1  # with <eos>, without <sos>
        finished = ends & ~beams.totals.isneginf()
        beams.finished = beams.finished + finished.sum(dim=1)
        for n, slot in finished.nonzero().tolist():
            found = Found(
                ids=tuple(beams.prefixes[n, slot, 1:-1].tolist()),
                score=beams.totals[n, slot].item() / length**self.length_penalty,
                scores={name: sums[n, slot].item() for name, sums in beams.sums.items()},
            )
            ended = beams.ended[int(beams.utterances[n])]
            ended.append(found)
            ended.sort(key=lambda one: -one.score)
            del ended[self.nbest :]
            if len(ended) == self.nbest:
                beams.worst[n] = ended[-1].score
        beams.totals = beams.totals.masked_fill(ends, -torch.inf)

    def _retire(self, beams: _Beams) -> None:
        """Find the utterances whose result is certain; their hypotheses die."""
        bounds = beams.totals.amax(dim=1)
        certain = bounds.isneginf() | (beams.finished >= self.enough)
        if self.log_probabilities:
            # Sums of log-probabilities only fall: a running hypothesis can reach no more than this.
            length = beams.prefixes.size(2) - 1
            bounds = bounds + max(0.0, self.length_bonus) * (beams.most + 1 - length)
            best = torch.where(bounds < 0, beams.most + 1, length + 1)  # of all lengths it may have
            certain |= bounds / best**self.length_penalty <= beams.worst
        beams.going &= ~certain
        beams.totals = beams.totals.masked_fill(certain[:, None], -torch.inf)

    def _leave(self, beams: _Beams, scorers: Mapping[str, Scorer]) -> None:
        """Take finished utterances out of the batch, once they are many."""
        going = beams.going.nonzero()[:, 0]
        if len(going) > (1 - LEAVE) * len(beams.going):
            return
        for name in _Beams.ROWS:
            setattr(beams, name, getattr(beams, name)[going])
        beams.sums = {name: sums[going] for name, sums in beams.sums.items()}
        beams.suggested = None if beams.suggested is None else beams.suggested[going]
        for scorer in scorers.values():
            scorer.keep(going)


def _sum(scores: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum."""
    terms = [weights[name] * score for name, score in scores.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
