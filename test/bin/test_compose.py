"""`legonn compose`: parts of different origin become an experiment folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from legonn.bin.compose import main
from legonn.bin.decode import main as decode
from legonn.bin.pack import main as pack
from legonn.cli import run
from legonn.errors import ConfigError
from legonn.interface import Interface
from legonn.system import System, load_part
from legonn.tokenizer import TextCodec

LINES = ["unu doi", "trei", "patru cinci unu"]


@pytest.fixture(scope="module")
def modules(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    pack([str(experiment), "--output", str(folder)])
    return folder


def compose(modules: Path, output: Path, *more: str) -> Path:
    parts = [
        word for k in ("encoder", "decoder") for word in (f"--{k}", str(modules / f"lego_{k}"))
    ]
    assert main([*parts, "--output", str(output), *more]) == 0
    return output


def test_the_folder_translates_as_the_original(
    experiment: Path, modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = compose(modules, tmp_path / "both")
    size = System.load(experiment).parameters() / 1e6
    origin = f"{modules}/lego_encoder+{modules}/lego_decoder"
    assert capsys.readouterr().out == f"{folder}: {size:.2f} M parameters, from {origin}\n"
    (tmp_path / "in.txt").write_text("\n".join(LINES) + "\n")
    found = []
    for system in (experiment, folder):
        decode(["--system", str(system), "--input", str(tmp_path / "in.txt"), "--beam_size", "2"])
        found.append(capsys.readouterr().out)
    assert found[0] == found[1] and found[0].count("\n") == len(LINES)


def test_it_is_whole_without_its_parents(modules: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(modules, tmp_path / "m"))
    folder = compose(copy, tmp_path / "both")
    before = System.load(folder).translate(LINES, beam_size=2)
    shutil.rmtree(copy)
    moved = Path(shutil.move(folder, tmp_path / "moved"))
    after = System.load(moved).translate(LINES, beam_size=2)
    assert [one.text for one in after] == [one.text for one in before]


def test_its_provenance_names_parents_and_hashes(
    experiment: Path, modules: Path, tmp_path: Path
) -> None:
    folder = compose(modules, tmp_path / "both")
    document = yaml.safe_load((folder / "interface.yaml").read_text(encoding="utf-8"))
    assert document["provenance"]["parents"] == [
        {
            "kind": kind,
            "name": str(modules / f"lego_{kind}"),
            "weights_sha256": load_part(experiment, kind).sha256(),
        }
        for kind in ("encoder", "decoder")
    ]


def test_it_is_packed_like_any_other(experiment: Path, modules: Path, tmp_path: Path) -> None:
    folder = compose(modules, tmp_path / "both")
    pack([str(folder), "--output", str(tmp_path / "again")])
    for kind in ("encoder", "decoder"):
        found = load_part(tmp_path / "again" / f"both_{kind}", kind)
        assert found.sha256() == load_part(experiment, kind).sha256()


def edit(path: Path, **changes: Any) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**document, **changes}, allow_unicode=True), encoding="utf-8")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_packed_again_each_part_states_what_it_stated(
    experiment: Path, tmp_path: Path, dtype: str
) -> None:
    """Two experiments of different origin; the encoder's positions grow with its ratio, from 2.0 to 3.0."""
    origins = {"encoder": (1.0, 2.0, 4.0), "decoder": (0.5, 2.5, 9.0)}
    for kind, seen in origins.items():
        copy = Path(shutil.copytree(experiment, tmp_path / kind, symlinks=True))
        provenance = {"training_set": [f"data/{kind}"], "date": "2026-01-01", "parents": []}
        edit(copy / "interface.yaml", positions_per_token=list(seen), provenance=provenance)
        packed = ["--output", str(tmp_path / "m"), "--part", kind, "--dtype", dtype]
        pack([str(copy), *packed, "--name", "lego"])
    folder = compose(tmp_path / "m", tmp_path / "both", "--length_ratio", "3.0")
    pack([str(folder), "--output", str(tmp_path / "again")])
    for kind, side in (("encoder", "writes"), ("decoder", "reads")):
        before = load_part(tmp_path / "m" / f"lego_{kind}", kind)
        after = load_part(tmp_path / "again" / f"both_{kind}", kind)
        seen = (1.5, 3.0, 6.0) if kind == "encoder" else origins[kind]
        assert getattr(after, side).positions_per_token == seen
        assert getattr(after, side).provenance == getattr(before, side).provenance
        assert after.provenance["training_set"] == [f"data/{kind}"]
        assert after.provenance["parents"] == [before.record()]
        assert load_part(folder, kind).stated_sha256 == before.stated_sha256


def test_what_a_part_stated_holds_for_its_weights_only(modules: Path, tmp_path: Path) -> None:
    folder = compose(modules, tmp_path / "both")
    states = torch.load(folder / "composed.pth", weights_only=True)
    states["head.linear.bias"] += 1
    torch.save(states, folder / "composed.pth")
    encoder, decoder = System.load(folder).parts()
    assert "training_set" not in encoder.provenance and "stated" not in encoder.provenance
    assert [parent["kind"] for parent in encoder.provenance["parents"]] == ["encoder", "decoder"]
    module = load_part(modules / "lego_decoder", "decoder")
    assert decoder.provenance == {**module.provenance, "parents": [module.record()]}


@pytest.mark.parametrize("stated", [[], [{}, {}], 3, [{"weights_sha256": "00"}, 3]])
def test_damaged_statements_are_an_error(modules: Path, tmp_path: Path, stated: Any) -> None:
    folder = compose(modules, tmp_path / "both")
    document = yaml.safe_load((folder / "interface.yaml").read_text(encoding="utf-8"))
    edit(folder / "interface.yaml", provenance={**document["provenance"], "stated": stated})
    with pytest.raises(ConfigError, match="doesn't say what its 2 parts were .*: compose it again"):
        System.load(folder).parts()


def test_a_new_length_ratio_is_kept(modules: Path, tmp_path: Path) -> None:
    folder = compose(modules, tmp_path / "both", "--length_ratio", "3.0")
    encoded = System.load(folder).chain.encode(torch.tensor([[3, 4, 5]]), torch.tensor([3]))
    assert encoded.lengths.tolist() == [9]


def test_an_experiment_is_not_overwritten(modules: Path, experiment: Path) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in experiment.iterdir())
    with pytest.raises(ConfigError, match="holds an experiment already: name another folder"):
        compose(modules, experiment)
    assert sorted((p.name, p.stat().st_mtime_ns) for p in experiment.iterdir()) == before


def test_a_file_in_the_way_is_one_error(
    modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    parts = ["--encoder", str(modules / "lego_encoder"), "--decoder", str(modules / "lego_decoder")]
    assert run(main, [*parts, "--output", str(tmp_path / "file")]) == 2
    assert f"error: can't write {tmp_path / 'file'}: " in capsys.readouterr().err


def test_a_misfit_is_one_error_and_leaves_nothing(
    plain_experiment: Path, modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--encoder", str(plain_experiment), "--decoder", str(modules / "lego_decoder")]
    assert run(main, [*words, "--output", str(tmp_path / "both")]) == 2
    assert "is a plain encoder-decoder (--system attention)" in capsys.readouterr().err
    assert not (tmp_path / "both").exists()


def test_modules_swapped_are_named(
    modules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--encoder", str(modules / "lego_decoder"), "--decoder", str(modules / "lego_encoder")]
    assert run(main, [*words, "--output", str(tmp_path / "both")]) == 2
    assert "is a module of kind decoder, and encoder is wanted" in capsys.readouterr().err


def test_a_warning_is_a_line(
    modules: Path, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    document = yaml.safe_load((copy / "interface.yaml").read_text(encoding="utf-8"))
    document["positions_per_token"] = [8.0, 9.0, 10.0]
    (copy / "interface.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
    seen = System.load(experiment).interface.positions_per_token
    words = ["--encoder", str(modules / "lego_encoder"), "--decoder", str(copy)]
    assert main([*words, "--output", str(tmp_path / "both")]) == 0
    errors = capsys.readouterr().err
    if seen is None:
        assert errors == ""
    else:
        assert (
            errors.startswith("legonn compose: warning: ")
            and "legonn compose --length_ratio" in errors
        )


def test_another_case_is_a_line(
    modules: Path, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told where parts are joined: here, and before decoding."""
    copy = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    edit(copy / "interface.yaml", case="lc", punctuation=False)
    words = ["--encoder", str(copy), "--decoder", str(modules / "lego_decoder")]
    assert main([*words, "--output", str(tmp_path / "both")]) == 0
    warning = (
        f"warning: encoder {copy} was trained on text of case lc, no punctuation, and decoder "
        f"{modules}/lego_decoder on text of case tc, with punctuation: what the one writes the other has never read."
    )
    assert capsys.readouterr().err.startswith(f"legonn compose: {warning}")
    (tmp_path / "in.txt").write_text("unu doi\n")
    assert decode([*words, "--input", str(tmp_path / "in.txt")]) == 0
    assert f"legonn decode: {warning}" in capsys.readouterr().err


def test_a_hybrids_encoder_and_its_module_compose_alike(
    train: Callable[..., Path],
    experiment: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hybrid = train(tmp_path / "hybrid", "--system", "hybrid", "--max_epoch", "1")
    edit(hybrid / "interface.yaml", positions_per_token=[0.9, 1.2, 1.5])
    pack([str(hybrid), "--output", str(tmp_path / "m")])
    decoder = Path(shutil.copytree(experiment, tmp_path / "reader", symlinks=True))
    edit(decoder / "interface.yaml", positions_per_token=[0.5, 0.7, 0.9])
    capsys.readouterr()
    found, printed = [], []
    for encoder in (hybrid, tmp_path / "m" / "hybrid_encoder"):
        words = ["--encoder", str(encoder), "--decoder", str(decoder), "--output"]
        assert main([*words, str(tmp_path / encoder.name / "as_it_is")]) == 0
        printed.append(capsys.readouterr().err.replace(str(encoder), "M"))
        output = tmp_path / encoder.name / "shorter"
        assert main([*words, str(output), "--length_ratio", "0.6"]) == 0
        assert capsys.readouterr().err == ""  # 0.72 positions a token
        found.append(System.load(output))
    assert "M gives 1.20 positions a token at the median" in printed[0]
    assert printed[0] == printed[1]
    ids, lengths = torch.tensor([[3, 4, 5, 3, 4]]), torch.tensor([5])
    with torch.no_grad():
        first, second = (system.chain.encode(ids, lengths) for system in found)
    assert first.lengths.tolist() == second.lengths.tolist() == [3]
    torch.testing.assert_close(first.memory, second.memory)
    assert found[0].config == found[1].config
    assert found[0].parts()[0].writes == found[1].parts()[0].writes
    with pytest.raises(ConfigError, match="has no length controller: length_ratio can't be set"):
        System.compose(encoder=hybrid, decoder=hybrid, length_ratio=0.6)


def test_bridges_stand_in_between(experiment: Path, tmp_path: Path) -> None:
    from legonn.module import write_module
    from legonn.part import Part, bridge_config, networks

    side = System.load(experiment).interface
    config = bridge_config({"width": 16, "heads": 2, "feedforward": 32, "length_ratio": 2.0})
    torch.manual_seed(0)
    size = len(side.tokens)
    bridge = Part(
        kind="bridge",
        name="b",
        config=config,
        network=torch.nn.ModuleDict(networks("bridge", config, reads=size, writes=size)).eval(),
        reads=side,
        writes=side,
        target=System.load(experiment).target,
    )
    write_module(bridge, tmp_path / "b.zip")
    words = ["--encoder", str(experiment), "--bridge", str(tmp_path / "b.zip")]
    words += ["--decoder", str(experiment), "--output", str(tmp_path / "long")]
    assert main(words) == 0
    parts = System.load(tmp_path / "long").parts()
    assert [part.kind for part in parts] == ["encoder", "bridge", "decoder"]
    assert parts[1].sha256() == bridge.sha256()
    encoded = System.load(tmp_path / "long").chain.encode(
        torch.tensor([[3, 4, 5]]), torch.tensor([3])
    )
    assert encoded.lengths.tolist() == [12]  # 3 x 2 x 2


def test_bridges_that_learned_in_another_place_of_a_chain_get_its_names(
    experiment: Path, tmp_path: Path
) -> None:
    from legonn.part import Part, bridge_config, networks

    side = System.load(experiment).interface
    small = TextCodec(token_type="char", tokens=["<blank>", "<unk>", "a", "<sos/eos>"])

    def bridge(name: str, target: str, reads: Any, writes: TextCodec | None) -> Part:
        options = {"width": 16, "heads": 2, "feedforward": 32, "target": target}
        config = bridge_config(options)
        codec = System.load(experiment).target if writes is None else writes
        sizes = {"reads": len(reads.tokens), "writes": len(codec.tokens)}
        return Part(
            kind="bridge",
            name=name,
            config=config,
            network=torch.nn.ModuleDict(networks("bridge", config, **sizes)).eval(),
            reads=reads,
            writes=side if writes is None else Interface.of(writes),
            target=codec,
        )

    encoder, decoder = System.load(experiment).parts()
    # Each learned alone: what the first wrote was its `text`, and the last one's had another name.
    first = bridge("a", "text", side, small)
    last = bridge("b", "text_bpe", Interface.of(small), None)
    System.join([encoder, first, last, decoder]).save(tmp_path / "chain")
    again = System.load(tmp_path / "chain")
    assert again.chain.interface_targets() == ["text", "text_char", "text"]
    assert again.between["text_char"].token_type == "char"
    assert [part.sha256() for part in again.parts()[1:3]] == [first.sha256(), last.sha256()]
    smaller = TextCodec(token_type="char", tokens=["<blank>", "<unk>", "<sos/eos>"])
    second = bridge("c", "text", Interface.of(small), smaller)
    last = bridge("b", "text", Interface.of(smaller), None)
    with pytest.raises(ConfigError, match="c calls its tokens 'text_char', and so does a part"):
        System.join([encoder, first, second, last, decoder])
