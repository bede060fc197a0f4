"""Training speed: legonn against ESPnet's own model, same Trainer, optimiser and batches, interleaved in one run.

    python tools/bench_train.py --output tools/benchmarks.json                translation
    python tools/bench_train.py --task asr --output tools/benchmarks.json     speech

Prints target tokens per second and peak memory of each system, and the ratio of medians over the rounds. Peak
memory is measured in a process of its own for each system. Batches are random tokens whose lengths follow
captions (Multi30k: 18 source tokens, or 3.5 seconds, and 16 target tokens at the mean); the work does not depend on
which tokens, nor on what is heard. For speech ESPnet has its hybrid CTC/attention Transformer with SpecAugment; ours
has the same layers with a convolution in each of the encoder's, and fewer channels in front of them (64, not 160).
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmark_rows import add_rows, origin, print_rows

WIDTH, HEADS, HIDDEN, VOCABULARY = 160, 4, 640, 2000
LAYERS = {"encoder": 6, "decoder": 3}
DROPOUT = 0.1
SYSTEMS = {"mt": ("espnet", "attention", "lego"), "asr": ("espnet", "hybrid", "lego")}  # by task
SENTENCES = {"mt": 110, "asr": 16}
SAMPLES = 3500  # of a target token at 16 kHz


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="interleaved rounds; the median counts"
    )
    parser.add_argument("--batches", type=int, default=8, help="batches a round")
    parser.add_argument("--task", choices=SYSTEMS, default="mt", help="(default: %(default)s)")
    parser.add_argument("--sentences", type=int, help="a batch (default: 110; of speech 16)")
    parser.add_argument(
        "--precision", default="auto", help="of legonn; ESPnet has fp32 only on a CPU"
    )
    parser.add_argument("--num_threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="benchmarks.json to add the figures to")
    parser.add_argument("--memory_of", help=argparse.SUPPRESS)
    return parser


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments, with the task's number of sentences."""
    args = get_parser().parse_args(argv)
    args.sentences = args.sentences or SENTENCES[args.task]
    return args


def make_batches(
    count: int, sentences: int, task: str = "mt"
) -> list[tuple[list[str], dict[str, Any]]]:
    """Batches as ESPnet's iterators give them, of sorted lengths."""
    import torch

    random = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(count):
        mean = int(torch.randint(12, 25, (1,), generator=random))
        batch: dict[str, Any] = {}
        for name, around in (("src_text", mean), ("text", mean - 2)):
            lengths = torch.randint(around - 2, around + 3, (sentences,), generator=random)
            tokens = torch.randint(
                2, VOCABULARY - 1, (sentences, int(lengths.max())), generator=random
            )
            inside = torch.arange(tokens.size(1))[None, :] < lengths[:, None]
            batch |= {name: tokens.where(inside, torch.tensor(-1)), f"{name}_lengths": lengths}
        if task == "asr":
            del batch["src_text"], batch["src_text_lengths"]
            samples = batch["text_lengths"] * SAMPLES
            noise = torch.randn(sentences, int(samples.max()), generator=random) / 10
            batch |= {"speech": noise, "speech_lengths": samples}
        batches.append(([f"u{i}" for i in range(sentences)], batch))
    return batches


def build(system: str, precision: str, task: str = "mt") -> Any:
    """A model with Adam state to come."""
    from legonn.environment import quiet_imports

    with quiet_imports():
        return build_espnet(task) if system == "espnet" else build_legonn(system, precision, task)


def build_espnet(task: str) -> Any:
    """`espnet2.tasks.mt` or `.asr` with Transformer encoder and decoder."""
    from espnet2.tasks.asr import ASRTask
    from espnet2.tasks.mt import MTTask

    recipe = MTTask if task == "mt" else ASRTask
    tokens = ["<blank>", "<unk>", *(f"t{i}" for i in range(VOCABULARY - 3)), "<sos/eos>"]
    args = recipe.get_parser().parse_args(["--encoder", "transformer", "--decoder", "transformer"])
    args.token_list, args.src_token_list = tokens, list(tokens)
    dropouts = {"dropout_rate": DROPOUT, "positional_dropout_rate": DROPOUT}
    args.frontend_conf = {"embed_dim": WIDTH} if task == "mt" else {"fs": "16k"}
    args.encoder_conf = {
        "output_size": WIDTH,
        "attention_heads": HEADS,
        "linear_units": HIDDEN,
        "num_blocks": LAYERS["encoder"],
        "attention_dropout_rate": DROPOUT,
        "input_layer": None if task == "mt" else "conv2d",
        **dropouts,
    }
    args.decoder_conf = {
        "attention_heads": HEADS,
        "linear_units": HIDDEN,
        "num_blocks": LAYERS["decoder"],
        "self_attention_dropout_rate": DROPOUT,
        "src_attention_dropout_rate": DROPOUT,
        **dropouts,
    }
    args.model_conf = {"lsm_weight": 0.1}
    if task == "mt":
        args.model_conf["share_decoder_input_output_embed"] = True
    else:
        args.model_conf["ctc_weight"] = 0.3
        args.specaug = "specaug"
        args.specaug_conf = {
            "apply_time_warp": True,
            "freq_mask_width_range": (0, 27),
            "num_freq_mask": 2,
        }
        args.specaug_conf |= {
            "apply_time_mask": True,
            "time_mask_width_ratio_range": (0.0, 0.05),
            "num_time_mask": 5,
        }
    return recipe.build_model(args)


def build_legonn(system: str, precision: str, task: str) -> Any:
    """The same widths, layers and vocabulary; `lego` adds its interface to them (3+2 layers around it, 2 after)."""
    from legonn.factory import build_chain

    layer = {
        "width": WIDTH,
        "heads": HEADS,
        "feedforward": HIDDEN,
        "dropout": DROPOUT,
        "attention_dropout": DROPOUT,
    }
    before, after = (3, 2) if system == "lego" else (LAYERS["encoder"], 0)
    config = {
        "system": system,
        "precision": precision,
        "encoder": "text" if task == "mt" else "speech",
        "encoder_conf": {**layer, "layers_before": before, "layers_after": after},
        "decoder_conf": {**layer, "layers": LAYERS["decoder"]},
    }
    size = VOCABULARY if task == "mt" else 0
    return build_chain(config, source_size=size, target_size=VOCABULARY)


class Runner:
    """One system under ESPnet's Trainer."""

    def __init__(self, system: str, precision: str, task: str = "mt") -> None:
        import torch
        from espnet2.train.distributed_utils import DistributedOption
        from espnet2.train.reporter import Reporter
        from espnet2.train.trainer import Trainer, TrainerOptions

        self.trainer, self.reporter = Trainer, Reporter()
        self.model = build(system, precision, task)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        values = dict.fromkeys(TrainerOptions.__dataclass_fields__)
        values.update(ngpu=0, grad_noise=False, accum_grad=1, grad_clip=5.0, grad_clip_type=2.0)
        values.update(no_forward_run=False, use_wandb=False, create_graph_in_tensorboard=False)
        self.options = TrainerOptions(**values)
        self.options.log_interval = 10_000
        self.distributed = DistributedOption()
        self.epoch = 0

    def round(self, batches: Iterable[Any]) -> float:
        """Seconds that the Trainer takes for all batches."""
        self.epoch += 1
        self.reporter.set_epoch(self.epoch)
        with self.reporter.observe("train") as reporter:
            start = time.perf_counter()
            self.trainer.train_one_epoch(
                model=self.model,
                iterator=((ids, dict(batch)) for ids, batch in batches),
                optimizers=[self.optimizer],
                schedulers=[None],
                scaler=None,
                reporter=reporter,
                summary_writer=None,
                options=self.options,
                distributed_option=self.distributed,
            )
            return time.perf_counter() - start


def peak_memory(system: str, args: argparse.Namespace) -> float:
    """MiB that training `system` adds to a process that has imported all: measured in a child process."""
    command = [sys.executable, __file__, "--memory_of", system, "--precision", args.precision]
    command += ["--sentences", str(args.sentences), "--num_threads", str(args.num_threads)]
    command += ["--task", args.task]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_memory(args: argparse.Namespace) -> None:
    """The child's part of `peak_memory`."""
    runner = Runner(args.memory_of, args.precision, args.task)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runner.round(make_batches(args.batches, args.sentences, args.task))
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def measure(args: argparse.Namespace) -> dict[str, list[float]]:
    """Target tokens per second of each system, one figure a round."""
    batches = make_batches(args.batches, args.sentences, args.task)
    tokens = sum(int(batch["text_lengths"].sum()) for _, batch in batches)
    runners = {system: Runner(system, args.precision, args.task) for system in SYSTEMS[args.task]}
    for runner in runners.values():
        runner.round(batches[:2])  # warm-up
    speeds: dict[str, list[float]] = {system: [] for system in runners}
    for i in range(args.rounds):
        for system, runner in runners.items():
            speeds[system].append(tokens / runner.round(batches))
        print(
            f"round {i + 1}/{args.rounds}", {s: round(v[-1]) for s, v in speeds.items()}, flush=True
        )
    return speeds


def rows(
    args: argparse.Namespace, speeds: dict[str, list[float]], memory: dict[str, float]
) -> list[dict[str, Any]]:
    """One object a figure."""
    shape = (
        f"width {WIDTH}, heads {HEADS}, hidden {HIDDEN}, layers {LAYERS['encoder']}+{LAYERS['decoder']}, "
        f"V {VOCABULARY}, {args.sentences} sentences a batch, {args.num_threads} threads, legonn {args.precision}"
    )
    common = {
        "bench": "train",
        "peer": f"espnet2.tasks.{args.task}",
        "shape": shape,
        **origin(),
    }
    found = []
    for system in SYSTEMS[args.task][1:]:
        paired = [a / b for a, b in zip(speeds[system], speeds["espnet"], strict=True)]
        value, peer = statistics.median(speeds[system]), statistics.median(speeds["espnet"])
        found.append(
            {
                **common,
                "system": system,
                "metric": "target tokens per second",
                "value": round(value, 1),
            }
            | {"peer_value": round(peer, 1), "ratio": round(statistics.median(paired), 3)}
            | {"ratio_low": round(min(paired), 3), "ratio_high": round(max(paired), 3)}
        )
        found.append(
            {
                **common,
                "system": system,
                "metric": "peak memory of training, MiB",
                "value": round(memory[system], 1),
            }
            | {
                "peer_value": round(memory["espnet"], 1),
                "ratio": round(memory[system] / memory["espnet"], 3),
            }
        )
    return found


def main() -> int:
    """Measure, print, and note."""
    args = parse()
    os.environ["OMP_NUM_THREADS"] = str(args.num_threads)
    import torch

    from legonn.allocator import keep_freed_memory

    keep_freed_memory()  # as `legonn train` does; ESPnet's model has the same gain here
    torch.set_num_threads(args.num_threads)
    if args.memory_of:
        print_memory(args)
        return 0
    memory = {system: peak_memory(system, args) for system in SYSTEMS[args.task]}
    found = rows(args, measure(args), memory)
    print_rows(found)
    add_rows(args.output, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
