"""What an encoder made of single tokens, kept so that a decoder can learn from text to read that encoder *(ours)*.

Speech was once synthesised by joining recorded sounds. This does it with marginals: utterances whose text is known are
cut at their tokens (CTC's best path says where), and from these cuttings the marginals of any other text are put
together, with the encoder's own doubts, mistakes and timing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from legonn.errors import ConfigError
from legonn.interface import BLANK, Marginals

__all__ = ["Cuttings", "MarginalBank"]

FEW = 4  # cuttings in the same context, below which it doesn't matter
REST = 1e-4  # of a position's probability, at least, shared by all tokens


@dataclass(frozen=True)
class MarginalBank:
    """Cuttings of marginals, S of them with R positions in all; of each position the k best tokens.

    Attributes
    ----------
    tokens : tuple of str
        The interface's list, V of them.
    keys : Tensor
        int64 (S,), rising: token, the one after it and the one before it as digits of base V; at an utterance's ends
        the last token stands there, `<sos/eos>`.
    starts : Tensor
        int64 (S + 1,): cutting s has the positions `starts[s]` to `starts[s + 1]`.
    ids, log_probs : Tensor
        int32 (R, k) and float16 (R, k).
    """

    tokens: tuple[str, ...]
    keys: Tensor
    starts: Tensor
    ids: Tensor
    log_probs: Tensor

    def draw(
        self, texts: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> Marginals:
        """Marginals of texts: of each token one of its cuttings, drawn from those between the same tokens if possible.

        Parameters
        ----------
        texts, lengths : Tensor
            Ids (B, U), padded with anything, and (B,).
        generator : torch.Generator, optional
            Of the draws.
        """
        device, vocabulary = texts.device, len(self.tokens)
        inside = torch.arange(texts.size(1), device=device) < lengths[:, None]
        edge = texts.new_full((len(texts), 1), vocabulary - 1)
        known = torch.where(inside, texts, vocabulary - 1)
        after = torch.cat([known[:, 1:], edge], dim=1)[inside]
        before = torch.cat([edge, known[:, :-1]], dim=1)[inside]
        first, last = self._alike(texts[inside], after, before)
        chance = torch.rand(len(first), device=device, generator=generator)
        chosen = first + (chance * (last - first)).long()  # (n,) tokens

        counts = self.starts[chosen + 1] - self.starts[chosen]
        token = torch.arange(len(chosen), device=device).repeat_interleave(counts)  # (N,) positions
        within = torch.arange(len(token), device=device) - (counts.cumsum(0) - counts)[token]
        rows = self.starts[chosen][token] + within
        utterance = torch.arange(len(texts), device=device)[:, None].expand_as(texts)[inside][token]
        positions = torch.bincount(utterance, minlength=len(texts))  # (B,)
        place = (
            torch.arange(len(rows), device=device) - (positions.cumsum(0) - positions)[utterance]
        )
        log_probs = texts.new_zeros(
            (len(texts), max(1, int(positions.max())), vocabulary), dtype=torch.float32
        )
        log_probs[utterance, place] = self._dense(rows)
        return Marginals(log_probs, positions.clamp(min=1))

    def _alike(self, token: Tensor, after: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Where the cuttings of tokens (n,) begin and end that are most alike: (n,), (n,)."""
        size = len(self.tokens)
        wide = token * size * size
        pair = wide + after * size
        exact = pair + before
        first, last = self._between(wide, size * size)
        for low, span in ((pair, size), (exact, 1)):
            one, other = self._between(low, span)
            enough = other - one >= FEW
            first, last = torch.where(enough, one, first), torch.where(enough, other, last)
        return first, last

    def _between(self, low: Tensor, span: int) -> tuple[Tensor, Tensor]:
        return torch.searchsorted(self.keys, low), torch.searchsorted(self.keys, low + span)

    def _dense(self, rows: Tensor) -> Tensor:
        """Log-probabilities of all tokens at positions (N,): (N, V)."""
        best = self.log_probs[rows].float().exp()
        rest = (1 - best.sum(dim=1, keepdim=True)).clamp(min=REST) / len(self.tokens)
        probs = rest.repeat(1, len(self.tokens)).scatter_add_(1, self.ids[rows].long(), best)
        return (probs / probs.sum(dim=1, keepdim=True)).log()

    def to(self, device: torch.device) -> MarginalBank:
        """The same there."""
        moved = {
            name: getattr(self, name).to(device) for name in ("keys", "starts", "ids", "log_probs")
        }
        return replace(self, **moved)

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        from safetensors.torch import save

        from legonn.data.atomic import write_atomic

        names = ("keys", "starts", "ids", "log_probs")
        tensors = {name: getattr(self, name).contiguous() for name in names}
        write_atomic(path, save(tensors, {"tokens": json.dumps(list(self.tokens))}))

    @classmethod
    def load(cls, path: str | Path) -> MarginalBank:
        """Read what `save` wrote.

        Raises
        ------
        ConfigError
            If the file is absent, damaged, or something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                tokens = tuple(json.loads((file.metadata() or {})["tokens"]))
                bank = cls(
                    tokens,
                    *(file.get_tensor(name) for name in ("keys", "starts", "ids", "log_probs")),
                )
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ConfigError(
                f"{path} is no bank of marginals: make one with `legonn bank` ({error})"
            ) from error
        bank._check(path)
        return bank

    def _check(self, path: str | Path) -> None:
        size, count, rows = len(self.tokens), len(self.keys), len(self.ids)
        sound = (
            (self.keys.dtype, self.keys.shape) == (torch.int64, (count,))
            and (self.starts.dtype, self.starts.shape) == (torch.int64, (count + 1,))
            and (self.ids.dtype, self.ids.dim()) == (torch.int32, 2)
            and (self.log_probs.dtype, self.log_probs.shape) == (torch.float16, self.ids.shape)
            and count > 0
            and bool((self.keys.diff() >= 0).all())
            and bool((self.starts.diff() > 0).all())
            and (int(self.starts[0]), int(self.starts[-1])) == (0, rows)
            and bool(((self.ids >= 0) & (self.ids < size)).all())
            and torch.equal(torch.unique(self.keys // size**2), torch.arange(size))
        )
        if not sound:
            raise ConfigError(
                f"{path} is a damaged bank of marginals: make it anew with `legonn bank`"
            )


class Cuttings:
    """Collects a bank.

    Parameters
    ----------
    tokens : sequence of str
        The interface's list.
    best : int
        k.
    """

    def __init__(self, tokens: Sequence[str], *, best: int = 8) -> None:
        self.tokens = tuple(tokens)
        self.best = min(best, len(self.tokens))
        self.keys: list[int] = []
        self.counts: list[int] = []
        self.ids: list[Tensor] = []
        self.log_probs: list[Tensor] = []

    def add(self, log_probs: Tensor, text: Sequence[int], spans: Sequence[tuple[int, int]]) -> None:
        """Cut one utterance, (K, V), at its tokens, whose first and last positions are `spans`; blanks go by halves."""
        if not text:
            return
        edges = [
            0,
            *((left[1] + 1 + right[0]) // 2 for left, right in zip(spans, spans[1:], strict=False)),
            len(log_probs),
        ]
        best = log_probs.topk(self.best, dim=1)
        edge = len(self.tokens) - 1
        around = [edge, *text, edge]
        for i, token in enumerate(text):
            self.keys.append(
                (token * len(self.tokens) + around[i + 2]) * len(self.tokens) + around[i]
            )
            self.counts.append(edges[i + 1] - edges[i])
        self.ids.append(best.indices.int())
        self.log_probs.append(best.values.half())

    def bank(self) -> MarginalBank:
        """All of them, in order; a token that wasn't there has one cutting without any doubt."""
        seen = {key // len(self.tokens) ** 2 for key in self.keys}
        for token in range(len(self.tokens)):
            if token not in seen:
                certain = torch.full((2, len(self.tokens)), -torch.inf)
                certain[0, token] = certain[1, BLANK] = 0.0
                self.add(certain, [token], [(0, 0)])
        keys, counts = torch.tensor(self.keys), torch.tensor(self.counts)
        order = keys.argsort(stable=True)
        before = counts.cumsum(0) - counts
        rows = torch.cat(
            [
                torch.arange(first, first + count)
                for first, count in zip(before[order].tolist(), counts[order].tolist(), strict=True)
            ]
        )
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts[order].cumsum(0)])
        return MarginalBank(
            self.tokens,
            keys[order],
            starts,
            torch.cat(self.ids)[rows],
            torch.cat(self.log_probs)[rows],
        )
