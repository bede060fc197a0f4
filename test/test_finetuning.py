"""Training from trained parts: what is adopted, what stays, what is refused."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from legonn.bin.pack import main as pack
from legonn.errors import ConfigError, InterfaceMismatch
from legonn.factory import build_chain
from legonn.finetuning import check_frozen, frozen_kinds, kind_of, parameter_groups
from legonn.system import System, load_part


@pytest.fixture(scope="module")
def modules(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    pack([str(experiment), "--output", str(folder)])
    return folder


def chain(make: Callable[..., dict[str, Any]]) -> nn.Module:
    bridge = {"width": 16, "heads": 2, "feedforward": 32}
    return build_chain(make(bridges=[bridge]), source_size=9, target_size=9)


def test_every_parameter_belongs_to_a_part(chain_config: Callable[..., dict[str, Any]]) -> None:
    kinds = {
        name.partition(".")[0]: kind_of(name) for name, _ in chain(chain_config).named_parameters()
    }
    assert kinds == {
        "encoder": "encoder",
        "head": "encoder",
        "bridges": "bridge",
        "ingestor": "decoder",
        "decoder": "decoder",
    }


def test_each_part_has_its_learning_rate(chain_config: Callable[..., dict[str, Any]]) -> None:
    model = chain(chain_config)
    groups = parameter_groups(model, {"decoder": 0.1, "encoder": 2.0}, 0.01)
    assert [group["lr"] for group in groups] == pytest.approx([0.02, 0.01, 0.001])
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
    model.get_parameter("head.linear.weight").requires_grad_(False)
    fewer = parameter_groups(model, {}, 0.01)
    assert len(fewer[0]["params"]) == len(groups[0]["params"]) - 1


def test_a_hybrids_encoder_is_lent_to_a_chain(
    train: Callable[..., Path], experiment: Path, tmp_path: Path
) -> None:
    hybrid = train(tmp_path / "hybrid", "--system", "hybrid", "--max_epoch", "1")
    own, joined = System.load(hybrid), System.compose(encoder=hybrid, decoder=experiment)
    assert System.compose(encoder=hybrid, decoder=hybrid).config["system"] == "hybrid"
    assert joined.parts()[0].parameters() == own.parts()[0].parameters()
    tokens, lengths = torch.tensor([[2, 3, 4], [3, 2, 0]]), torch.tensor([3, 2])
    crossing = [ctc(system, tokens, lengths) for system in (own, joined)]
    assert len(crossing[0]) == 5
    torch.testing.assert_close(*crossing)

    joined.save(tmp_path / "joined")
    assert torch.equal(ctc(System.load(tmp_path / "joined"), tokens, lengths), crossing[1])
    tuned = train(
        tmp_path / "tuned",
        *("--pretrained_encoder", str(hybrid), "--pretrained_decoder", str(experiment)),
        *("--freeze", "encoder", "--max_epoch", "1"),
    )
    assert torch.equal(ctc(System.load(tuned), tokens, lengths), crossing[1])


def ctc(system: System, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The log-probabilities that the head of a system gives to (B, T) source ids: (N, V), N = lengths.sum()."""
    chain = system.chain
    assert chain.head is not None
    with torch.no_grad():
        states, lengths, _ = chain.encoder(tokens, lengths)
        log_probs = chain.head(states, lengths).log_probs
    return torch.cat([row[:length] for row, length in zip(log_probs, lengths, strict=True)])


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"vocoder": 1.0}, "has no part 'vocoder'; legal are encoder, bridge, decoder"),
        ({"decoder": -0.1}, "decoder is -0.1; it must be 0 or more"),
        ({"decoder": "low"}, "decoder is 'low'"),
    ],
)
def test_illegal_factors_are_named(
    chain_config: Callable[..., dict[str, Any]], factors: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        parameter_groups(chain(chain_config), factors, 0.01)


def test_the_frozen_decoder_is_the_module_bit_for_bit(
    train: Callable[..., Path], experiment: Path, modules: Path, tmp_path: Path
) -> None:
    decoder = modules / "lego_decoder"
    options = ["--pretrained_encoder", str(experiment), "--pretrained_decoder", str(decoder)]
    folder = train(tmp_path / "tuned", *options, "--freeze", "decoder")
    before = {kind: load_part(experiment, kind) for kind in ("encoder", "decoder")}
    for name in ("valid.acc.ave.pth", "latest.pth"):
        assert load_part(f"{folder}:{name}", "decoder").sha256() == before["decoder"].sha256()
        assert load_part(f"{folder}:{name}", "encoder").sha256() != before["encoder"].sha256()
    parents = yaml.safe_load((folder / "interface.yaml").read_text())["provenance"]["parents"]
    assert parents == [
        {"kind": "encoder", "name": str(experiment), "weights_sha256": before["encoder"].sha256()},
        {"kind": "decoder", "name": str(decoder), "weights_sha256": before["decoder"].sha256()},
    ]


def test_training_starts_from_the_parts(
    train: Callable[..., Path], experiment: Path, modules: Path, tmp_path: Path
) -> None:
    """With no learning rate nothing moves: the new experiment is the old one."""
    options = ["--pretrained_encoder", str(modules / "lego_encoder"), "--max_epoch", "1"]
    options += ["--pretrained_decoder", str(modules / "lego_decoder"), "--optim_conf", "lr=0.0"]
    folder = train(tmp_path / "same", *options)
    for kind in ("encoder", "decoder"):
        assert load_part(folder, kind).sha256() == load_part(experiment, kind).sha256()


def test_a_part_learns_at_its_own_rate(
    train: Callable[..., Path], experiment: Path, tmp_path: Path
) -> None:
    options = ["--pretrained_encoder", str(experiment), "--pretrained_decoder", str(experiment)]
    options += ["--lr_factors", "decoder=0.0", "--max_epoch", "1"]
    folder = train(tmp_path / "slow", *options)
    same = {
        kind: load_part(folder, kind).sha256() == load_part(experiment, kind).sha256()
        for kind in ("encoder", "decoder")
    }
    assert same == {"encoder": False, "decoder": True}


def test_a_new_encoder_learns_before_an_old_decoder(
    train: Callable[..., Path], modules: Path, tmp_path: Path
) -> None:
    """The module says what the decoder is, the configuration how it is trained and what the encoder is."""
    decoder = ["--pretrained_decoder", str(modules / "lego_decoder"), "--freeze", "decoder"]
    options = ["--encoder_conf", "layers_before=0", "--max_epoch", "1"]
    options += ["--decoder_conf", "width=24", "--decoder_conf", "dropout=0.3"]
    system = System.load(train(tmp_path / "new", *decoder, *options))
    assert not list(system.chain.encoder.get_submodule("before.blocks").children())
    assert system.config["decoder_conf"]["width"] == 16
    assert system.config["decoder_conf"]["dropout"] == 0.3


@pytest.fixture(scope="module")
def speller(
    train: Callable[..., Path], corpus: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A system that writes fewer and shorter pieces."""
    small = ["--token_list", f"{corpus.folder / 'small'}.txt"]
    small += ["--bpemodel", f"{corpus.folder / 'small'}.model", "--max_epoch", "1"]
    folder = tmp_path_factory.mktemp("speller") / "exp"
    return train(folder, *small, "--encoder_conf", "length_ratio=6.0")


def bridged(corpus: Any, tokens: str) -> list[str]:
    """Options of a chain whose first interface has these tokens, and whose bridge leads to the target's."""
    bridge = "{width: 16, heads: 2, feedforward: 16, layers_before: 0, layers_after: 0}"
    options = ["--bridges", f"[{bridge}]", "--chain_conf", "encoder_target=text_bpe"]
    options += ["--interface_token_lists", f"text_bpe={corpus.folder / tokens}.txt"]
    options += ["--interface_bpemodels", f"text_bpe={corpus.folder / tokens}.model"]
    for part in ("train", "valid"):
        data = f"{corpus.folder / part}.tgt,text_bpe,text"
        options += [f"--{part}_data_path_and_name_and_type", data]
    return [*options, "--encoder_conf", "length_ratio=6.0", "--max_epoch", "1"]


def test_an_encoder_of_other_tokens_stands_before_a_bridge(
    train: Callable[..., Path], speller: Path, corpus: Any, tmp_path: Path
) -> None:
    """Trained alone it writes its `text`; behind it, the bridge and the decoder of a chain that it was no part of."""
    chain = train(tmp_path / "chain", *bridged(corpus, "small"))
    system = System.compose(encoder=speller, bridges=[chain], decoder=chain)
    assert system.chain.interface_targets() == ["text_bpe", "text"]
    written = system.parts()[0].writes
    assert written is not None
    assert written.tokens == tuple((corpus.folder / "small.txt").read_text().splitlines())
    assert (written.unit, len(written.tokenizer_sha256)) == ("bpe", 64)
    assert system.parts()[1].source is system.between["text_bpe"]
    system.save(tmp_path / "composed")
    again = System.load(tmp_path / "composed")
    best = [s.translate(["unu trei"], beam_size=2)[0] for s in (system, again)]
    assert best[0].text == best[1].text
    assert best[0].score == pytest.approx(best[1].score, abs=1e-5)

    # Taken out of the chain, it writes `text` again.
    back = System.compose(encoder=tmp_path / "composed", decoder=speller)
    back.save(tmp_path / "back")
    one, other = (
        s.translate(["unu trei"], beam_size=2)[0].text for s in (back, System.load(speller))
    )
    assert (
        one == other == System.load(tmp_path / "back").translate(["unu trei"], beam_size=2)[0].text
    )

    parts = ["--pretrained_encoder", str(speller), "--pretrained_bridge", str(chain)]
    parts += ["--pretrained_decoder", str(chain)]
    still = ["--optim_conf", "lr=0.0"]
    tuned = System.load(train(tmp_path / "tuned", *bridged(corpus, "small"), *parts, *still))
    assert [part.sha256() for part in tuned.parts()] == [part.sha256() for part in again.parts()]


def test_a_part_is_as_it_was_after_it_was_joined(
    train: Callable[..., Path], speller: Path, corpus: Any, tmp_path: Path
) -> None:
    chain = System.load(train(tmp_path / "chain", *bridged(corpus, "small"))).parts()
    alone = System.load(speller)
    encoder = alone.parts()[0]
    for _ in range(2):
        assert System.join([encoder, *chain[1:]]).between.keys() == {"text_bpe"}
    assert alone.chain.interface_targets() == ["text"]
    again = dataclasses.replace(chain[1], reads=chain[1].writes)
    shorter = dataclasses.replace(encoder, target=chain[1].target, writes=chain[1].writes)
    assert System.join([shorter, again, chain[2]]).between == {}
    assert encoder.writes is not None
    other = dataclasses.replace(chain[1], writes=encoder.writes, target=encoder.target)
    other = dataclasses.replace(other, reads=shorter.writes)
    assert System.join([shorter, other, *chain[1:]]).between.keys() == {"text_bpe"}


def test_an_encoder_before_a_bridge_writes_what_the_bridge_reads(
    train: Callable[..., Path], speller: Path, corpus: Any, tmp_path: Path
) -> None:
    pretrained = ["--pretrained_encoder", str(speller)]
    with pytest.raises(InterfaceMismatch, match="exp does not fit this training's bridge"):
        train(tmp_path / "x", *bridged(corpus, "src"), *pretrained)
    bridge = ["--bridges", "[{width: 16, heads: 2, feedforward: 16}]"]
    with pytest.raises(ConfigError, match="writes text_bpe before a bridge: give its token list"):
        train(tmp_path / "x", *pretrained, *bridge)
    lists = bridged(corpus, "small")
    at = lists.index("--interface_token_lists")
    with pytest.raises(ConfigError, match="text_bpe has no --interface_token_lists text_bpe"):
        train(tmp_path / "x", *lists[:at], *lists[at + 2 :])


def test_other_tokens_are_refused_before_anything_is_written(
    train: Callable[..., Path], modules: Path, corpus: Any, tmp_path: Path
) -> None:
    source = ["--token_list", str(corpus.folder / "src.txt")]
    source += ["--bpemodel", str(corpus.folder / "src.model")]
    with pytest.raises(InterfaceMismatch, match="does not fit decoder .*lego_decoder"):
        train(tmp_path / "x", *source, "--pretrained_decoder", str(modules / "lego_decoder"))
    target = ["--src_token_list", str(corpus.folder / "tgt.txt")]
    target += ["--src_bpemodel", str(corpus.folder / "tgt.model")]
    with pytest.raises(ConfigError, match="lego_encoder reads other source tokens"):
        train(tmp_path / "x", *target, "--pretrained_encoder", str(modules / "lego_encoder"))
    assert not (tmp_path / "x").exists()


def test_a_trained_encoder_gets_another_source(
    train: Callable[..., Path], experiment: Path, corpus: Any, tmp_path: Path
) -> None:
    """With no learning rate all is the old one's, but for the embeddings of tokens that it did not have."""
    options = ["--src_token_list", str(corpus.folder / "tgt.txt")]
    options += ["--src_bpemodel", str(corpus.folder / "tgt.model")]
    options += ["--pretrained_encoder", str(experiment), "--replace_source", "true"]
    folder = train(tmp_path / "x", *options, "--max_epoch", "1", "--optim_conf", "lr=0.0")
    old, new = (load_part(name, "encoder") for name in (experiment, folder))
    before, after = old.weights(), new.weights()
    embedding = "encoder.front_end.embedding.weight"
    rows, known = after.pop(embedding), before.pop(embedding)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    tokens = [part.source.tokens for part in (old, new)]  # type: ignore[union-attr]
    kept = set(tokens[0]) & set(tokens[1])
    assert 4 < len(kept) < len(tokens[1])
    for token, row in zip(tokens[1], rows, strict=True):
        same = token in kept and torch.equal(row, known[tokens[0].index(token)])
        assert same == (token in kept), token
    parents = yaml.safe_load((folder / "interface.yaml").read_text())["provenance"]["parents"]
    assert [(parent["kind"], parent["source"]) for parent in parents] == [("encoder", "replaced")]
    pack([str(folder), "--output", str(tmp_path / "modules")])
    packed = load_part(tmp_path / "modules" / "x_encoder", "encoder")
    assert packed.provenance["parents"] == parents


def test_replacing_the_source_of_nothing_is_refused(
    train: Callable[..., Path], experiment: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="name one, --pretrained_encoder"):
        train(tmp_path / "x", "--replace_source", "true")
    frozen = ["--pretrained_encoder", str(experiment), "--freeze", "encoder"]
    with pytest.raises(ConfigError, match="--freeze encoder would keep it untrained: drop either"):
        train(tmp_path / "x", "--replace_source", "true", *frozen)


def test_freezing_what_is_new_is_refused(train: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--freeze decoder would keep it untrained"):
        train(tmp_path / "x", "--freeze", "decoder")


@pytest.mark.parametrize("freeze", ["decoder", ["decoder"]])
def test_a_configuration_freezes_one_part_or_a_list(
    train: Callable[..., Path], corpus: Any, experiment: Path, tmp_path: Path, freeze: object
) -> None:
    config = yaml.safe_load((corpus.folder / "config.yaml").read_text())
    path = tmp_path / "freeze.yaml"
    path.write_text(yaml.safe_dump({**config, "max_epoch": 1, "freeze": freeze}))
    options = ["--config", str(path), "--pretrained_decoder", str(experiment)]
    folder = train(tmp_path / "tuned", *options)
    wanted = load_part(experiment, "decoder").sha256()
    assert load_part(f"{folder}:latest.pth", "decoder").sha256() == wanted
    assert yaml.safe_load((folder / "config.yaml").read_text())["freeze"] == ["decoder"]


def test_what_can_be_frozen() -> None:
    assert frozen_kinds(None) == [] and frozen_kinds([]) == []
    assert frozen_kinds("encoder") == ["encoder"]
    assert frozen_kinds(["encoder", "bridge"]) == ["encoder", "bridge"]


@pytest.mark.parametrize("given", ["decodr", "", True, 3, {"decoder": True}, ["encoder", None]])
def test_what_names_no_part_cannot_be_frozen(given: object) -> None:
    with pytest.raises(ConfigError, match=r"^freeze is .*; it wants .* freeze: \[decoder\]; legal"):
        frozen_kinds(given)


def test_a_changed_checkpoint_is_noticed(experiment: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    before = load_part(experiment, "decoder").weights()  # the average's, no single epoch's
    with pytest.raises(RuntimeError, match="was frozen, and changed in training"):
        check_frozen(copy, before)


def test_an_average_gets_the_weights_themselves(tmp_path: Path) -> None:
    before = {"decoder.weight": torch.tensor([0.1, 0.7])}
    near = {
        "decoder.weight": torch.nextafter(before["decoder.weight"], torch.ones(2)),
        "x": torch.ones(1),
    }
    torch.save(near, tmp_path / "valid.acc.ave_7best.pth")
    check_frozen(tmp_path, before)
    found = torch.load(tmp_path / "valid.acc.ave_7best.pth", weights_only=True)
    assert torch.equal(found["decoder.weight"], before["decoder.weight"])
    assert torch.equal(found["x"], near["x"])


def test_text_normalised_in_another_way_than_the_parts_is_told(
    train: Callable[..., Path],
    experiment: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = ["--pretrained_decoder", str(experiment), "--max_epoch", "1"]
    with caplog.at_level(logging.WARNING):
        train(tmp_path / "same", *options)
        assert "was trained on text of" not in caplog.text
        train(tmp_path / "lower", *options, "--case", "lc")
        here = "this training's is of case lc, with punctuation (--case, --punctuation; recipes: "
        assert here in caplog.text
        there = f"decoder {experiment} was trained on text of case tc, with punctuation"
        assert there in caplog.text
        train(tmp_path / "bare", *options, "--punctuation", "false")
    assert "this training's is of case tc, no punctuation" in caplog.text
