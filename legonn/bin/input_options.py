"""The options by which a command names its input, text or recordings, and how they are read."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legonn.audio.recordings import Utterance
    from legonn.search.files import Lines

__all__ = [
    "add_input_options",
    "add_max_seconds",
    "audio_limits",
    "check_max_seconds",
    "read_given",
]


class _Inputs(argparse.Action):
    """Given again, an option adds to what it has named; the default is for where it names nothing."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*([] if before is self.default else before), *values])


def add_input_options(group: Any) -> None:
    """Describe what is read."""
    group.add_argument(
        "--input",
        nargs="+",
        action=_Inputs,
        default=["-"],
        metavar="F",
        help="text; - is standard input. Or audio: files, folders of them, wav.scp or the folder that holds it",
    )
    group.add_argument(
        "--input_format",
        default="auto",
        choices=("auto", "kaldi", "lines"),
        help="of text. kaldi: <utt-id> <text>; auto: kaldi for files named text, text.*, and with keys",
    )
    group.add_argument(
        "--key_file",
        metavar="F",
        help="read only the ids that its lines begin with, as those of any Kaldi file do",
    )
    group.add_argument(
        "--allow_pipes", action="store_true", help="run the commands that wav.scp holds"
    )


def add_max_seconds(group: Any) -> None:
    """Describe into how long pieces recordings are cut."""
    group.add_argument(
        "--max_seconds",
        type=float,
        metavar="X",
        help="longest audio decoded whole, and longest piece of longer audio (default: as long as the longest that the "
        "encoder was trained on, and up to a quarter more uncut; 30 where it doesn't say)",
    )


def check_max_seconds(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End with a message where no recording could be cut so."""
    from legonn.audio.cutting import SHORTEST

    if args.max_seconds is not None and not args.max_seconds >= 2 * SHORTEST:
        parser.error(f"--max_seconds {args.max_seconds:g}: give at least {2 * SHORTEST:g}")


def audio_limits(args: argparse.Namespace, trained: float | None) -> tuple[float, float]:
    """Seconds up to which a recording stays whole, and those of a piece, see `legonn.audio.cutting.limits`."""
    from legonn.audio.cutting import limits

    return limits(trained) if args.max_seconds is None else (args.max_seconds, args.max_seconds)


def read_given(args: argparse.Namespace, *, tolerant: bool = False) -> Lines | dict[str, Utterance]:
    """What `--input` names: lines of text, or recordings by id, none of which is opened yet.

    Parameters
    ----------
    args : Namespace
        With what `add_input_options` describes.
    tolerant : bool
        Keep lines that aren't UTF-8 as `Lines.faults`.

    Raises
    ------
    ConfigError, DataError
        See `legonn.audio.inputs` and `legonn.search.files.read_input`.
    """
    from legonn.audio.inputs import find_recordings, is_sound
    from legonn.search.files import read_input

    if is_sound(args.input, args.input_format):
        return find_recordings(args.input, allow_pipes=args.allow_pipes, key_file=args.key_file)
    (path,) = args.input
    lines = read_input(path, form=args.input_format, key_file=args.key_file, tolerant=tolerant)
    if lines.oddity:
        print(f"legonn: warning: {lines.oddity}", file=sys.stderr)
    return lines
