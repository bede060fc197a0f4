"""Decoding speed: legonn's search against ESPnet's one-by-one search, the same weights, interleaved in one run.

    python tools/bench_decode.py --system egs/multi30k/lego1/exp/lego_s1 \
        --input egs/multi30k/lego1/data/val_de_en/text.tc.de --output tools/benchmarks.json
    python tools/bench_decode.py ... --exact 1000      are the best hypotheses the same?
    python tools/bench_decode.py --random --beam_size 10 --sentences 16 --rounds 2 --output tools/benchmarks.json

ESPnet's is `BatchBeamSearch` of the installed release with its own CTC scorer and `TransformerDecoder`, this package's
encoder, and its end detection: an utterance at a time, its hypotheses in a batch. Newer versions of ESPnet search
several utterances at once; they aren't what is measured here. Either has its better way to use the cores: threads, or
as many processes of one thread. With --exact end detection is off, and both look at the 30 best next tokens of the
decoder. --random searches in what a random encoder would give, with random weights: 300 positions, 5,000 tokens,
a decoder of 6 layers and width 512, 30 steps.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark_rows import add_rows, origin, print_rows

PRE_BEAM_RATIO = 1.5  # ESPnet's
EXACT_RATIO = (
    6.0  # legonn always looks at <eos>, ESPnet where it is in the pre-beam: in one so large it is
)
ALONE = ", one thread"
POSITIONS, STEPS = 300, 30  # of --random


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--system", help="a LegoNN experiment that reads text")
    add("--input", type=Path, help="Kaldi text")
    add("--random", action="store_true", help="the search alone, of random weights and states")
    add("--sentences", type=int, default=300, help="of it, the first")
    add("--rounds", type=int, default=3, help="parts that the sentences are dealt into")
    add("--beam_size", type=int, default=5)
    add("--ctc_weight", type=float, default=0.3, help="0: the decoder alone")
    add("--num_threads", type=int, default=2)
    add("--precision", default="fp32", help="of legonn; ESPnet has fp32 only on a CPU")
    add(
        "--options",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="more of legonn's, as in conf/decode.yaml",
    )
    add("--exact", type=int, metavar="N", help="compare the hypotheses of N sentences; no timing")
    add("--output", type=Path, help="benchmarks.json to add the figures to")
    return parser


def espnet_decoder(chain: Any) -> Any:
    """ESPnet's own decoder, with the chain's weights."""
    import torch
    from espnet2.asr.decoder.transformer_decoder import TransformerDecoder

    from legonn.layers import sinusoids

    def copy(target: Any, weight: Any, bias: Any) -> None:
        target.weight.data, target.bias.data = weight.detach().clone(), bias.detach().clone()

    def attention(target: Any, source: Any) -> None:
        layers, parts = [getattr(source, "query", None), getattr(source, "key_value", None)], "qkv"
        if layers[0] is None:
            layers = [source.query_key_value]
        weight = torch.cat([layer.weight for layer in layers if layer is not None])
        bias = torch.cat([layer.bias for layer in layers if layer is not None])
        for name, one, other in zip(parts, weight.chunk(3), bias.chunk(3), strict=True):
            copy(getattr(target, f"linear_{name}"), one, other)
        copy(target.linear_out, source.output.weight, source.output.bias)

    decoder = chain.decoder
    width = decoder.embedding.embedding_dim
    first = decoder.blocks[0]
    peer = TransformerDecoder(
        vocab_size=chain.eos + 1,
        encoder_output_size=decoder.memory_width,
        attention_heads=first.self_attention.heads,
        linear_units=first.feedforward[0].out_features,
        num_blocks=len(decoder.blocks),
    )
    peer.embed[0].weight.data = decoder.embedding.weight.detach().clone()
    peer.embed[1].pe = sinusoids(torch.arange(5000), width)[None]
    for layer, block in zip(peer.decoders, decoder.blocks, strict=True):
        attention(layer.self_attn, block.self_attention)
        attention(layer.src_attn, block.cross_attention)
        copy(layer.feed_forward.w_1, block.feedforward[0].weight, block.feedforward[0].bias)
        copy(layer.feed_forward.w_2, block.feedforward[3].weight, block.feedforward[3].bias)
        for norm, own in zip(
            (layer.norm1, layer.norm2, layer.norm3),
            (block.self_norm, block.cross_norm, block.feedforward_norm),
            strict=True,
        ):
            copy(norm, own.weight, own.bias)
            norm.eps = own.eps
    copy(peer.after_norm, decoder.norm.weight, decoder.norm.bias)
    peer.after_norm.eps = decoder.norm.eps
    copy(peer.output_layer, decoder.output.weight, decoder.output.bias)
    return peer.eval()


class Peer:
    """ESPnet's search."""

    def __init__(self, chain: Any, args: argparse.Namespace) -> None:
        from espnet.nets.batch_beam_search import BatchBeamSearch
        from espnet.nets.scorers.ctc import CTCPrefixScorer

        self.chain = chain
        scorers = {"decoder": espnet_decoder(chain)}
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
            pre_beam_ratio=EXACT_RATIO if args.exact else PRE_BEAM_RATIO,
        )
        self.log_probs: Any = None

    def log_softmax(self, x: Any) -> Any:
        """What ESPnet's CTC scorer asks of a CTC layer: of the utterance that is decoded."""
        return self.log_probs[None].clone()

    def decode(
        self, encode: Any, inputs: Sequence[Any], fewest: int = 0, most: int = 0
    ) -> list[tuple[Any, float]]:
        """Ids and normalised score of each input's best hypothesis; up to `most` tokens, without end detection.

        ESPnet's CTC scorer fails on more tokens than there are positions, and the `<eos>` after `most` tokens is not
        scored: silence behind the positions makes room for more.
        """
        import torch

        found = []
        with torch.inference_mode():
            for one in inputs:
                encoded = encode(one)
                self.log_probs = encoded.marginals[-1].log_probs[0]
                silence = self.log_probs.new_full(
                    (max(0, most - len(self.log_probs)), self.chain.eos + 1), -1e10
                )
                silence[:, 0] = 0.0
                self.log_probs = torch.cat([self.log_probs, silence])
                best = self.search(encoded.memory[0], maxlenratio=-most, minlenratio=-fewest)[0]
                tokens = [i for i in best.yseq.tolist() if i != self.chain.eos]
                found.append((tuple(tokens), float(best.score) / (len(best.yseq) - 1)))
        return found


def encode_line(system: Any, line: str) -> Any:
    """What the peer's search begins with."""
    import torch

    ids = torch.from_numpy(system.source.encode(line))[None]
    return system.chain.encode(ids, torch.tensor([ids.size(1)]))


def random_chain() -> Any:
    """A hybrid system of the shape that `--random` says; its encoder is never asked."""
    import torch

    from legonn.factory import build_chain

    torch.manual_seed(0)
    shape = {"width": 512, "heads": 8, "feedforward": 2048}
    config = {
        "system": "hybrid",
        "encoder": "text",
        "encoder_conf": {**shape, "layers_before": 1, "layers_after": 0},
        "decoder": "transformer",
        "decoder_conf": {**shape, "layers": 6},
    }
    return build_chain(config, source_size=10, target_size=5000).eval()


def random_states(count: int) -> list[Any]:
    """What so many utterances were encoded in."""
    import torch

    from legonn.chain import Encoded
    from legonn.interface import Marginals

    draw = torch.Generator().manual_seed(0)
    found = []
    for _ in range(count):
        memory = torch.randn(1, POSITIONS, 512, generator=draw)
        log_probs = torch.randn(1, POSITIONS, 5000, generator=draw).log_softmax(dim=-1)
        lengths = torch.tensor([POSITIONS])
        found.append(Encoded(memory, lengths, (Marginals(log_probs, lengths),)))
    return found


def search_random(chain: Any, args: argparse.Namespace, states: Sequence[Any]) -> None:
    """legonn's search of `STEPS` steps in all of them at once."""
    import torch

    from legonn.chain import Encoded
    from legonn.interface import Marginals
    from legonn.search import DecodingOptions
    from legonn.search.strategies import strategy_for

    fixed = {
        "minlenratio": -float(STEPS),
        "maxlenratio": -float(STEPS),
        "ctc_weight": args.ctc_weight,
    }
    options = DecodingOptions(mode="joint", beam_size=args.beam_size, **fixed)
    lengths = torch.cat([one.lengths for one in states])
    crossed = torch.cat([one.marginals[-1].log_probs for one in states])
    memory = torch.cat([one.memory for one in states])
    with torch.inference_mode():
        strategy_for(chain, options)(Encoded(memory, lengths, (Marginals(crossed, lengths),)))


def translator(system: Any, args: argparse.Namespace, **options: Any) -> Any:
    """legonn's, with the peer's normalisation."""
    import yaml

    from legonn.search import DecodingOptions, Translator

    joint = (
        {"mode": "joint", "ctc_weight": args.ctc_weight}
        if args.ctc_weight
        else {"mode": "attention"}
    )
    usual = {"beam_size": args.beam_size, "length_penalty": 1.0, "precision": args.precision}
    given = {key: yaml.safe_load(value) for key, value in (one.split("=") for one in args.options)}
    return Translator(system, DecodingOptions(**{**usual, **joint, **options, **given}))


def measure(
    ours: Any, theirs: Any, inputs: list[Any], args: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds of each, one figure a round; rounds have inputs of all lengths."""
    import torch

    ours(inputs[:32])
    theirs(inputs[:3])
    ways = [
        (name + end, threads, decode)
        for end, threads in (("", args.num_threads), (ALONE, 1))
        for name, decode in (("legonn", ours), ("espnet", theirs))
    ]
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in ways}
    for i in range(args.rounds):
        part = inputs[i :: args.rounds]
        for name, threads, decode in ways:
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


def best(seconds: dict[str, list[float]], name: str, processes: int) -> list[float]:
    """The better way to use all cores: threads, or as many processes, were they to cost each other nothing."""
    threads, alone = seconds[name], [s / processes for s in seconds[name + ALONE]]
    return min(threads, alone, key=sum)


def rows(
    seconds: dict[str, list[float]], count: int, what: str, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """One object a figure."""

    mine, peer = (best(seconds, name, args.num_threads) for name in ("legonn", "espnet"))
    paired = [theirs / ours for ours, theirs in zip(mine, peer, strict=True)]
    return [
        {
            "bench": "decode",
            "peer": "espnet.nets.batch_beam_search, one utterance at a time",
            "shape": (
                f"{what}, beam {args.beam_size}, CTC weight {args.ctc_weight:g}, {args.num_threads} cores, "
                f"legonn {' '.join([args.precision, *args.options])}"
            ),
            **origin(),
            "system": "legonn",
            "metric": "sentences per second",
            "value": round(count / sum(mine), 1),
            "peer_value": round(count / sum(peer), 2),
            "ratio": round(statistics.median(paired), 2),
            "ratio_low": round(min(paired), 2),
            "ratio_high": round(max(paired), 2),
        }
    ]


def compare(system: Any, lines: list[str], args: argparse.Namespace) -> int:
    """Print which best hypotheses differ, and by how much; how many do."""
    most = 40
    options = {"pre_beam_ratio": EXACT_RATIO, "ctc_beam_ratio": 0.0, "maxlenratio": -float(most)}
    ours = [found[0] for found in translator(system, args, **options).translate(lines)]
    theirs = Peer(system.chain, args).decode(partial(encode_line, system), lines, most=most)
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
    if args.random:
        chain, inputs = random_chain(), random_states(args.sentences)
        ours: Any = partial(search_random, chain, args)
        theirs: Any = partial(
            Peer(chain, args).decode, lambda one: one, fewest=STEPS - 1, most=STEPS
        )
        what = f"{len(inputs)} x {STEPS} steps in {POSITIONS} positions, V 5000, 6 layers, width 512, random"
    else:
        system = System.load(args.system)
        inputs = list(read_text(args.input).values())[: args.exact or args.sentences]
        if args.exact:
            compare(system, inputs, args)
            return 0
        ours = translator(system, args).translate
        theirs = partial(Peer(system.chain, args).decode, partial(encode_line, system))
        what = f"{len(inputs)} captions"
    found = rows(measure(ours, theirs, inputs, args), len(inputs), what, args)
    print_rows(found)
    add_rows(args.output, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
