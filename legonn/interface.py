"""What passes between two modules: `Marginals`, the value, and `Interface`, its contract."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.nn import functional

from legonn.errors import ConfigError, InterfaceMismatch
from legonn.plain_yaml import read_yaml
from legonn.tokenizer import TextCodec, file_sha256

__all__ = ["BLANK", "Interface", "Marginals", "feasible", "positions_needed", "token_difference"]

BLANK = 0


def _inside(size: int, lengths: Tensor) -> Tensor:
    """True at real positions: (B,) -> (B, size)."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def positions_needed(targets: Tensor, lengths: Tensor) -> Tensor:
    """Fewest positions from which CTC can emit each target: U plus its equal neighbours. (B, U), (B,) -> (B,)."""
    inside = _inside(targets.size(1), lengths)[:, 1:]
    repeats = ((targets[:, 1:] == targets[:, :-1]) & inside).sum(dim=1)
    return lengths + repeats


def feasible(positions: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """Whether CTC can emit each target from that many positions: (B,), (B, U), (B,) -> bool (B,)."""
    return positions >= positions_needed(targets, lengths)


@dataclass(frozen=True)
class Marginals:
    """A sequence of distributions over a fixed token list, blank included (paper section III-A).

    Attributes
    ----------
    log_probs : Tensor
        (B, K, V), the output of a log-softmax.
    lengths : Tensor
        int64 (B,): how many of the K positions are real.
    """

    log_probs: Tensor
    lengths: Tensor

    def probs(self) -> Tensor:
        """(B, K, V)."""
        return self.log_probs.exp()

    def real(self) -> Tensor:
        """The log-probabilities of all real positions, utterance after utterance: (N, V)."""
        return self.log_probs[_inside(self.log_probs.size(1), self.lengths)]

    def greedy(self) -> list[list[int]]:
        """The best token at each position, equal neighbours merged, blanks dropped: one list of ids an utterance."""
        best = self.log_probs.argmax(dim=-1).tolist()
        return [
            _collapse(ids[:length]) for ids, length in zip(best, self.lengths.tolist(), strict=True)
        ]

    def top(self, beam: int) -> Tensor:
        """Ids of the `beam` best tokens at each position, best first: int64 (B, K, beam). Carries no gradient."""
        return self.log_probs.detach().topk(beam, dim=-1).indices

    def entropy(self) -> Tensor:
        """Entropy of each position in nats: (B, K)."""
        return -(self.probs() * self.log_probs).sum(dim=-1)

    def ctc_loss(self, targets: Tensor, lengths: Tensor) -> Tensor:
        """Negative log-likelihood in nats of each target under CTC: (B, U), (B,) -> (B,).

        A target that can't be emitted from its positions gives zero, with zero gradient; count those with `feasible`.

        CTC of an utterance touches only its own tokens and the blank, so the recursion runs over their U+2
        columns, not over V: PyTorch's backward fills all V and took a tenth of a training step.
        """
        classes, labels = _own_classes(targets, lengths)
        own = self.log_probs.float().gather(  # (B, K, U+2)
            -1, classes[:, None, :].expand(-1, self.log_probs.size(1), -1)
        )
        if not (torch.is_grad_enabled() and own.requires_grad):
            return _ctc(own, labels, self.lengths, lengths)
        with torch.enable_grad():
            leaf = own.detach().requires_grad_()
            loss = _ctc(leaf, labels, self.lengths, lengths)
            (slope,) = torch.autograd.grad(loss.sum(), leaf)
        # PyTorch's gradient is p - gamma: that of the scores before a log-softmax over these columns, which this is
        # not. Less p it is -gamma, the derivative by the log-probabilities themselves (arXiv 1211.3711 (16)).
        alive = _inside(own.size(1), self.lengths)
        alive = alive & feasible(self.lengths, targets, lengths)[:, None]  # (B, K)
        posterior = torch.where(alive[:, :, None], slope - leaf.detach().exp(), 0.0)
        linear = (own * posterior).sum(dim=(1, 2))
        return loss.detach() + linear - linear.detach()


def _own_classes(targets: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The classes of each utterance, blank first, and its targets as places among them.

    ids (B, U) and (B,) -> classes (B, U+2) and labels (B, U+1), one column of padding.
    Equal tokens share the place of the first of them.
    """
    targets = functional.pad(targets, (0, 1))  # so that a batch of empty targets has a column
    inside = _inside(targets.size(1), lengths)
    tokens = torch.where(inside, targets, BLANK)
    first = (tokens[:, :, None] == tokens[:, None, :]).int().argmax(dim=-1)  # (B, U+1)
    return functional.pad(tokens, (1, 0), value=BLANK), first + 1


def _ctc(log_probs: Tensor, labels: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """(B, K, C), (B, U), (B,), (B,) -> (B,)."""
    return functional.ctc_loss(
        log_probs.transpose(0, 1),  # (B, K, C) -> (K, B, C)
        labels,
        positions,
        lengths,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )


def _collapse(ids: list[int]) -> list[int]:
    merged = [token for i, token in enumerate(ids) if i == 0 or token != ids[i - 1]]
    return [token for token in merged if token != BLANK]


@dataclass(frozen=True)
class Interface:
    """The contract of one interface: what an encoder emits and a decoder expects.

    Attributes
    ----------
    tokens : tuple of str
        The token list; its order is the id.
    blank : int
        Id of CTC's blank.
    unit : str
        bpe, char, word or phn.
    tokenizer_sha256 : str
        Of the tokenizer's model file; empty where the unit needs none.
    case, punctuation : str, bool
        How the text was normalised: tc, lc ..., as in a recipe's `text.<case>.<lang>`; whether it has punctuation.
    ingestor : str
        wemb or beamconv: what the reading side does with the marginals.
    beam : int or None
        p of BeamConv: how many tokens of each position it reads.
    positions_per_token : tuple of three floats or None
        K/U seen in training: percentiles 1, 50 and 99.
    provenance : dict
        Training set, date, source revision, parents; where it was trained on speech, `longest_seconds`.
    """

    tokens: tuple[str, ...]
    blank: int = BLANK
    unit: str = "bpe"
    tokenizer_sha256: str = ""
    case: str = "tc"
    punctuation: bool = True
    ingestor: str = "wemb"
    beam: int | None = None
    positions_per_token: tuple[float, float, float] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, codec: TextCodec) -> Interface:
        """The contract of these tokens, with nothing seen in training."""
        return cls(
            tokens=codec.tokens,
            unit=codec.token_type,
            tokenizer_sha256=file_sha256(codec.model),
        )

    def check_fits(self, reader: Interface, *, writer_name: str, reader_name: str) -> list[str]:
        """Check that a module with interface `reader` can read what this one writes.

        Returns
        -------
        list of str
            Warnings: fits, but was not seen in training.

        Raises
        ------
        InterfaceMismatch
            Naming both modules, what differs, and what to do.
        """
        difference = self.difference(reader)
        if difference:
            raise InterfaceMismatch(
                f"{writer_name} does not fit {reader_name}: {difference}. Train the encoder with the "
                f"decoder's token list and tokenizer (--token_listdir), or put a bridge between them."
            )
        return [
            *self._text_warnings(reader, writer_name, reader_name),
            *self._range_warnings(reader, writer_name, reader_name),
        ]

    def difference(self, reader: Interface) -> str:
        """What of tokens, blank and tokenizer isn't the same on two sides; empty where nothing is."""
        if self.tokens != reader.tokens:
            return token_difference(self.tokens, reader.tokens)
        if self.blank != reader.blank:
            return (
                f"the blank is id {self.blank} on the one side and id {reader.blank} on the other"
            )
        if self.tokenizer_sha256 != reader.tokenizer_sha256:
            return (
                f"same tokens, but the tokenizer's model file has SHA-256 {self.tokenizer_sha256[:12]}... "
                f"on the one side and {reader.tokenizer_sha256[:12]}... on the other"
            )
        return ""

    @property
    def normalisation(self) -> str:
        """Of the text, in words."""
        return f"case {self.case}, {'with' if self.punctuation else 'no'} punctuation"

    def same_text(self, other: Interface) -> bool:
        """Whether two sides' text was normalised alike; phones have neither case nor punctuation."""
        return "phn" in (self.unit, other.unit) or self.normalisation == other.normalisation

    def _text_warnings(self, reader: Interface, writer_name: str, reader_name: str) -> list[str]:
        """Tokens are the same in any case of the text, but a part has learned one."""
        if self.same_text(reader):
            return []
        return [
            f"{writer_name} was trained on text of {self.normalisation}, and {reader_name} on text of "
            f"{reader.normalisation}: what the one writes the other has never read. Train one on text like the other's "
            "(--case, --punctuation; recipes: --tgt_case, --tgt_punctuation)."
        ]

    def _range_warnings(self, reader: Interface, writer_name: str, reader_name: str) -> list[str]:
        mine, theirs = self.positions_per_token, reader.positions_per_token
        if mine is None or theirs is None or theirs[0] <= mine[1] <= theirs[2]:
            return []
        return [
            f"{writer_name} gives {mine[1]:.2f} positions a token at the median; {reader_name} saw "
            f"{theirs[0]:.2f} to {theirs[2]:.2f} in training. legonn compose --length_ratio brings them "
            "nearer: decode the folder that it makes."
        ]

    def fingerprint(self) -> str:
        """Twelve hex digits that are equal on two interfaces exactly where they fit."""
        identity = [list(self.tokens), self.blank, self.tokenizer_sha256]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """What YAML can hold; `from_dict` reads it."""
        document = dataclasses.asdict(self)
        document["tokens"] = list(self.tokens)
        if self.positions_per_token is not None:
            document["positions_per_token"] = list(self.positions_per_token)
        return document

    def without_tokens(self) -> dict[str, Any]:
        """As `to_dict`, for where the tokens are a file of their own."""
        return {key: value for key, value in self.to_dict().items() if key != "tokens"}

    @classmethod
    def from_dict(cls, document: Any, name: str) -> Interface:
        """What `to_dict` gave.

        Raises
        ------
        ConfigError
            If it is no mapping of exactly the right keys; the message calls it `name`.
        """
        try:
            fields = {**document, "tokens": tuple(document["tokens"])}
            if fields.get("positions_per_token") is not None:
                low, middle, high = map(float, fields["positions_per_token"])
                fields["positions_per_token"] = (low, middle, high)
            made = cls(**fields)
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigError(f"{name} is no interface description: {error}") from error
        for key, kinds in _TYPES.items():
            value = getattr(made, key)
            if not isinstance(value, kinds) or (kinds is int and isinstance(value, bool)):
                raise ConfigError(f"{name} is no interface description: {key} is {value!r:.80}")
        longest = made.provenance.get("longest_seconds", 1.0)
        if not isinstance(longest, (int, float)) or not 0 < longest < math.inf:
            raise ConfigError(
                f"{name} is no interface description: longest_seconds is {longest!r:.80}"
            )
        if not all(isinstance(token, str) for token in made.tokens):
            raise ConfigError(f"{name} is no interface description: tokens are not all text")
        return made

    def save(self, path: Path) -> None:
        """Write as YAML."""
        from legonn.data.atomic import write_atomic

        write_atomic(path, yaml.safe_dump(self.to_dict(), allow_unicode=True, sort_keys=False))

    @classmethod
    def load(cls, path: Path) -> Interface:
        """Read what `save` wrote.

        Raises
        ------
        ConfigError
            If the file is absent, is no YAML mapping, or has unknown keys.
        """
        document = read_yaml(path, f"{path} is no interface description")
        return cls.from_dict(document, str(path))


_TYPES: dict[str, Any] = {
    "blank": int,
    "unit": str,
    "tokenizer_sha256": str,
    "case": str,
    "punctuation": bool,
    "ingestor": str,
    "beam": (int, type(None)),
    "provenance": dict,
}


def token_difference(mine: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    rows = [
        f"id {i}: {a!r} against {b!r}"
        for i, (a, b) in enumerate(zip(mine, theirs, strict=False))
        if a != b
    ]
    size = f"token lists differ ({len(mine)} and {len(theirs)} tokens"
    return f"{size}; first differences {', '.join(rows[:3])})" if rows else f"{size})"
