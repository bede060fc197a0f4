"""ESPnet's language models, which score along in a beam search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from espnet.nets.scorer_interface import BatchScorerInterface
from torch import Tensor, nn

from legonn.errors import ConfigError
from legonn.experiment import find_checkpoint, load_weights, read_config, split_checkpoint
from legonn.layers import padding_mask
from legonn.precision import autocast

if TYPE_CHECKING:
    from espnet2.lm.abs_model import AbsLM

__all__ = ["LanguageModel"]


def _recurrent() -> Callable[..., AbsLM]:
    from espnet2.lm.seq_rnn_lm import SequentialRNNLM

    return SequentialRNNLM


def _transformer() -> Callable[..., AbsLM]:
    from espnet2.lm.transformer_lm import TransformerLM

    return TransformerLM


# By the name that a configuration gives. Imported where they are wanted: it takes seconds.
NETWORKS: dict[str, Callable[[], Callable[..., AbsLM]]] = {
    "seq_rnn": _recurrent,
    "transformer": _transformer,
}


class LanguageModel(nn.Module, BatchScorerInterface):
    """Scores a text by its tokens alone: shallow fusion (Gulcehre et al. 2015, arXiv 1503.03535).

    It computes in fp32, whatever the chain's precision: it is small, and oneDNN has bf16 LSTMs for few processors.

    Parameters
    ----------
    network : AbsLM
        Of ESPnet: a scorer of batches, one state a hypothesis.
    tokens : sequence of str
        What it counts in; the last is `<sos/eos>`.
    name : str
        For messages.
    """

    def __init__(self, network: AbsLM, tokens: Sequence[str], name: str) -> None:
        super().__init__()
        self.lm = network  # as ESPnet's checkpoints call it
        self.tokens = tuple(tokens)
        self.name = name

    @classmethod
    def load(cls, spec: str | Path) -> LanguageModel:
        """Load what `espnet2.bin.lm_train` made: stage 7 of a recipe, here or of ESPnet's own.

        Parameters
        ----------
        spec : str or Path
            `exp/lm`, or one checkpoint of it, `exp/lm:valid.loss.best.pth`.

        Raises
        ------
        ConfigError
            If it is none, or a file of it is absent or damaged.
        """
        folder, checkpoint = split_checkpoint(spec)
        config = read_config(folder)
        tokens = config.get("token_list")
        if "lm" not in config or not isinstance(tokens, list):
            raise ConfigError(
                f"{folder}/config.yaml is not the configuration of one of ESPnet's language models: name what stage 7 "
                "trained (--use_lm true)"
            )
        network = _build(config, len(tokens), f"{folder}/config.yaml")
        model = cls(network, tokens, str(spec))
        load_weights(model, find_checkpoint(folder, checkpoint))
        return model.eval()

    def init_state(self, x: Tensor) -> Any:
        """Before the first token: ESPnet's networks begin with None."""
        return self.lm.init_state(x)

    def select_state(self, state: Any, i: int) -> Any:
        """Hypothesis i's."""
        return self.lm.select_state(state, i)

    def batch_score(self, ys: Tensor, states: list[Any], xs: Tensor) -> tuple[Tensor, list[Any]]:
        """Prefixes (N, U) with `<sos>`, and states -> log-probabilities of the next token (N, V), and states."""
        with autocast(ys.device, torch.float32):
            scores: tuple[Tensor, list[Any]] = self.lm.batch_score(ys, states, xs)
        return scores

    def surprise(self, texts: Tensor, lengths: Tensor) -> Tensor:
        """Negative log-likelihood of each text and its end, in nats.

        Parameters
        ----------
        texts : Tensor
            Ids (N, U), `<blank>` beyond the end.
        lengths : Tensor
            Tokens of each, without `<sos/eos>` (N,).

        Returns
        -------
        Tensor
            (N,), of `lengths + 1` tokens each.
        """
        end = len(self.tokens) - 1
        read = nn.functional.pad(texts, (1, 0), value=end)  # (N, U) -> (N, U + 1)
        wanted = nn.functional.pad(texts, (0, 1)).scatter(1, lengths[:, None], end)
        with autocast(texts.device, torch.float32):
            logits, _ = self.lm(read, None)
        each = nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        return each.masked_fill(padding_mask(lengths + 1, each.size(1)), 0.0).sum(1)


def _build(config: Mapping[str, Any], size: int, path: str) -> AbsLM:
    kind, options = config["lm"], config.get("lm_conf") or {}
    if kind not in NETWORKS:
        raise ConfigError(f"{path}: lm is {kind!r}; legal are {', '.join(NETWORKS)}")
    try:
        return NETWORKS[kind]()(vocab_size=size, **options)
    except Exception as error:  # ESPnet checks types with typeguard, whose errors are no TypeErrors
        raise ConfigError(
            f"{path}: no {kind} can be built of lm_conf {options}: {error}"
        ) from error
