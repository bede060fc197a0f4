"""Recordings as training reads them: one channel, one rate, a file for each utterance (stages 2 and 3).

A recording that is so already is referred to where it is; segments, commands, other rates, several channels and
other speeds are written anew.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legonn.audio.check import check_samples
from legonn.audio.parallel import mapped
from legonn.audio.rate import parse_rate
from legonn.audio.recordings import Utterance, read_sound, read_utterances
from legonn.audio.resampling import resample
from legonn.audio.states import recording_states
from legonn.audio.storage import (
    FORMATS,
    check_format,
    encode,
    recording_path,
    stored_seconds,
    write_recording,
)
from legonn.data.atomic import write_atomic
from legonn.data.folder import read_text, write_text
from legonn.errors import ConfigError, DataError
from legonn.tokenizer import file_sha256

__all__ = ["Prepared", "Target", "get_parser", "main", "prepare_folder", "speed_id"]

SPEEDS = (0.5, 2.0)
RECORD = "prepared.txt"


@dataclass(frozen=True)
class Target:
    """What recordings shall be like.

    Attributes
    ----------
    sample_rate : int
        Hertz.
    speeds : tuple of float
        One copy for each: 1.1 is a tenth faster and higher (Ko et al. 2015, "Audio augmentation for speech
        recognition").
    format : str
        A key of `legonn.audio.storage.FORMATS`, for what is written.
    """

    sample_rate: int = 16000
    speeds: tuple[float, ...] = (1.0,)
    format: str = "flac"

    def __post_init__(self) -> None:
        check_format(self.format, self.sample_rate, option="--audio_format")
        if not self.speeds or len({f"{speed:g}" for speed in self.speeds}) < len(self.speeds):
            raise ConfigError(f"--speeds {self.speeds}: give one or more, each once")
        for speed in self.speeds:
            if not SPEEDS[0] <= speed <= SPEEDS[1]:
                raise ConfigError(f"--speeds {speed}: give {SPEEDS[0]} to {SPEEDS[1]}")


@dataclass(frozen=True)
class Prepared:
    """What became of one utterance.

    Attributes
    ----------
    utt_id : str
        Its id in the source.
    paths : tuple of Path
        A recording for each speed; none where there are faults.
    samples : tuple of int
        Their lengths.
    hashes : tuple of str
        SHA-256 of their samples.
    written : int
        How many were written; others were there.
    faults : tuple of str
        Why it can't be used.
    """

    utt_id: str
    paths: tuple[Path, ...] = ()
    samples: tuple[int, ...] = ()
    hashes: tuple[str, ...] = ()
    written: int = 0
    faults: tuple[str, ...] = ()


def speed_id(name: str, speed: float) -> str:
    """An utterance's or speaker's id at another speed, as Kaldi has it: `sp0.9-<id>`."""
    return name if speed == 1.0 else f"sp{speed:g}-{name}"


def prepare_folder(
    source: Path,
    output: Path,
    target: Target,
    *,
    utterances: Mapping[str, Utterance],
    texts: Sequence[str],
    skip_bad: int = 0,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Prepared]:
    """Make `output` of the data folder `source`.

    Writes `wav.scp`, `utt2num_samples`, `utt2sha256` (of the samples), `utt2spk` where the source has it, and the
    texts, of which an utterance needs all. Recordings that are there already aren't written again, so a killed run
    goes on where it was.

    Parameters
    ----------
    utterances : mapping
        The source's, of `read_utterances`.
    texts : sequence of str
        Names of Kaldi text files.
    skip_bad : int
        How many utterances may be left out because they can't be used.
    jobs : int
        Processes.
    progress : callable
        Told after each utterance.

    Raises
    ------
    DataError
        Naming every utterance that can't be used, when they are more than `skip_bad`; every id that only some of
        the files have, and every one that a copy at another speed has, too. Then nothing but recordings has been
        written. And nothing at all where `output` has recordings that came from elsewhere.
    """
    _check_output(source, output)
    _check_copies(source, utterances, target)
    _begin(source, output, target, utterances.values())
    names = [*texts, *(["utt2spk"] if (source / "utt2spk").exists() else [])]
    columns = {name: read_text(source / name) for name in names}
    _check_ids(source, utterances, columns)
    work = partial(_prepare, output=output, target=target)
    done = []
    for prepared in mapped(work, list(enumerate(utterances.values())), jobs):
        done.append(prepared)
        progress(1)
    good = _without_bad(source, done, skip_bad)
    _write_folder(output, target, good, columns)
    return done


def _check_output(source: Path, output: Path) -> None:
    """Originals must not be written over, or removed as what another run has left."""
    if output.resolve() == source.resolve():
        raise DataError(f"{output} would be written over itself: give another --output")
    if (output / "wav.scp").exists() and not (output / RECORD).exists():
        raise DataError(
            f"{output} has a wav.scp that was not made here: move the folder away, or give another --output (stage 2 "
            "writes data/<train_set>_sp)"
        )


def _check_copies(source: Path, utterances: Mapping[str, Utterance], target: Target) -> None:
    faults = [
        f"{utterances[copy].place}: {copy} is also what {utt_id} is called at speed {speed:g}; rename it, or leave out "
        "the speeds if they are in the folder already"
        for speed in target.speeds
        if speed != 1.0
        for utt_id in utterances
        if (copy := speed_id(utt_id, speed)) in utterances
    ]
    if faults:
        raise DataError(f"{source}: ids that copies have, too:", faults)


def _begin(source: Path, output: Path, target: Target, utterances: Iterable[Utterance]) -> None:
    """Remove the recordings that were written for another target, or of other files or segments."""
    page = "".join(f"{name}: {value}\n" for name, value in asdict(target).items())
    for name in ("wav.scp", "segments"):
        path = source / name
        page += f"{name}: {file_sha256(path if path.is_file() else None)}\n"
    page += f"recordings: {recording_states(utterances)}\n"
    record = output / RECORD
    if record.exists() and record.read_text(encoding="utf-8") != page:
        shutil.rmtree(output / "wav", ignore_errors=True)
    write_atomic(record, page)


def _check_ids(
    source: Path, utterances: Mapping[str, Utterance], columns: dict[str, dict[str, str]]
) -> None:
    faults = [
        f"{source / name}: {utt_id} is in only one of it and wav.scp"
        for name, column in columns.items()
        for utt_id in sorted(column.keys() ^ utterances.keys())
    ]
    if faults:
        raise DataError(f"{source}: ids differ; `legonn validate` says where:", faults)


def _prepare(item: tuple[int, Utterance], *, output: Path, target: Target) -> Prepared:
    """Read one utterance; write what of it isn't as wanted."""
    number, utterance = item
    try:
        samples, rate = read_sound(utterance)
    except DataError as error:
        return Prepared(utterance.utt_id, faults=(str(error),))
    faults = check_samples(utterance, samples, rate)
    if faults:
        return Prepared(utterance.utt_id, faults=tuple(faults))
    whole = utterance.is_file and not utterance.is_segment
    refer = whole and rate == target.sample_rate and samples.shape[1] == 1
    mono = samples.mean(axis=1)
    paths, counts, hashes = [], [], []
    written = 0
    for speed in target.speeds:
        path, said = Path(utterance.source), mono
        if speed != 1.0 or not refer:
            said = change_speed(mono, rate, speed, target.sample_rate)
            name = speed_id(utterance.utt_id, speed)
            path = recording_path(output, number, name, target.format)
            if not stored_seconds(path):
                write_recording(path, encode(said, target.sample_rate, target.format))
                written += 1
        paths.append(Path(os.path.abspath(path)))  # the folder may be read from elsewhere
        counts.append(len(said))
        hashes.append(hashlib.sha256(said.tobytes()).hexdigest())
    return Prepared(utterance.utt_id, tuple(paths), tuple(counts), tuple(hashes), written)


def change_speed(
    samples: NDArray[np.float32], rate: int, speed: float, sample_rate: int
) -> NDArray[np.float32]:
    """Samples (N,) at `rate` hertz -> (about N * sample_rate / rate / speed,) at `sample_rate`, faster by `speed`."""
    return resample(samples, round(rate * speed), sample_rate).clip(-1, 1)


def _without_bad(source: Path, done: Sequence[Prepared], skip_bad: int) -> list[Prepared]:
    bad = [one for one in done if one.faults]
    faults = [fault for one in bad for fault in one.faults]
    if len(bad) > skip_bad:
        raise DataError(
            f"{len(bad)} utterances of {source} can't be used; mend them, or leave them out with "
            f"--skip_bad {len(bad)}:",
            faults,
        )
    for fault in faults:
        print(f"{source}: warning: left out: {fault}", file=sys.stderr)
    if len(bad) == len(done):
        raise DataError(f"{source}: no utterance is left")
    return [one for one in done if not one.faults]


def _write_folder(
    output: Path, target: Target, good: Sequence[Prepared], columns: dict[str, dict[str, str]]
) -> None:
    paths, counts, hashes = {}, {}, {}
    copies: dict[str, dict[str, str]] = {name: {} for name in columns}
    for one in good:
        for i, speed in enumerate(target.speeds):
            utt_id = speed_id(one.utt_id, speed)
            paths[utt_id], counts[utt_id] = str(one.paths[i]), str(one.samples[i])
            hashes[utt_id] = one.hashes[i]
            for name, column in columns.items():
                value = column[one.utt_id]
                copies[name][utt_id] = speed_id(value, speed) if name == "utt2spk" else value
    for name, copy in copies.items():
        write_text(output / name, copy)
    write_text(output / "utt2num_samples", counts)
    write_text(output / "utt2sha256", hashes)
    write_text(output / "wav.scp", paths)  # the last: it makes the folder one


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="legonn.audio.prepare", description=__doc__)
    add = parser.add_argument
    add("--input", type=Path, required=True, help="data folder with wav.scp")
    add("--output", type=Path, required=True, help="data folder to write")
    add("--files", nargs="+", required=True, metavar="TEXT", help="e.g. text.tc.en")
    add("--fs", type=parse_rate, default=16000, help="hertz, or 16k (default: %(default)s)")
    add("--speeds", nargs="+", type=float, default=[1.0], metavar="X", help="copies, 1.0 as it is")
    add("--audio_format", default="flac", choices=tuple(FORMATS), help="of what is written anew")
    add("--allow_pipes", action="store_true", help="run the commands that wav.scp holds")
    add("--skip_bad", type=int, default=0, help="leave out at most so many bad utterances")
    add("--nj", type=int, default=1, help="processes (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    from legonn.progress import Progress

    args = get_parser().parse_args(argv)
    target = Target(args.fs, tuple(args.speeds), args.audio_format)
    utterances = read_utterances(args.input, allow_pipes=args.allow_pipes)
    with Progress(len(utterances), command="prepare", unit="recording") as progress:
        done = prepare_folder(
            args.input,
            args.output,
            target,
            utterances=utterances,
            texts=args.files,
            skip_bad=args.skip_bad,
            jobs=args.nj,
            progress=progress.add,
        )
    hours = sum(sum(one.samples) for one in done) / args.fs / 3600
    written = sum(one.written for one in done)
    print(
        f"{args.output}: {sum(len(one.paths) for one in done)} recordings, {hours:.2f} h; "
        f"{written} of them written anew"
    )
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
