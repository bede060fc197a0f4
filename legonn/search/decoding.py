"""A batch of inputs: encoded, decoded by a strategy, and aligned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from legonn.chain import Chain, Encoded
from legonn.inference_linear import CONVERTED, converted
from legonn.interface import Marginals
from legonn.layers import Linear
from legonn.precision import autocast, resolve_precision
from legonn.search.alignment import align
from legonn.search.beam import Found
from legonn.search.options import DecodingOptions
from legonn.search.strategies import strategy_for

__all__ = ["decode_batch", "prepare"]


def prepare(chain: Chain, options: DecodingOptions) -> Chain:
    """The chain that `decode_batch` is given: in evaluation mode; on a CPU for
    precision int8 and bf16 a copy whose linear layers are `legonn.inference_linear`'s, or the chain itself if they are.

    Raises
    ------
    ConfigError
        If the options can't be had of it.
    """
    strategy_for(chain, options)
    chain.eval()
    precision = _precision(chain, options)
    return chain if _is_prepared(chain, precision) else converted(chain, precision)


def _is_prepared(chain: Chain, precision: str) -> bool:
    return type(chain.decoder.output) is CONVERTED.get(precision, Linear)


def _device(chain: Chain) -> torch.device:
    return chain.decoder.embedding.weight.device


def _precision(chain: Chain, options: DecodingOptions) -> str:
    """fp32, or one of `CONVERTED`; or bf16 by autocast, which is `autocast`."""
    if options.precision in ("fp32", "int8"):
        return options.precision
    device = _device(chain)
    if resolve_precision(options.precision, device) == torch.float32:
        return "fp32"
    return "bf16" if device.type == "cpu" else "autocast"


@torch.inference_mode()
def decode_batch(
    chain: Chain, sources: Sequence[Tensor], options: DecodingOptions, *, aligned: bool = False
) -> list[list[Found]]:
    """Decode inputs together; each gives what it gives alone.

    Parameters
    ----------
    chain : Chain
        As `prepare` gives it for these options.
    sources : sequence of Tensor
        Ids or samples (T,) each, on any device; T at least 1.
    options : DecodingOptions
        How.
    aligned : bool
        Whether to tell where in the last interface the tokens are; a plain encoder-decoder has none.

    Returns
    -------
    list of list of Found
        For each input its hypotheses, the best first.
    """
    precision = _precision(chain, options)
    if not _is_prepared(chain, precision):
        raise ValueError(f"the chain isn't prepared for precision {options.precision}")
    strategy = strategy_for(chain, options)
    device = _device(chain)
    with autocast(device, torch.bfloat16 if precision in ("bf16", "autocast") else torch.float32):
        inputs = [source.to(device) for source in sources]
        encoded, *others = (_encode(member, inputs) for member in chain.members())
        encoded = dataclasses.replace(encoded, others=tuple(others))
        found = strategy(encoded)
    return _with_alignments(found, encoded) if aligned and encoded.marginals else found


def _with_alignments(found: Sequence[Sequence[Found]], encoded: Encoded) -> list[list[Found]]:
    alignments = align(encoded.marginals[-1], [[one.ids for one in row] for row in found])
    return [
        [dataclasses.replace(one, alignment=where) for one, where in zip(*rows, strict=True)]
        for rows in zip(found, alignments, strict=True)
    ]


def _encode(chain: Chain, sources: Sequence[Tensor]) -> Encoded:
    """Encode inputs (T,) in one batch; one by one where the encoder would look at the padding."""
    if getattr(chain.encoder, "sees_padding", False) and len({len(x) for x in sources}) > 1:
        return _join([_encode(chain, [source]) for source in sources])
    lengths = torch.tensor([len(source) for source in sources], device=sources[0].device)
    return chain.encode(pad_sequence(list(sources), batch_first=True), lengths)


def _join(parts: Sequence[Encoded]) -> Encoded:
    """A batch of utterances that were encoded one by one."""

    def padded(rows: Iterable[Tensor]) -> Tensor:
        return pad_sequence([row[0] for row in rows], batch_first=True)

    crossed = tuple(
        Marginals(padded(m.log_probs for m in same), torch.cat([m.lengths for m in same]))
        for same in zip(*(part.marginals for part in parts), strict=True)
    )
    lengths = torch.cat([part.lengths for part in parts])
    return Encoded(padded(part.memory for part in parts), lengths, crossed)
