"""Mutated modules: each is equal to the original when read, or refused with an error of legonn's own.

    python tools/fuzz_modules.py --cases 100000

Five kinds of mutation in turn: bytes of a folder's files; bytes of the one file; values of the description, its text
as it stands, and values of the weights' header, these three with all hashes made to agree, as an attacker would. Of
the last three a module may load that differs from the original, as its description says so. Each kind takes two
encoders, two decoders and a bridge in turn, and what `legonn inspect` says of them is also made. Fails on any other
exception, a case over --seconds of the processor (or that waits for 60 times as long), or more than --megabytes of
memory beyond what the first cases took. So it can run beside other work: `nice -n 19 chrt -i 0 python
tools/fuzz_modules.py`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import dataclasses
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from legonn.interface import Interface
    from legonn.part import Part
    from legonn.tokenizer import TextCodec

NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, 0.5, -1.0, 1e308, float("inf"), float("nan")),
    *("", "\0", "../../x", "/etc/passwd", "os.system", "a" * 10_000, "ﬀ\u202e", "1", "nan"),
    *([], {}, [[]], [None], {"": None, 5: 1}, {"a": {"a": {"a": []}}}, ["text"] * 1000),
)
# What a dumper of plain data doesn't write.
NASTY_TEXT = (
    *("2024-01-01", "2024-99-99", "2001-01-01 00:00:00+99:99", "1:99:99", "0b", "0x", ".inf", "~"),
    *("9" * 400, "9" * 5000, f"0x{'f' * 5000}", f"1{'0' * 300}.5", "1e99999", "-" * 100, "[" * 100),
    *("!!bool x", "!!timestamp x", "!!int ''", "!!float x", "!!null x", "!!binary é", "!!str [a]"),
    *("!!set {a, b}", "!!omap [a]", "!!pairs [a]", "!!merge x", "!!python/name:os.system", "!x y"),
    *("layers", "{}", "[]", "{5: 1}", "{~: 1}", "{<<: 1}", "{? [a] : b}", "{[a]: b}", "{{}: b}"),
    *("&a [*a]", "*a", "%YAML 9.9", "---", "...", "'", '"\\ud800"', '"\\0\\e[2J"', "|", "@", "\t"),
)
SCORE: dict[str, Any] = {
    **{"metric": "bleu", "score": 31.25, "low": 30.0, "high": 32.5, "test_set": "test"},
    **{"signature": "nrefs:1", "sentences": 8, "seed": [1, 2]},
}
DESCRIPTION, WEIGHTS = "module.yaml", "model.safetensors"
TIMERS = (signal.SIGALRM, signal.SIGPROF)
PATIENCE = 60  # by how much a case may wait longer than it works
KINDS = ("folder", "file", "description", "text", "header")


class Timeout(BaseException):
    """A case took too long; no `except Exception` stops it."""


def get_parser() -> argparse.ArgumentParser:
    """Arguments of the fuzzer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="only this one, with its traceback")
    parser.add_argument("--seconds", type=int, default=10, help="of the processor, for one case")
    parser.add_argument("--megabytes", type=int, default=1000, help="limit of memory")
    return parser


def make_modules(folder: Path) -> list[Path]:
    """Small decoders over characters and subwords, encoders of text and speech, a bridge, with every kind of field."""
    from legonn.module import write_module
    from legonn.tokenizer import TextCodec

    folder.mkdir()
    letters = TextCodec(token_type="char", tokens=("<blank>", "<unk>", *"abcdefghij", "<sos/eos>"))
    pieces = _learn_pieces(folder / "bpe.model")
    parts = {
        "decoder_of_letters": _decoder(letters),
        "decoder_of_pieces": _decoder(pieces),
        "encoder_of_text": _encoder(source=pieces, target=letters),
        "encoder_of_speech": _listener(target=letters),
        "bridge_of_pieces": _bridge(source=pieces, target=letters),
    }
    return [write_module(part, folder / name, scores=[SCORE]) for name, part in parts.items()]


def _learn_pieces(path: Path) -> TextCodec:
    import sentencepiece

    from legonn.tokenizer import TextCodec

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["one two three four", "five six seven", "two five"] * 9),
        model_prefix=str(path.with_suffix("")),
        vocab_size=24,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    found = [model.id_to_piece(i) for i in range(3, len(model))]
    tokens = ("<blank>", "<unk>", *found, "<sos/eos>")
    return TextCodec(token_type="bpe", tokens=tokens, model=path)


def _decoder(target: TextCodec) -> Part:
    config = {
        "decoder": "transformer",
        "decoder_conf": {"width": 8, "heads": 2, "feedforward": 8, "layers": 1},
        "ingestor": "wemb",
        "ingestor_conf": {"layers": 0, "receptive_field": 3},
    }
    return _part("decoder", config, target, reads=_interface(target))


def _encoder(source: TextCodec, target: TextCodec) -> Part:
    sizes = {"width": 8, "heads": 2, "feedforward": 8, "layers_before": 1, "layers_after": 0}
    config = {"encoder": "text", "encoder_conf": {**sizes, "length_ratio": 2.0}}
    return _part("encoder", config, target, source=source, writes=_interface(target))


def _listener(target: TextCodec) -> Part:
    from legonn.audio.source import Sound

    sizes = {"width": 8, "heads": 2, "feedforward": 8, "layers_before": 1, "layers_after": 1}
    counted = {"length_ratio": 0.5, "length_query": "states", "positions_per_token": 2.5}
    config = {
        "encoder": "speech",
        "encoder_conf": {**sizes, **counted, "sample_rate": 8000, "mels": 8, "channels": 2},
        "chain_conf": {"early_ctc": 0.5},
    }
    return _part("encoder", config, target, source=Sound(8000), writes=_interface(target))


def _bridge(source: TextCodec, target: TextCodec) -> Part:
    sizes = {"width": 8, "heads": 2, "feedforward": 8, "layers_before": 1, "layers_after": 1}
    config = {**sizes, "length_ratio": 2.0}
    sides = {"reads": _interface(source), "writes": _interface(target)}
    return _part("bridge", config, target, source=source, **sides)


def _interface(codec: TextCodec) -> Interface:
    from legonn.interface import Interface

    return dataclasses.replace(Interface.of(codec), positions_per_token=(1.0, 1.5, 2.0))


def _part(kind: str, config: dict[str, Any], target: TextCodec, **sides: Any) -> Part:
    import torch

    from legonn.part import Part, networks

    torch.manual_seed(0)
    reads = sides.get("source", target)
    layers = networks(kind, config, reads=len(reads.tokens), writes=len(target.tokens))
    origin = {"kind": kind, "name": "x", "weights_sha256": "00"}
    return Part(
        kind=kind,
        name="x",
        config=config,
        network=torch.nn.ModuleDict(layers),
        target=target,
        provenance={
            **{"training_set": ["x"], "date": "2026-01-01", "revision": "0" * 40},
            "parents": [origin],
        },
        **sides,
    )


def mutate_bytes(content: bytes, draw: random.Random) -> bytes:
    """Flip, cut, repeat, insert or overwrite at random places, once to four times."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place, size = draw.randrange(len(data) + 1), draw.choice((1, 2, 8, 100))
        how = draw.randrange(6)
        if how == 0 and place < len(data):
            data[place] ^= 1 << draw.randrange(8)
        elif how == 1:
            del data[place : place + size]
        elif how == 2:
            data[place:place] = draw.randbytes(size)
        elif how == 3:
            data[place:place] = data[place : place + size]
        elif how == 4:
            data[place : place + size] = draw.choice((b"\0", b"\xff", b"A")) * size
        else:
            del data[place:]
    return bytes(data)


def mutate_value(document: Any, draw: random.Random) -> None:
    """Replace, drop or add one value anywhere in a tree of dicts and lists."""
    places = list(_places(document))
    holder, key = draw.choice(places)
    how = draw.randrange(5)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[draw.choice(("extra", "width", "", "../x", 5))] = copy.deepcopy(draw.choice(NASTY))
    elif how == 2:
        other, name = draw.choice(places)
        holder[key] = json.loads(json.dumps(other[name], default=str))
    else:
        holder[key] = copy.deepcopy(draw.choice(NASTY))


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _places(tree[key])


def seal(folder: Path, document: dict[str, Any]) -> None:
    """Write a description with a hash that agrees."""
    seal_text(folder, yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode())


def seal_text(folder: Path, text: bytes) -> None:
    """As `seal`, of a text that may be no YAML."""
    from legonn.module import SEAL

    first = f"{SEAL}{hashlib.sha256(text).hexdigest()}\n".encode()
    (folder / DESCRIPTION).write_bytes(first + text)


def mutate_folder(folder: Path, draw: random.Random) -> Path:
    path = draw.choice(sorted(p for p in folder.iterdir() if p.name != "README.md"))
    path.write_bytes(mutate_bytes(path.read_bytes(), draw))
    return folder


def mutate_file(folder: Path, draw: random.Random) -> Path:
    path = folder.with_suffix(".zip")
    kind = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(path, "w", kind) as archive:
        for member in sorted(folder.iterdir()):
            archive.writestr(member.name, member.read_bytes())
    path.write_bytes(mutate_bytes(path.read_bytes(), draw))
    return path


def mutate_description(folder: Path, draw: random.Random) -> Path:
    document = yaml.safe_load((folder / DESCRIPTION).read_bytes())
    for _ in range(draw.randint(1, 2)):
        with contextlib.suppress(IndexError):  # nothing is left
            mutate_value(document, draw)
    seal(folder, document)
    return folder


def mutate_text(folder: Path, draw: random.Random) -> Path:
    """Put what no dumper writes in the place of a value or before it, or change bytes."""
    _, _, text = (folder / DESCRIPTION).read_bytes().partition(b"\n")
    if draw.randrange(4) == 0:
        seal_text(folder, mutate_bytes(text, draw))
        return folder
    lines = text.decode().splitlines()
    for _ in range(draw.randint(1, 2)):
        place = draw.randrange(len(lines))
        start, mark, value = lines[place].partition(draw.choice((": ", "- ")))
        rest = draw.choice(("", "", "", f" {value}"))
        lines[place] = f"{start}{mark or ' '}{draw.choice(NASTY_TEXT)}{rest}"
    seal_text(folder, "\n".join(lines).encode())
    return folder


def mutate_header(folder: Path, draw: random.Random) -> Path:
    content = (folder / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    mutate_value(header, draw)
    text = json.dumps(header).encode()
    length = draw.choice((len(text),) * 5 + (0, 2**32, 2**63 + 1))
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", length) + text + body)
    document = yaml.safe_load((folder / DESCRIPTION).read_bytes())
    document["files"][WEIGHTS] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    seal(folder, document)
    return folder


MUTATIONS: dict[str, Callable[[Path, random.Random], Path]] = dict(
    zip(
        KINDS,
        (mutate_folder, mutate_file, mutate_description, mutate_text, mutate_header),
        strict=True,
    )
)


def render(path: Path) -> None:
    """What `legonn inspect` prints of a module, if that isn't refused."""
    from legonn.bin.inspect import interfaces, screen
    from legonn.errors import LegonnError
    from legonn.module import describe

    try:
        document, folder = describe(path)
        lines = screen(str(path), document, folder, interfaces(document, folder))
        "\n".join(lines).encode()
    except LegonnError as error:
        str(error).encode()


def outcome(path: Path, original: str, *, strict: bool) -> str:
    """`equal`, `different` or `refused`.

    Raises
    ------
    AssertionError
        If a module differs though its hashes were not made to agree.
    """
    from legonn.errors import LegonnError
    from legonn.module import read_module

    render(path)
    try:
        part = read_module(path)
    except LegonnError as error:
        str(error).encode()
        return "refused"
    same = part.sha256() == original
    assert same or not strict, "loaded, and differs from the original"
    return "equal" if same else "different"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases and print how many ended how; 1 at the first that ends badly."""
    args = get_parser().parse_args(argv)
    import torch
    from tqdm import tqdm

    from legonn.module import read_module

    torch.set_num_threads(1)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as root, _timers():
        os.environ["LEGONN_CACHE"] = f"{root}/cache"
        originals, work = make_modules(Path(root, "originals")), Path(root, "case")
        digests = [read_module(original).sha256() for original in originals]
        start = 0
        cases = range(args.cases) if args.case is None else [args.case]
        for case in tqdm(cases, unit="modules", disable=not sys.stderr.isatty()):
            draw = random.Random(f"{args.seed} {case}")
            kind, which = KINDS[case % len(KINDS)], case // len(KINDS) % len(originals)
            shutil.rmtree(f"{root}/cache", ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(originals[which], work)
            _limit(args.seconds)
            try:
                strict = kind in ("folder", "file")
                ended = outcome(MUTATIONS[kind](work, draw), digests[which], strict=strict)
                counts[f"{kind}: {ended}"] += 1
            except BaseException as error:
                print(f"case {case} (seed {args.seed}, {kind}): {type(error).__name__}: {error}")
                if args.case is not None or not isinstance(error, (Exception, Timeout)):
                    raise
                return 1
            finally:
                _limit(0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            if case == len(KINDS) * len(originals):
                start = peak
            if start and peak - start > args.megabytes:
                print(f"case {case} (seed {args.seed}, {kind}): {peak - start} MB")
                return 1
    print("\n".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    print(f"memory: {peak - start} MB more than after the first cases")
    return 0


@contextlib.contextmanager
def _timers() -> Iterator[None]:
    """For `_limit`; afterwards the signals are as they were."""
    before = {timer: signal.signal(timer, _too_long) for timer in TIMERS}
    try:
        yield
    finally:
        for timer, handler in before.items():
            signal.signal(timer, handler)


def _limit(seconds: int) -> None:
    """Raise `Timeout` after so many of the processor, or `PATIENCE` times as many by the clock; 0: no longer."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(PATIENCE * seconds)


def _too_long(*_: object) -> None:
    raise Timeout("took too long")


if __name__ == "__main__":
    raise SystemExit(main())
