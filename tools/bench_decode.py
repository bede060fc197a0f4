"""Decoding speed: legonn's search against ESPnet's one-by-one search, the same weights, interleaved in one run.

    python tools/bench_decode.py --system egs/multi30k/lego1/exp/lego_s1 \
        --input egs/multi30k/lego1/data/val_de_en/text.tc.de --output tools/benchmarks.json
    python tools/bench_decode.py ... --exact 1000      are the best hypotheses the same?

ESPnet's is `BatchBeamSearch` of the installed release with its own CTC scorer, this package's decoder and encoder, and
its end detection: an utterance at a time, its hypotheses in a batch. Newer versions of ESPnet search several utterances
at once; they aren't what is measured here. With --exact end detection is off and neither looks at more tokens than
ESPnet's pre-beam does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PRE_BEAM_RATIO = 1.5  # ESPnet's


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--system", required=True, help="a LegoNN experiment that reads text")
    add("--input", required=True, type=Path, help="Kaldi text")
    add("--sentences", type=int, default=300, help="of it, the first")
    add("--rounds", type=int, default=3, help="parts that the sentences are dealt into")
    add("--beam_size", type=int, default=5)
    add("--ctc_weight", type=float, default=0.3, help="0: the decoder alone")
    add("--num_threads", type=int, default=2)
    add("--precision", default="fp32", help="of legonn; ESPnet has fp32 only on a CPU")
    add("--exact", type=int, metavar="N", help="compare the hypotheses of N sentences; no timing")
    add("--output", type=Path, help="benchmarks.json to add the figures to")
    return parser


class Peer:
    """ESPnet's search."""

    def __init__(self, system: Any, args: argparse.Namespace) -> None:
        from espnet.nets.batch_beam_search import BatchBeamSearch
        from espnet.nets.scorers.ctc import CTCPrefixScorer

        self.chain, self.codec = system.chain, system.source
        scorers = {"decoder": self.chain.decoder}
        weights = {"decoder": 1 - args.ctc_weight}
        if args.ctc_weight:
            scorers["ctc"] = CTCPrefixScorer(self, self.chain.eos)
            weights["ctc"] = args.ctc_weight
        self.search = BatchBeamSearch(
            scorers=scorers,
            weights=weights,
            beam_size=args.beam_size,
            vocab_size=self.chain.eos + 1,
            sos=self.chain.sos,
            eos=self.chain.eos,
            normalize_length=True,
            pre_beam_score_key="full" if args.ctc_weight else None,
            pre_beam_ratio=PRE_BEAM_RATIO,
        )
        self.log_probs: Any = None

    def log_softmax(self, x: Any) -> Any:
        """What ESPnet's CTC scorer asks of a CTC layer: of the utterance that is decoded."""
        return self.log_probs[None].clone()

    def decode(self, lines: Sequence[str], most: int = 0) -> list[tuple[Any, float]]:
        """Ids and normalised score of the best hypothesis of each line; up to `most` tokens, without end detection.

        Its CTC scorer fails on more tokens than there are positions.
        """
        import torch

        found = []
        with torch.inference_mode():
            for line in lines:
                ids = torch.from_numpy(self.codec.encode(line))[None]
                encoded = self.chain.encode(ids, torch.tensor([ids.size(1)]))
                self.log_probs = encoded.marginals[-1].log_probs[0]
                limit = min(most, len(self.log_probs)) if "ctc" in self.search.scorers else most
                best = self.search(encoded.memory[0], maxlenratio=-limit)[0]
                tokens = [i for i in best.yseq.tolist() if i != self.chain.eos]
                found.append((tuple(tokens), float(best.score) / (len(best.yseq) - 1)))
        return found


def translator(system: Any, args: argparse.Namespace, **options: Any) -> Any:
    """legonn's, with the peer's normalisation."""
    from legonn.search import DecodingOptions, Translator

    joint = {"mode": "joint", "ctc_weight": args.ctc_weight} if args.ctc_weight else {}
    usual = {"beam_size": args.beam_size, "length_penalty": 1.0, "precision": args.precision}
    return Translator(system, DecodingOptions(**{**usual, **joint, **options}))


def measure(system: Any, lines: list[str], args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each, one figure a round; rounds have sentences of all lengths."""
    import torch

    ours, theirs = translator(system, args), Peer(system, args)
    ours.translate(lines[:32])
    theirs.decode(lines[:3])
    seconds: dict[str, list[float]] = {"legonn": [], "espnet": [], "espnet, one thread": []}
    for i in range(args.rounds):
        part = lines[i :: args.rounds]
        for name, threads, decode in (
            ("legonn", args.num_threads, ours.translate),
            ("espnet", args.num_threads, theirs.decode),
            ("espnet, one thread", 1, theirs.decode),
        ):
            torch.set_num_threads(threads)
            start = time.perf_counter()
            decode(part)
            seconds[name].append(time.perf_counter() - start)
        print(
            f"round {i + 1}/{args.rounds}",
            {k: round(v[-1], 2) for k, v in seconds.items()},
            flush=True,
        )
    return seconds


def best_peer(seconds: dict[str, list[float]], processes: int) -> list[float]:
    """The peer's better way to use all cores: threads, or as many processes, were they to cost each other nothing."""
    threads, alone = seconds["espnet"], [s / processes for s in seconds["espnet, one thread"]]
    return min(threads, alone, key=sum)


def rows(
    seconds: dict[str, list[float]], lines: int, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """One object a figure (DESIGN 8)."""
    import torch

    from legonn.environment import revision, versions

    peer = best_peer(seconds, args.num_threads)
    paired = [theirs / ours for ours, theirs in zip(seconds["legonn"], peer, strict=True)]
    return [
        {
            "bench": "decode",
            "peer": "espnet.nets.batch_beam_search, one utterance at a time",
            "shape": (
                f"{lines} captions, beam {args.beam_size}, CTC weight {args.ctc_weight:g}, {args.num_threads} threads, "
                f"legonn {args.precision}"
            ),
            "command": " ".join(["python", *sys.argv]),
            "revision": revision(),
            "versions": versions(),
            "processor": torch.backends.cpu.get_cpu_capability(),
            "system": "legonn",
            "metric": "sentences per second",
            "value": round(lines / sum(seconds["legonn"]), 1),
            "peer_value": round(lines / sum(peer), 2),
            "ratio": round(statistics.median(paired), 2),
            "ratio_low": round(min(paired), 2),
            "ratio_high": round(max(paired), 2),
        }
    ]


def compare(system: Any, lines: list[str], args: argparse.Namespace) -> int:
    """Print which best hypotheses differ, and by how much; how many do."""
    most = 40
    options = {"pre_beam_ratio": PRE_BEAM_RATIO, "ctc_beam_ratio": 0.0, "maxlenratio": -float(most)}
    ours = [found[0] for found in translator(system, args, **options).translate(lines)]
    theirs = Peer(system, args).decode(lines, most)
    different = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a.ids != b[0]]
    gaps = [abs(a.score - b[1]) for a, b in zip(ours, theirs, strict=True) if a.ids == b[0]]
    print(
        f"{len(lines) - len(different)} of {len(lines)} equal; their scores differ by at most {max(gaps):.1e}"
    )
    for i in different:
        print(
            f"line {i + 1}: {ours[i].score:.6f} {ours[i].text!r}; {theirs[i][1]:.6f} {theirs[i][0]}"
        )
    return len(different)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(args.num_threads)
    import torch

    from legonn.data.folder import read_text
    from legonn.system import System

    torch.set_num_threads(args.num_threads)
    system = System.load(args.system)
    lines = list(read_text(args.input).values())[: args.exact or args.sentences]
    if args.exact:
        compare(system, lines, args)
        return 0
    found = rows(measure(system, lines, args), len(lines), args)
    for row in found:
        print(
            f"{row['metric']:22} {row['value']:>9} peer {row['peer_value']:>9} ratio {row['ratio']}"
        )
    if args.output:
        from legonn.data.atomic import write_atomic

        old = json.loads(args.output.read_text()) if args.output.exists() else []
        kept = [row for row in old if (row["bench"], row["shape"]) != ("decode", found[0]["shape"])]
        write_atomic(args.output, json.dumps(kept + found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
