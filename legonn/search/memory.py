"""Batches that fit in memory: a budget beforehand, and halves of what turns out too large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from legonn.bridge import Bridge
from legonn.chain import Chain
from legonn.errors import LegonnError
from legonn.length_control import output_lengths
from legonn.search.beam import Found

__all__ = ["Halving", "batches", "is_out_of_memory", "positions"]

# How PyTorch's errors name it where they are no OutOfMemoryError: on a CPU, and inside cuBLAS.
SIGNS = (
    "not enough memory",
    "can't allocate memory",
    "std::bad_alloc",
    "CUBLAS_STATUS_ALLOC_FAILED",
)

Results = list[list[Found]]


def positions(chain: Chain, lengths: Sequence[int]) -> list[int]:
    """The most positions that inputs of such lengths, in tokens or samples, have anywhere in a chain.

    Of an ensemble those of all members together, as all are in memory at once.
    """
    most = [_positions(member, lengths) for member in chain.members()]
    return [sum(counts) for counts in zip(*most, strict=True)]


def _positions(chain: Chain, lengths: Sequence[int]) -> list[int]:
    counts = torch.tensor(lengths, dtype=torch.long)
    sound = getattr(getattr(chain.encoder, "front_end", None), "sound", None)
    if sound is not None:
        counts = sound.states(counts).clamp(min=1)
    most = counts
    for ratio in _ratios(chain):
        counts = output_lengths(counts, ratio)
        most = torch.maximum(most, counts)
    return [int(count) for count in most]


def _ratios(chain: Chain) -> Iterator[float]:
    """Of the length controllers, in their order."""
    encoder = chain.encoder
    if encoder.length_control is not None:
        yield encoder.length_control.most
    elif hasattr(encoder, "length_ratio"):  # imagined
        yield float(encoder.length_ratio)
    for bridge in chain.bridges:
        assert isinstance(bridge, Bridge)
        if bridge.length_control is not None:
            yield bridge.length_control.most


def batches(
    lengths: Iterable[int], size: int, *, costs: Sequence[int] | None = None, budget: float = 0
) -> Iterator[list[int]]:
    """Places of similar length, short ones first; length 0 is left out.

    Parameters
    ----------
    lengths : iterable of int
        Of the inputs.
    size : int
        Most inputs of a batch.
    costs, budget
        What an input costs, and what a batch may: its inputs times the dearest of them. One that is dearer is alone. 0
        is no budget.
    """
    known = list(lengths)
    places = sorted((i for i, length in enumerate(known) if length), key=known.__getitem__)
    batch: list[int] = []
    dearest = 0
    for place in places:
        dearest = max(dearest, costs[place] if costs is not None else 0)
        if batch and (len(batch) == size or budget and (len(batch) + 1) * dearest > budget):
            yield batch
            batch, dearest = [], costs[place] if costs is not None else 0
        batch.append(place)
    if batch:
        yield batch


class Halving:
    """Decodes a batch in halves where memory runs out.

    Parameters
    ----------
    decode : callable
        Inputs (T,) -> their hypotheses.
    tell : callable
        Told the first time.
    """

    def __init__(
        self, decode: Callable[[Sequence[Tensor]], Results], tell: Callable[[str], None]
    ) -> None:
        self.decode = decode
        self.tell = tell
        self.failed = float("inf")  # the smallest batch that did: inputs times the longest of them

    def __call__(self, sources: Sequence[Tensor]) -> Results:
        """Inputs (T,) -> their hypotheses.

        Raises
        ------
        LegonnError
            If there is not enough memory for an input alone.
        """
        size = len(sources) * max(map(len, sources))
        # What is as large as a batch that failed isn't tried.
        found = self._try(sources) if size < self.failed or len(sources) == 1 else None
        if found is not None:
            return found
        if len(sources) == 1:
            raise LegonnError(
                f"not enough memory to decode one input of length {size} (tokens, or samples) by itself: "
                "give a smaller --beam_size, or split it"
            )
        if self.failed == float("inf"):
            self.tell(
                f"warning: not enough memory for {len(sources)} inputs together: decoding halves of such batches; "
                "--batch_size or --batch_tokens makes all of them smaller"
            )
        self.failed = min(self.failed, size)
        half = len(sources) // 2
        return [*self(sources[:half]), *self(sources[half:])]

    def _try(self, sources: Sequence[Tensor]) -> Results | None:
        """None where memory runs out; what took it is free again then, as the error and its frames are gone."""
        try:
            return self.decode(sources)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
