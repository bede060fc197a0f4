"""Where word errors are: totals, the most frequent confusions, the worst utterances word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from legonn.errors import ConfigError
from legonn.scoring.edits import Edits, align

if TYPE_CHECKING:
    from jiwer import CharacterOutput, WordOutput

__all__ = ["WORST", "Alignments", "Confusion", "Utterance", "align_words"]

WORST = 20  # utterances shown
CONFUSIONS = 20  # shown
LINE_WIDTH = 100  # characters; a longer alignment goes on below
NOTHING = "*"  # as jiwer shows the gap of an insertion or a deletion


@dataclass(frozen=True)
class Confusion:
    """A word that was taken for another.

    Parameters
    ----------
    ref, hyp : str
        What was said, empty for an insertion; what was written, empty for a deletion.
    count : int
        How often.
    """

    ref: str
    hyp: str
    count: int

    def __str__(self) -> str:
        return f"{self.count:>5}  {self.ref or NOTHING} -> {self.hyp or NOTHING}"


@dataclass(frozen=True)
class Utterance:
    """An utterance with errors.

    Parameters
    ----------
    name : str
        Its id.
    ref, hyp : str
        Both texts, normalised.
    edits : Edits
        Its errors.
    """

    name: str
    ref: str
    hyp: str
    edits: Edits

    def to_text(self) -> str:
        """Its errors counted, and jiwer's three lines: reference, hypothesis, marks."""
        import jiwer

        output = jiwer.process_words(self.ref, self.hyp)
        shown = jiwer.visualize_alignment(output, show_measures=False, line_width=LINE_WIDTH)
        _, _, lines = shown.partition("\n\n")  # the heading that jiwer gives each is left out
        return f"{self.name}: {self.edits} of {self.edits.length} words\n{lines.rstrip()}\n"


@dataclass(frozen=True, kw_only=True)
class Alignments:
    """The word errors of one system on one test set.

    Parameters
    ----------
    normaliser : str
        What both texts went through.
    utterances : int
        How many were aligned.
    edits : Edits
        Of all of them.
    confusions : tuple of Confusion
        All pairs of words, the most frequent ones first, equally frequent ones in alphabetical order.
    faulty : tuple of Utterance
        Those with errors, most errors first, equally many in the order of their ids.
    """

    normaliser: str
    utterances: int
    edits: Edits
    confusions: tuple[Confusion, ...]
    faulty: tuple[Utterance, ...]

    def summary(self) -> str:
        """The totals in one line."""
        return f"{self.edits} of {self.edits.length} words"

    def to_text(self, *, worst: int = WORST) -> str:
        """Everything, for people.

        Parameters
        ----------
        worst : int
            How many utterances are shown.

        Raises
        ------
        ConfigError
            When it is negative.
        """
        if worst < 0:
            raise ConfigError(f"--worst: got {worst}, want 0 or more utterances")
        shown, confusions = self.faulty[:worst], self.confusions[:CONFUSIONS]
        rate = 100 * self.edits.errors / self.edits.length
        head = [
            f"WER {rate:.2f} %: {self.summary()}, {self.edits.hits} right",
            f"{len(self.faulty)} of {self.utterances} utterances have errors",
            f"normaliser: {self.normaliser}",
            "",
            f"The {len(confusions)} most frequent of {len(self.confusions)} confusions, "
            f"reference -> hypothesis ({NOTHING}: no word)",
            "",
            *map(str, confusions),
            "",
            f"The {len(shown)} worst of {len(self.faulty)} utterances with errors",
            "",
        ]
        return "\n".join([*head, *(utterance.to_text() for utterance in shown)])


def align_words(
    *, hyps: Sequence[str], refs: Sequence[str], names: Sequence[str], normaliser: str = "basic"
) -> Alignments:
    """Find the word errors of a system.

    Parameters
    ----------
    hyps, refs : sequence of str
        Of N utterances.
    names : sequence of str
        Their ids.
    normaliser : str
        A key of `legonn.scoring.normalise.NORMALISERS`.

    Raises
    ------
    DataError
        When no reference has a word.
    """
    output = align(hyps=hyps, refs=refs, normaliser=normaliser)
    texts = zip(names, output.references, output.hypotheses, output.alignments, strict=True)
    utterances = [
        Utterance(name, " ".join(ref), " ".join(hyp), Edits.of(chunks))
        for name, ref, hyp, chunks in texts
    ]
    faulty = [utterance for utterance in utterances if utterance.edits.errors]
    return Alignments(
        normaliser=normaliser,
        utterances=len(utterances),
        edits=Edits.of(chain.from_iterable(output.alignments)),
        confusions=_confusions(output),
        faulty=tuple(sorted(faulty, key=lambda faulty: (-faulty.edits.errors, faulty.name))),
    )


def _confusions(output: WordOutput | CharacterOutput) -> tuple[Confusion, ...]:
    """Count pairs of single words; jiwer's own count joins neighbours that are wrong together."""
    counts: Counter[tuple[str, str]] = Counter()
    for ref, hyp, chunks in zip(
        output.references, output.hypotheses, output.alignments, strict=True
    ):
        for chunk in chunks:
            said = ref[chunk.ref_start_idx : chunk.ref_end_idx]
            written = hyp[chunk.hyp_start_idx : chunk.hyp_end_idx]
            if chunk.type != "equal":
                counts.update(zip_longest(said, written, fillvalue=""))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Confusion(said, written, count) for (said, written), count in ranked)
