"""The fuzzer of modules, briefly; and that it would notice."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from legonn.audio.source import Sound
from legonn.errors import ConfigError
from legonn.module import DESCRIPTION, read_description, read_module
from legonn.part import Part
from legonn.tokenizer import TextCodec

LoadTool = Callable[[str], ModuleType]


@pytest.fixture
def fuzz(load_tool: LoadTool, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("LEGONN_CACHE", "unused")  # restored afterwards
    return load_tool("fuzz_modules")


def test_mutated_modules_are_equal_or_refused(
    fuzz: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz.main(["--cases", "600", "--seed", "1"]) == 0
    *lines, memory = capsys.readouterr().out.splitlines()
    counts = {line.partition(": ")[0]: 0 for line in lines}
    for line in lines:
        kind, what, count = line.split(": ")
        counts[kind] += int(count)
        assert kind in ("description", "text", "header") or what != "different"
    assert counts == dict.fromkeys(fuzz.KINDS, 120)
    assert memory.startswith("memory: ")


def test_the_modules_are_two_decoders_two_encoders_and_a_bridge(
    fuzz: ModuleType, tmp_path: Path
) -> None:
    parts = [read_module(path) for path in fuzz.make_modules(tmp_path / "originals")]
    found = [(part.kind, part.target.token_type) for part in parts]
    assert found == [
        ("decoder", "char"),
        ("decoder", "bpe"),
        ("encoder", "char"),
        ("encoder", "char"),
        ("bridge", "char"),
    ]
    codec = parts[2].source
    assert isinstance(codec, TextCodec) and codec.decode(codec.encode("two five")) == "two five"
    assert parts[3].source == Sound(8000)
    assert any("counter" in name for name in parts[3].weights())
    bridge = parts[4]
    assert bridge.reads is not None and bridge.writes is not None and bridge.source is not None
    assert bridge.reads.tokens == codec.tokens and bridge.writes.tokens == bridge.target.tokens


def test_every_module_has_its_turn_with_every_mutation(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[tuple[str, str]] = set()

    def note(path: Path, original: str, *, strict: bool) -> str:
        kind = read_description(path / DESCRIPTION)["kind"]
        seen.add((kind, original))
        return "equal"

    kinds = dict.fromkeys(fuzz.KINDS, lambda folder, draw: folder)
    monkeypatch.setattr(fuzz, "MUTATIONS", kinds)
    monkeypatch.setattr(fuzz, "outcome", note)
    assert fuzz.main(["--cases", "25"]) == 0
    assert sorted(kind for kind, _ in seen) == [*["bridge"], *["decoder"] * 2, *["encoder"] * 2]


def test_text_that_no_dumper_writes_is_sealed(fuzz: ModuleType, tmp_path: Path) -> None:
    """Without the seal, none of it would come as far as the parser."""
    path = fuzz.make_modules(tmp_path / "originals")[0]
    text = (path / DESCRIPTION).read_bytes().partition(b"\n")[2]
    fuzz.seal_text(path, text)
    assert read_module(path).kind == "decoder"
    messages = []
    for number in range(100):
        fuzz.seal_text(path, text)
        fuzz.mutate_text(path, random.Random(number))
        try:
            read_description(path / DESCRIPTION)
        except ConfigError as error:
            messages.append(str(error))
    assert not any("damaged or was changed" in message for message in messages)
    for wanted in ("is no timestamp", "is no int", "is no bool", "no description of a legonn"):
        assert any(wanted in message for message in messages), wanted


def test_what_inspect_says_is_made(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object) -> list[str]:
        raise KeyError("layers")

    monkeypatch.setattr("legonn.bin.inspect.screen", crash)
    assert fuzz.main(["--cases", "50"]) == 1
    assert "KeyError: 'layers'" in capsys.readouterr().out


def crash(path: Path) -> Part:
    raise RuntimeError(f"boom {path.name}")


def differ(path: Path) -> Part:
    part = read_module(path.with_name("originals") / "decoder_of_letters")
    next(iter(part.weights().values())).add_(1.0)
    return part


def spin(path: Path) -> Part:
    """Without PyTorch: interrupted between two lines of its `no_grad`, it would leave gradients off for later tests."""
    while path.exists():
        pass
    return read_module(path)


def wait(path: Path) -> Part:
    time.sleep(20)
    return read_module(path)


@pytest.mark.parametrize(
    ("reader", "seconds", "message"),
    [
        (crash, 60, "RuntimeError: boom case"),
        (differ, 60, "AssertionError: loaded, and differs from the original"),
        (spin, 1, "Timeout: took too long"),
        (wait, 1, "Timeout: took too long"),
    ],
)
def test_what_it_looks_for_is_noticed(
    fuzz: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reader: Callable[[Path], Part],
    seconds: int,
    message: str,
) -> None:
    def read(path: Path) -> Part:
        return read_module(path) if path.parent.name == "originals" else reader(path)

    monkeypatch.setattr("legonn.module.read_module", read)
    monkeypatch.setattr(fuzz, "PATIENCE", 2)
    handlers = [signal.getsignal(timer) for timer in fuzz.TIMERS]
    assert fuzz.main(["--cases", "4", "--seconds", str(seconds)]) == 1
    assert f"case 0 (seed 0, folder): {message}" in capsys.readouterr().out
    assert [signal.getsignal(timer) for timer in fuzz.TIMERS] == handlers
