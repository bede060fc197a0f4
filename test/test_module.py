"""Modules on disk: what is written is read back, what is damaged or hostile is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import pickle
import re
import resource
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from legonn.errors import ConfigError, LegonnError
from legonn.finetuning import parents
from legonn.module import (
    DESCRIPTION,
    KINDS,
    SEAL,
    _write_member,
    describe,
    is_module,
    read_module,
    write_module,
)
from legonn.part import Part
from legonn.system import System, load_part
from legonn.tokenizer import TextCodec


@pytest.fixture(scope="module")
def parts(experiment: Path) -> dict[str, Part]:
    """One part of each kind; the bridge is untrained."""
    from legonn.part import bridge_config, networks

    encoder, decoder = System.load(experiment).parts()
    config = bridge_config({"width": 16, "heads": 2, "feedforward": 32, "layers_after": 0})
    size = len(decoder.target.tokens)
    bridge = Part(
        kind="bridge",
        name="b",
        config=config,
        network=torch.nn.ModuleDict(networks("bridge", config, reads=size, writes=size)).eval(),
        reads=encoder.writes,
        writes=decoder.reads,
        target=decoder.target,
    )
    return {"encoder": encoder, "bridge": bridge, "decoder": decoder}


@pytest.fixture
def folder(parts: dict[str, Part], tmp_path: Path) -> Path:
    """An encoder's module, to be damaged."""
    return write_module(parts["encoder"], tmp_path / "module")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where zipped modules are unpacked."""
    monkeypatch.setenv("LEGONN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def reseal(folder: Path, change: Callable[[dict[str, Any]], None], *, rehash: bool = True) -> None:
    """Change a description as someone does who knows the format: with hashes that agree."""
    path = folder / DESCRIPTION
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if rehash:
        for name in document["files"]:
            content = (folder / name).read_bytes()
            document["files"][name] = hashlib.sha256(content).hexdigest()
    change(document)
    write_sealed(path, yaml.safe_dump(document, allow_unicode=True))


def write_sealed(path: Path, text: str) -> None:
    seal = f"{SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n"
    path.write_text(seal + text, encoding="utf-8")


# ---- What is written is read back -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["module", "module.zip"])
@pytest.mark.parametrize("kind", KINDS)
def test_written_and_read_is_equal(
    parts: dict[str, Part], tmp_path: Path, kind: str, name: str
) -> None:
    part = parts[kind]
    path = write_module(part, tmp_path / name)
    assert path.is_file() == name.endswith(".zip") and is_module(path)
    found = read_module(path)
    assert found.sha256() == part.sha256() and found.parameters() == part.parameters()
    assert (found.kind, found.config, found.provenance) == (kind, part.config, part.provenance)
    assert (found.reads, found.writes, found.name) == (part.reads, part.writes, str(path))
    assert found.target.tokens == part.target.tokens
    assert (found.source is None) == (part.source is None)
    if isinstance(found.source, TextCodec) and isinstance(part.source, TextCodec):
        assert found.source.tokens == part.source.tokens
        assert found.source.encode("unu doi").tolist() == part.source.encode("unu doi").tolist()
    assert not found.network.training


def test_a_module_is_read_without_symbolic_shapes(folder: Path) -> None:
    """They come with sympy, half a second that every command with a module would wait for."""
    code = (
        "import sys; from pathlib import Path; from legonn.module import read_module; "
        "print(read_module(Path(sys.argv[1])).kind, 'sympy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["encoder", "False"]


def test_a_composition_of_modules_is_the_experiment(
    experiment: Path, parts: dict[str, Part], tmp_path: Path
) -> None:
    for kind in ("encoder", "decoder"):
        write_module(parts[kind], tmp_path / f"{kind}.zip")
    composed = System.compose(encoder=tmp_path / "encoder.zip", decoder=tmp_path / "decoder.zip")
    original = System.load(experiment)
    lines = ["unu doi", "trei", "patru cinci unu"]
    wanted, found = (s.translate(lines, beam_size=3) for s in (original, composed))
    assert [one.text for one in found] == [one.text for one in wanted]
    assert [one.score for one in found] == [one.score for one in wanted]


def test_parents_with_and_without_another_source_are_read(
    parts: dict[str, Part], tmp_path: Path
) -> None:
    parents = [PARENT, {**PARENT, "source": "replaced"}]
    part = dataclasses.replace(parts["encoder"], provenance={"parents": parents})
    assert read_module(write_module(part, tmp_path / "e")).provenance["parents"] == parents


def test_a_bridge_brings_the_tokenizer_of_what_it_reads(
    parts: dict[str, Part], tmp_path: Path
) -> None:
    source = parts["encoder"].target
    assert source.model is not None
    part = dataclasses.replace(parts["bridge"], source=source)
    folder = write_module(part, tmp_path / "b")
    assert (folder / "src_bpe.model").read_bytes() == source.model.read_bytes()
    found = read_module(folder)
    assert isinstance(found.source, TextCodec) and found.source.tokens == source.tokens
    assert found.source.encode("one three").tolist() == source.encode("one three").tolist()
    reseal(folder, put("reads", "tokenizer_sha256", value="00"))
    with pytest.raises(ConfigError, match="and src_bpe.model disagree on the tokenizer"):
        read_module(folder)


def test_the_same_part_is_the_same_file(parts: dict[str, Part], tmp_path: Path) -> None:
    first, second = (write_module(parts["decoder"], tmp_path / n / "d.zip") for n in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits_halve_the_file(parts: dict[str, Part], tmp_path: Path, dtype: str) -> None:
    path = write_module(parts["decoder"], tmp_path / dtype, dtype=dtype) / "model.safetensors"
    content = path.read_bytes()
    (header,) = struct.unpack("<Q", content[:8])
    assert len(content) == 8 + header + 2 * parts["decoder"].parameters()
    found, wanted = read_module(tmp_path / dtype).weights(), parts["decoder"].weights()
    for name, weight in wanted.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], weight.to(getattr(torch, dtype)).float())


def test_a_parent_has_the_hash_that_its_module_states(
    experiment: Path, parts: dict[str, Part], tmp_path: Path
) -> None:
    """Also where 16 bits round the weights, whose own hash no module states."""
    paths = [
        write_module(parts["encoder"], tmp_path / "e"),
        write_module(parts["decoder"], tmp_path / "d", dtype="bfloat16"),
    ]
    encoder, decoder = (read_module(path) for path in paths)
    assert encoder.sha256() == parts["encoder"].sha256()
    assert decoder.sha256() != parts["decoder"].sha256()
    stated = [describe(path)[0]["weights_sha256"] for path in paths]
    assert stated == [parts["encoder"].sha256(), parts["decoder"].sha256()]
    composed = System.compose(encoder=paths[0], decoder=paths[1])
    recorded = composed.interface.provenance["parents"]
    assert [parent["weights_sha256"] for parent in recorded] == stated
    tuned = parents({"encoder": [encoder], "bridge": [], "decoder": [decoder]})
    assert tuned == recorded == [encoder.record(), decoder.record()]


def test_what_is_there_is_not_overwritten(parts: dict[str, Part], tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(ConfigError, match="d is there already: remove it"):
        write_module(parts["decoder"], tmp_path / "d")
    assert list(tmp_path.iterdir()) == [tmp_path / "d"]


def test_a_plain_part_is_not_packed(plain_experiment: Path, tmp_path: Path) -> None:
    part = load_part(plain_experiment, "decoder")
    with pytest.raises(ConfigError, match="no interface, so that no other part fits it"):
        write_module(part, tmp_path / "plain")
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_written_stays(
    parts: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(LegonnError, match="can't write .*/d: .*No space left"):
        write_module(parts["decoder"], tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_a_module_is_told_from_an_experiment(experiment: Path, folder: Path) -> None:
    assert is_module(folder) and not is_module(experiment)
    assert not is_module(folder / "nowhere")
    with pytest.raises(ConfigError, match="is one part of a system: join it to others"):
        System.load(folder)
    with pytest.raises(ConfigError, match="is a module of kind encoder, and decoder is wanted"):
        System.compose(encoder=folder, decoder=folder)


def test_a_checkpoint_is_told_to_be_named_after_its_experiment(experiment: Path) -> None:
    checkpoint = experiment / "latest.pth"
    message = f"is a checkpoint: name it with a colon after its experiment, {experiment}:latest.pth"
    for attempt in (System.load, lambda path: System.compose(encoder=path, decoder=experiment)):
        with pytest.raises(ConfigError, match=re.escape(message)):
            attempt(checkpoint)


def test_one_file_is_unpacked_once(parts: dict[str, Part], tmp_path: Path, cache: Path) -> None:
    path = write_module(parts["decoder"], tmp_path / "d.zip")
    read_module(path)
    (unpacked,) = (cache / "modules").iterdir()
    assert unpacked.name == hashlib.sha256(path.read_bytes()).hexdigest()
    before = (unpacked / DESCRIPTION).stat().st_mtime_ns
    read_module(path)
    assert (unpacked / DESCRIPTION).stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["lost", "changed", "added"])
@pytest.mark.parametrize("name", ["tokens.txt", DESCRIPTION, "model.safetensors"])
def test_a_damaged_cache_is_unpacked_anew(
    parts: dict[str, Part], tmp_path: Path, cache: Path, name: str, damage: str
) -> None:
    path = write_module(parts["decoder"], tmp_path / "d.zip")
    digest = read_module(path).sha256()
    (unpacked,) = (cache / "modules").iterdir()
    before = {file.name: file.read_bytes() for file in unpacked.iterdir()}
    if damage == "lost":
        (unpacked / name).unlink()
    elif damage == "changed":
        (unpacked / name).write_bytes(before[name][:-1] + bytes([before[name][-1] ^ 1]))
    else:
        (unpacked / f"src_{name}").write_bytes(b"x")
    assert read_module(path).sha256() == digest
    assert {file.name: file.read_bytes() for file in unpacked.iterdir()} == before
    assert list((cache / "modules").iterdir()) == [unpacked]


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses larger ones, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_cannot_be_written_is_told(parts: dict[str, Part], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LegonnError, match="can't write .*/file/d: .*(Not a directory|exists)"):
        write_module(parts["decoder"], tmp_path / "file" / "d")
    with no_file_above(1000), pytest.raises(LegonnError, match=r"can't write .*/d: .*os error 27"):
        write_module(parts["decoder"], tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# ---- What is damaged is refused -------------------------------------------------------------------

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
HTML = b"<!DOCTYPE html><title>Not found</title>"
FILES = (
    DESCRIPTION,
    "model.safetensors",
    "tokens.txt",
    "bpe.model",
    "src_tokens.txt",
    "src_bpe.model",
)


@pytest.mark.parametrize("name", FILES)
def test_every_absent_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name):
        read_module(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [(LFS, "is a Git LFS pointer, .*git lfs pull"), (HTML, "is an HTML page"), (b"", "")],
)
@pytest.mark.parametrize("name", FILES)
def test_what_a_failed_download_leaves_is_recognised(
    folder: Path, name: str, content: bytes, message: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{name}.*{message}"):
        read_module(folder)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ConfigError, match=f"{name} is damaged or was changed"):
        read_module(folder)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(parts: dict[str, Part], tmp_path: Path, share: float) -> None:
    path = write_module(parts["decoder"], tmp_path / "d.zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ConfigError, match="d.zip is no module file, or a damaged one"):
        read_module(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(LFS, "Git LFS pointer"), (HTML, "HTML page"), (b"x" * 99, "no module file")],
)
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "d.zip"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"d.zip is.*{message}"):
        read_module(path)


LARGE = 64 * 2**20


@pytest.mark.parametrize("kind", ["no archive", "strange archive", "long directory", "whole"])
def test_a_large_file_is_never_held_in_memory(tmp_path: Path, cache: Path, kind: str) -> None:
    path = tmp_path / "d.zip"
    if kind in ("no archive", "long directory"):
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, LARGE, 0, 0)
        with path.open("wb") as file:
            file.truncate(LARGE)
            file.seek(0, io.SEEK_END)
            file.write(end if kind == "long directory" else b"end")
    else:
        name = "evil.bin" if kind == "strange archive" else "tokens.txt"
        with zipfile.ZipFile(path, "w") as packed, packed.open(name, "w") as member:
            for _ in range(LARGE // 2**20):
                member.write(bytes(2**20))
    messages = {
        "no archive": "d.zip is no module file, or a damaged one: File is not a zip file",
        "strange archive": "d.zip holds what a module doesn't: 'evil.bin'",
        "long directory": "a damaged one: its directory is larger than any module's",
        "whole": "has no module.yaml",
    }
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=messages[kind]):
            describe(path)
        assert tracemalloc.get_traced_memory()[1] < LARGE / 4
    finally:
        tracemalloc.stop()


def test_where_nothing_can_be_unpacked_the_remedy_is_told(
    parts: dict[str, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_module(parts["decoder"], tmp_path / "d.zip")
    monkeypatch.setenv("LEGONN_CACHE", str(path))  # a file, below which there are no folders
    wanted = (
        r"d.zip can't be unpacked into .*: Not a directory\. Name another folder with LEGONN_CACHE"
    )
    with pytest.raises(ConfigError, match=wanted):
        describe(path)

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", "x")

    monkeypatch.setenv("LEGONN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(ConfigError, match="can't be unpacked into .*/modules: Permission denied"):
        describe(path)


def test_who_has_no_home_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    path = archive(tmp_path / "d.zip", {"tokens.txt": b"a"})
    monkeypatch.delenv("LEGONN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigError, match="no folder for unpacked modules .*: name one with LEGO"):
        describe(path)


def test_an_unlisted_file_is_refused(folder: Path) -> None:
    reseal(folder, lambda document: document["files"].pop("bpe.model"))
    with pytest.raises(ConfigError, match="has no hash of bpe.model"):
        read_module(folder)


# ---- What someone made up is refused --------------------------------------------------------------


def put(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        target = document
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.pop(key)


HUGE = 10**30
PARENT = {"kind": "encoder", "name": "x", "weights_sha256": "00"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("format", value="onnx"), "is no description of a legonn module"),
        (
            put("format_version", value=2),
            "version 2, and this legonn reads version 1: install a newer",
        ),
        (put("format_version", value=0), "version 0, and this legonn reads version 1: install the"),
        (put("format_version", value=None), "has format version None"),
        (put("extra", value=1), "missing or unknown keys: extra"),
        (drop("parameters"), "missing or unknown keys: parameters"),
        (put("kind", value="vocoder"), "kind is 'vocoder'; legal are encoder, bridge, decoder"),
        (put("kind", value=["encoder"]), "kind is"),
        (put("kind", value="decoder"), "a decoder has an interface 'reads'"),
        (put("reads", value={}), "a.* has no interface 'reads'"),
        (put("writes", value=None), "a.* has an interface 'writes'"),
        (put("writes", value=3), "writes is 3, a int"),
        (put("writes", "blank", value="0"), "is no interface description: blank is '0'"),
        (put("writes", "flavour", value="sweet"), "is no interface description"),
        (put("writes", "positions_per_token", value=[1, 2]), "is no interface description"),
        (put("writes", "tokenizer_sha256", value="00"), "and bpe.model disagree on the tokenizer"),
        (put("target", value={}), "describes no tokens"),
        (
            put("source", value=None),
            "an encoder that doesn.t say what it reads: source wants a token_type",
        ),
        (put("target", "token_type", value="char"), "token type char with sentencepiece model"),
        (put("target", "token_type", value={}), "token type is {}"),
        (put("config", "encoder", value="os.system"), "encoder is 'os.system'"),
        (put("config", "system", value="lego"), "configuration of a encoder has no system"),
        (put("config", "encoder_conf", value=[]), "encoder_conf is \\[\\]; it wants a mapping"),
        (
            put("config", "encoder_conf", value="layers"),
            "encoder_conf is 'layers'; it wants a mapping",
        ),
        (put("config", 5, value=1), "configuration of a encoder has no 5"),
        (put("config", "encoder_conf", 5, value=1), "encoder_conf has no option 5"),
        (put("config", "encoder_conf", "width", value=32), "doesn't belong to its module.yaml"),
        (put("config", "encoder_conf", "width", value=HUGE), "is the most"),
        (put("config", "encoder_conf", "width", value="16"), "width is '16'; it wants a int"),
        (put("config", "encoder_conf", "layers_before", value=10**6), "256 is the most"),
        (put("config", "encoder_conf", "layers_before", value=2), "is missing.*in all"),
        (put("config", "encoder_conf", "layers_before", value=0), "is in excess.*in all"),
        (put("config", "encoder_conf", "length_ratio", value=float("nan")), "length_ratio is nan"),
        (
            put("config", "chain_conf", value={"encoder_target": "../victim/src"}),
            "'../victim/src' is no name for an interface's tokens",
        ),
        (put("weights_sha256", value="00"), "doesn't hold the weights that"),
        (put("files", "../../evil", value="00"), "names files that a module doesn't have"),
        (put("files", "tokens.txt", value=3), "tokens.txt is damaged or was changed"),
        (put("provenance", "parents", value=[{}]), "is no parent"),
        (put("provenance", "parents", value=[{**PARENT, "born": "here"}]), "is no parent"),
        (put("provenance", "parents", value=[{"source": "replaced"}]), "is no parent"),
        (put("provenance", "parents", value=[{**PARENT, "source": 3}]), "source is 3, a int"),
        (put("provenance", "training_set", value=[3]), "training_set names what is no text"),
        (put("scores", value=[{"score": "high"}]), "a score is not legal"),
    ],
)
def test_a_hostile_description_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    reseal(folder, change)
    with pytest.raises(ConfigError, match=message):
        read_module(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1]\nb: *a\n", "uses a YAML alias"),
        ("[" * 5000 + "]" * 5000, "nested deeper"),
        ("!!python/object/apply:os.system ['true']", "can't be read as YAML"),
        ("a: [", "can't be read as YAML"),
        ("- a", "is no description of a legonn module"),
        ("# " + "x" * 5_000_000, "is larger than any module description"),
        ("a: 2024-99-99", "module.yaml can't be read as YAML: .*'2024-99-99' is no timestamp"),
        (f"a: {'9' * 5000}", "module.yaml can't be read as YAML: .* is no int"),
        (f"a: {'9' * 400}", "module.yaml can't be read as YAML: .* is no int"),
        ("a: !!bool foo", "module.yaml can't be read as YAML: .*'foo' is no bool"),
        ("a: !!timestamp foo", "module.yaml can't be read as YAML: .*'foo' is no timestamp"),
    ],
)
def test_hostile_yaml_is_refused(folder: Path, text: str, message: str) -> None:
    write_sealed(folder / DESCRIPTION, text)
    with pytest.raises(ConfigError, match=message):
        read_module(folder)


def safetensors(header: Any, body: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (safetensors({}, length=2**60), "is no safetensors file"),
        (
            safetensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}, b"1234"),
            "",
        ),
        (
            safetensors({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, b"12345678"),
            "",
        ),
        (safetensors({}), "is missing"),
        (pickle.dumps({"a": 1}), "is no safetensors file"),
        (b"\x00" * 8, "is no safetensors file"),
    ],
)
def test_hostile_weights_are_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "model.safetensors").write_bytes(content)
    reseal(folder, lambda document: None)
    with pytest.raises(ConfigError, match=f"model.safetensors.*{message}"):
        read_module(folder)


def test_integers_in_place_of_weights_are_refused(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["head.linear.bias"] = weights["head.linear.bias"].to(torch.int32)
    save_file(weights, path)
    reseal(folder, lambda document: None)
    with pytest.raises(ConfigError, match="head.linear.bias holds I32"):
        read_module(folder)


def archive(path: Path, members: dict[str, bytes], *, kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/etc/evil.txt",
        "a/../../evil.txt",
        "sub/tokens.txt",
        "evil.py",
        "tokens.txt/",
    ],
)
def test_nothing_climbs_out_of_an_archive(tmp_path: Path, cache: Path, name: str) -> None:
    path = archive(tmp_path / "d.zip", {name: b"x"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="holds what a module doesn't"):
        read_module(path)
    new = [p for p in sorted(tmp_path.rglob("*")) if p not in before]
    assert [p for p in new if p.is_file()] == []


def test_an_archive_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    content = {"tokens.txt": b"a" * 2_000_000}
    path = archive(tmp_path / "d.zip", content, kind=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    with pytest.raises(ConfigError, match="tokens.txt swells too much"):
        read_module(path)


def test_an_archive_that_swells_behind_a_forged_header_is_not_unpacked(
    tmp_path: Path, cache: Path
) -> None:
    """100 MB in 97 KB, which the central directory calls 50 MB."""
    content = {"tokens.txt": b"a" * 100_000_000}
    path = archive(tmp_path / "d.zip", content, kind=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02") + 20  # of the compressed size
    data[place : place + 4] = struct.pack("<I", 50_000_000)
    path.write_bytes(bytes(data))
    assert path.stat().st_size < 100_000
    with pytest.raises(ConfigError, match="d.zip.*(swells more|a damaged one)"):
        read_module(path)
    assert list((cache / "modules").iterdir()) == []


@pytest.mark.parametrize(("size", "room"), [(9, 100), (100, 9)])
def test_what_is_written_is_counted(tmp_path: Path, size: int, room: int) -> None:
    """More than a header says, or than there is room for: neither is written."""
    with zipfile.ZipFile(archive(tmp_path / "d.zip", {"tokens.txt": b"a" * 10})) as file:
        info = file.getinfo("tokens.txt")
        assert _write_member(file, info, tmp_path / "whole", 10) == 10
        assert (tmp_path / "whole").read_bytes() == b"a" * 10
        told = zipfile.ZipInfo("tokens.txt")
        told.file_size = size
        opened = SimpleNamespace(filename="d.zip", open=lambda _: file.open(info))
        with pytest.raises(ConfigError, match="d.zip: tokens.txt swells more .* fetch it again"):
            _write_member(opened, told, tmp_path / "cut", room)  # type: ignore[arg-type]
    assert (tmp_path / "cut").read_bytes() == b""


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_of_another_packing_is_refused(tmp_path: Path, kind: int) -> None:
    path = archive(tmp_path / "d.zip", {"tokens.txt": b"a"}, kind=kind)
    with pytest.raises(ConfigError, match="tokens.txt is packed in a way that no module is"):
        read_module(path)


def test_damaged_packing_is_refused(folder: Path, tmp_path: Path) -> None:
    members = {p.name: p.read_bytes() for p in folder.iterdir()}
    path = archive(tmp_path / "d.zip", members, kind=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    for place in range(200, 400):
        content[place] = 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ConfigError, match="d.zip is no module file, or a damaged one"):
        read_module(path)


def test_an_archive_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("tokens.txt", "a")
        file.writestr("tokens.txt", "b")
    with pytest.raises(ConfigError, match="holds what a module doesn't: a name twice"):
        read_module(path)


def test_a_link_in_an_archive_becomes_a_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as file:
        for member in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(member.name)
            if member.name == "tokens.txt":
                info.external_attr = 0o120777 << 16
            file.writestr(info, member.read_bytes())
    read_module(path)  # its content is what the link would have named: the tokens, intact
    assert not any(p.is_symlink() for p in (tmp_path / "cache").rglob("*"))


def test_a_pickle_in_place_of_weights_runs_nothing(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    stream = io.BytesIO()
    torch.save({"a": Bomb()}, stream)
    (folder / "model.safetensors").write_bytes(stream.getvalue())
    reseal(folder, lambda document: None)
    with pytest.raises(ConfigError, match="is no safetensors file"):
        read_module(folder)
    assert not (tmp_path / "executed").exists()


def test_sizes_are_checked_before_memory_is_taken(folder: Path) -> None:
    """A description that asks for 200 layers of 16,000 units, 600 GB: refused at once, in little memory."""
    wide = {"width": 16000, "heads": 1, "feedforward": 65536, "layers_before": 200}
    reseal(folder, put("config", "encoder_conf", value=wide))
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from legonn.errors import ConfigError\n"
        "from legonn.module import read_module\n"
        "import torch, safetensors.torch, legonn.part\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_module(Path(sys.argv[1]))\n"
        "except ConfigError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    *message, kilobytes = done.stdout.splitlines()
    assert "doesn't belong to its module.yaml" in message[-1]
    assert int(kilobytes) < 200_000


def test_a_description_is_read_without_the_weights(folder: Path) -> None:
    document, where = describe(folder)
    assert where == folder and document["kind"] == "encoder"
    assert document["parameters"] == read_module(folder).parameters()


def test_a_moved_folder_is_the_same_module(folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    assert read_module(moved).kind == "encoder"
