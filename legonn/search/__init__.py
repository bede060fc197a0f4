"""Decoding: options, beam search, and whole texts."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legonn.search.beam import BeamSearch, Found
    from legonn.search.ctc_prefix import CTCPrefixScorer
    from legonn.search.decoding import decode_batch
    from legonn.search.options import MODES, DecodingOptions
    from legonn.search.pool import Pool
    from legonn.search.translator import Hypothesis, Transcriber, Translator

__all__ = [
    "MODES",
    "BeamSearch",
    "CTCPrefixScorer",
    "DecodingOptions",
    "Found",
    "Hypothesis",
    "Pool",
    "Transcriber",
    "Translator",
    "decode_batch",
]

_HOMES = {
    "MODES": "options",
    "DecodingOptions": "options",
    "BeamSearch": "beam",
    "Found": "beam",
    "CTCPrefixScorer": "ctc_prefix",
    "Pool": "pool",
    "decode_batch": "decoding",
    "Hypothesis": "translator",
    "Transcriber": "translator",
    "Translator": "translator",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `legonn decode --help` can show the options without importing torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'legonn.search' has no attribute {name!r}")
    return getattr(importlib.import_module(f"legonn.search.{_HOMES[name]}"), name)
