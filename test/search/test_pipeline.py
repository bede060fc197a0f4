"""Work that is begun ahead: what is begun when, and in which order it comes."""

from __future__ import annotations

import pytest

from legonn.search.pipeline import Begun, pipelined


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (0, "+a -a +b -b +c -c +d -d"),
        (1, "+a +b -a +c -b +d -c -d"),  # a has two batches; b none, which counts as one
        (2, "+a +b +c -a +d -b -c -d"),
        (99, "+a +b +c +d -a -b -c -d"),
    ],
)
def test_so_many_batches_are_begun_before_what_comes_first_is_finished(
    ahead: int, expected: str
) -> None:
    log: list[str] = []
    batches = {"a": 2, "b": 0, "c": 1, "d": 1}

    def begin(item: str) -> Begun[str]:
        log.append(f"+{item}")

        def finish() -> str:
            log.append(f"-{item}")
            return item.upper()

        return Begun(batches[item], finish)

    assert list(pipelined(batches, begin, ahead=ahead)) == [(x, x.upper()) for x in "abcd"]
    assert " ".join(log) == expected
