"""The options of decoding. Without torch, so that `legonn decode --help` answers at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legonn.errors import ConfigError

__all__ = ["MODES", "DecodingOptions"]

MODES = ("auto", "attention", "joint", "greedy", "ctc_greedy", "ctc_beam", "rescore")
PRECISIONS = ("fp32", "bf16", "int8", "auto")


@dataclass(frozen=True)
class DecodingOptions:
    """How to decode. A key of `conf/decode.yaml` is a field's name.

    Attributes
    ----------
    mode : {"auto", "attention", "joint", "greedy", "ctc_greedy", "ctc_beam", "rescore"}
        auto: joint where an interface was learned with CTC, else attention. attention: beam search with the decoder;
        joint: with the decoder and the CTC of the last interface; greedy: the decoder's best token at each step.
        Without a decoder, ctc_greedy: the best token at each position of the last interface; ctc_beam: its most
        probable outputs, by prefix beam search; rescore: these, compared by what the decoder and CTC give the whole of
        each, as in joint.
    beam_size : int
        Hypotheses kept at each step, or in the CTC modes at each position.
    length_penalty : float
        alpha: finished hypotheses are compared by score / U**alpha, U their tokens with `<eos>`.
        1 is the mean log-probability (ESPnet's `normalize_length`), 0 compares sums and so favours
        short output. Choose it on the validation set. `ctc_greedy` and `ctc_beam` compare without it.
    length_bonus : float
        Nats added for each token, `<eos>` too (ESPnet's `penalty`), in `attention` and `joint`; with `length_penalty`
        0 the other usual way to balance length.
    ctc_weight : float
        Of the CTC score in `joint` and `rescore`, below 1; the decoder's is the rest.
    ensemble_weights : tuple of float
        Of an ensemble's decoders, the first system's first, in the decoders' part of the score; only their proportions
        count. Empty: all the same.
    lm_weight : float
        Of the language model's score, where there is one, in `attention` and `joint`: it is added to the others.
    maxlenratio, minlenratio : float
        Most and fewest tokens, `<eos>` not counted, as a multiple of the K positions that the
        decoder reads; a negative number is an absolute count. `maxlenratio` 0: 2 K + 10 (ESPnet's
        0 means K, which would cut a plain encoder-decoder off at the length of its source). Not of the CTC modes.
    nbest : int
        Hypotheses given for each input, at most `beam_size`; `greedy` and `ctc_greedy` give one.
    pre_beam_ratio, ctc_beam_ratio : float
        In `joint`, the next tokens that are looked at: times `beam_size`, so many of the decoder's best, and so many
        that are most probable anywhere in the interface; and `<eos>`. ESPnet's are 1.5 and 0. In `ctc_beam` and
        `rescore` a prefix grows by the `ctc_beam_ratio * beam_size` most probable tokens of a position.
    patience : float
        An input is done when `patience * beam_size` of its hypotheses are, or when no better one can come; 0: only
        then. 1 takes two thirds of the time and finds a little worse, 3 four fifths and on captions the same.
    batch_size : int
        Inputs of similar length that are searched together; changes the speed, not the result.
    batch_tokens : int
        Most of them by memory: positions of the longest times `beam_size` times inputs; 0: no such limit.
    precision : {"fp32", "bf16", "int8", "auto"}
        Of the matrix products. int8: weights and inputs of linear layers as 8-bit integers, on a CPU.
    """

    mode: str = "auto"
    beam_size: int = 5
    length_penalty: float = 1.0
    length_bonus: float = 0.0
    ctc_weight: float = 0.3
    ensemble_weights: tuple[float, ...] = ()
    lm_weight: float = 0.3
    maxlenratio: float = 0.0
    minlenratio: float = 0.0
    nbest: int = 1
    pre_beam_ratio: float = 6.0
    ctc_beam_ratio: float = 6.0
    patience: float = 0.0
    batch_size: int = 32
    batch_tokens: int = 0
    precision: str = "fp32"

    def __post_init__(self) -> None:
        checks = [
            ("mode", self.mode in MODES, f"legal are {', '.join(MODES)}"),
            ("beam_size", self.beam_size >= 1, "it must be at least 1"),
            ("length_penalty", 0 <= self.length_penalty < math.inf, "it must be at least 0"),
            ("length_bonus", math.isfinite(self.length_bonus), "it must be finite"),
            ("ctc_weight", 0 <= self.ctc_weight < 1, "it must be at least 0 and below 1"),
            ("ensemble_weights", _are_weights(self.ensemble_weights), "each must be a number above 0"),
            ("lm_weight", 0 <= self.lm_weight < math.inf, "it must be at least 0"),
            ("nbest", 1 <= self.nbest <= self.beam_size, "legal are 1 to beam_size"),
            ("maxlenratio", math.isfinite(self.maxlenratio), "it must be finite"),
            ("minlenratio", math.isfinite(self.minlenratio), "it must be finite"),
            ("pre_beam_ratio", 1 <= self.pre_beam_ratio < math.inf, "it must be at least 1"),
            ("ctc_beam_ratio", 0 <= self.ctc_beam_ratio < math.inf, "it must be at least 0"),
            ("patience", 0 <= self.patience < math.inf, "it must be at least 0"),
            ("batch_size", self.batch_size >= 1, "it must be at least 1"),
            ("batch_tokens", self.batch_tokens >= 0, "it must be at least 0"),
            ("precision", self.precision in PRECISIONS, f"legal are {', '.join(PRECISIONS)}"),
        ]  # fmt: skip
        for name, legal, remedy in checks:
            if not legal:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; {remedy}")

    @property
    def hypotheses(self) -> int:
        """How many of an input are in memory at once."""
        return 1 if self.mode in ("greedy", "ctc_greedy") else self.beam_size

    def limits(self, positions: int) -> tuple[int, int]:
        """Fewest and most tokens for an input of K = `positions`, `<eos>` not counted."""
        if self.maxlenratio == 0:
            most = 2 * positions + 10
        else:
            most = max(1, _length(self.maxlenratio, positions))
        return min(_length(self.minlenratio, positions), most), most

    @classmethod
    def load(
        cls, path: str | Path | None = None, overrides: Mapping[str, Any] | None = None
    ) -> DecodingOptions:
        """Options of a YAML file, if any, then of `overrides`.

        Raises
        ------
        ConfigError
            If the file can't be read, for an unknown key (the closest is named), and for an illegal
            value.
        """
        from legonn.factory import parse  # imports torch

        values = {} if path is None else read_mapping(Path(path))
        return parse(cls, {**values, **(overrides or {})}, "decode" if path is None else str(path))


def _are_weights(values: tuple[Any, ...]) -> bool:
    return all(isinstance(x, (int, float)) and 0 < x < math.inf for x in values)


def _length(ratio: float, positions: int) -> int:
    """ESPnet's reading of a length ratio: a multiple of `positions`, or if negative a length."""
    return int(-ratio) if ratio < 0 else int(ratio * positions)


def read_mapping(path: Path) -> dict[str, Any]:
    """What a decoding configuration says, see `DecodingOptions.load`."""
    from legonn.config import UniqueKeyLoader
    from legonn.plain_yaml import read_yaml

    document = read_yaml(path, f"{path} is no decoding configuration", loader=UniqueKeyLoader)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no decoding configuration: it must be 'key: value' lines")
    return document
