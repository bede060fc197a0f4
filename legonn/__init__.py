"""LegoNN: encoder-decoder models built from parts that exchange CTC marginals (arXiv 2206.03318)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legonn.interface import Interface, Marginals
    from legonn.language_model import LanguageModel
    from legonn.system import System

__all__ = ["Interface", "LanguageModel", "Marginals", "System", "__version__"]
__version__ = "0.1.0"

_HOMES = {
    "Interface": "legonn.interface",
    "LanguageModel": "legonn.language_model",
    "Marginals": "legonn.interface",
    "System": "legonn.system",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that `legonn --help` does not pay for importing torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'legonn' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
