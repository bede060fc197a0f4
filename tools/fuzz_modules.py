"""Mutated modules: each is equal to the original when read, or refused with an error of legonn's own.

    python tools/fuzz_modules.py --cases 100000

Four kinds of mutation in turn: bytes of a folder's files; bytes of the one file; values of the description, and values
of the weights' header, both with all hashes made to agree, as an attacker would. Of the last two a module may load
that differs from the original, as its description says so. Fails on any other exception, a case over --seconds, or
more than --megabytes of memory beyond what the first cases took.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
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
from typing import Any

import yaml

NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, 0.5, -1.0, 1e308, float("inf"), float("nan")),
    *("", "\0", "../../x", "/etc/passwd", "os.system", "a" * 10_000, "ﬀ\u202e", "1", "nan"),
    *([], {}, [[]], [None], {"": None}, {"a": {"a": {"a": []}}}, ["text"] * 1000),
)
DESCRIPTION, WEIGHTS = "module.yaml", "model.safetensors"
KINDS = ("folder", "file", "description", "header")


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
    parser.add_argument("--seconds", type=int, default=10, help="limit of one case")
    parser.add_argument("--megabytes", type=int, default=1000, help="limit of memory")
    return parser


def make_module(folder: Path) -> None:
    """A small decoder over characters, with every kind of field filled."""
    import torch

    from legonn.interface import Interface
    from legonn.module import write_module
    from legonn.part import Part, networks
    from legonn.tokenizer import TextCodec

    tokens = ("<blank>", "<unk>", *"abcdefghij", "<sos/eos>")
    config = {
        "decoder": "transformer",
        "decoder_conf": {"width": 8, "heads": 2, "feedforward": 8, "layers": 1},
        "ingestor": "wemb",
        "ingestor_conf": {"layers": 0, "receptive_field": 3},
    }
    torch.manual_seed(0)
    layers = networks("decoder", config, reads=len(tokens), writes=len(tokens))
    origin = {"kind": "decoder", "name": "x", "weights_sha256": "00"}
    part = Part(
        kind="decoder",
        name="x",
        config=config,
        network=torch.nn.ModuleDict(layers),
        reads=Interface(tokens=tokens, unit="char", positions_per_token=(1.0, 1.5, 2.0)),
        target=TextCodec(token_type="char", tokens=tokens),
        provenance={"training_set": ["x"], "date": "2026-01-01", "parents": [origin]},
    )
    write_module(part, folder)


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
        holder[draw.choice(("extra", "width", "", "../x"))] = copy.deepcopy(draw.choice(NASTY))
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
    from legonn.module import SEAL

    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()
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
    zip(KINDS, (mutate_folder, mutate_file, mutate_description, mutate_header), strict=True)
)


def outcome(path: Path, original: str, *, strict: bool) -> str:
    """`equal`, `different` or `refused`.

    Raises
    ------
    AssertionError
        If a module differs though its hashes were not made to agree.
    """
    from legonn.errors import LegonnError
    from legonn.module import read_module

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
    signal.signal(signal.SIGALRM, _too_long)
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as root:
        os.environ["LEGONN_CACHE"] = f"{root}/cache"
        original, work = Path(root, "original"), Path(root, "case")
        make_module(original)
        digest = read_module(original).sha256()
        start = 0
        cases = range(args.cases) if args.case is None else [args.case]
        for case in tqdm(cases, unit="modules", disable=not sys.stderr.isatty()):
            draw = random.Random(f"{args.seed} {case}")
            kind = KINDS[case % len(KINDS)]
            shutil.rmtree(f"{root}/cache", ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(original, work)
            signal.alarm(args.seconds)
            try:
                strict = kind in ("folder", "file")
                counts[
                    f"{kind}: {outcome(MUTATIONS[kind](work, draw), digest, strict=strict)}"
                ] += 1
            except BaseException as error:
                print(f"case {case} (seed {args.seed}, {kind}): {type(error).__name__}: {error}")
                if args.case is not None or not isinstance(error, (Exception, Timeout)):
                    raise
                return 1
            finally:
                signal.alarm(0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            if case == len(KINDS):
                start = peak
            if start and peak - start > args.megabytes:
                print(f"case {case} (seed {args.seed}, {kind}): {peak - start} MB")
                return 1
    print("\n".join(f"{name}: {count}" for name, count in sorted(counts.items())))
    print(f"memory: {peak - start} MB more than after the first cases")
    return 0


def _too_long(*_: object) -> None:
    raise Timeout("took too long")


if __name__ == "__main__":
    raise SystemExit(main())
