"""Word errors by how often training met the word: whether a system fails at what is rare, or at everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from legonn.errors import DataError
from legonn.scoring.edits import align
from legonn.scoring.normalise import get_normaliser

__all__ = ["Band", "by_frequency", "count_words"]

BOUNDS = (0, 1, 3, 10, 50)  # the least frequent word of each band


@dataclass(frozen=True)
class Band:
    """Reference words that training met equally often, about.

    Parameters
    ----------
    least, most : int
        How often training met them; no upper bound is None.
    words : int
        How many words of the references.
    wrong : tuple of int
        For each system, how many of them it replaced or left out. Words that it made up belong to no band.
    """

    least: int
    most: int | None
    words: int
    wrong: tuple[int, ...]

    @property
    def label(self) -> str:
        """`0`, `1 to 2`, ..., `50 or more`."""
        if self.most is None:
            return f"{self.least} or more"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"

    def shares(self) -> list[str]:
        """The share of each system's wrong words, in percent; nothing where there are no words."""
        return [f"{100 * wrong / self.words:.1f}" if self.words else "" for wrong in self.wrong]


def count_words(texts: Sequence[str], *, normaliser: str = "basic") -> Counter[str]:
    """How often each normalised word is in the texts."""
    normalise = get_normaliser(normaliser)
    return Counter(word for text in texts for word in normalise(text).split())


def by_frequency(
    *,
    refs: Sequence[str],
    systems: Sequence[Sequence[str]],
    counts: Mapping[str, int],
    normaliser: str = "basic",
) -> list[Band]:
    """Sort the words of N references by how often training met them, and count the wrong ones.

    Parameters
    ----------
    refs : sequence of str
        N of them.
    systems : sequence of sequence of str
        Each system's N hypotheses; one system at least.
    counts : mapping of str to int
        Of the training texts, by `count_words`.
    normaliser : str
        A key of `legonn.scoring.normalise.NORMALISERS`.

    Returns
    -------
    list of Band
        The rarest first.

    Raises
    ------
    DataError
        When no reference has a word, or there is no word in the training texts.
    """
    if not counts:
        raise DataError("there is no word in the training text")
    outputs = [align(hyps=hyps, refs=refs, normaliser=normaliser) for hyps in systems]
    wrong = [
        Counter(
            _band(counts.get(word, 0))
            for ref, chunks in zip(output.references, output.alignments, strict=True)
            for chunk in chunks
            if chunk.type != "equal"
            for word in ref[chunk.ref_start_idx : chunk.ref_end_idx]
        )
        for output in outputs
    ]
    references = outputs[0].references
    words = Counter(_band(counts.get(word, 0)) for ref in references for word in ref)
    ends = [bound - 1 for bound in BOUNDS[1:]]
    return [
        Band(least, most, words[place], tuple(errors[place] for errors in wrong))
        for place, (least, most) in enumerate(zip(BOUNDS, [*ends, None], strict=True))
    ]


def _band(count: int) -> int:
    """The place of the last bound that is at most `count`."""
    return sum(bound <= count for bound in BOUNDS) - 1
