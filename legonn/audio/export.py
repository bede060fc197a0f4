"""Recordings as Kaldi archives, for Kaldi, ESPnet, and file systems that dislike many small files.

    python -m legonn.audio.export --input data/val --output data/val_ark

Makes a data folder with the same ids, whose `wav.scp` names places in `wav/<n>.ark`; texts and speakers are copied.
`wav` archives are what Kaldi reads; `flac` ones take half the space, and kaldiio reads them. legonn reads both.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from legonn.audio.check import check_samples
from legonn.audio.corpus import RECORD as SYNTHESIS
from legonn.audio.inputs import text_names
from legonn.audio.recordings import Utterance, read_sound, read_utterances
from legonn.data.folder import read_text, write_text
from legonn.errors import ConfigError, DataError

__all__ = ["export_folder", "get_parser", "main"]

FORMATS = ("wav", "flac")
ARCHIVE = 1000  # recordings in one archive


def export_folder(
    source: Path,
    output: Path,
    *,
    format: str = "wav",
    allow_pipes: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the recordings of the data folder `source` into archives of `output`, 16 bits a sample.

    Segments are cut out. All channels and the rate stay, and what says that the speech is synthetic.

    Parameters
    ----------
    output : Path
        A new folder; it is there when all of it is.
    format : {"wav", "flac"}
        Of the recordings in the archives.
    allow_pipes : bool
        Run the commands in `wav.scp`.
    progress : callable
        Told after each recording.

    Returns
    -------
    int
        How many recordings there are.

    Raises
    ------
    ConfigError
        When `output` exists.
    DataError
        Naming every recording that can't be read, that is cut off, or whose samples are none. Silence is copied.
    """
    if output.exists():
        raise ConfigError(f"{output} is there: give a new folder, or remove it")
    utterances = read_utterances(source, allow_pipes=allow_pipes)
    names = [*text_names(source), "utt2spk", "utt2group"]
    columns = {name: read_text(source / name) for name in names if (source / name).is_file()}
    synthetic = source / SYNTHESIS
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        places: dict[str, str] = {}
        faults: list[str] = []
        left = iter(utterances.values())
        for number in range(0, len(utterances), ARCHIVE):
            name = Path("wav") / f"{number // ARCHIVE:03d}.ark"
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            offsets = _write(unfinished / name, islice(left, ARCHIVE), format, faults, progress)
            places |= {
                utt_id: f"{os.path.abspath(output / name)}:{offset}"
                for utt_id, offset in offsets.items()
            }
        if faults:
            raise DataError(
                f"{len(faults)} recordings of {source} can't be exported; `legonn validate` tells more:",
                faults,
            )
        for text, column in columns.items():
            write_text(unfinished / text, column)
        if synthetic.is_file():
            shutil.copyfile(synthetic, unfinished / SYNTHESIS)
        write_text(unfinished / "wav.scp", places)
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return len(places)


def _write(
    archive: Path,
    utterances: islice[Utterance],
    format: str,
    faults: list[str],
    progress: Callable[[int], None],
) -> dict[str, int]:
    """Where each recording begins in the archive; those that can't be exported are noted in `faults`."""
    from kaldiio import save_ark

    places = archive.with_suffix(".scp")
    # kaldiio's own WAV is what Kaldi reads; its way through soundfile has a length in front.
    options = {"write_function": "soundfile", "write_kwargs": {"format": "flac"}}
    if format == "wav":
        options = {}
    with archive.open("wb") as ark, places.open("w", encoding="utf-8") as scp:
        for utterance in utterances:
            try:
                samples, rate = read_sound(utterance)
                found = check_samples(utterance, samples, rate, allow_silence=True)
            except DataError as error:
                found = (str(error),)
            if found:
                faults.append(found[0])
            else:
                save_ark(
                    ark, {utterance.utt_id: (rate, _whole_numbers(samples))}, scp=scp, **options
                )
            progress(1)
    offsets = {utt_id: int(place.rpartition(":")[2]) for utt_id, place in read_text(places).items()}
    places.unlink()
    return offsets


def _whole_numbers(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """(N, channels), full scale 1 -> of 16 bits, (N,) where there is one channel."""
    whole = (samples * np.float32(32768)).round().clip(-32768, 32767).astype(np.int16)
    return whole[:, 0] if whole.shape[1] == 1 else whole


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn.audio.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--input", type=Path, required=True, help="data folder with wav.scp")
    add("--output", type=Path, required=True, help="data folder to make")
    add("--format", choices=FORMATS, default="wav", help="in the archives (default: %(default)s)")
    add("--allow_pipes", action="store_true", help="run the commands that wav.scp holds")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    from legonn.progress import Progress

    args = get_parser().parse_args(argv)
    total = len(read_utterances(args.input, allow_pipes=args.allow_pipes))
    with Progress(total, command="export", unit="recording") as progress:
        count = export_folder(
            args.input,
            args.output,
            format=args.format,
            allow_pipes=args.allow_pipes,
            progress=progress.add,
        )
    print(f"{args.output}: {count} recordings in archives")
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
