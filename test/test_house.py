"""The house: what is pinned, what the README promises, what must not be in a tracked file."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

# Import names that aren't the package's name.
PACKAGE_OF = {"yaml": "pyyaml", "espnet2": "espnet"}


def literal(name: str) -> dict[str, str]:
    """A table of setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return dict(ast.literal_eval(node.value))
    raise AssertionError(f"setup.py has no {name}")


@functools.cache
def pins() -> list[Requirement]:
    """The lines of the constraints file."""
    lines = (ROOT / "tools" / "constraints.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@functools.cache
def pinned(python: str) -> dict[str, list[str]]:
    """The versions that the constraints file gives each package on this Python, on Linux."""
    environment = {"python_version": python, "sys_platform": "linux"}
    versions: dict[str, list[str]] = {}
    for pin in pins():
        if pin.marker is None or pin.marker.evaluate(environment):
            name = canonicalize_name(pin.name)
            versions.setdefault(name, []).append(str(pin.specifier).removeprefix("=="))
    return versions


def tracked() -> list[Path]:
    """The files that Git tracks; all but ignored ones before they are added."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a Git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def setup_venv(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("setup_venv")


@pytest.mark.parametrize("python", PYTHONS)
def test_each_dependency_is_pinned_once_inside_its_range(python: str) -> None:
    for wanted in map(Requirement, [*literal("REQUIRED"), *literal("DEVELOPMENT")]):
        versions = pinned(python)[canonicalize_name(wanted.name)]
        assert len(versions) == 1, wanted
        assert wanted.specifier.contains(versions[0]), wanted


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_is_exact_and_at_most_one_a_package(python: str) -> None:
    assert [pin for pin in pins() if not re.fullmatch("==[^*,]+", str(pin.specifier))] == []
    assert {name: found for name, found in pinned(python).items() if len(found) > 1} == {}


def test_each_dependency_has_its_reason() -> None:
    reasons = [*literal("REQUIRED").values(), *literal("DEVELOPMENT").values()]
    assert all(len(reason.split()) >= 2 for reason in reasons)


def test_every_import_is_a_dependency() -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in literal("REQUIRED")}
    for path in (ROOT / "legonn").rglob("*.py"):
        for name in imported(path) - set(sys.stdlib_module_names) - {"legonn"}:
            assert canonicalize_name(PACKAGE_OF.get(name, name)) in declared, f"{path}: {name}"


def imported(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


# What reads checkpoints that the user named, or made itself, and only as tensors.
READERS = {
    "legonn/experiment.py",
    "legonn/trainer.py",
    "legonn/finetuning.py",
    "tools/bench_module.py",
}
UNPICKLES = ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")


def test_nothing_is_unpickled_anywhere() -> None:
    found = []
    sources = [p for name in ("legonn", "egs", "tools") for p in (ROOT / name).rglob("*.py")]
    assert len(sources) > 40
    for path in sources:
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            torch_safe = name in READERS and options.get("weights_only") == "True"
            plain = name == "legonn/plain_yaml.py" and options.get("Loader") == "loader"
            bad = {
                "torch.load": not torch_safe,
                "torch.jit.load": True,
                "yaml.load": not plain,
                "yaml.safe_load": name.startswith("legonn/"),
                "yaml.full_load": True,
                "yaml.unsafe_load": True,
                "numpy.load": True,
                "np.load": "allow_pickle" in options,
                "eval": True,
                "exec": True,
            }
            if bad.get(called, called.partition(".")[0] in UNPICKLES):
                found.append(f"{name}:{node.lineno}: {called}")
    assert found == []


# ESPnet's commands that recipes may call: of the others, many unpickle checkpoints.
ESPNETS = {"aggregate_stats_dirs", "launch"}


def test_no_recipe_calls_a_command_of_espnets_that_unpickles() -> None:
    scripts = [path for name in ("egs", "tools") for path in (ROOT / name).rglob("*.sh")]
    assert any(path.name == "stages_lm.sh" for path in scripts)
    called = re.compile(r"^(?!\s*#).*?\bespnet2?\.bin\.(\w+)", re.MULTILINE)
    found = {name for path in scripts for name in called.findall(path.read_text(encoding="utf-8"))}
    assert found == ESPNETS


def test_setup_reads_markers_as_packaging_does(setup_venv: ModuleType) -> None:
    here = {
        f"{pin.name}{pin.specifier}" for pin in pins() if not pin.marker or pin.marker.evaluate()
    }
    assert set(setup_venv.read_pins()) == here


@pytest.mark.parametrize("newer", ["setup.py", "constraints.txt"])
def test_a_changed_input_makes_the_environment_stale(
    newer: str, setup_venv: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [tmp_path / "setup.py", tmp_path / "constraints.txt"]
    stamp = tmp_path / "complete"
    monkeypatch.setattr(setup_venv, "INPUTS", tuple(inputs))
    monkeypatch.setattr(setup_venv, "STAMP", stamp)
    for path in inputs:
        path.touch()
        set_time(path, 1000)
    assert not setup_venv.is_current()  # an interrupted installation has no stamp
    stamp.touch()
    set_time(stamp, 2000)
    assert setup_venv.is_current()
    set_time(tmp_path / newer, 3000)
    assert not setup_venv.is_current()


def set_time(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


def test_failed_installation_shows_the_logs_end(
    setup_venv: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_venv, "LOG", tmp_path / "install.log")
    command = [sys.executable, "-c", "print('ERROR: no such version'); raise SystemExit(1)"]
    with pytest.raises(setup_venv.SetupError, match=r"ERROR: no such version\n.*install\.log"):
        setup_venv.call(command)


def test_readmes_make_commands_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)(?=[ `\n])", code_of(README)))
    assert {"demo", "test", "check", "clean", "help"} <= named
    assert named <= TARGETS


def code_of(markdown: str) -> str:
    """The indented lines and the spans in backquotes."""
    lines = [line for line in markdown.splitlines() if line.startswith("    ")]
    return "\n".join([*lines, *(f"{span}`" for span in re.findall(r"`([^`\n]+)`", markdown))])


def test_readmes_paths_exist() -> None:
    names = re.findall(r"\]\(((?!https?:)[^)]+)\)", README)
    table = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    names += [name for cell in table for name in re.findall(r"`([^`]+)`", cell) if "<" not in name]
    assert "docs/chain.svg" in names and "legonn/search/" in names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_readmes_recipe_options_exist() -> None:
    script = (ROOT / "egs" / "TEMPLATE" / "lego1" / "lego.sh").read_text()
    own = (ROOT / "egs" / "multi30k" / "lego1" / "run.sh").read_text()
    swap = README[README.index("## A swap") : README.index("## Translate")]
    options = set(re.findall(r"--(\w+)", swap)) - {"help"}
    assert {"pretrained_encoder", "pretrained_decoder", "skip_train"} <= options
    for option in options:
        assert re.search(rf"^{option}=", script + own, re.MULTILINE), option


def test_readmes_python_is_valid_and_its_names_exist() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    tree = ast.parse(blocks[0])
    import legonn

    names = [a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names]
    assert names == ["LanguageModel", "System"]
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert called == {"compose", "load", "text", "translate", "with_language_model", "with_others"}
    assert all(hasattr(legonn.System, name) for name in called - {"text"})
    assert callable(legonn.LanguageModel.load)


def test_readmes_verbs_are_the_commands_verbs() -> None:
    from legonn.cli import VERBS

    line = re.search(r"lists the verbs: (.+?)\.\n", README, re.DOTALL)
    assert line is not None
    assert re.findall(r"`(\w+)`", line[1]) == list(VERBS)


def test_ci_runs_the_readmes_test_command_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["exec make test"]
    assert "    make test\n" in README


def test_no_tracked_file_names_a_machine() -> None:
    # Spelled in parts, so that this file doesn't match itself.
    machine = re.compile(
        "|".join(["/wo" + "rk/", "/tm" + r"p/\w", "/ro" + "ot/", "/ho" + r"me/\w"])
    )
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, a model
        found += [
            f"{path.relative_to(ROOT)}: {line}"
            for line in text.splitlines()
            if machine.search(line)
        ]
    assert found == []


def test_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability" in text
    assert 'license="Apache-2.0"' in (ROOT / "setup.py").read_text()
