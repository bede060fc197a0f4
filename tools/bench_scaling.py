"""Does decoding take time in proportion to its input, and no more memory? `legonn decode` on more, and longer, inputs.

    python tools/bench_scaling.py --input egs/multi30k/lego1/data/val_de_en/text.tc.de --output tools/benchmarks.json \
        -- --system egs/multi30k/lego1/exp/lego_s1 --mode greedy --num_processes 2
    cd egs/multi30k/lego1 && python ../../../tools/bench_scaling.py --speech data/val_en_speech \
        --output ../../../tools/benchmarks.json -- --system exp/spoken2500_s1 --config conf/decode_speech.yaml

What follows `--` are the options of `legonn decode`. Its input are the given lines, again and again, each time with
another number in front, so that no two are the same; or recordings of so many seconds that are joined of those of a
folder, as many as make --minutes, of which `legonn decode` cuts those longer than its --max_seconds. Prints lines, or
seconds of sound, a second, from the process's start to its end, and the peak memory of its largest process; the ratios
are to the first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark_rows import add_rows, origin

RATE = 16000
MEASURED = """
import resource, subprocess, sys

done = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
raise SystemExit(done.returncode)
"""


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--input", type=Path, help="Kaldi text")
    given.add_argument("--speech", type=Path, help="a speech folder")
    add("--lines", type=int, nargs="+", default=[1000, 10000, 100000], help="of each file")
    add("--seconds", type=float, nargs="+", default=[5.0, 34.0], help="of each file's recordings")
    add("--minutes", type=float, default=20.0, help="of sound in each file")
    add("--output", type=Path, help="benchmarks.json to add the figures to")
    add("decode", nargs="+", metavar="OPTION", help="after --: of `legonn decode`")
    return parser


def write_lines(path: Path, lines: Sequence[str], count: int) -> None:
    """So many lines, one sentence each."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(count):
            again, place = divmod(i, len(lines))
            file.write(f"{again} {lines[place]}\n" if again else f"{lines[place]}\n")


def write_sounds(folder: Path, speech: Path, seconds: float, minutes: float) -> None:
    """Recordings of so many seconds, of the folder's one after another."""
    import numpy as np
    import soundfile

    from legonn.audio.recordings import read_sound, read_utterances

    sounds = [
        read_sound(one, sample_rate=RATE)[0].mean(axis=1)
        for one in read_utterances(speech).values()
    ]
    size, most = round(seconds * RATE), round(minutes * 60 * RATE)
    whole = np.concatenate(sounds)
    whole = np.tile(whole, -(-most // len(whole)))[:most]
    folder.mkdir()
    for i in range(most // size):
        soundfile.write(folder / f"{i:05d}.wav", whole[i * size : (i + 1) * size], RATE)


def decode(folder: Path, options: Sequence[str]) -> tuple[float, float]:
    """Seconds, and MiB of the largest process."""
    command = [
        sys.executable,
        "-m",
        "legonn.bin.decode",
        "--input",
        str(folder / "in"),
        "--output",
        str(folder / "out"),
    ]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command, *options],
        capture_output=True,
        text=True,
        check=True,
    )
    return time.perf_counter() - start, float(done.stdout.split()[-1]) / 1024


def rows(
    measured: dict[str, tuple[float, float, float]], unit: str, options: Sequence[str]
) -> list[dict[str, Any]]:
    """One object a figure: of each name the amount of input, seconds, and MiB."""
    first = next(iter(measured))
    figures = {
        f"{unit} per second": {
            name: amount / seconds for name, (amount, seconds, _) in measured.items()
        },
        "peak memory, MiB": {name: memory for name, (_, _, memory) in measured.items()},
    }
    return [
        {
            "bench": "scaling",
            "peer": first,
            "shape": " ".join(["legonn decode", *options]),
            **origin(),
            "system": name,
            "metric": metric,
            "value": round(value, 1),
            "peer_value": round(values[first], 1),
            "ratio": round(value / values[first], 2),
        }
        for metric, values in figures.items()
        for name, value in values.items()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    from legonn.data.folder import read_text

    measured: dict[str, tuple[float, float, float]] = {}
    lines = list(read_text(args.input).values()) if args.input else []
    for size in args.lines if args.input else args.seconds:
        with tempfile.TemporaryDirectory() as name:
            folder, options = Path(name), list(args.decode)
            if args.input:
                what, amount, outputs = f"{size} lines", size, size
                write_lines(folder / "in", lines, size)
            else:
                what, amount, outputs = (
                    f"{size:g} s each",
                    args.minutes * 60,
                    int(args.minutes * 60 / size),
                )
                write_sounds(folder / "in", args.speech, size, args.minutes)
            seconds, memory = decode(folder, options)
            measured[what] = amount, seconds, memory
            written = folder / "out" if args.input else folder / "out" / "1best_recog" / "text"
            if len(written.read_text().splitlines()) != outputs:
                raise SystemExit(f"bench_scaling: {outputs} inputs, another number of outputs")
        print(f"{what}: {seconds:.1f} s, {memory:.0f} MiB", flush=True)
    found = rows(measured, "lines" if args.input else "seconds of sound", args.decode)
    add_rows(args.output, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
