"""What a result was made with, and a quiet way to import ESPnet.

Every score and every experiment folder carries `revision()` and `versions()`, so that it can be
made again. `quiet_imports()` surrounds the imports of ESPnet's parts.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

__all__ = ["PACKAGES", "quiet_imports", "revision", "versions"]

# The packages that can change a figure.
PACKAGES = (
    "legonn",
    "espnet",
    "torch",
    "torchaudio",
    "numpy",
    "sentencepiece",
    "sacrebleu",
    "jiwer",
    "kaldiio",
    "num2words",
)

# ESPnet's tokenizer and text cleaner import these for two of their options: g2p_en (phonemes)
# downloads NLTK data when imported, tacotron_cleaner takes two seconds. A parent comes before its
# child.
SPEECH_TEXT = ("g2p_en", "tacotron_cleaner", "tacotron_cleaner.cleaners")

FLASH_NOTICE = "Failed to import Flash Attention"


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the installed ones among `packages`, without importing any.

    Returns
    -------
    dict
        ``{"python": "3.11.7", "legonn": "0.1.0", ...}``, without packages that aren't installed.
    """
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def revision(folder: Path | None = None) -> str | None:
    """The source revision that runs, as Git names it.

    Parameters
    ----------
    folder : Path, optional
        The top of a checkout; by default the one that holds this package.

    Returns
    -------
    str or None
        40 hex digits, then ``-dirty`` when tracked files were changed. None where `folder` is not
        the top of a checkout, has no commit yet, or Git is missing.
    """
    top = folder or Path(__file__).resolve().parents[1]
    if not (top / ".git").exists():  # an installed copy may lie inside somebody else's checkout
        return None
    # `describe` looks at the files too; without optional locks, jobs side by side don't collide.
    command = ["git", "--no-optional-locks", "-C", str(top), "describe", "--always", "--dirty"]
    command += ["--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Import ESPnet's parts inside this, without its notices and without its try at a download.

    Two things are kept away, and nothing else: the line about flash-attention that ESPnet's
    attention prints to standard output, and the load of `SPEECH_TEXT`, which takes two seconds and
    asks the network for two NLTK data sets. Those load at their first use instead. Errors, warnings
    and any other print go their way.
    """
    for name in SPEECH_TEXT:
        defer_import(name)
    with contextlib.redirect_stdout(DropLines(sys.stdout, FLASH_NOTICE)):
        yield


def defer_import(name: str) -> None:
    """Let ``import name`` succeed at once, and load the package when one of its names is asked for.

    `importlib.util.LazyLoader` won't do: its module also loads when something merely looks at its
    ``__file__``, as `inspect.getmodule` does with every module there is.
    """
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        return
    sys.modules[name] = _placeholder(spec)
    parent, _, child = name.rpartition(".")
    if parent:  # an import binds a part to its package; finding it there again does not
        setattr(sys.modules[parent], child, sys.modules[name])


def _placeholder(spec: importlib.machinery.ModuleSpec) -> ModuleType:
    """A module with `spec`'s attributes whose other names come from the real module."""
    module = importlib.util.module_from_spec(spec)

    def load(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(f"module {spec.name!r} has no attribute {attribute!r}")
        if sys.modules.get(spec.name) is module:
            del sys.modules[spec.name]
        return getattr(importlib.import_module(spec.name), attribute)

    module.__getattr__ = load  # type: ignore[method-assign]  # PEP 562
    return module


class DropLines:
    """A text stream that passes all on to `stream`, save lines that begin with `prefix`.

    Parameters
    ----------
    stream : TextIO
        Where the other lines go.
    prefix : str
        What the dropped lines begin with.
    """

    def __init__(self, stream: TextIO, prefix: str) -> None:
        self._stream = stream
        self._prefix = prefix
        self._dropping = False

    def write(self, text: str) -> int:
        """Write `text`; `print` calls this once for the line and once for its end."""
        for line in text.splitlines(keepends=True):
            if not self._dropping and not line.startswith(self._prefix):
                self._stream.write(line)
                continue
            self._dropping = not line.endswith("\n")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
