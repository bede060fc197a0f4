"""Where errors are: counts and rankings by eye, the pictures against jiwer's own."""

from __future__ import annotations

import jiwer
import pytest

from legonn.errors import ConfigError, DataError
from legonn.scoring import Alignments, align_words
from legonn.scoring.alignments import Confusion
from legonn.scoring.edits import Edits

NAMES = ["utt-2", "utt-4", "utt-1", "utt-3", "utt-5"]
REFS = ["The cat sat.", "a big dog ran", "a big dog ran", "no error", "one two"]
HYPS = ["the cat sad", "a dog fan", "a big dog ran on on", "No error!", ""]

TEXT = """\
WER 46.67 %: S 2  D 3  I 2 of 15 words, 10 right
4 of 5 utterances have errors
normaliser: basic

The 6 most frequent of 6 confusions, reference -> hypothesis (*: no word)

    2  * -> on
    1  big -> *
    1  one -> *
    1  ran -> fan
    1  sat -> sad
    1  two -> *

The 3 worst of 4 utterances with errors

utt-1: S 0  D 0  I 2 of 4 words
REF: a big dog ran ** **
HYP: a big dog ran on on
                    I  I

utt-4: S 1  D 1  I 0 of 4 words
REF: a big dog ran
HYP: a *** dog fan
         D       S

utt-5: S 0  D 2  I 0 of 2 words
REF: one two
HYP: *** ***
       D   D
"""


@pytest.fixture
def alignments() -> Alignments:
    """Five utterances, four of them with errors."""
    return align_words(hyps=HYPS, refs=REFS, names=NAMES)


def test_totals(alignments: Alignments) -> None:
    assert alignments.edits == Edits(substitutions=2, deletions=3, insertions=2, hits=10)
    assert alignments.summary() == "S 2  D 3  I 2 of 15 words"
    assert alignments.utterances == 5


def test_confusions_by_frequency_then_alphabet(alignments: Alignments) -> None:
    assert alignments.confusions[:3] == (
        Confusion("", "on", 2),
        Confusion("big", "", 1),
        Confusion("one", "", 1),
    )
    assert sum(confusion.count for confusion in alignments.confusions) == alignments.edits.errors


def test_utterances_by_errors_then_id_whatever_their_order(alignments: Alignments) -> None:
    names = [utterance.name for utterance in alignments.faulty]
    assert names == ["utt-1", "utt-4", "utt-5", "utt-2"]
    backwards = align_words(hyps=HYPS[::-1], refs=REFS[::-1], names=NAMES[::-1])
    assert backwards == alignments


def test_the_text(alignments: Alignments) -> None:
    assert alignments.to_text(worst=3) == TEXT


def test_pictures_are_jiwers() -> None:
    ref = " ".join(f"word{i}" for i in range(40))
    hyp = ref.replace("word7 ", "").replace("word30", "30 word")
    (long,) = align_words(hyps=[hyp], refs=[ref], names=["u"]).faulty
    golden = jiwer.visualize_alignment(
        jiwer.process_words([ref], [hyp]), show_measures=False, line_width=100
    )
    assert golden.count("REF: ") == 3  # lines of 100 characters
    picture = long.to_text().removeprefix("u: S 1  D 1  I 1 of 40 words\n")
    assert f"=== SENTENCE 1 ===\n\n{picture}" == golden.rstrip() + "\n"


@pytest.mark.parametrize(("worst", "shown"), [(0, 0), (1, 1), (20, 4)])
def test_as_many_utterances_as_asked_for(alignments: Alignments, worst: int, shown: int) -> None:
    assert alignments.to_text(worst=worst).count("REF: ") == shown


def test_a_negative_number_of_utterances_is_refused(alignments: Alignments) -> None:
    with pytest.raises(ConfigError, match="--worst: got -1, want 0 or more"):
        alignments.to_text(worst=-1)


def test_without_an_error() -> None:
    perfect = align_words(hyps=["a b"], refs=["A b."], names=["u"])
    assert (perfect.faulty, perfect.confusions) == ((), ())
    assert perfect.to_text().startswith("WER 0.00 %: S 0  D 0  I 0 of 2 words, 2 right\n0 of 1")


def test_an_utterance_without_reference_words() -> None:
    found = align_words(hyps=["um", "a"], refs=["...", "a"], names=["u", "v"])
    assert found.faulty[0].to_text() == "u: S 0  D 0  I 1 of 0 words\nREF: **\nHYP: um\n      I\n"


def test_the_normaliser_is_kept_to() -> None:
    raw = align_words(hyps=["a b"], refs=["A b."], names=["u"], normaliser="none")
    assert raw.edits == Edits(substitutions=2, deletions=0, insertions=0, hits=0)
    assert "normaliser: none" in raw.to_text()


def test_a_set_without_reference_words() -> None:
    with pytest.raises(DataError, match="no error rate without reference words"):
        align_words(hyps=["a"], refs=["!"], names=["u"])
