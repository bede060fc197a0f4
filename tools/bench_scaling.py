"""Does decoding take time in proportion to its input, and no more memory? `legonn decode` on longer and longer files.

    python tools/bench_scaling.py --input egs/multi30k/lego1/data/val_de_en/text.tc.de --output tools/benchmarks.json \
        -- --system egs/multi30k/lego1/exp/lego_s1 --mode greedy --num_processes 2

What follows `--` are the options of `legonn decode`. Its input are the given lines, again and again, each time with
another number in front, so that no two are the same. Prints lines a second, from the process's start to its end, and
the peak memory of its largest process; the ratios are to the smallest file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    add("--input", type=Path, required=True, help="Kaldi text")
    add("--lines", type=int, nargs="+", default=[1000, 10000, 100000], help="of each file")
    add("--output", type=Path, help="benchmarks.json to add the figures to")
    add("decode", nargs="+", metavar="OPTION", help="after --: of `legonn decode`")
    return parser


def write_lines(path: Path, lines: Sequence[str], count: int) -> None:
    """So many lines, one sentence each."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(count):
            again, place = divmod(i, len(lines))
            file.write(f"{again} {lines[place]}\n" if again else f"{lines[place]}\n")


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


def rows(measured: dict[int, tuple[float, float]], options: Sequence[str]) -> list[dict[str, Any]]:
    """One object a figure (DESIGN 8)."""
    import torch

    from legonn.environment import revision, versions

    smallest = min(measured)
    figures = {
        "lines per second": {lines: lines / seconds for lines, (seconds, _) in measured.items()},
        "peak memory, MiB": {lines: memory for lines, (_, memory) in measured.items()},
    }
    return [
        {
            "bench": "scaling",
            "peer": f"{smallest} lines",
            "shape": " ".join(["legonn decode", *options]),
            "command": " ".join(["python", *sys.argv]),
            "revision": revision(),
            "versions": versions(),
            "processor": torch.backends.cpu.get_cpu_capability(),
            "system": f"{lines} lines",
            "metric": metric,
            "value": round(values[lines], 1),
            "peer_value": round(values[smallest], 1),
            "ratio": round(values[lines] / values[smallest], 2),
        }
        for metric, values in figures.items()
        for lines in sorted(values)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    from legonn.data.atomic import write_atomic
    from legonn.data.folder import read_text

    given = list(read_text(args.input).values())
    measured: dict[int, tuple[float, float]] = {}
    for count in sorted(args.lines):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_lines(folder / "in", given, count)
            measured[count] = decode(folder, args.decode)
            if len((folder / "out").read_text().splitlines()) != count:
                raise SystemExit(f"bench_scaling: {count} lines in, another number out")
        print(
            f"{count} lines: {measured[count][0]:.1f} s, {measured[count][1]:.0f} MiB", flush=True
        )
    found = rows(measured, args.decode)
    if args.output:
        old = json.loads(args.output.read_text()) if args.output.exists() else []
        kept = [
            row for row in old if (row["bench"], row["shape"]) != ("scaling", found[0]["shape"])
        ]
        write_atomic(args.output, json.dumps(kept + found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
