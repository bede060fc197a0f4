"""The options by which commands name a system."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from legonn.bin.system_options import (
    add_system_options,
    check_system_options,
    load_system,
    load_with_decoders,
)
from legonn.errors import ConfigError


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_system_options(parser)
    return parser.parse_args(options)


@pytest.mark.parametrize(
    "options",
    [
        ["--system", "a"],
        ["--system", "a", "--checkpoint", "b.pth"],
        ["--encoder", "a", "--decoder", "b"],
        ["--encoder", "a", "--bridge", "b", "--bridge", "c", "--decoder", "d"],
    ],
)
def test_one_system_is_named(options: list[str]) -> None:
    check_system_options(parsed(*options))


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--encoder", "a"],
        ["--decoder", "a"],
        ["--system", "a", "--decoder", "b"],
        ["--system", "a", "--bridge", "b"],
        ["--encoder", "a", "--decoder", "b", "--checkpoint", "c.pth"],
    ],
)
def test_anything_else_is_refused(options: list[str]) -> None:
    with pytest.raises(ConfigError, match="name either --system EXP"):
        check_system_options(parsed(*options))


def test_an_ensembles_members_are_in_their_order(experiment: Path, plain_experiment: Path) -> None:
    names = [str(plain_experiment), str(experiment)]
    system, _ = load_system(
        parsed("--system", names[1], "--ensemble", names[0], "--ensemble", names[1])
    )
    chains = system.chain.members()
    assert [chain.ingestor is None for chain in chains] == [False, True, False]
    assert system.name == " and ".join([names[1], *names])


def test_what_was_not_seen_in_training_comes_as_a_warning(plain_experiment: Path) -> None:
    system, notes = load_system(parsed("--system", str(plain_experiment)))
    assert system.name == str(plain_experiment) and notes == []
    name = str(plain_experiment)
    system, notes = load_system(parsed("--encoder", name, "--decoder", name))
    assert system.chain.head is None
    (note,) = notes
    assert note.startswith("warning: ") and "Expect noise" in note


def test_other_decoders_come_by_their_names(experiment: Path, plain_experiment: Path) -> None:
    system, _ = load_system(parsed("--system", str(experiment)))
    names = [f"{experiment}:{name}" for name in ("latest.pth", "3epoch.pth")]
    systems, notes = load_with_decoders(system, names)
    assert list(systems) == names and notes == []
    assert [one.name for one in systems.values()] == [f"{experiment}+{experiment}"] * 2
    plain, _ = load_system(parsed("--system", str(plain_experiment)))
    _, (note,) = load_with_decoders(plain, [str(plain_experiment)])
    assert note.startswith("warning: ") and "Expect noise" in note
