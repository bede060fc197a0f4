"""A part on disk: a folder, or one file holding it. Nothing in it is ever unpickled.

module.yaml          kind, configuration, interfaces, provenance, hashes, format version
model.safetensors    weights
tokens.txt bpe.model           of what it writes
src_tokens.txt src_bpe.model   of what an encoder or a bridge reads
README.md            model card
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from legonn.errors import ConfigError, DataError, LegonnError
from legonn.plain_yaml import parse_yaml

__all__ = [
    "DTYPES",
    "FORMAT_VERSION",
    "KINDS",
    "describe",
    "is_module",
    "read_description",
    "read_module",
    "write_module",
]

KINDS = ("encoder", "bridge", "decoder")
FORMAT = "legonn-module"
FORMAT_VERSION = 1
DESCRIPTION, WEIGHTS, CARD = "module.yaml", "model.safetensors", "README.md"
FILES = (WEIGHTS, "tokens.txt", "bpe.model", "src_tokens.txt", "src_bpe.model")
TYPES: dict[str, Any] = {
    "format": str,
    "format_version": int,
    "kind": str,
    "name": str,
    "config": dict,
    "reads": (dict, type(None)),
    "writes": (dict, type(None)),
    "source": (dict, type(None)),
    "target": dict,
    "parameters": int,
    "weights_sha256": str,
    "provenance": dict,
    "scores": list,
    "files": dict,
}
PROVENANCE: dict[str, Any] = {
    "training_set": list,
    "date": str,
    "revision": (str, type(None)),
    "parents": list,
    "longest_seconds": (int, float),  # of what an encoder was trained to hear
    "ctc_weight": (int, float),  # where an encoder was trained without, 0
}
PARENT = {"kind": str, "name": str, "weights_sha256": str}
PARENT_REPLACED = {"source": str}  # of an encoder that got another source
# How weights may be stored; they are trained and used in fp32.
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
COUNT = "I64"  # of what a network only counts
# More than any real one has. Weights hardly shrink, text tenfold.
MOST_YAML_BYTES = 4 * 2**20
MOST_TOKEN_BYTES = 64 * 2**20
PIECE_BYTES = 2**20  # what is read at once of a file of any size
MOST_COMPRESSION = 20  # of each file by its header, and of all together in truth
# The first line of module.yaml: the hash of the others.
SEAL = "# sha256 of the lines below: "

# What a download that failed leaves in place of a file.
LOOKALIKES = {
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: run `git lfs pull`",
    b"<!doctype html": "an HTML page, not the file itself: download it again",
    b"<html": "an HTML page, not the file itself: download it again",
}


def is_module(path: Path) -> bool:
    """Whether this is a module's folder or file, whole or damaged; experiments are not."""
    if path.is_dir():
        return (path / DESCRIPTION).exists() or (
            (path / WEIGHTS).exists() and not (path / "config.yaml").exists()
        )
    return path.is_file()


# ---- Writing -------------------------------------------------------------------------------------


def write_module(
    part: Any,
    path: Path,
    *,
    card: str = "",
    scores: Iterable[Mapping[str, Any]] = (),
    dtype: str = "float32",
) -> Path:
    """Write a part as a folder, or as one file where `path` ends in `.zip`.

    Parameters
    ----------
    part : Part
        With interfaces: the parts of a plain encoder-decoder fit nothing else.
    card : str
        Markdown of README.md.
    scores : iterable of mapping
        Rows of a results file, to be shown by `legonn inspect`.
    dtype : {"float32", "float16", "bfloat16"}
        How weights are stored; 16 bits halve the file.

    Raises
    ------
    ConfigError
        If `path` is there already, or the part has no interface.
    LegonnError
        If it can't be written.
    """
    from safetensors import SafetensorError

    if path.exists():
        raise ConfigError(f"{path} is there already: remove it, or name another place")
    if part.reads is None and part.writes is None:
        raise ConfigError(
            f"the {part.kind} of {part.name} is a plain encoder-decoder's: it has no interface, so that no other "
            f"part fits it. Train it with --system lego."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            _fill(part, work, card=card, scores=list(scores), dtype=dtype)
            if path.suffix == ".zip":
                _zip(work, path)
            else:
                work.chmod(0o755)
                work.rename(path)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    # While weights are written, a full disk is an error of safetensors' own.
    except (OSError, SafetensorError) as error:
        raise LegonnError(f"can't write {path}: {error}") from error
    return path


def _fill(
    part: Any, folder: Path, *, card: str, scores: list[Mapping[str, Any]], dtype: str
) -> None:
    import torch
    from safetensors.torch import save_file

    from legonn.tokenizer import file_sha256

    weights = {
        name: (w.to(getattr(torch, dtype)) if w.is_floating_point() else w).contiguous()
        for name, w in part.weights().items()
    }
    save_file(weights, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    sides = {"": part.target, "src_": part.source}
    if part.kind == "bridge" and part.source is None:
        sides["src_"] = part.reads
    for prefix, side in sides.items():
        if side is not None and side.tokens:  # speech has none
            text = "".join(f"{token}\n" for token in side.tokens)
            (folder / f"{prefix}tokens.txt").write_text(text, encoding="utf-8")
            if getattr(side, "model", None) is not None:
                shutil.copyfile(side.model, folder / f"{prefix}bpe.model")
    document = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": part.kind,
        "name": part.name,
        "config": dict(part.config),
        "reads": None if part.reads is None else part.reads.without_tokens(),
        "writes": None if part.writes is None else part.writes.without_tokens(),
        "source": None if part.source is None else {"token_type": part.source.token_type},
        "target": {"token_type": part.target.token_type},
        "parameters": part.parameters(),
        "weights_sha256": part.sha256(),
        "provenance": dict(part.provenance),
        "scores": [dict(score) for score in scores],
        "files": {name: file_sha256(folder / name) for name in FILES if (folder / name).exists()},
    }
    (folder / CARD).write_text(card, encoding="utf-8")
    sealed = yaml.dump(document, Dumper=_PlainDumper, allow_unicode=True, sort_keys=False).encode()
    seal = f"{SEAL}{hashlib.sha256(sealed).hexdigest()}\n".encode()
    (folder / DESCRIPTION).write_bytes(seal + sealed)


class _PlainDumper(yaml.SafeDumper):
    """Writes what is there twice twice, without an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _zip(folder: Path, path: Path) -> None:
    """The same bytes for the same files: no times, sorted names, nothing compressed."""
    packed = folder / ".packed"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(p.name for p in folder.iterdir() if p != packed):
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    packed.replace(path)


# ---- Reading -------------------------------------------------------------------------------------


def describe(path: Path) -> tuple[dict[str, Any], Path]:
    """Check a module without building it.

    Parameters
    ----------
    path : Path
        Its folder or file.

    Returns
    -------
    dict, Path
        module.yaml, and the folder with the files.

    Raises
    ------
    ConfigError
        Naming the file that is absent, damaged, or of another version.
    """
    folder = _unzip(path) if path.is_file() else path
    document = read_description(folder / DESCRIPTION)
    for name, wanted in document["files"].items():
        _check_file(folder / name, wanted)
    unlisted = [
        name for name in FILES if (folder / name).exists() and name not in document["files"]
    ]
    if unlisted:
        raise ConfigError(f"{folder / DESCRIPTION} has no hash of {', '.join(unlisted)}")
    if not {WEIGHTS, "tokens.txt"} <= document["files"].keys():
        raise ConfigError(f"{folder / DESCRIPTION} names no {WEIGHTS} or no tokens.txt")
    return document, folder


def read_module(path: Path) -> Any:
    """Load a part.

    Parameters
    ----------
    path : Path
        Its folder or file.

    Returns
    -------
    Part
        In evaluation mode.

    Raises
    ------
    ConfigError
        Naming the file that is absent, damaged, or disagrees with another one.
    """
    from torch import nn

    from legonn.factory import without_memory
    from legonn.part import Part, networks, stored

    document, folder = describe(path)
    about = f"{folder / DESCRIPTION}"
    kind, sides = document["kind"], _sides(document, folder, about)
    sizes = {"reads": sides.pop("reads_size"), "writes": len(sides["target"].tokens)}
    with without_memory():  # sizes are checked before any is taken
        network = nn.ModuleDict(networks(kind, document["config"], **sizes))
    _check_shapes(folder / WEIGHTS, stored(network))
    _fill_network(network, folder / WEIGHTS)
    part = Part(
        kind=kind,
        name=str(path),
        config=document["config"],
        network=network.eval(),
        provenance=document["provenance"],
        stated_sha256=document["weights_sha256"],
        **sides,
    )
    exact = set(_header(folder / WEIGHTS)[1].values()) <= {"F32", COUNT}
    if exact and part.sha256() != document["weights_sha256"]:
        raise ConfigError(f"{folder / WEIGHTS} doesn't hold the weights that {about} describes")
    return part


def read_description(path: Path) -> dict[str, Any]:
    """Read and check a module.yaml, without the files that it names.

    Raises
    ------
    ConfigError
        If it is absent, damaged, or of another version.
    """
    if not path.exists():
        if not path.parent.exists():
            raise ConfigError(f"{path.parent}: no such folder; mend the name")
        inside = next(path.parent.glob(f"*/{path.name}"), None)
        remedy = f"; those in it are, as {inside.parent}" if inside else ""
        if (path.parent / "config.yaml").exists():
            remedy = f" and is an experiment: `legonn pack {path.parent}` makes modules of it"
        raise ConfigError(f"{path.parent} is no module: it has no {path.name}{remedy}")
    _check_lookalike(path)
    fault = f"{path} can't be read as YAML"
    try:
        if path.stat().st_size > MOST_YAML_BYTES:
            raise ConfigError(f"{path} is larger than any module description")
        text = _unseal(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{fault}: {error}") from error
    document = parse_yaml(text, fault, aliases=False)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigError(f"{path} is no description of a legonn module")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"{path} has format version {version}, and this legonn reads version {FORMAT_VERSION}: "
            f"install {'a newer' if _newer(version) else 'the'} legonn that wrote it"
        )
    if document.keys() != TYPES.keys():
        different = ", ".join(sorted(map(str, document.keys() ^ TYPES.keys())))
        raise ConfigError(f"{path} has missing or unknown keys: {different}")
    _check_types(document, path)
    return document


def _unseal(path: Path) -> str:
    """The text of a description; its first line says that nobody changed it."""
    first, _, rest = path.read_bytes().partition(b"\n")
    if not first.startswith(SEAL.encode()):
        raise ConfigError(f"{path} is no description of a legonn module: its first line is another")
    if first != f"{SEAL}{hashlib.sha256(rest).hexdigest()}".encode():
        raise ConfigError(
            f"{path} is damaged or was changed by hand. Fetch it again; what may differ from the training can be set "
            f"when composing (legonn compose --length_ratio)."
        )
    return rest.decode()


def _newer(version: Any) -> bool:
    return isinstance(version, int) and version > FORMAT_VERSION


def _check_types(document: Mapping[str, Any], path: Path) -> None:
    from legonn.scoring import Score

    if document["kind"] not in KINDS:
        raise ConfigError(f"{path}: kind is {document['kind']!r:.80}; legal are {', '.join(KINDS)}")
    _want(document, TYPES, path)
    for side in ("source", "target"):
        if document[side] is not None:
            _token_type(document[side], f"{path}")
    if document["kind"] == "encoder" and document["source"] is None:
        raise ConfigError(
            f"{path}: an encoder that doesn't say what it reads: source wants a token_type"
        )
    for key, options in document["config"].items():
        if f"{key}".endswith("_conf") and not isinstance(options, (dict, type(None))):
            raise ConfigError(
                f"{path}: {key} is {options!r:.80}; it wants a mapping of options to values"
            )
    strange = [repr(name) for name in document["files"] if name not in FILES]
    if strange:
        raise ConfigError(f"{path} names files that a module doesn't have: {', '.join(strange)}")
    _want(document["provenance"], PROVENANCE, path)
    if not all(isinstance(name, str) for name in document["provenance"].get("training_set", [])):
        raise ConfigError(f"{path}: training_set names what is no text")
    if not 0 < document["provenance"].get("longest_seconds", 1) < math.inf:
        raise ConfigError(f"{path}: longest_seconds is no length above 0")
    for parent in document["provenance"].get("parents", []):
        if not isinstance(parent, dict) or parent.keys() - PARENT_REPLACED != PARENT.keys():
            raise ConfigError(f"{path}: {parent!r:.80} is no parent; it wants {', '.join(PARENT)}")
        _want(parent, {**PARENT, **PARENT_REPLACED}, path)
    try:
        for score in document["scores"]:
            Score.from_dict(score)
    except DataError as error:
        raise ConfigError(f"{path}: a score is not legal: {error}") from error


def _want(document: Mapping[str, Any], types: Mapping[str, Any], path: Path) -> None:
    """Check the values of those of `types` that are there."""
    for key, kinds in types.items():
        value = document.get(key)
        if key in document and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise ConfigError(f"{path}: {key} is {value!r:.80}, a {type(value).__name__}")


def _check_file(path: Path, sha256: str) -> None:
    from legonn.tokenizer import file_sha256

    if not path.is_file():
        raise ConfigError(f"{path} is absent: the module is incomplete")
    if path.name != WEIGHTS and path.stat().st_size > MOST_TOKEN_BYTES:
        raise ConfigError(f"{path} is larger than any token list or tokenizer")
    _check_lookalike(path)
    if file_sha256(path) != sha256:
        raise ConfigError(
            f"{path} is damaged or was changed: its SHA-256 isn't the one in {DESCRIPTION}. Fetch it again."
        )


def _check_lookalike(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    for sign, what in LOOKALIKES.items():
        if start.startswith(sign):
            raise ConfigError(f"{path} is {what}")


def _sides(document: Mapping[str, Any], folder: Path, about: str) -> dict[str, Any]:
    """Interfaces and tokenizers of a part, as fields of `Part`, and `reads_size`."""
    from legonn.interface import Interface

    kind, target = document["kind"], _codec(document["target"], folder, "", about)
    sides: dict[str, Any] = {"target": target, "reads_size": len(target.tokens)}
    if kind == "encoder":
        sides["source"] = _source(document, folder, about)
        sides["reads_size"] = len(sides["source"].tokens)
    for side, wanted in (("reads", kind != "encoder"), ("writes", kind != "decoder")):
        if wanted != (document[side] is not None):
            raise ConfigError(
                f"{about}: a {kind} has {'an' if wanted else 'no'} interface {side!r}"
            )
        if not wanted:
            continue
        if kind == "bridge" and side == "reads":
            sides |= _read_by_bridge(document, folder, about)
            continue
        sides[side] = Interface.from_dict({**document[side], "tokens": target.tokens}, about)
        _check_tokenizer(sides[side], target, about)
    return sides


def _read_by_bridge(document: Mapping[str, Any], folder: Path, about: str) -> dict[str, Any]:
    """As `_sides`; older modules of bridges have no tokenizer of what they read."""
    from legonn.interface import Interface
    from legonn.tokenizer import read_token_list

    tokens = read_token_list(folder / "src_tokens.txt")
    reads = Interface.from_dict({**document["reads"], "tokens": tokens}, about)
    sides: dict[str, Any] = {"reads": reads, "reads_size": len(tokens)}
    if document["source"] is not None:
        sides["source"] = _codec(document["source"], folder, "src_", about)
        _check_tokenizer(reads, sides["source"], about)
    return sides


def _source(document: Mapping[str, Any], folder: Path, about: str) -> Any:
    """What an encoder reads."""
    from legonn.factory import sound_of

    sound = sound_of(document["config"])
    if sound is None:
        return _codec(document["source"], folder, "src_", about)
    if document["source"] != {"token_type": sound.token_type}:
        raise ConfigError(f"{about}: a speech encoder whose source is {document['source']!r:.80}")
    return sound


def _check_tokenizer(interface: Any, codec: Any, about: str) -> None:
    from legonn.tokenizer import file_sha256

    if interface.tokenizer_sha256 != file_sha256(codec.model):
        name = "bpe.model" if codec.model is None else codec.model.name
        raise ConfigError(f"{about} and {name} disagree on the tokenizer")


def _codec(options: Any, folder: Path, prefix: str, about: str) -> Any:
    from legonn.tokenizer import TextCodec, read_token_list

    token_type = _token_type(options, about)
    model = folder / f"{prefix}bpe.model"
    return TextCodec(
        token_type=token_type,
        tokens=read_token_list(folder / f"{prefix}tokens.txt"),
        model=model if model.exists() else None,
    )


def _token_type(options: Any, about: str) -> Any:
    """Of a description's `source` or `target`."""
    if not isinstance(options, dict) or options.keys() != {"token_type"}:
        raise ConfigError(f"{about}: {options!r:.80} describes no tokens; it wants a token_type")
    return options["token_type"]


def _header(path: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Shapes and dtypes of a safetensors file, without reading the weights."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: list(part.get_shape()) for name, part in slices.items()}
            dtypes = {name: str(part.get_dtype()) for name, part in slices.items()}
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"{path} is no safetensors file, or a damaged one: {error}") from error
    return shapes, dtypes


def _check_shapes(path: Path, planned: Mapping[str, Any]) -> None:
    """All faults at once: tensors that are missing, in excess, misshapen or of a strange type."""
    shapes, dtypes = _header(path)
    wanted = {name: list(tensor.shape) for name, tensor in planned.items()}
    faults = [f"{name} is missing" for name in wanted.keys() - shapes.keys()]
    faults += [f"{name} is in excess" for name in shapes.keys() - wanted.keys()]
    faults += [
        f"{name} is {shapes[name]}, the configuration makes it {wanted[name]}"
        for name in wanted.keys() & shapes.keys()
        if shapes[name] != wanted[name]
    ]
    counts = {name for name, tensor in planned.items() if not tensor.is_floating_point()}
    faults += [
        f"{name} holds {kind}"
        for name, kind in dtypes.items()
        if (kind != COUNT if name in counts else kind not in DTYPES)
    ]
    if faults:
        shown = "; ".join(sorted(faults)[:5])
        raise ConfigError(
            f"{path} doesn't belong to its {DESCRIPTION}: {shown} ({len(faults)} in all)"
        )


def _fill_network(network: Any, path: Path) -> None:
    """Put the file's weights in place of the planned ones; what two layers share stays shared."""
    from torch import nn

    from legonn.part import stored

    made = {}
    for name, planned in stored(network).items():
        read = _read_tensor(path, name, planned)
        made[id(planned)] = nn.Parameter(read) if isinstance(planned, nn.Parameter) else read
    for module in network.modules():
        for name, planned in [*module._parameters.items(), *module._buffers.items()]:
            if id(planned) in made:
                setattr(module, name, made[id(planned)])


def _read_tensor(path: Path, name: str, planned: Any) -> Any:
    """One tensor, with the type and the layout of the planned one: convolutions of speech have a layout of their own.

    Its memory is its own: the file is mapped for no longer than that.
    """
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return torch.empty_strided(planned.shape, planned.stride(), dtype=planned.dtype).copy_(
            file.get_tensor(name)
        )


# ---- One file ------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where unpacked modules are kept: `$LEGONN_CACHE`, or legonn in the user's cache folder."""
    if named := os.environ.get("LEGONN_CACHE"):
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "legonn"
    except RuntimeError as error:  # no HOME, and a user that the system doesn't know
        raise ConfigError(
            f"no folder for unpacked modules ({error}): name one with LEGONN_CACHE"
        ) from error


class _Pieces(io.BufferedReader):
    """A file that is never read at once: zipfile does so with an archive's directory, however long it is."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > PIECE_BYTES:
            raise zipfile.BadZipFile("its directory is larger than any module's")
        return super().read(size)


# What zipfile raises for damaged archives, beside Python's own errors.
BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, struct.error)


def _unzip(path: Path) -> Path:
    """Unpack into the cache, under the file's own hash: once, or anew where something was lost there."""
    from legonn.tokenizer import file_sha256

    _check_lookalike(path)
    try:
        with _Pieces(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            members = _members(archive, path)
            folder = cache_folder() / "modules" / file_sha256(path)
            _unpack_once(archive, members, folder)
    except ConfigError:
        raise
    except (*BAD_ARCHIVE, OSError, EOFError, RuntimeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path} is no module file, or a damaged one: {error}") from error
    return folder


def _unpack_once(
    archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], folder: Path
) -> None:
    """Unpack, unless the cache has it; what goes wrong there is no fault of the archive."""
    try:
        if not _is_whole(folder, members):
            _unpack(archive, members, folder)
    except OSError as error:
        raise ConfigError(
            f"{archive.filename} can't be unpacked into {folder.parent}: {error.strerror or error}. Name another "
            f"folder with LEGONN_CACHE."
        ) from error


def _is_whole(folder: Path, members: Iterable[zipfile.ZipInfo]) -> bool:
    """Whether a folder of the cache holds what the archive holds, and nothing else."""
    sums = {info.filename: info.CRC for info in members}
    if not folder.is_dir() or {path.name for path in folder.iterdir()} != sums.keys():
        return False
    return all(_crc(folder / name) == wanted for name, wanted in sums.items())


def _crc(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found = zlib.crc32(piece, found)
    return found


def _unpack(archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo], folder: Path) -> None:
    """Unpack beside the folder, then take its place, unless another process was faster."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".unpack.", dir=folder.parent))
    try:
        (work / "new").mkdir()
        room = (
            MOST_COMPRESSION * Path(str(archive.filename)).stat().st_size
        )  # whatever the headers say
        for info in members:
            room -= _write_member(archive, info, work / "new" / info.filename, room)
        if not _is_whole(folder, members):
            if folder.exists():
                folder.rename(work / "damaged")
            (work / "new").rename(folder)
    except OSError:
        if not _is_whole(folder, members):
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, room: int) -> int:
    """Write one member, of no more than `room` bytes, and give how many it has."""
    written = 0
    with target.open("wb") as file:
        for piece in _read_member(archive, info):
            written += len(piece)
            if written > min(info.file_size, room):
                raise ConfigError(
                    f"{archive.filename}: {info.filename} swells more than any module's file, or than its header "
                    f"says. It was not unpacked: fetch it again, or from elsewhere."
                )
            file.write(piece)
    return written


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """In pieces; an error here is the archive's, not one of the folder that it is unpacked into."""
    try:
        with archive.open(info) as source:
            while piece := source.read(PIECE_BYTES):
                yield piece
    except OSError as error:
        raise zipfile.BadZipFile(str(error)) from error


def _members(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """What a module's file may hold, and nothing that climbs out of its folder or swells without end."""
    members = archive.infolist()
    legal = {DESCRIPTION, CARD, *FILES}
    strange = [info.filename for info in members if info.filename not in legal]
    if strange or len({info.filename for info in members}) < len(members):
        shown = ", ".join(map(repr, strange[:3])) or "a name twice"
        raise ConfigError(f"{path} holds what a module doesn't: {shown}. It was not unpacked.")
    for info in members:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ConfigError(f"{path}: {info.filename} is packed in a way that no module is")
        if info.file_size > MOST_COMPRESSION * max(info.compress_size, 1):
            raise ConfigError(f"{path}: {info.filename} swells too much. It was not unpacked.")
    return members
