"""Loading a module, all checks included, against PyTorch's own torch.load and load_state_dict, interleaved in one run.

    python tools/bench_module.py --output tools/benchmarks.json

Prints seconds and peak memory beyond the imported libraries, memory in a process of its own for each. The module is a
decoder of 4.7 M parameters in fp32.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark_rows import add_rows, origin, print_rows

WIDTH, HEADS, HIDDEN, LAYERS, VOCABULARY = 192, 4, 768, 5, 2000
CONFIG = {
    "decoder_conf": {"width": WIDTH, "heads": HEADS, "feedforward": HIDDEN, "layers": LAYERS},
    "ingestor_conf": {"layers": 3},
}


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="interleaved; the median counts")
    parser.add_argument("--output", type=Path, help="benchmarks.json to add the figures to")
    parser.add_argument("--memory_of", nargs=2, metavar=("SYSTEM", "DIR"), help=argparse.SUPPRESS)
    return parser


def imports() -> None:
    """All libraries that either needs."""
    from legonn.environment import quiet_imports

    with quiet_imports():
        for name in ("safetensors.torch", "legonn.part", "legonn.module", "legonn.scoring"):
            importlib.import_module(name)


def build() -> Any:
    """The decoder, untrained."""
    from torch import nn

    from legonn.part import networks

    return nn.ModuleDict(networks("decoder", CONFIG, reads=VOCABULARY, writes=VOCABULARY))


def prepare(folder: Path) -> int:
    """Write the module and the checkpoint; bytes of the module's weights."""
    import torch

    from legonn.interface import Interface
    from legonn.module import write_module
    from legonn.part import Part
    from legonn.tokenizer import TextCodec

    words = (f"t{i}" for i in range(VOCABULARY - 3))
    tokens = ("<blank>", "<unk>", *words, "<sos/eos>")
    network = build()
    part = Part(
        kind="decoder",
        name="bench",
        config=CONFIG,
        network=network,
        reads=Interface(tokens=tokens, unit="word"),
        target=TextCodec(token_type="word", tokens=tokens),
    )
    write_module(part, folder / "module")
    torch.save(network.state_dict(), folder / "weights.pth")
    return (folder / "module" / "model.safetensors").stat().st_size


def load_module(folder: Path) -> Any:
    """Ours."""
    from legonn.module import read_module

    return read_module(folder / "module")


def load_checkpoint(folder: Path) -> Any:
    """The peer's."""
    import torch

    network = build()
    network.load_state_dict(torch.load(folder / "weights.pth", weights_only=True))
    return network.eval()


SYSTEMS: dict[str, Callable[[Path], Any]] = {"legonn": load_module, "torch": load_checkpoint}


def memory_of(system: str, folder: Path) -> float:
    """MiB that loading adds to a process that has imported all: measured in a child process."""
    command = [sys.executable, __file__, "--memory_of", system, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_memory(system: str, folder: Path) -> None:
    """The child's part of `memory_of`."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of importing doesn't count
    before = _kilobytes("VmRSS")
    kept = SYSTEMS[system](folder)
    print((_kilobytes("VmHWM") - before) / 1024)
    del kept


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1])


def measure(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each, one figure a round, after one that doesn't count."""
    seconds: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    for i in range(rounds + 1):
        for system, load in SYSTEMS.items():
            start = time.perf_counter()
            load(folder)
            if i:
                seconds[system].append(time.perf_counter() - start)
    return seconds


def rows(
    seconds: Mapping[str, Sequence[float]], memory: dict[str, float], size: int
) -> list[dict[str, Any]]:
    """One object a figure."""
    common = {
        "bench": "module",
        "peer": "torch.load, load_state_dict",
        "shape": f"a decoder of {size / 2**20:.1f} MiB, fp32",
        **origin(),
        "system": "legonn",
    }
    paired = [a / b for a, b in zip(seconds["legonn"], seconds["torch"], strict=True)]
    time_row = {
        "metric": "seconds to load",
        "value": round(statistics.median(seconds["legonn"]), 4),
        "peer_value": round(statistics.median(seconds["torch"]), 4),
        "ratio": round(statistics.median(paired), 3),
        "ratio_low": round(min(paired), 3),
        "ratio_high": round(max(paired), 3),
    }
    memory_row = {
        "metric": "peak memory of loading, MiB",
        "value": round(memory["legonn"], 1),
        "peer_value": round(memory["torch"], 1),
        "ratio": round(memory["legonn"] / memory["torch"], 3),
    }
    return [{**common, **time_row}, {**common, **memory_row}]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    imports()
    import torch

    torch.set_num_threads(1)
    if args.memory_of:
        print_memory(args.memory_of[0], Path(args.memory_of[1]))
        return 0
    with tempfile.TemporaryDirectory() as name:
        size = prepare(Path(name))
        memory = {system: memory_of(system, Path(name)) for system in SYSTEMS}
        found = rows(measure(Path(name), args.rounds), memory, size)
    print_rows(found)
    add_rows(args.output, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
