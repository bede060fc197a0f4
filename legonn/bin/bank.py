"""`legonn bank`: an encoder's marginals, cut at the tokens of a known text, for training decoders on text alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import Tensor

    from legonn.audio.recordings import Utterance
    from legonn.bank import Cuttings
    from legonn.part import Part

__all__ = ["get_parser", "main"]

EPILOG = """\
What an encoder makes of the utterances that it learned from is better than what it makes of others, and a decoder that
learns from the former trusts the latter too much. With --noise_snr recordings are heard in noise; choose it such that
"nats a token" and "wrong" are what this command prints of a validation set without noise.

examples:
  legonn bank --encoder exp/asr --input dump/raw_speech/train_sp/wav.scp --text dump/raw_speech/train_sp/text.tc.en \\
      --noise_snr 0 10 --output exp/asr/bank.safetensors
  ./run.sh --src_lang en --lego_config conf/x.yaml --pretrained_decoder exp/de ...
      where x.yaml has  encoder: imagined  and  encoder_conf: {bank: exp/asr/bank.safetensors}
"""
BATCH = 16


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn bank",
        description="Encode utterances whose text is known, cut the marginals at the tokens of that text, and keep "
        "the cuttings: the imagined encoder puts the marginals of any text together from them, so that a decoder "
        "learns from text alone to read this encoder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--encoder", required=True, metavar="M", help="a module, or an experiment")
    add("--input", required=True, metavar="F", help="wav.scp, or a Kaldi text file of the source")
    add("--text", required=True, metavar="F", help="what the interface should say: <utt-id> <text>")
    add("--output", type=Path, metavar="F", help="the bank; without it only its quality is told")
    add("--noise_snr", type=float, nargs=2, metavar=("LOW", "HIGH"),
        help="hear each recording in pink noise, so many decibels below it: drawn between these")  # fmt: skip
    add(
        "--passes",
        type=int,
        default=1,
        metavar="N",
        help="times that all is heard (default: %(default)s)",
    )
    add(
        "--best",
        type=int,
        default=8,
        metavar="N",
        help="tokens kept a position (default: %(default)s)",
    )
    add("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    add("--num_threads", type=int, default=1, help="(default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Encode, cut and write."""
    parser = get_parser()
    args = parser.parse_args(argv)
    for name in ("passes", "best", "num_threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: give at least 1")
    if args.noise_snr and args.noise_snr[0] > args.noise_snr[1]:
        parser.error("--noise_snr: give the lower number first")

    import torch

    from legonn.bank import Cuttings
    from legonn.errors import ConfigError
    from legonn.part import lent
    from legonn.progress import Progress
    from legonn.system import load_part

    encoder = lent(load_part(args.encoder, "encoder"))
    if encoder.writes is None:
        raise ConfigError(f"{args.encoder} is a plain encoder-decoder's: it has no interface")
    texts, inputs = _read(args, encoder)
    torch.set_num_threads(args.num_threads)
    cuttings = Cuttings(encoder.target.tokens, best=args.best)
    quality = _Quality()
    with Progress(args.passes * len(texts), command="legonn bank", unit="utterance") as progress:
        for ids, sources in _batches(args, encoder, inputs, texts):
            _cut(encoder, sources, [texts[one] for one in ids], cuttings, quality)
            progress.add(len(ids))
    print(quality)
    if args.output is not None:
        bank = cuttings.bank()
        bank.save(args.output)
        print(f"{args.output}: {len(bank.keys):,} cuttings, {len(bank.ids):,} positions")
    return 0


class _Quality:
    """How well marginals say their text."""

    def __init__(self) -> None:
        self.utterances = self.lost = self.tokens = self.positions = self.wrong = 0
        self.nats = 0.0

    def __str__(self) -> str:
        tokens = max(1, self.tokens)
        return (
            f"{self.utterances:,} utterances: CTC {self.nats / tokens:.2f} nats a token, best path "
            f"{100 * self.wrong / tokens:.1f} % wrong, {self.positions / tokens:.2f} positions a token; {self.lost} "
            "that CTC can't emit are left out"
        )


def _read(args: argparse.Namespace, encoder: Part) -> tuple[dict[str, list[int]], dict[str, Any]]:
    """The target's ids, and the inputs, recordings or ids, by utterance."""
    from legonn.audio.inputs import check_kind, find_recordings, is_sound
    from legonn.data.folder import read_text
    from legonn.errors import DataError

    heard = is_sound([args.input])
    assert encoder.source is not None
    check_kind(encoder.source, args.encoder, [args.input], sound=heard)
    targets = read_text(args.text)
    inputs: dict[str, Any] = find_recordings([args.input]) if heard else read_text(args.input)
    missing = [utt_id for utt_id in inputs if utt_id not in targets]
    if missing:
        raise DataError(f"{args.text} lacks what {args.input} has", missing)
    codec = encoder.target
    return {utt_id: codec.encode(targets[utt_id]).tolist() for utt_id in inputs}, inputs


def _batches(
    args: argparse.Namespace, encoder: Part, inputs: dict[str, Any], texts: dict[str, list[int]]
) -> Iterator[tuple[list[str], list[Tensor]]]:
    """Ids and inputs (T,) of similar length."""
    import numpy as np
    import torch

    size = 1 if getattr(encoder.network["encoder"], "sees_padding", False) else BATCH
    order = sorted(inputs, key=lambda utt_id: (len(texts[utt_id]), utt_id))
    random = np.random.default_rng(args.seed)
    for _ in range(args.passes):
        for start in range(0, len(order), size):
            ids = order[start : start + size]
            sources = [_source(encoder, inputs[one], args.noise_snr, random) for one in ids]
            yield ids, [torch.as_tensor(source) for source in sources]


def _source(encoder: Part, given: str | Utterance, snr: list[float] | None, random: Any) -> Any:
    """Samples, or ids."""
    from legonn.audio.recordings import Utterance, read_sound
    from legonn.audio.room import add_noise
    from legonn.tokenizer import TextCodec

    if not isinstance(given, Utterance):
        return cast(TextCodec, encoder.source).encode(given)
    samples, _ = read_sound(given, sample_rate=cast(Any, encoder.source).sample_rate)
    mono = samples.mean(axis=1)
    return mono if snr is None else add_noise(mono, snr=random.uniform(*snr), random=random)


def _cut(
    encoder: Part,
    sources: Sequence[Tensor],
    texts: Sequence[list[int]],
    cuttings: Cuttings,
    quality: _Quality,
) -> None:
    """Encode a batch and add its cuttings."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from legonn.scoring.edits import align as compare
    from legonn.search.alignment import align

    network = encoder.network.eval()
    with torch.inference_mode():
        lengths = torch.tensor([len(source) for source in sources])
        states, positions, _ = network["encoder"](
            pad_sequence(list(sources), batch_first=True), lengths
        )
        marginals = network["head"](states, positions)
        targets = pad_sequence([torch.tensor(text) for text in texts], batch_first=True)
        nats = marginals.ctc_loss(targets.long(), torch.tensor([len(text) for text in texts]))
        found = align(marginals, [[text] for text in texts])
    hyps, refs = ([" ".join(map(str, ids)) for ids in rows] for rows in (marginals.greedy(), texts))
    edits = compare(hyps=hyps, refs=refs, normaliser="none")
    quality.wrong += edits.substitutions + edits.deletions + edits.insertions
    for i, (text, (path,)) in enumerate(zip(texts, found, strict=True)):
        count = int(marginals.lengths[i])
        quality.utterances += 1
        quality.tokens += len(text)
        quality.positions += count
        quality.nats += float(nats[i])
        if path is None:
            quality.lost += 1
        else:
            cuttings.add(marginals.log_probs[i, :count], text, path.spans)


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
