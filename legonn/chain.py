"""The chain of modules: one encoder, any number of bridges, one decoder; its forward pass and its losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch import Tensor, nn
from torch.nn import functional

from legonn.bridge import Bridge
from legonn.consistency import disagreement, twice
from legonn.decoder import Decoder
from legonn.encoder import LegoEncoder
from legonn.head import Head
from legonn.imagined import ImaginedEncoder, Passed
from legonn.ingestor import Ingestor
from legonn.interface import Marginals, feasible
from legonn.language_model import LanguageModel
from legonn.length_control import TokenCounter
from legonn.precision import autocast, resolve_precision

__all__ = ["Chain", "Encoded"]


@dataclass(frozen=True)
class Encoded:
    """What a decoder starts from.

    Attributes
    ----------
    memory : Tensor
        (B, K, D).
    lengths : Tensor
        (B,).
    marginals : tuple of Marginals
        What crossed each interface, in the order of the chain; empty for a plain encoder-decoder.
    others : tuple of Encoded
        The same inputs for the other decoders of an ensemble.
    """

    memory: Tensor
    lengths: Tensor
    marginals: tuple[Marginals, ...]
    others: tuple[Encoded, ...] = ()

    def some(self, places: Sequence[int]) -> Encoded:
        """Of these inputs alone."""
        crossed = tuple(Marginals(m.log_probs[places], m.lengths[places]) for m in self.marginals)
        others = tuple(other.some(places) for other in self.others)
        return Encoded(self.memory[places], self.lengths[places], crossed, others)


class Chain(AbsESPnetModel):
    """A LegoNN system; with no ingestor a plain encoder-decoder, with a head and no ingestor a hybrid one.

    The loss is cross-entropy of the decoder plus CTC of every interface, unweighted in the paper (section III).
    Both are nats per target token, so that batches of any size, and processes of one job, average rightly. An encoder
    that counts tokens (`LengthController`) adds by how many it is wrong, per target token.

    Parameters
    ----------
    head, ingestor : optional
        The interface after the encoder, and what the decoder reads the last one with. Without an ingestor the
        decoder attends to the encoder's states; the head's CTC then only helps training and search (hybrid
        CTC/attention, Watanabe et al. 2017).
    ctc_weight, ce_weight : float
        Of the sum of the CTC losses, and of the decoder's.
    early_ctc : float
        Weight of a CTC loss of the states before the length controller, by the same head: speech leaves CTC's plateau,
        where all is blank, much sooner with it *(ours; by Lee and Watanabe 2021, arXiv 2102.03216)*.
    ctc_first : float
        Nats per target token of CTC, of what the decoder reads, above which a batch teaches the decoder nothing yet; 0:
        each does *(ours)*. For trainings in which CTC stays long where the marginals say nothing: a decoder that learns
        meanwhile learns to do without them. In short ones it loses more than it wins.
    ctc_consistency, ce_consistency : float
        Weights of `legonn.consistency.disagreement` between two passes of the batch, of every interface's marginals and
        of the decoder's output, in nats per target token. A step takes twice as long with either.
    precision : str
        See `legonn.precision`.
    """

    IGNORE = -1

    def __init__(
        self,
        *,
        encoder: LegoEncoder | ImaginedEncoder,
        head: Head | Passed | None,
        bridges: Sequence[Bridge] = (),
        ingestor: Ingestor | None,
        decoder: Decoder,
        ctc_weight: float = 1.0,
        ce_weight: float = 1.0,
        early_ctc: float = 0.0,
        ctc_first: float = 0.0,
        ctc_consistency: float = 0.0,
        ce_consistency: float = 0.0,
        label_smoothing: float = 0.0,
        precision: str = "auto",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.bridges = nn.ModuleList(bridges)
        self.ingestor = ingestor
        self.decoder = decoder
        self.ctc_weight = ctc_weight
        self.ce_weight = ce_weight
        self.early_ctc = early_ctc
        self.ctc_first = ctc_first
        self.ctc_consistency = ctc_consistency
        self.ce_consistency = ce_consistency
        self.label_smoothing = label_smoothing
        self.precision = precision
        self.language_model: LanguageModel | None = None  # an ensemble may have one
        self.sos = self.eos = decoder.embedding.num_embeddings - 1

    def train(self, mode: bool = True) -> Chain:
        """As any module, but what is frozen keeps the means that it has seen: they are weights, too."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
                module.train(mode and module.weight.requires_grad)
        return self

    @property
    def counter(self) -> TokenCounter | None:
        """What finds how many positions the encoder gives, where its length controller has it."""
        control = self.encoder.length_control
        return None if control is None else control.counter

    def members(self) -> list[Chain]:
        """The chains whose decoders score together: this one, and of an ensemble the others."""
        return [self]

    def encode(self, source: Tensor, lengths: Tensor) -> Encoded:
        """The encoder's input (B, T, ...) and (B,) -> what the decoder reads."""
        states, positions, _ = self.encoder(source, lengths)
        return self._read(states, positions)

    def _read(self, states: Tensor, positions: Tensor) -> Encoded:
        """From the encoder's states (B, K, D), (B,) on."""
        if self.head is None:
            return Encoded(states, positions, ())
        crossed = [self.head(states, positions)]
        if self.ingestor is None:
            return Encoded(states, positions, tuple(crossed))
        for bridge in self.bridges:
            crossed.append(bridge(crossed[-1]))
        received = self.ingestor.receive(crossed[-1])
        return Encoded(self.ingestor(received), received.lengths, tuple(crossed))

    def interface_targets(self) -> list[str]:
        """Name of the batch entry with each interface's tokens, in the order of the chain."""
        if self.head is None:
            return []
        return [self.head.target, *(cast(Bridge, bridge).head.target for bridge in self.bridges)]

    def forward(
        self, text: Tensor, text_lengths: Tensor, **others: Any
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Losses of one batch, as ESPnet's Trainer wants them.

        Parameters
        ----------
        text, text_lengths : Tensor
            (B, U) padded with -1, (B,).
        **others
            The encoder's input and its lengths, `src_text` (B, T) or `speech` (B, N); `<target>` and
            `<target>_lengths` of interfaces whose tokens aren't the decoder's; and the list `utt_id` that ESPnet adds.

        Returns
        -------
        loss, stats, weight
            Nats per target token; the weight is the number of target tokens, `<eos>` included.
        """
        batch = {"text": text, "text_lengths": text_lengths, **others}
        agreeing = self.training and bool(self.ctc_consistency or self.ce_consistency)
        if agreeing:
            batch = twice(batch)
        source, source_lengths = (batch[self.encoder.source + end] for end in ("", "_lengths"))
        device = text.device
        with autocast(device, resolve_precision(self.precision, device)):
            encoded, early, counted = self._encode_for_loss(source, source_lengths)
            logits, wanted = self._predict(encoded, batch["text"], batch["text_lengths"])
            count = len(wanted)
            ce = functional.cross_entropy(logits, wanted, label_smoothing=self.label_smoothing)
            best = logits.detach().max(dim=-1).indices  # twice as fast as `argmax` on a CPU
            loss, teaches = torch.zeros_like(ce), torch.ones_like(ce)
            stats = {"loss_ce": ce.detach(), "acc": (best == wanted).float().mean()}
            if early is not None:
                name = self.interface_targets()[0]
                ctc = (
                    early.ctc_loss(batch[name].clamp(min=0), batch[f"{name}_lengths"]).sum() / count
                )
                stats["loss_early_ctc"] = ctc.detach()
                loss = loss + self.early_ctc * ctc
            if counted is not None:
                wanted_tokens = batch[f"{self.interface_targets()[0]}_lengths"]
                wrong = (counted - wanted_tokens).abs().sum() / count
                stats["loss_length"] = wrong.detach()
                loss = loss + wrong
            for name, marginals in zip(self.interface_targets(), encoded.marginals, strict=True):
                targets, lengths = batch[name].clamp(min=0), batch[f"{name}_lengths"]
                ctc = marginals.ctc_loss(targets, lengths).sum() / count
                emitted = feasible(marginals.lengths, targets, lengths)
                key = "" if name == "text" else f"_{name}"
                stats[f"loss_ctc{key}"] = ctc.detach()
                stats[f"infeasible{key}"] = 1.0 - emitted.float().mean()
                if self.ctc_weight:
                    loss = loss + self.ctc_weight * ctc
                if self.training and self.ctc_first:
                    # The last interface's counts, which the decoder reads; what can't be emitted costs nothing.
                    emitted_tokens = ((lengths + 1) * emitted).sum()
                    teaches = (ctc.detach() * count < self.ctc_first * emitted_tokens).to(ce)
            loss = loss + teaches * self.ce_weight * ce
            if agreeing:
                tokens = count / 2  # of one pass
                if self.ce_consistency:
                    apart = disagreement(logits.log_softmax(dim=-1)).sum() / tokens
                    stats["ce_disagreement"] = apart.detach()
                    loss = loss + teaches * self.ce_consistency * apart
                if self.ctc_consistency and encoded.marginals:
                    crossed = torch.cat([disagreement(m.real()) for m in encoded.marginals])
                    apart = crossed.sum() / tokens
                    stats["ctc_disagreement"] = apart.detach()
                    loss = loss + self.ctc_consistency * apart
        stats["loss"] = loss.detach()
        weight = torch.as_tensor(count, dtype=torch.float32, device=device)
        gathered: tuple[Tensor, dict[str, Tensor], Tensor] = force_gatherable(
            (loss, stats, weight), device
        )
        return gathered  # each (1,): what the Trainer averages over processes

    def _encode_for_loss(
        self, source: Tensor, lengths: Tensor
    ) -> tuple[Encoded, Marginals | None, Tensor | None]:
        """As `encode`; with `early_ctc` what the head makes of the states before the length controller; its count."""
        if not self.early_ctc and self.counter is None:
            return self.encode(source, lengths), None, None
        assert isinstance(self.encoder, LegoEncoder) and self.head is not None
        states, sizes = self.encoder.hear(source, lengths)
        early = self.head(self.encoder.norm(states), sizes) if self.early_ctc else None
        counted = None if self.counter is None else self.counter(states, sizes)
        return self._read(*self.encoder.answer(states, sizes)), early, counted

    def _predict(self, encoded: Encoded, text: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The decoder's logits at each real token and `<eos>`, and these tokens: (N, V), (N,)."""
        prefix = functional.pad(text.clamp(min=0), (1, 0), value=self.sos)  # (B, U+1)
        places = torch.arange(prefix.size(1), device=text.device)[None, :]
        real = places <= lengths[:, None]  # the tokens and <eos>
        wanted = functional.pad(text, (0, 1)).masked_fill(places == lengths[:, None], self.eos)
        states = self.decoder.states(encoded.memory, encoded.lengths, prefix)
        # Only real positions meet the vocabulary: it is the most expensive product of a small model.
        return self.decoder.output(states[real]).float(), wanted[real]

    def collect_feats(self, **batch: Tensor) -> dict[str, Tensor]:
        """What ESPnet's statistics stage sums, beside the lengths of the inputs: features that are normalised by it."""
        if not getattr(self.encoder, "needs_statistics", False):
            return {}
        front_end: Any = cast(LegoEncoder, self.encoder).front_end
        features, frames = front_end.log_mel(batch["speech"], batch["speech_lengths"])
        return {"feats": features, "feats_lengths": frames}
