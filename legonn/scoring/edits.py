"""Edits: what makes a hypothesis of its reference, counted in words or characters. jiwer aligns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from legonn.errors import DataError
from legonn.scoring.normalise import get_normaliser

if TYPE_CHECKING:
    from jiwer import AlignmentChunk, CharacterOutput, WordOutput

__all__ = ["Edits", "align"]


@dataclass(frozen=True)
class Edits:
    """Numbers of edits, in words or characters, of one utterance or many.

    Parameters
    ----------
    substitutions, deletions, insertions : int
        The errors: another one, none, one too many.
    hits : int
        Those that are right.
    """

    substitutions: int
    deletions: int
    insertions: int
    hits: int

    @classmethod
    def of(cls, chunks: Iterable[AlignmentChunk]) -> Edits:
        """Count the chunks of an alignment, or of several."""
        sizes: Counter[str] = Counter()
        for chunk in chunks:
            # An insertion has no reference, a deletion no hypothesis; otherwise both are equally long.
            spans = chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx
            sizes[chunk.type] += max(spans)
        return cls(*(sizes[kind] for kind in ("substitute", "delete", "insert", "equal")))

    @property
    def errors(self) -> int:
        """All that is wrong."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def length(self) -> int:
        """Words or characters of the reference."""
        return self.substitutions + self.deletions + self.hits

    def __str__(self) -> str:
        return f"S {self.substitutions}  D {self.deletions}  I {self.insertions}"


def align(
    *, hyps: Sequence[str], refs: Sequence[str], units: str = "words", normaliser: str = "basic"
) -> WordOutput | CharacterOutput:
    """Normalise texts and align them, each hypothesis with its reference.

    Parameters
    ----------
    hyps, refs : sequence of str
        N each. A hypothesis may be empty, and so may a reference: what it is given are insertions.
    units : str
        `words`, or `characters`, of which the blanks between words are some.
    normaliser : str
        A key of `NORMALISERS`.

    Returns
    -------
    jiwer.WordOutput or jiwer.CharacterOutput
        The normalised texts, cut into units, and N alignments.

    Raises
    ------
    DataError
        When no reference has anything left: a rate of nothing is no rate.
    """
    # Imported here: a user of the other metrics needn't wait for it.
    import jiwer

    normalise = get_normaliser(normaliser)
    processes: dict[str, Callable[[list[str], list[str]], WordOutput | CharacterOutput]] = {
        "words": jiwer.process_words,
        "characters": jiwer.process_characters,
    }
    output = processes[units]([normalise(ref) for ref in refs], [normalise(hyp) for hyp in hyps])
    if not any(output.references):
        first = refs[0] if refs else ""
        raise DataError(
            f"no error rate without reference {units}: the normaliser {normaliser!r} leaves nothing of "
            f"{len(refs)} references, the first of which is {first!r}; mend them, or try --normaliser none"
        )
    return output
