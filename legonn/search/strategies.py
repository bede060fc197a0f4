"""One small class for each way to decode: what a chain has encoded in, finished hypotheses out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from legonn.chain import Chain, Encoded
from legonn.errors import ConfigError
from legonn.layers import padding_mask
from legonn.search.beam import LEAVE, BeamSearch, Found
from legonn.search.ctc_beam import prefix_beam_search
from legonn.search.ctc_prefix import CTCScorer
from legonn.search.options import DecodingOptions
from legonn.search.rescoring import decoder_scores
from legonn.search.scorers import DecoderScorer, EspnetScorer, Scorer

__all__ = [
    "Attention",
    "CTCBeam",
    "CTCGreedy",
    "Greedy",
    "Joint",
    "Rescore",
    "Strategy",
    "mode_for",
    "strategy_for",
]


class Strategy(ABC):
    """Decodes what a chain has encoded.

    Parameters
    ----------
    chain : Chain
        In evaluation mode.
    options : DecodingOptions
        Of the search.
    """

    needs_interface = True
    takes_ensembles = False

    def __init__(self, chain: Chain, options: DecodingOptions) -> None:
        self.chain = chain
        self.options = options

    @abstractmethod
    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        """N utterances -> for each its hypotheses, the best first."""


class Attention(Strategy):
    """Beam search with the decoder, whose score is `decoder`.

    Of an ensemble with all decoders, `decoder_2` and on; with the language model that the chain may have, `lm`.
    """

    needs_interface = False
    takes_ensembles = True

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        limits = self.limits(encoded)
        search = BeamSearch(
            weights=self.weights(),
            beam_size=self.options.beam_size,
            nbest=self.options.nbest,
            length_penalty=self.options.length_penalty,
            length_bonus=self.options.length_bonus,
            pre_beam=int(self.options.pre_beam_ratio * self.options.beam_size),
            suggestions=int(self.options.ctc_beam_ratio * self.options.beam_size),
            patience=self.options.patience,
            sos=self.chain.sos,
            eos=self.chain.eos,
        )
        results = self.search(search, encoded, limits)
        # A scorer may forbid every output of so many tokens: CTC does when positions are fewer.
        failed = [i for i, found in enumerate(results) if not found]
        if failed:
            others = self.search(search, encoded.some(failed), [(0, limits[i][1]) for i in failed])
            for i, found in zip(failed, others, strict=True):
                results[i] = found
        return results

    def search(
        self, search: BeamSearch, encoded: Encoded, limits: Sequence[tuple[int, int]]
    ) -> list[list[Found]]:
        """Run the search; `limits` are the fewest and the most tokens of each utterance."""
        fewest, most = zip(*limits, strict=True)
        device = encoded.memory.device
        return search(self.scorers(encoded), fewest=fewest, most=most, device=device)

    def limits(self, encoded: Encoded) -> list[tuple[int, int]]:
        """Fewest and most tokens of each utterance."""
        return [self.options.limits(positions) for positions in encoded.lengths.tolist()]

    def weights(self, share: float = 1.0) -> dict[str, float]:
        """By scorer; `share` is that of all decoders together."""
        chains = self.chain.members()
        weights = self.options.ensemble_weights or (1.0,) * len(chains)
        decoders = {
            name: share * (weight / sum(weights))
            for name, weight in zip(_decoder_names(chains), weights, strict=True)
        }
        return {**decoders, **({"lm": self.options.lm_weight} if self.chain.language_model else {})}

    def scorers(self, encoded: Encoded) -> dict[str, Scorer]:
        """Of a search that begins."""
        size = self.options.beam_size
        chains = self.chain.members()
        read = (encoded, *encoded.others)
        scorers: dict[str, Scorer] = {
            name: DecoderScorer(chain.decoder, own.memory, own.lengths, size=size)
            for name, chain, own in zip(_decoder_names(chains), chains, read, strict=True)
        }
        if (model := self.chain.language_model) is not None:
            scorers["lm"] = EspnetScorer(model, encoded.lengths[:, None], size=size, name="lm")
        return scorers


class Joint(Attention):
    """Beam search with the decoder and the last interface's CTC; scores are `Attention`'s and `ctc`."""

    needs_interface = True

    def limits(self, encoded: Encoded) -> list[tuple[int, int]]:
        """See `Attention`; no more tokens than positions, which CTC could not emit.

        Nothing is lost by it, and the search knows sooner that no better hypothesis can come.
        """
        limits, positions = super().limits(encoded), encoded.marginals[-1].lengths.tolist()
        if not self.options.ctc_weight:
            return limits
        return [
            (fewest, min(most, count))
            for (fewest, most), count in zip(limits, positions, strict=True)
        ]

    def weights(self, share: float = 1.0) -> dict[str, float]:
        """See `Attention`; the decoders share with CTC."""
        ctc = self.options.ctc_weight
        return {**super().weights(share * (1 - ctc)), "ctc": share * ctc}

    def scorers(self, encoded: Encoded) -> dict[str, Scorer]:
        """See `Attention`."""
        crossed = encoded.marginals[-1]
        size = self.options.beam_size
        ctc = CTCScorer(crossed.log_probs, crossed.lengths, size=size, eos=self.chain.eos)
        return {**super().scorers(encoded), "ctc": ctc}


class Greedy(Strategy):
    """The decoder's best token at each step: what `Attention` gives with a beam of one, sooner."""

    needs_interface = False

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        limits = [self.options.limits(positions) for positions in encoded.lengths.tolist()]
        fewest, most = torch.tensor(limits, device=encoded.memory.device).unbind(dim=1)
        scorer = DecoderScorer(self.chain.decoder, encoded.memory, encoded.lengths, size=1)
        going = torch.arange(len(limits), device=encoded.memory.device)
        tokens = torch.full_like(going, self.chain.sos)
        ids: list[list[int]] = [[] for _ in limits]
        sums = [0.0] * len(limits)
        ended = torch.zeros_like(going, dtype=torch.bool)
        for length in range(max(high for _, high in limits) + 1):
            log_probs = scorer.step(tokens[:, None])[:, 0]  # (N', V)
            best, tokens = self._allowed(log_probs, length, fewest, most).max(dim=1)
            for i, token, score, over in zip(
                going.tolist(), tokens.tolist(), best.tolist(), ended.tolist(), strict=True
            ):
                if not over:
                    ids[i].append(token)
                    sums[i] += score
            ended = ended | (tokens == self.chain.eos)
            if bool(ended.all()):
                break
            left = (~ended).nonzero()[:, 0]
            if len(left) <= (1 - LEAVE) * len(ended):
                scorer.keep(left)
                going, tokens, ended = going[left], tokens[left], ended[left]
                fewest, most = fewest[left], most[left]
        return [
            [
                Found(
                    tuple(row[:-1]),
                    total / len(row) ** self.options.length_penalty,
                    {"decoder": total},
                )
            ]
            for row, total in zip(ids, sums, strict=True)
        ]

    def _allowed(self, log_probs: Tensor, length: int, fewest: Tensor, most: Tensor) -> Tensor:
        """(N', V) with -inf for what the length limits forbid."""
        eos = self.chain.eos
        end = log_probs[:, eos].masked_fill(fewest > length, -torch.inf)
        log_probs = log_probs.masked_fill((most == length)[:, None], -torch.inf)
        log_probs[:, eos] = end
        return log_probs


class CTCBeam(Strategy):
    """CTC prefix beam search over the last interface: no decoder, the most probable outputs and not paths.

    The score is the output's log-probability in nats, `scores["ctc"]` the same.
    """

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        return [found[: self.options.nbest] for found in self.search(encoded)]

    def search(self, encoded: Encoded) -> list[list[Found]]:
        """All `beam_size` of each utterance."""
        marginals = encoded.marginals[-1]
        outputs = prefix_beam_search(
            marginals.log_probs,
            marginals.lengths,
            beam_size=self.options.beam_size,
            tokens=int(self.options.ctc_beam_ratio * self.options.beam_size),
            eos=self.chain.eos,
        )
        return [[Found(ids, total, {"ctc": total}) for ids, total in found] for found in outputs]


class Rescore(CTCBeam):
    """The `beam_size` best of `CTCBeam`, scored by the decoder in one pass; weights and scores are `Joint`'s."""

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        found = self.search(encoded)
        scores = decoder_scores(self.chain, encoded, [[one.ids for one in row] for row in found])
        return [
            sorted(map(self._rescored, row, totals), key=lambda one: -one.score)[
                : self.options.nbest
            ]
            for row, totals in zip(found, scores, strict=True)
        ]

    def _rescored(self, found: Found, decoder: float) -> Found:
        weight, ctc = self.options.ctc_weight, found.scores["ctc"]
        total = (1 - weight) * decoder + weight * ctc
        normalised = total / (len(found.ids) + 1) ** self.options.length_penalty
        return Found(found.ids, normalised, {"decoder": decoder, "ctc": ctc})


class CTCGreedy(Strategy):
    """The best token at each position of the last interface: a look at what crosses it.

    The score is that path's mean log-probability a position in nats, `scores["ctc_path"]` the sum.
    """

    def __call__(self, encoded: Encoded) -> list[list[Found]]:
        marginals = encoded.marginals[-1]
        best = marginals.log_probs.amax(dim=-1)
        beyond = padding_mask(marginals.lengths, best.size(1))
        sums = best.masked_fill(beyond, 0.0).sum(dim=1)
        return [
            [Found(tuple(ids), total / positions, {"ctc_path": total})]
            for ids, total, positions in zip(
                marginals.greedy(), sums.tolist(), marginals.lengths.tolist(), strict=True
            )
        ]


STRATEGIES: dict[str, type[Strategy]] = {
    "attention": Attention,
    "joint": Joint,
    "greedy": Greedy,
    "ctc_greedy": CTCGreedy,
    "ctc_beam": CTCBeam,
    "rescore": Rescore,
}


def _decoder_names(chains: Sequence[Chain]) -> list[str]:
    """Of their scores."""
    return ["decoder", *(f"decoder_{i}" for i in range(2, len(chains) + 1))]


def mode_for(chain: Chain, options: DecodingOptions) -> str:
    """The mode that `options` name; for auto, the one that suits the chain."""
    if options.mode != "auto":
        return options.mode
    return "joint" if chain.head is not None and chain.ctc_weight else "attention"


def strategy_for(chain: Chain, options: DecodingOptions) -> Strategy:
    """The strategy that `options` name.

    Raises
    ------
    ConfigError
        If it needs an interface and the chain is a plain encoder-decoder; if it can't decode the ensemble given, or
        with its language model; if there are weights for another number of decoders.
    """
    strategy = STRATEGIES[mode_for(chain, options)]
    count, weights = len(chain.members()), options.ensemble_weights
    legal = " or ".join(name for name, one in STRATEGIES.items() if one.takes_ensembles)
    if count > 1 and not strategy.takes_ensembles:
        raise ConfigError(
            f"mode is {options.mode!r}, and several systems decode together only in mode {legal}"
        )
    if chain.language_model is not None and not strategy.takes_ensembles:
        raise ConfigError(
            f"mode is {options.mode!r}, and a language model scores along only in mode {legal}: leave out --lm"
        )
    if weights and len(weights) != count:
        raise ConfigError(
            f"ensemble_weights has {len(weights)} numbers, and decoders that score are {count}: give one number each, "
            "the first for --system, or --encoder and --decoder, the others for each --ensemble"
        )
    if strategy.needs_interface and chain.head is None:
        raise ConfigError(
            f"mode is {options.mode!r}, but this system is a plain encoder-decoder: it has no "
            "interface whose CTC could be decoded. Use mode attention, or train with --system lego; of an ensemble, "
            "name one first that has an interface."
        )
    return strategy(chain, options)
