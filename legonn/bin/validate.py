"""`legonn validate`: all faults of data folders, or of recordings, in one pass, each with its file and line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from legonn.audio.rate import parse_rate
from legonn.errors import DataError

__all__ = ["get_parser", "main"]

EPILOG = """\
A folder is in Kaldi form: text.<case>.<lang> files with lines "<utt-id> <text>", the same ids in
each, sorted in the C locale; for speech also wav.scp, and where it has them segments and utt2spk. What
`legonn decode --input` takes of sound is checked as well, before it is decoded: audio files, a folder of
them at any depth, a wav.scp, or a folder that has one and no text:

    legonn validate talks interview.flac data/test/wav.scp

Each recording is read whole. Exit status: 0 and a line of statistics for each, or 2 and the list.
"""


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn validate",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="DATA",
        help="data folder, audio file, folder of audio files, or wav.scp",
    )
    parser.add_argument(
        "--files", nargs="+", default=[], help="files each folder must have (default: its text.*)"
    )
    parser.add_argument(
        "--max_length", type=int, default=1000, help="warn of longer texts, characters; 0: never"
    )
    parser.add_argument(
        "--allow_pipes", action="store_true", help="run the commands that wav.scp holds"
    )
    parser.add_argument(
        "--skip_bad",
        type=int,
        default=0,
        metavar="N",
        help="only warn of up to N recordings of a folder that can't be used, none of a file's (default: %(default)s)",
    )
    parser.add_argument(
        "--fs",
        type=parse_rate,
        help="hertz that recordings should have, or 16k (default: what most of them have)",
    )
    parser.add_argument("--nj", type=int, default=1, help="processes that read recordings")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.skip_bad < 0:
        parser.error("--skip_bad is at least 0")
    from legonn.data.check import check_folder, is_list_of_tokens

    lists = [folder for folder in args.folders if is_list_of_tokens(Path(folder))]
    if lists:
        print(
            f"legonn validate: left out: {', '.join(lists)}: token lists, no data", file=sys.stderr
        )
    reports = [
        check_folder(
            folder,
            files=args.files,
            max_length=args.max_length,
            allow_pipes=args.allow_pipes,
            skip_bad=args.skip_bad,
            sample_rate=args.fs,
            jobs=args.nj,
        )
        for folder in args.folders
        if folder not in lists
    ]
    for report in reports:
        for warning in report.warnings:
            print(f"legonn validate: warning: {warning}", file=sys.stderr)
        if not report.faults:
            print(report.summary())
    faults = [fault for report in reports for fault in report.faults]
    if faults:
        raise DataError(f"{len(faults)} faults; mend them and run again:", faults)
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
