"""Beam search of many utterances at once, over any of ESPnet's batched scorers.

The same search as `espnet.nets.batch_beam_search.BatchBeamSearch`, save where that costs time or
quality: it searches utterances of equal length together; it ends one when no running hypothesis can
overtake by *normalised* score, where ESPnet's `end_detect` compares sums; and the `<eos>` that the
length limit forces is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from espnet.nets.scorer_interface import BatchPartialScorerInterface, BatchScorerInterface
from torch import Tensor

__all__ = ["BeamSearch", "Found"]


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
    """

    ids: tuple[int, ...]
    score: float
    scores: dict[str, float]


@dataclass
class _Beams:
    """Running hypotheses of N utterances, b each; a dead one has total -inf and is nobody's parent.

    `prefixes` (N*b, U), `totals` (N, b), `sums` (N, b) and `states` (N*b) by scorer, `memory`
    (N*b, K, D); `utterances` (N,) and `ended` (N,) say whose they are and what has finished.
    """

    prefixes: Tensor
    totals: Tensor
    sums: dict[str, Tensor]
    states: dict[str, Any]
    memory: Tensor
    utterances: list[int]
    ended: list[list[Found]] = field(default_factory=list)

    def rows(self, parents: Tensor) -> Tensor:
        """Parents as slots (N, b) -> as rows (N*b,)."""
        first = torch.arange(len(parents), device=parents.device)[:, None] * parents.size(1)
        return (parents + first).flatten()


class BeamSearch:
    """Finds the best outputs under a weighted sum of scorers.

    Parameters
    ----------
    scorers : mapping of str to BatchScorerInterface
        Each gives scores of the next token for prefixes of several utterances at once.
    weights : mapping of str to float
        By scorer; one without a weight, or with 0, is not asked.
    beam_size, nbest : int
        Hypotheses kept at each step; and given at the end.
    length_penalty : float
        alpha, see `DecodingOptions`.
    sos, eos : int
        Ids.
    log_probabilities : bool
        False where a scorer may give more than 0, such as ESPnet's LengthBonus: then a running
        hypothesis can always overtake, and each search goes on to the length limit.
    """

    def __init__(
        self,
        *,
        scorers: Mapping[str, BatchScorerInterface],
        weights: Mapping[str, float],
        beam_size: int,
        length_penalty: float,
        sos: int,
        eos: int,
        nbest: int = 1,
        log_probabilities: bool = True,
    ) -> None:
        self.scorers = {name: s for name, s in scorers.items() if weights.get(name, 0) != 0}
        if not self.scorers:
            raise ValueError("no scorer has a weight; give one of them more than 0")
        for name, scorer in self.scorers.items():
            if isinstance(scorer, BatchPartialScorerInterface):
                raise TypeError(
                    f"scorer {name!r} scores only some tokens; give one that scores all"
                )
        self.weights = weights
        self.beam_size = beam_size
        self.length_penalty = length_penalty
        self.sos, self.eos = sos, eos
        self.nbest = nbest
        self.log_probabilities = log_probabilities

    def __call__(
        self,
        memory: Tensor,
        *,
        fewest: int,
        most: int,
        inputs: Mapping[str, Tensor] | None = None,
    ) -> list[list[Found]]:
        """Search N utterances of equal length.

        Parameters
        ----------
        memory : Tensor
            (N, K, D): what scorers are given as ESPnet's `x` and `xs`.
        fewest, most : int
            Tokens of a hypothesis, `<eos>` not counted.
        inputs : mapping, optional
            (N, ...) by scorer: what its `batch_init_state` gets in place of `memory`.

        Returns
        -------
        list of list of Found
            For each utterance at most `nbest`, the best first.
        """
        results: list[list[Found]] = [[] for _ in range(len(memory))]
        beams = self._start(memory, inputs or {})
        for length in range(most + 1):
            self._extend(beams, may_end=length >= fewest, must_end=length == most)
            self._collect(beams)
            self._retire(beams, results, most)
            if not beams.utterances:
                break
        # A scorer may forbid every output of `fewest` tokens: CTC does when positions are fewer.
        for i in [i for i, found in enumerate(results) if not found]:
            one = {name: x[i : i + 1] for name, x in (inputs or {}).items()}
            results[i] = self(memory[i : i + 1], fewest=0, most=most, inputs=one)[0]
        return results

    def _start(self, memory: Tensor, inputs: Mapping[str, Tensor]) -> _Beams:
        count, size = len(memory), self.beam_size
        totals = memory.new_full((count, size), -torch.inf, dtype=torch.float32)
        totals[:, 0] = 0.0
        states = {
            name: [
                state
                for x in inputs.get(name, memory)
                for state in [scorer.batch_init_state(x)] * size
            ]
            for name, scorer in self.scorers.items()
        }
        return _Beams(
            prefixes=torch.full((count * size, 1), self.sos, device=memory.device),
            totals=totals,
            sums={name: torch.zeros_like(totals) for name in self.scorers},
            states=states,
            memory=memory.repeat_interleave(size, dim=0),
            utterances=list(range(count)),
            ended=[[] for _ in range(count)],
        )

    def _extend(self, beams: _Beams, *, may_end: bool, must_end: bool) -> None:
        """One more token for every hypothesis; the best `beam_size` of each utterance stay."""
        count, size = beams.totals.shape
        news, states = {}, {}
        total = 0.0
        for name, scorer in self.scorers.items():
            score, states[name] = scorer.batch_score(
                beams.prefixes, beams.states[name], beams.memory
            )
            news[name] = score.view(count, -1)  # (N, b*V)
            total = total + self.weights[name] * score.float()
        assert isinstance(total, Tensor)
        total = self._allowed(total, may_end=may_end, must_end=must_end).view(count, size, -1)
        dead = beams.totals.isneginf()[:, :, None]  # their scores may be anything, NaN too
        total = (beams.totals[:, :, None] + total).masked_fill(dead, -torch.inf)
        beams.totals, best = total.flatten(1).topk(size, dim=1)  # (N, b)
        parents, tokens = best // total.size(2), best % total.size(2)
        rows = beams.rows(parents)
        beams.prefixes = torch.cat([beams.prefixes[rows], tokens.view(-1, 1)], dim=1)
        for name, scorer in self.scorers.items():
            beams.sums[name] = beams.sums[name].gather(1, parents) + news[name].gather(1, best)
            beams.states[name] = [scorer.select_state(states[name], i) for i in rows.tolist()]

    def _allowed(self, scores: Tensor, *, may_end: bool, must_end: bool) -> Tensor:
        """Scores (n, V) with -inf for what the length limits forbid."""
        if may_end and not must_end:
            return scores
        end = torch.arange(scores.size(1), device=scores.device) == self.eos
        return scores.masked_fill(~end if must_end else end, -torch.inf)

    def _collect(self, beams: _Beams) -> None:
        """Move the hypotheses that end in `<eos>` from the beams to what has finished."""
        ends = (beams.prefixes[:, -1] == self.eos).view_as(beams.totals)
        length = beams.prefixes.size(1) - 1  # with <eos>, without <sos>
        for n, slot in (ends & ~beams.totals.isneginf()).nonzero().tolist():
            beams.ended[n].append(
                Found(
                    ids=tuple(beams.prefixes[n * self.beam_size + slot, 1:-1].tolist()),
                    score=beams.totals[n, slot].item() / length**self.length_penalty,
                    scores={name: sums[n, slot].item() for name, sums in beams.sums.items()},
                )
            )
        beams.totals = beams.totals.masked_fill(ends, -torch.inf)

    def _retire(self, beams: _Beams, results: list[list[Found]], most: int) -> None:
        """Take out the utterances whose result is certain."""
        # Sums of log-probabilities only fall: a running hypothesis can reach no more than this.
        bounds = (beams.totals.amax(dim=1) / (most + 1) ** self.length_penalty).tolist()
        going = []
        for n, (utterance, bound) in enumerate(zip(beams.utterances, bounds, strict=True)):
            ranked = sorted(beams.ended[n], key=lambda found: -found.score)[: self.nbest]
            if self._certain(ranked, bound):
                results[utterance] = ranked
            else:
                going.append(n)
        if len(going) < len(beams.utterances):
            self._keep(beams, going)

    def _certain(self, ranked: list[Found], bound: float) -> bool:
        if bound == -torch.inf:
            return True
        full = len(ranked) == self.nbest
        return self.log_probabilities and full and bound <= ranked[-1].score

    def _keep(self, beams: _Beams, going: list[int]) -> None:
        """Shrink the beams to the utterances at these places."""
        size = self.beam_size
        index = torch.tensor(going, dtype=torch.long, device=beams.totals.device)
        rows = (index[:, None] * size + torch.arange(size, device=index.device)).flatten()
        kept = rows.tolist()
        beams.prefixes, beams.memory = beams.prefixes[rows], beams.memory[rows]
        beams.totals = beams.totals[index]
        beams.sums = {name: sums[index] for name, sums in beams.sums.items()}
        beams.states = {name: [s[i] for i in kept] for name, s in beams.states.items()}
        beams.utterances = [beams.utterances[n] for n in going]
        beams.ended = [beams.ended[n] for n in going]
