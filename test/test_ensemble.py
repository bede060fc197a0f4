"""An ensemble: whose layers it has, and what systems can't be one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from legonn.audio.source import Sound
from legonn.chain import Chain
from legonn.ensemble import Ensemble
from legonn.errors import ConfigError
from legonn.factory import build_chain
from legonn.interface import Interface
from legonn.system import System
from legonn.tokenizer import TextCodec


def built(config: dict[str, Any], seed: int) -> Chain:
    torch.manual_seed(seed)
    return build_chain(config, source_size=9, target_size=7).eval()


def test_it_encodes_as_its_first_member(chain_config: Callable[..., dict[str, Any]]) -> None:
    first, other = (built(chain_config(), seed) for seed in (1, 2))
    ensemble = Ensemble(first, [other])
    assert ensemble.members() == [ensemble, other]
    assert ensemble.encoder is first.encoder and ensemble.decoder is first.decoder
    source, lengths = torch.tensor([[2, 3, 4]]), torch.tensor([3])
    assert torch.equal(
        ensemble.encode(source, lengths).memory, first.encode(source, lengths).memory
    )


def test_the_members_of_ensembles_are_members(
    chain_config: Callable[..., dict[str, Any]],
) -> None:
    one, two, three, four = (built(chain_config(), seed) for seed in (1, 2, 3, 4))
    everyone = Ensemble(Ensemble(one, [two]), [Ensemble(three, [four])])
    weights = [member.decoder.embedding.weight for member in everyone.members()]
    assert [w.data_ptr() for w in weights] == [
        chain.decoder.embedding.weight.data_ptr() for chain in (one, two, three, four)
    ]


@pytest.fixture
def system(chain_config: Callable[..., dict[str, Any]]) -> System:
    words = [f"w{i}" for i in range(5)]
    source = TextCodec(token_type="word", tokens=["<blank>", "<unk>", *words, "x", "<sos/eos>"])
    target = TextCodec(token_type="word", tokens=["<blank>", "<unk>", *words[:4], "<sos/eos>"])
    config = chain_config()
    return System(built(config, 1), source, target, Interface.of(target), "exp/a", config)


def test_systems_are_joined_by_what_they_read_and_write(system: System) -> None:
    other = dataclasses.replace(system, name="exp/b")
    both = system.with_others([other])
    assert both.name == "exp/a and exp/b"
    assert isinstance(both.chain, Ensemble) and not both.chain.training
    assert (both.source, both.target) == (system.source, system.target)
    assert both.parameters() == system.parameters()  # the layers are the same here


def test_others_that_read_something_else_are_refused(system: System) -> None:
    fewer = TextCodec(token_type="word", tokens=system.source.tokens[:-2])
    letters = TextCodec(token_type="char", tokens=system.source.tokens)
    for source, why in (
        (fewer, r"of what they read, token lists differ \(9 and 7.*--src_token_listdir"),
        (letters, "they read text as word and char tokens"),
        (Sound(16000), "they read text and speech at 16000 Hz"),
    ):
        other = dataclasses.replace(system, name="exp/b", source=source)
        with pytest.raises(ConfigError, match=f"^exp/a and exp/b can't decode together: {why}$"):
            system.with_others([other])
    hears, faster = (dataclasses.replace(system, source=Sound(rate)) for rate in (8000, 16000))
    assert isinstance(hears.with_others([hears]).chain, Ensemble)
    with pytest.raises(ConfigError, match="they read speech at 8000 Hz and speech at 16000 Hz$"):
        hears.with_others([faster])


def test_others_that_write_other_tokens_are_refused(system: System) -> None:
    more = TextCodec(token_type="word", tokens=[*system.target.tokens[:-1], "w9", "<sos/eos>"])
    other = dataclasses.replace(system, name="exp/b", target=more, interface=Interface.of(more))
    with pytest.raises(
        ConfigError, match=r"of what they write, token lists differ \(7 and 8.*--token_listdir$"
    ):
        system.with_others([other])


def test_it_is_not_saved(system: System, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="^exp/a and exp/a is not one system: save each by itself$"
    ):
        system.with_others([system]).save(tmp_path / "both")
    assert not (tmp_path / "both").exists()
