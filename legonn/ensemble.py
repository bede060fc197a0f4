"""Chains, and a language model, that decode as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import nn

from legonn.bridge import Bridge
from legonn.chain import Chain
from legonn.language_model import LanguageModel

__all__ = ["Ensemble"]


class Ensemble(Chain):
    """A chain whose hypotheses others score, too: the decoders of chains that read the same input, a language model.

    The decoders' log-probabilities are added, each with its weight: a log-linear mixture. The interface is the first
    chain's: it gives the positions, CTC's scores, and alignments. Seeds of one training are the usual members; here
    they may be an encoder's own decoder, which learned to hear, and a borrowed one, which read much text *(ours)*.

    Parameters
    ----------
    first : Chain
        Layers are shared, not copied.
    others : sequence of Chain
        Each encodes the input by itself. The members of an ensemble, here or there, become members of this one.
    language_model : LanguageModel, optional
        By default the first chain's, where it has one.
    """

    def __init__(
        self,
        first: Chain,
        others: Sequence[Chain] = (),
        *,
        language_model: LanguageModel | None = None,
    ) -> None:
        super().__init__(
            encoder=first.encoder,
            head=first.head,
            bridges=[cast(Bridge, bridge) for bridge in first.bridges],
            ingestor=first.ingestor,
            decoder=first.decoder,
            ctc_weight=first.ctc_weight,
            precision=first.precision,
        )
        everyone = [member for chain in (first, *others) for member in chain.members()]
        self.others = nn.ModuleList(everyone[1:])
        self.language_model = language_model or first.language_model

    def members(self) -> list[Chain]:
        """See `Chain`; the first is this one."""
        return [self, *(cast(Chain, other) for other in self.others)]
