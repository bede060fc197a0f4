"""Decoding speed without CTC: legonn against CTranslate2 and Hugging Face's `generate`, the same weights and beam.

    pip install ctranslate2 transformers    # in an environment of its own: transformers may ask for other versions
    python tools/bench_generate.py --output tools/benchmarks.json
    python tools/bench_generate.py --system egs/multi30k/lego1/exp/attention_s1 \
        --input egs/multi30k/lego1/data/val_de_en/text.tc.de --output tools/benchmarks.json

Without --system a Transformer of the base shape (6 + 6 layers, width 512, hidden 2,048, 32,000 tokens) with random
weights writes 30 tokens a sentence; with it a plain encoder-decoder writes what it will, up to its own end. The weights
are copied into both peers' formats. Systems are interleaved, round by round, with the same number of threads, and with
--workers of processes, which Hugging Face has not. Each gets all sentences at once and sorts and batches them itself,
but Hugging Face, which is given batches of similar length. Prints sentences a second, and on how many sentences the
best hypothesis is legonn's in fp32.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmark_rows import add_rows, origin, print_rows

BASE = {"width": 512, "heads": 8, "feedforward": 2048}
BASE_VOCABULARY = 32000
PEERS = ("ctranslate2 fp32", "ctranslate2 int8", "transformers fp32")
OURS = ("legonn fp32", "legonn bf16", "legonn int8")
Decode = Callable[[list[list[int]]], list[list[int]]]


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--system", help="a plain encoder-decoder that reads text; by default a random one")
    add("--input", type=Path, help="Kaldi text for it")
    add("--sentences", type=int, default=192)
    add("--rounds", type=int, default=3, help="parts that the sentences are dealt into")
    add("--beam_size", type=int, default=4)
    add("--steps", type=int, default=30, help="tokens of each output of the random one")
    add("--batch_size", type=int, default=32)
    add("--num_threads", type=int, default=2, help="of each worker")
    add("--workers", type=int, default=1, help="processes, or CTranslate2's inter_threads")
    add("--without", nargs="*", default=[], choices=OURS + PEERS, help="leave these out")
    add("--output", type=Path, help="benchmarks.json to add the figures to")
    return parser


def base_chain() -> Any:
    """A Transformer base with random weights."""
    import torch

    from legonn.factory import build_chain

    torch.manual_seed(0)
    config = {
        "system": "attention",
        "encoder": "text",
        "encoder_conf": {**BASE, "layers_before": 6, "layers_after": 0},
        "decoder": "transformer",
        "decoder_conf": {**BASE, "layers": 6},
    }
    return build_chain(config, source_size=BASE_VOCABULARY, target_size=BASE_VOCABULARY).eval()


def load_chain(system: str | None) -> Any:
    """That of an experiment, or the random one."""
    from legonn.system import System

    return System.load(system).chain if system else base_chain()


def ours(chain: Any, precision: str, steps: int, args: argparse.Namespace) -> Decode:
    """This package's search; `patience` 1 stops as the peers do."""
    import torch

    from legonn.search import DecodingOptions
    from legonn.search.decoding import decode_batch, prepare
    from legonn.search.memory import batches
    from legonn.search.pool import Pool

    fixed: dict[str, Any] = (
        {"maxlenratio": -float(steps), "minlenratio": -float(steps)} if steps else {}
    )
    options = DecodingOptions(
        mode="attention",
        beam_size=args.beam_size,
        patience=1,
        batch_size=args.batch_size,
        precision=precision,
        **fixed,
    )
    ready: Any = prepare(chain, options)
    if args.workers > 1:
        pool = Pool(
            partial(load_chain, args.system),
            options,
            processes=args.workers,
            threads=args.num_threads,
        )

    def decode(sources: list[list[int]]) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in sources]
        parts = list(batches([len(ids) for ids in sources], args.batch_size))
        given = [[torch.tensor(sources[i]) for i in places] for places in parts]
        decoded = (
            pool(given)
            if args.workers > 1
            else (decode_batch(ready, one, options) for one in given)
        )
        for places, results in zip(parts, decoded, strict=True):
            for i, hypotheses in zip(places, results, strict=True):
                found[i] = list(hypotheses[0].ids)
        return found

    return decode


def _linear(spec: Any, *layers: Any) -> None:
    """Copy linear layers, their outputs one after the other, into CTranslate2's."""
    import torch

    spec.weight = torch.cat([layer.weight.detach() for layer in layers]).numpy()
    spec.bias = torch.cat([layer.bias.detach() for layer in layers]).numpy()


def _norm(spec: Any, layer: Any) -> None:
    spec.gamma, spec.beta = layer.weight.detach().numpy(), layer.bias.detach().numpy()


def ctranslate2_model(chain: Any, folder: str) -> None:
    """Write the chain in CTranslate2's format; tokens are called by their ids."""
    import ctranslate2
    import torch

    from legonn.layers import sinusoids

    encoder, decoder = chain.encoder, chain.decoder
    heads = decoder.blocks[0].self_attention.heads
    sizes = len(encoder.before.blocks), len(decoder.blocks)
    spec = ctranslate2.specs.TransformerSpec.from_config(sizes, heads, pre_norm=True)
    places = sinusoids(torch.arange(1024), encoder.width).numpy()
    spec.encoder.embeddings[0].weight = encoder.front_end.embedding.weight.detach().numpy()
    spec.decoder.embeddings.weight = decoder.embedding.weight.detach().numpy()
    for side in (spec.encoder, spec.decoder):
        side.position_encodings.encodings = places
    for layer, block in [
        *zip(spec.encoder.layer, encoder.before.blocks, strict=True),
        *zip(spec.decoder.layer, decoder.blocks, strict=True),
    ]:
        _norm(layer.self_attention.layer_norm, block.self_norm)
        _linear(layer.self_attention.linear[0], block.self_attention.query_key_value)
        _linear(layer.self_attention.linear[1], block.self_attention.output)
        if block.cross_attention is not None:
            _norm(layer.attention.layer_norm, block.cross_norm)
            for place, name in enumerate(("query", "key_value", "output")):
                _linear(layer.attention.linear[place], getattr(block.cross_attention, name))
        _norm(layer.ffn.layer_norm, block.feedforward_norm)
        _linear(layer.ffn.linear_0, block.feedforward[0])
        _linear(layer.ffn.linear_1, block.feedforward[3])
    _norm(spec.encoder.layer_norm, encoder.norm)
    _norm(spec.decoder.layer_norm, decoder.norm)
    _linear(spec.decoder.projection, decoder.output)
    spec.register_source_vocabulary(_names(len(encoder.front_end.embedding.weight)))
    spec.register_target_vocabulary(_names(chain.eos + 1))
    spec.config.add_attribute("decoder_start_token", str(chain.sos))
    spec.config.eos_token, spec.config.unk_token, spec.config.bos_token = (
        str(chain.eos),
        "1",
        str(chain.sos),
    )
    spec.validate()
    spec.save(folder)


def _names(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def ctranslate2_peer(folder: str, kind: str, steps: int, args: argparse.Namespace) -> Decode:
    """CTranslate2's search; as many threads in one worker."""
    import ctranslate2

    translator = ctranslate2.Translator(
        folder,
        device="cpu",
        compute_type=kind,
        inter_threads=args.workers,
        intra_threads=args.num_threads,
    )
    fixed = {"min_decoding_length": steps, "max_decoding_length": steps} if steps else {}

    def decode(sources: list[list[int]]) -> list[list[int]]:
        found = translator.translate_batch(
            [[str(i) for i in ids] for ids in sources],
            beam_size=args.beam_size,
            max_batch_size=args.batch_size,
            length_penalty=1.0,
            **fixed,
        )
        return [[int(token) for token in one.hypotheses[0]] for one in found]

    return decode


def transformers_peer(chain: Any, steps: int, args: argparse.Namespace) -> Decode:
    """Hugging Face's `generate`, of M2M100, which has the same layers."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    encoder, decoder = chain.encoder, chain.decoder
    pad = 0  # <blank>, which no text has; M2M100 counts its positions from there
    block = decoder.blocks[0]
    shape = {
        f"{side}_{name}": value
        for side, layers in (("encoder", encoder.before.blocks), ("decoder", decoder.blocks))
        for name, value in (
            ("layers", len(layers)),
            ("attention_heads", block.self_attention.heads),
            ("ffn_dim", block.feedforward[0].out_features),
            ("layerdrop", 0.0),
        )
    }
    config = M2M100Config(
        vocab_size=chain.eos + 1,
        d_model=encoder.width,
        activation_function="relu",
        scale_embedding=True,
        pad_token_id=pad,
        bos_token_id=chain.sos,
        eos_token_id=chain.eos,
        decoder_start_token_id=chain.sos,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
        **shape,
    )
    model = M2M100ForConditionalGeneration(config).eval()
    _copy_to_transformers(chain, model)

    @torch.inference_mode()
    def decode(lines: list[list[int]]) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in lines]
        order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
        for start in range(0, len(order), args.batch_size):
            places = order[start : start + args.batch_size]
            longest = max(len(lines[i]) for i in places)
            ids = torch.tensor([lines[i] + [pad] * (longest - len(lines[i])) for i in places])
            fixed = {"min_new_tokens": steps} if steps else {}
            written = model.generate(
                input_ids=ids,
                attention_mask=(ids != pad).long(),
                num_beams=args.beam_size,
                early_stopping=True,
                length_penalty=1.0,
                max_new_tokens=steps or 2 * longest + 10,
                do_sample=False,
                **fixed,
            )
            for i, row in zip(places, written.tolist(), strict=True):
                found[i] = [token for token in row if token not in (pad, chain.eos)]
        return found

    return decode


def _copy_to_transformers(chain: Any, model: Any) -> None:
    import torch

    from legonn.layers import sinusoids

    def copy(target: Any, source: Any) -> None:
        for name in ("weight", "bias"):
            getattr(target, name).data = getattr(source, name).detach().clone()

    def attention(target: Any, source: Any, norm: Any, target_norm: Any) -> None:
        copy(target_norm, norm)
        copy(target.out_proj, source.output)
        if hasattr(source, "query_key_value"):
            parts: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
            joint = source.query_key_value
        else:
            copy(target.q_proj, source.query)
            parts, joint = ("k_proj", "v_proj"), source.key_value
        pieces = zip(joint.weight.chunk(len(parts)), joint.bias.chunk(len(parts)), strict=True)
        for name, (weight, bias) in zip(parts, pieces, strict=True):
            getattr(target, name).weight.data = weight.detach().clone()
            getattr(target, name).bias.data = bias.detach().clone()

    encoder, decoder = chain.encoder, chain.decoder
    sides = (
        (model.model.encoder, encoder.before.blocks, encoder.front_end.embedding, encoder.norm),
        (model.model.decoder, decoder.blocks, decoder.embedding, decoder.norm),
    )
    for side, blocks, embedding, norm in sides:
        side.embed_tokens.weight = torch.nn.Parameter(embedding.weight.detach().clone())
        places = side.embed_positions
        first = places.padding_idx + 1  # the position of the first token
        table = torch.zeros(first + 1024, encoder.width)
        table[first:] = sinusoids(torch.arange(1024), encoder.width)
        places.weights = table
        copy(side.layer_norm, norm)
        for layer, block in zip(side.layers, blocks, strict=True):
            attention(
                layer.self_attn, block.self_attention, block.self_norm, layer.self_attn_layer_norm
            )
            if block.cross_attention is not None:
                attention(
                    layer.encoder_attn,
                    block.cross_attention,
                    block.cross_norm,
                    layer.encoder_attn_layer_norm,
                )
            copy(layer.final_layer_norm, block.feedforward_norm)
            copy(layer.fc1, block.feedforward[0])
            copy(layer.fc2, block.feedforward[3])
    model.lm_head = decoder.output


def measure(systems: dict[str, Decode], sources: list[list[int]], rounds: int) -> tuple[Any, Any]:
    """Seconds of each, one figure a round, and what each wrote."""
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    written: dict[str, list[Any]] = {name: [None] * len(sources) for name in systems}
    for decode in systems.values():
        decode(sources[: len(sources) // rounds])
    for i in range(rounds):
        part = sources[i::rounds]
        for name, decode in systems.items():
            start = time.perf_counter()
            written[name][i::rounds] = decode(part)
            seconds[name].append(time.perf_counter() - start)
        print(
            f"round {i + 1}/{rounds}", {k: round(v[-1], 2) for k, v in seconds.items()}, flush=True
        )
    return seconds, written


def rows(seconds: dict[str, list[float]], shape: str, count: int) -> list[dict[str, Any]]:
    """One object a figure: each of ours by each peer."""
    from legonn.environment import versions

    found = []
    for peer in (name for name in PEERS if name in seconds):
        for name in (name for name in OURS if name in seconds):
            paired = [b / a for a, b in zip(seconds[name], seconds[peer], strict=True)]
            found.append(
                {
                    "bench": "generate",
                    "peer": peer,
                    "shape": shape,
                    **origin(),
                    "versions": {**versions(), **_peer_version(peer)},
                    "system": name,
                    "metric": "sentences per second",
                    "value": round(count / sum(seconds[name]), 1),
                    "peer_value": round(count / sum(seconds[peer]), 1),
                    "ratio": round(statistics.median(paired), 2),
                    "ratio_low": round(min(paired), 2),
                    "ratio_high": round(max(paired), 2),
                }
            )
    return found


def _peer_version(peer: str) -> dict[str, str]:
    from importlib.metadata import version

    package = peer.split()[0]
    return {package: version(package)}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and note."""
    args = get_parser().parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(args.num_threads)
    import torch

    torch.set_num_threads(args.num_threads)
    if args.system:
        from legonn.data.folder import read_text
        from legonn.system import System
        from legonn.tokenizer import TextCodec

        system = System.load(args.system)
        chain, steps = system.chain, 0
        assert isinstance(system.source, TextCodec)
        lines = list(read_text(args.input).values())[: args.sentences]
        sources = [system.source.encode(line).tolist() for line in lines]
        shape = f"{args.system}, {len(lines)} captions"
    else:
        chain, steps = base_chain(), args.steps
        draw = random.Random(0)
        sources = [
            [draw.randrange(2, BASE_VOCABULARY - 1) for _ in range(draw.randint(10, 40))]
            for _ in range(args.sentences)
        ]
        shape = f"Transformer base, random weights, {len(sources)} x {steps} tokens"
    shape += f", beam {args.beam_size}, batches of {args.batch_size}, {args.workers} x {args.num_threads} threads"
    with tempfile.TemporaryDirectory() as folder:
        systems: dict[str, Decode] = {}
        for name in (name for name in OURS if name not in args.without):
            systems[name] = ours(chain, name.split()[1], steps, args)
        if not set(PEERS[:2]) <= set(args.without):
            ctranslate2_model(chain, folder)
        for name, kind in (("ctranslate2 fp32", "float32"), ("ctranslate2 int8", "int8")):
            if name not in args.without:
                systems[name] = ctranslate2_peer(folder, kind, steps, args)
        if PEERS[2] not in args.without and args.workers == 1:
            systems[PEERS[2]] = transformers_peer(chain, steps, args)
        seconds, written = measure(systems, sources, args.rounds)
    for name, outputs in written.items():
        same = sum(a == b for a, b in zip(outputs, written.get(OURS[0], outputs), strict=True))
        print(
            f"{name:20} {len(sources) / sum(seconds[name]):8.1f} sentences/s, {same} of {len(sources)} as {OURS[0]}"
        )
    found = rows(seconds, shape, len(sources))
    print_rows(found)
    add_rows(args.output, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
