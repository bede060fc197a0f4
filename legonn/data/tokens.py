"""Token lists: sentencepiece models and ESPnet's `tokens.txt`, made the same way every time."""

from __future__ import annotations

import dataclasses
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legonn.data.atomic import write_atomic
from legonn.data.folder import read_lines, split_id
from legonn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

__all__ = ["MODES", "TokenListOptions", "load", "missing_characters", "train", "write"]

MODES = ("unigram", "bpe", "char", "word")
TOO_LARGE = r"too high \(\d+\)\. Please set it to a value <= (\d+)"
HUGE = 10**6
BLANK, UNKNOWN, SOS_EOS = "<blank>", "<unk>", "<sos/eos>"


@dataclass(frozen=True)
class TokenListOptions:
    """How a token list is made.

    Attributes
    ----------
    size : int
        Lines of `tokens.txt`; 0 keeps every character or word (modes char and word only).
    mode : str
        One of `MODES`.
    character_coverage : float
        Share of the text's characters that get a token, 0.98 to 1.
    input_sentence_size : int
        Draw so many lines from a large text; 0 takes all.
    seed : int
        Of that draw.
    """

    size: int = 0
    mode: str = "unigram"
    character_coverage: float = 1.0
    input_sentence_size: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"mode {self.mode!r}: give one of {', '.join(MODES)}")
        if self.size < 4 and not (self.size == 0 and self.mode in ("char", "word")):
            raise ConfigError(
                f"a vocabulary of {self.size} in mode {self.mode}: give at least 4, three of which "
                "are <blank>, <unk> and <sos/eos>"
            )
        if not 0.98 <= self.character_coverage <= 1:
            raise ConfigError(f"character_coverage {self.character_coverage}: give 0.98 to 1")


def sentences(path: str | Path, *, kaldi: bool = True) -> Iterator[tuple[int, str]]:
    """Give a file's texts with line numbers; of Kaldi files the id is dropped."""
    for number, line in read_lines(path):
        text = line.decode("utf-8")
        yield number, split_id(text)[1].strip() if kaldi else text.strip()


def check_encoding(paths: Sequence[str | Path]) -> None:
    """Refuse files that aren't UTF-8, all their bad lines at once, before hours of work."""
    faults = []
    for path in paths:
        for number, line in read_lines(path):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                faults.append(f"{path}:{number}: not UTF-8 at byte {error.start + 1}")
    if faults:
        raise DataError("text that isn't UTF-8; convert or remove these lines:", faults)


def train(
    paths: Sequence[str | Path], *, options: TokenListOptions, kaldi: bool = True
) -> SentencePieceProcessor:
    """Train a sentencepiece model.

    Parameters
    ----------
    paths : sequence of path
        Text files; several make one joint vocabulary.
    options : TokenListOptions
        How.
    kaldi : bool
        Whether the lines begin with an id.

    Raises
    ------
    ConfigError
        When the text can't give so large a vocabulary, naming the largest, or needs a larger one.
    DataError
        When a file isn't UTF-8 or there is no text.
    """
    check_encoding(paths)
    try:
        processor = _train(paths, options=options, kaldi=kaldi)
    except RuntimeError as error:
        raise _explained(error, paths=paths, options=options, kaldi=kaldi) from error
    if options.size not in (0, processor.get_piece_size()):  # mode char shrinks in silence
        raise _too_large(options.size, paths, [processor.get_piece_size()])
    return processor


def _train(
    paths: Sequence[str | Path], *, options: TokenListOptions, kaldi: bool
) -> SentencePieceProcessor:
    """Call sentencepiece; RuntimeError is its word for all that goes wrong."""
    import sentencepiece

    sentencepiece.set_random_generator_seed(options.seed)
    sentencepiece.set_min_log_level(2)
    model = io.BytesIO()
    # Text and model pass through memory: a model made from files holds their paths, and would
    # differ from folder to folder. One thread: sums in another order differ in the last bits, and
    # with them the tokens.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for path in paths for _, text in sentences(path, kaldi=kaldi)),
        model_writer=model,
        model_type=options.mode,
        vocab_size=options.size or 8000,
        use_all_vocab=options.size == 0,
        character_coverage=options.character_coverage,
        input_sentence_size=options.input_sentence_size,
        shuffle_input_sentence=options.input_sentence_size > 0,
        max_sentence_length=65536,
        num_threads=1,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def _too_large(size: int, paths: Sequence[str | Path], legal: Sequence[int]) -> ConfigError:
    names = ", ".join(map(str, paths))
    if max(legal) > size:  # unigram leaves gaps: it prunes too much on its way to some sizes
        return ConfigError(
            f"--nbpe {size} is a size that mode unigram can't cut {names} to: near it are "
            f"{min(legal)} and {max(legal)}, or use --bpemode bpe"
        )
    return ConfigError(
        f"--nbpe {size} is more than {names} can give: the largest legal value is {max(legal)}"
    )


def _largest(
    size: int, *, paths: Sequence[str | Path], options: TokenListOptions, kaldi: bool
) -> int:
    """Find a size that sentencepiece calls the largest when asked for `size`, and also keeps.

    What mode unigram calls so depends on the size that was asked for, and may fail in its turn.
    0 where the error is another one.
    """
    while size:
        try:
            _train(paths, options=dataclasses.replace(options, size=size), kaldi=kaldi)
        except RuntimeError as error:
            found = re.search(TOO_LARGE, str(error))
            size = min(int(found[1]), size - 1) if found else 0
        else:
            return size
    return 0


def _explained(
    error: RuntimeError, *, paths: Sequence[str | Path], options: TokenListOptions, kaldi: bool
) -> ConfigError | DataError:
    """Say what sentencepiece's message means for the user of these options."""
    names = ", ".join(map(str, paths))
    text = str(error)
    if re.search(TOO_LARGE, text):
        legal = {
            _largest(size, paths=paths, options=options, kaldi=kaldi)
            for size in (options.size, HUGE)
        }
        return _too_large(options.size, paths, sorted(legal - {0}))
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", text):
        return ConfigError(
            f"--nbpe {options.size} is fewer than the characters of {names}: give at least "
            f"{found[1]}, or a smaller --character_coverage"
        )
    if "sentences.empty()" in text or "sentences_.empty()" in text:
        return DataError(f"{names}: no text to learn tokens from")
    return ConfigError(f"sentencepiece could not learn {options} from {names}: {text}")


def tokens(processor: SentencePieceProcessor) -> list[str]:
    """ESPnet's token list: sentencepiece's control symbols out, ESPnet's own three in."""
    pieces = [
        processor.id_to_piece(index)
        for index in range(processor.get_piece_size())
        if not (processor.is_unknown(index) or processor.is_control(index))
    ]
    return [BLANK, UNKNOWN, *pieces, SOS_EOS]


def write(processor: SentencePieceProcessor, folder: str | Path) -> list[str]:
    """Write `bpe.model`, `bpe.vocab` and, last, `tokens.txt`; give the tokens."""
    folder = Path(folder)
    listed = tokens(processor)
    vocabulary = [
        f"{processor.id_to_piece(index)}\t{processor.get_score(index):g}\n"
        for index in range(processor.get_piece_size())
    ]
    write_atomic(folder / "bpe.model", processor.serialized_model_proto())
    write_atomic(folder / "bpe.vocab", "".join(vocabulary))
    write_atomic(folder / "tokens.txt", "".join(f"{token}\n" for token in listed))
    return listed


def load(folder: str | Path, prefix: str = "") -> SentencePieceProcessor:
    """Load the model of a token list's folder; with `prefix` before its files' names.

    Raises
    ------
    ConfigError
        When a file is missing, the model is no model, or `tokens.txt` isn't the model's.
    """
    import sentencepiece

    model, listing = (Path(folder, f"{prefix}{name}") for name in ("bpe.model", "tokens.txt"))
    for path in (model, listing):
        if not path.is_file():
            raise ConfigError(f"{path} is missing: give a folder made by legonn tokenlist")
    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.read_bytes())
    except (RuntimeError, TypeError) as error:
        raise ConfigError(f"{model} is no sentencepiece model ({error})") from error
    listed = listing.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if listed != tokens(processor):
        raise ConfigError(
            f"{folder}: {listing.name} isn't the list of {model.name}; make both again"
        )
    return processor


def missing_characters(
    processor: SentencePieceProcessor, path: str | Path, *, kaldi: bool = True
) -> tuple[Counter[str], dict[str, list[int]]]:
    """Find the characters of a text that the vocabulary lacks.

    Returns
    -------
    counts : Counter
        Occurrences of each missing character.
    lines : dict
        Its line numbers, each once, ascending.
    """
    check_encoding([path])
    counts: Counter[str] = Counter()
    lines: dict[str, list[int]] = {}
    unknown = processor.unk_id()
    for number, text in sentences(path, kaldi=kaldi):
        if unknown not in processor.encode(text):
            continue
        for piece in processor.encode(text, out_type="immutable_proto").pieces:
            for character in piece.surface if piece.id == unknown else "":
                counts[character] += 1
                if number not in lines.setdefault(character, [])[-1:]:
                    lines[character].append(number)
    return counts, lines
