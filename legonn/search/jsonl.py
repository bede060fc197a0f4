"""All that is known of each input's hypotheses, one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import IO, Any

from legonn.search.files import Outcome, Writer, put
from legonn.search.translator import Hypothesis

__all__ = ["JsonLines"]


class JsonLines(Writer):
    """Writes `{"id": ..., "hypotheses": [...]}`; of what could not be decoded also `"error"`, and scores are null.

    Parameters
    ----------
    file : text file
        Gets the lines.
    first : int
        Of plain lines, which have no ids, the number of the first one.
    """

    def __init__(self, file: IO[str], *, first: int = 1) -> None:
        self.file = file
        self.number = first

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """See `Writer`."""
        lines = []
        for outcome in outcomes:
            line: dict[str, Any] = {"id": self.number if outcome.utt_id is None else outcome.utt_id}
            self.number += 1
            described = [_described(one) for one in outcome.hypotheses]
            if outcome.fault:
                # It may name a file whose name isn't UTF-8.
                line["error"] = os.fsencode(outcome.fault).decode("utf-8", errors="replace")
                # 0 would be the best there is.
                described = [{**one, "score": None} for one in described]
            line["hypotheses"] = described
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        put(self.file, "".join(lines))


def _described(one: Hypothesis) -> dict[str, Any]:
    described: dict[str, Any] = {
        "text": one.text,
        "tokens": one.tokens,
        "score": round(one.score, 6),
        "scores": {name: round(score, 6) for name, score in one.scores.items()},
        "alignment": [],
    }
    if not one.tokens:
        return described
    if one.alignment is None:
        return {**described, "alignment": None}
    described["alignment"] = one.alignment.spans
    if one.alignment.times is not None:
        described["seconds"] = [[round(x, 3) for x in pair] for pair in one.alignment.times]
    return described
