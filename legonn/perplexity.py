"""Perplexity of a text under a language model: stage 8.

    python -m legonn.perplexity --lm exp/lm --text dump/raw/val/text.tc.en --output exp/lm/perplexity

Writes one number to `ppl` in the output folder, that of espnet2.bin.lm_calc_perplexity; of the checkpoint only tensors
are read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from legonn.language_model import LanguageModel
    from legonn.tokenizer import TextCodec

__all__ = ["get_parser", "main", "measure_perplexity"]

BATCH = 32  # texts


def measure_perplexity(
    model: LanguageModel,
    codec: TextCodec,
    texts: Sequence[str],
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> float:
    """The exponential of the mean surprise of a token, each text's end counted as one.

    Parameters
    ----------
    codec : TextCodec
        Of the model's tokens.
    texts : sequence of str
        At least one.
    progress : callable
        Told after each batch how many texts it had.
    """
    import numpy as np
    import torch
    from torch.nn.utils.rnn import pad_sequence

    total, count = 0.0, 0
    for start in range(0, len(texts), BATCH):
        ids = [torch.from_numpy(codec.encode(text)) for text in texts[start : start + BATCH]]
        lengths = torch.tensor([len(one) for one in ids])
        with torch.inference_mode():
            surprise = model.surprise(pad_sequence(ids, batch_first=True), lengths)
        total += surprise.double().sum().item()
        count += int(lengths.sum()) + len(ids)
        progress(len(ids))
    return float(np.exp(total / count))


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn.perplexity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--lm", required=True, metavar="M", help="what stage 7 trained, or folder:checkpoint")
    add("--text", required=True, type=Path, metavar="F", help="lines '<utt-id> <text>'")
    add("--output", required=True, type=Path, metavar="DIR", help="the folder for `ppl`")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    from legonn.environment import quiet_imports

    with quiet_imports():
        from legonn.data.atomic import write_atomic
        from legonn.data.folder import read_text
        from legonn.errors import DataError
        from legonn.experiment import read_config, split_checkpoint
        from legonn.language_model import LanguageModel
        from legonn.progress import Progress

        model = LanguageModel.load(args.lm)
    folder, _ = split_checkpoint(args.lm)
    codec = _codec(read_config(folder), model, f"{folder}/config.yaml")
    texts = list(read_text(args.text).values())
    if not texts:
        raise DataError(f"{args.text} has no lines: give the text of a validation set")
    with Progress(len(texts), command="perplexity", unit="line") as progress:
        found = measure_perplexity(model, codec, texts, progress=progress.add)
    write_atomic(args.output / "ppl", f"{found}\n")
    print(f"{args.text}: perplexity {found:.2f} a token; {progress.summary()}")
    return 0


def _codec(config: Mapping[str, object], model: LanguageModel, path: str) -> TextCodec:
    """Splits text as the model's training did."""
    from legonn.errors import ConfigError
    from legonn.tokenizer import TextCodec

    kind, pieces = config.get("token_type", "bpe"), config.get("bpemodel")
    if not isinstance(kind, str) or not isinstance(pieces, (str, type(None))):
        raise ConfigError(f"{path}: token_type {kind!r} and bpemodel {pieces!r} want to be texts")
    return TextCodec(
        token_type=kind,
        tokens=model.tokens,
        model=Path(pieces) if kind == "bpe" and pieces else None,
    )


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
