"""The fuzzer of modules, briefly; and that it would notice."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from legonn.module import read_module
from legonn.part import Part

LoadTool = Callable[[str], ModuleType]


@pytest.fixture
def fuzz(load_tool: LoadTool, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("LEGONN_CACHE", "unused")  # restored afterwards
    return load_tool("fuzz_modules")


def test_mutated_modules_are_equal_or_refused(
    fuzz: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz.main(["--cases", "400", "--seed", "1"]) == 0
    *lines, memory = capsys.readouterr().out.splitlines()
    counts = {line.partition(": ")[0]: 0 for line in lines}
    for line in lines:
        kind, what, count = line.split(": ")
        counts[kind] += int(count)
        assert kind in ("description", "header") or what != "different"
    assert counts == dict.fromkeys(fuzz.KINDS, 100)
    assert memory.startswith("memory: ")


def crash(path: Path) -> Part:
    raise RuntimeError(f"boom {path.name}")


def differ(path: Path) -> Part:
    part = read_module(path.with_name("original"))
    next(iter(part.weights().values())).add_(1.0)
    return part


def hang(path: Path) -> Part:
    time.sleep(20)
    return read_module(path)


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        (crash, "case 0 (seed 0, folder): RuntimeError: boom case"),
        (differ, "case 0 (seed 0, folder): AssertionError: loaded, and differs from the original"),
        (hang, "case 0 (seed 0, folder): Timeout: took too long"),
    ],
)
def test_what_it_looks_for_is_noticed(
    fuzz: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reader: Callable[[Path], Part],
    message: str,
) -> None:
    def read(path: Path) -> Part:
        return read_module(path) if path.name == "original" else reader(path)

    monkeypatch.setattr("legonn.module.read_module", read)
    assert fuzz.main(["--cases", "4", "--seconds", "1"]) == 1
    assert message in capsys.readouterr().out
