"""The console command `legonn`: finds the verb, and hands the rest of the line to it.

Adding a verb: write ``legonn/bin/<verb>.py`` with ``get_parser()`` and ``main(argv)``, and add its
line to `VERBS`.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from legonn import __version__
from legonn.errors import ConfigError, LegonnError

__all__ = ["VERBS", "main", "run"]

VERBS = {
    "train": "train a system, or collect the statistics of its data",
    "train_lm": "train one of ESPnet's language models, which scores along in decoding",
    "decode": "text from text or speech, with a trained system, or one composed of others' parts",
    "serve": "translations over HTTP: requests that come together are decoded together",
    "pack": "turn an experiment's parts into modules",
    "inspect": "what a module is, what it fits, where it comes from",
    "publish": "put a module on the Hugging Face Hub",
    "compose": "join parts of different origin into a system",
    "look": "a page that shows what crosses the interfaces of a system",
    "score": "BLEU, chrF, TER, exact match, WER or CER, with intervals; compare systems",
    "report": "render a RESULTS.md from the scores in a results.json",
    "synthesize": "speak a text: a speech corpus from espeak-ng",
    "validate": "list every fault of a data folder, or of recordings, in one pass",
    "tokenlist": "learn a subword model and write its token list",
    "stats": "interface positions per target token: the length ratio that data needs",
}

USAGE_ERROR = 2
INTERRUPTED = 130  # as a shell reports SIGINT
BROKEN_PIPE = 141  # as a shell reports SIGPIPE
# A disk that is full or broken, a quota, a limit: of the system's errors without a file's name those that no program
# can help.
LIMITS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``legonn <verb> ...``.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the command's name; by default those of this process.

    Returns
    -------
    int
        The exit status: the verb's own, or 2 where there is no such verb.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(help_text(), file=sys.stderr)
        return USAGE_ERROR
    verb, *rest = words
    if verb in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if verb in ("-V", "--version"):
        print(f"legonn {__version__}")
        return 0
    return run(_dispatch, [verb, *rest])


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call a command's `main`; print a `LegonnError`, or what the system says of a file, without a traceback.

    ``if __name__ == "__main__": raise SystemExit(run(main))`` ends each file of `legonn.bin`.

    Parameters
    ----------
    main : callable
        Takes the arguments, gives the exit status.
    argv : sequence of str, optional
        Passed on to `main`.

    Returns
    -------
    int
        `main`'s status, 2 after a `LegonnError` or an error about a file, 130 when interrupted, 141 when the
        reader of our output (``| head``) has gone. Any other exception is a fault of ours and passes through.
    """
    try:
        status = main(argv)
        sys.stdout.flush()  # here, so that a closed pipe is noticed here
        return status
    except LegonnError as error:
        print(f"{_name_of(main, argv)}: error: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print(f"{_name_of(main, argv)}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        if error.filename is None and error.errno not in LIMITS:
            raise
        print(f"{_name_of(main, argv)}: error: {_told(error)}", file=sys.stderr)
        _drop_output()
        return USAGE_ERROR


def _told(error: OSError) -> str:
    """Its file or files, and the system's reason."""
    files = [name for name in (error.filename, error.filename2) if name is not None]
    names = [os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in files]
    return ": ".join([*([" -> ".join(names)] if names else []), error.strerror or str(error)])


def _drop_output() -> None:
    """Where output can't be written: the interpreter flushes once more at its exit, and that must not fail too."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):  # what stands in for it has no number
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def help_text() -> str:
    """What ``legonn --help`` prints."""
    verbs = "\n".join(f"  {verb:<10} {purpose}" for verb, purpose in VERBS.items())
    return (
        "usage: legonn <verb> [arguments]\n"
        "\n"
        "Encoder-decoder models built from parts that exchange CTC marginals.\n"
        "\n"
        f"verbs:\n{verbs}\n"
        "\n"
        "legonn <verb> --help    the verb's own arguments\n"
        "legonn --version        the version"
    )


def _dispatch(argv: Sequence[str] | None) -> int:
    """Call the verb that leads `argv`."""
    verb, *rest = argv or [""]
    if verb not in VERBS:
        raise ConfigError(_no_such_verb(verb))
    return int(importlib.import_module(f"legonn.bin.{verb}").main(rest))


def _no_such_verb(word: str) -> str:
    close = difflib.get_close_matches(word, VERBS, n=1)
    guess = f"; did you mean '{close[0]}'?" if close else "."
    return f"there is no verb '{word}'{guess} The verbs are: {', '.join(VERBS)}."


def _name_of(main: Callable[..., int], argv: Sequence[str] | None) -> str:
    """What to call the running command: ``legonn <verb>``, or the module where it is no verb."""
    if main is _dispatch:
        verb = argv[0] if argv else ""
        return f"legonn {verb}" if verb in VERBS else "legonn"
    # Under `python -m`, `__name__` is "__main__" and only the spec knows the file.
    spec = main.__globals__.get("__spec__")
    module: str = spec.name if spec else main.__module__
    package, _, verb = module.rpartition(".")
    return f"legonn {verb}" if package == "legonn.bin" and verb in VERBS else module


if __name__ == "__main__":
    raise SystemExit(main())
