"""Speech that is made, and speech that is read: against real time, and against the training step that waits for it.

    python tools/bench_audio.py --output tools/benchmarks.json
    python tools/bench_audio.py --text data/train/text.tc.en --output tools/benchmarks.json

Speaks numbers in words, some two seconds each, with `legonn synthesize --nj 1`, plain and with noise and rooms: seconds
of speech a second. Then reads these recordings as training does, FLAC through ESPnet's data set, in turn with training
steps on the same batches, by the model of bench_train.py: milliseconds a batch of each, and of a training for which
another process reads ahead, as in the recipes (num_workers: 1).

With --text it speaks that file's texts instead, each round all of them, and reads nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from bench_train import Runner, make_batches
from benchmark_rows import add_rows, origin, print_rows

SENTENCES = 16  # a batch
MANNERS = {
    "synthesize": (),
    "synthesize with noise and rooms": ("--snr", "5", "20", "--reverb", "0.2", "0.6"),
}


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="the median counts")
    parser.add_argument("--batches", type=int, default=8, help=f"of {SENTENCES}, a round")
    parser.add_argument("--num_threads", type=int, default=2, help="of training")
    parser.add_argument(
        "--text", type=Path, help="a Kaldi text file to be spoken, all of it a round"
    )
    parser.add_argument("--output", type=Path, help="benchmarks.json to add the figures to")
    return parser


def write_texts(path: Path, count: int) -> None:
    """Numbers in words, one a line."""
    from legonn.data.folder import numbered_ids, write_text
    from legonn.data.numbers import draw_items, say

    items = draw_items(count, largest=99999, taboo=set(), random_state=random.Random(1))
    said = [say(item, "en") for item in items]
    write_text(path, dict(zip(numbered_ids("n", len(said)), said, strict=True)))


def speak(text: Path, output: Path, name: str) -> float:
    """Seconds of speech a second, of the command: a process as large as this one would take longer to divide."""
    import soundfile

    command = [sys.executable, "-m", "legonn.bin.synthesize", "--nj", "1", *MANNERS[name]]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--text", str(text), "--output", str(output)], check=True, capture_output=True
    )
    seconds = time.perf_counter() - start
    return sum(float(soundfile.info(path).duration) for path in output.rglob("*.flac")) / seconds


class Reader:
    """The recordings of a folder, in batches of similar length, through ESPnet's data set."""

    def __init__(self, folder: Path) -> None:
        from espnet2.train.collate_fn import CommonCollateFn
        from espnet2.train.dataset import ESPnetDataset

        from legonn.data.folder import read_text

        self.data = ESPnetDataset(
            [(str(folder / "wav.scp"), "speech", "sound")], preprocess=None, float_dtype="float32"
        )
        self.collate = CommonCollateFn()
        paths = read_text(folder / "wav.scp")
        ids = sorted(paths, key=lambda utt_id: Path(paths[utt_id]).stat().st_size)
        self.batches = [ids[i : i + SENTENCES] for i in range(0, len(ids), SENTENCES)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, i: int) -> Any:
        (batch,) = with_tokens([self.collate([self.data[utt_id] for utt_id in self.batches[i]])])
        return batch

    def read(self) -> list[tuple[list[str], dict[str, Any]]]:
        """All batches, as a training's iterator gives them, but for their tokens."""
        return [self.collate([self.data[utt_id] for utt_id in ids]) for ids in self.batches]


def with_tokens(batches: Sequence[tuple[list[str], dict[str, Any]]]) -> list[Any]:
    """The same batches with random tokens: the work does not depend on which."""
    tokens = make_batches(len(batches), SENTENCES, "asr")
    return [
        (ids, {**said, **{name: values for name, values in batch.items() if "text" in name}})
        for (ids, said), (_, batch) in zip(batches, tokens, strict=True)
    ]


def speak_rounds(text: Path, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of speech a second by manner, one a round; the manners take turns."""
    found: dict[str, list[float]] = {name: [] for name in MANNERS}
    for i in range(rounds):
        for name in MANNERS:
            found[name].append(speak(text, folder / name / str(i), name))
    return found


def read_rounds(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds a batch of reading a folder's recordings, of a training step, and of one that is read ahead for."""
    from torch.utils.data import DataLoader

    reader, runner = Reader(folder), Runner("lego", "auto", "asr")
    runner.round(with_tokens(reader.read())[:2])  # warm-up
    found: dict[str, list[float]] = {"reading": [], "step": [], "ahead": []}
    for _ in range(rounds):
        start = time.perf_counter()
        batches = reader.read()
        found["reading"].append((time.perf_counter() - start) / len(batches))
        found["step"].append(runner.round(with_tokens(batches)) / len(batches))
        ahead: DataLoader[Any] = DataLoader(cast(Any, reader), batch_size=None, num_workers=1)
        found["ahead"].append(runner.round(ahead) / len(batches))
    return found


def measure(args: argparse.Namespace, folder: Path) -> dict[str, list[float]]:
    """Figures by name, one a round."""
    if args.text is not None:
        return speak_rounds(args.text, folder, args.rounds)
    text = folder / "text.tc.en"
    write_texts(text, args.batches * SENTENCES)
    spoken = speak_rounds(text, folder, args.rounds)
    return {**spoken, **read_rounds(folder / "synthesize" / "0", args.rounds)}


def rows(args: argparse.Namespace, found: dict[str, list[float]]) -> list[dict[str, Any]]:
    """One object a figure."""
    common = {"bench": "audio", **origin()}
    if args.text is None:
        spoken = f"{args.batches * SENTENCES} numbers in words"
    else:
        spoken = f"{sum(1 for _ in args.text.open())} texts of {args.text.parent.name}"
    made = [
        _row(
            {
                **common,
                "shape": f"{spoken}, flac",
                "peer": "real time",
                "system": name,
                "metric": "seconds of speech a second",
            },
            found[name],
            [1.0] * args.rounds,
        )
        for name in MANNERS
    ]
    common["shape"] = f"batches of {SENTENCES} such recordings, {args.num_threads} threads"
    for peer, system, name in (
        ("a training step on it", "reading a batch", "reading"),
        ("from memory", "a training step, read ahead", "ahead"),
    ):
        if name in found:
            said = {**common, "peer": peer, "system": system, "metric": "milliseconds"}
            values, peers = ([1000 * seconds for seconds in found[key]] for key in (name, "step"))
            made.append(_row(said, values, peers))
    return made


def _row(row: dict[str, Any], values: Sequence[float], peers: Sequence[float]) -> dict[str, Any]:
    paired = [value / peer for value, peer in zip(values, peers, strict=True)]
    return {
        **row,
        "value": round(statistics.median(values), 1),
        "peer_value": round(statistics.median(peers), 1),
        "ratio": round(statistics.median(paired), 3),
        "ratio_low": round(min(paired), 3),
        "ratio_high": round(max(paired), 3),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(args.num_threads)
    import torch

    from legonn.allocator import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(args.num_threads)
    with tempfile.TemporaryDirectory() as name:
        made = rows(args, measure(args, Path(name)))
    print_rows(made)
    add_rows(args.output, made)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
