"""One small class for each way to decode: inputs of equal length in, finished hypotheses out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from legonn.chain import Chain, Encoded
from legonn.errors import ConfigError
from legonn.precision import autocast, resolve_precision
from legonn.search.beam import BeamSearch, Found
from legonn.search.ctc_prefix import CTCPrefixScorer
from legonn.search.options import DecodingOptions

__all__ = ["Attention", "CTCGreedy", "Joint", "Strategy", "decode_batch", "strategy_for"]


class Strategy(ABC):
    """Decodes what a chain has encoded.

    Parameters
    ----------
    chain : Chain
        In evaluation mode.
    options : DecodingOptions
        Of the search.
    """

    def __init__(self, chain: Chain, options: DecodingOptions) -> None:
        self.chain = chain
        self.options = options

    @abstractmethod
    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        """N utterances of equal K -> for each its hypotheses, the best first."""


class Attention(Strategy):
    """Beam search with the decoder alone; the score's name is `decoder`."""

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        weights = {"decoder": 1.0}
        return self.search(encoded, {}, weights, {})

    def search(
        self,
        encoded: Encoded,
        others: dict[str, CTCPrefixScorer],
        weights: dict[str, float],
        inputs: dict[str, Tensor],
    ) -> list[list[Found]]:
        """Beam search with the decoder and `others`."""
        fewest, most = self.options.limits(encoded.memory.size(1))
        search = BeamSearch(
            scorers={"decoder": self.chain.decoder, **others},
            weights=weights,
            beam_size=self.options.beam_size,
            nbest=self.options.nbest,
            length_penalty=self.options.length_penalty,
            sos=self.chain.sos,
            eos=self.chain.eos,
        )
        return search(encoded.memory, fewest=fewest, most=most, inputs=inputs)


class Joint(Attention):
    """Beam search with the decoder and the last interface's CTC; scores are `decoder` and `ctc`."""

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        weight = self.options.ctc_weight
        return self.search(
            encoded,
            others={"ctc": CTCPrefixScorer(eos=self.chain.eos)},
            weights={"decoder": 1 - weight, "ctc": weight},
            inputs={"ctc": encoded.marginals[-1].log_probs},
        )


class CTCGreedy(Strategy):
    """The best token at each position of the last interface: a look at what crosses it.

    The score is that path's mean log-probability a position in nats, `scores["ctc_path"]` the sum.
    """

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        marginals = encoded.marginals[-1]
        sums = marginals.log_probs.amax(dim=-1).sum(dim=1).tolist()
        positions = marginals.log_probs.size(1)
        return [
            [Found(tuple(ids), total / positions, {"ctc_path": total})]
            for ids, total in zip(marginals.greedy(), sums, strict=True)
        ]


STRATEGIES: dict[str, type[Strategy]] = {
    "attention": Attention,
    "joint": Joint,
    "ctc_greedy": CTCGreedy,
}


def strategy_for(chain: Chain, options: DecodingOptions) -> Strategy:
    """The strategy that `options` name.

    Raises
    ------
    ConfigError
        If it needs an interface and the chain is a plain encoder-decoder.
    """
    if options.mode != "attention" and chain.head is None:
        raise ConfigError(
            f"mode is {options.mode!r}, but this system is a plain encoder-decoder: it has no "
            "interface whose CTC could be decoded. Use mode attention, or train with --system lego."
        )
    return STRATEGIES[options.mode](chain, options)


@torch.inference_mode()
def decode_batch(chain: Chain, source: Tensor, options: DecodingOptions) -> list[list[Found]]:
    """Decode inputs of equal length: none is padded, so each gives what it gives alone.

    Parameters
    ----------
    chain : Chain
        In evaluation mode.
    source : Tensor
        Ids (N, T), on any device; T at least 1.
    options : DecodingOptions
        How.

    Returns
    -------
    list of list of Found
        For each input its hypotheses, the best first.
    """
    strategy = strategy_for(chain, options)
    device = chain.decoder.embedding.weight.device
    source = source.to(device)
    lengths = torch.full((len(source),), source.size(1), device=device)
    with autocast(device, resolve_precision(options.precision, device)):
        return strategy(chain.encode(source, lengths))
