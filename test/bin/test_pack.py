"""`legonn pack`: which modules come of an experiment, with which weights and scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from legonn.bin.pack import main
from legonn.cli import run
from legonn.errors import ConfigError
from legonn.module import describe, read_module
from legonn.part import lent
from legonn.scoring import Score
from legonn.scoring.results import to_json
from legonn.system import load_part


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_module_a_part(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(experiment), "--output", str(tmp_path)]) == 0
    assert names(tmp_path) == ["lego_decoder", "lego_encoder"]
    lines = []
    for kind in ("encoder", "decoder"):
        part = load_part(experiment, kind)
        assert read_module(tmp_path / f"lego_{kind}").sha256() == part.sha256()
        lines.append(
            f"{tmp_path}/lego_{kind}: {kind}, {part.parameters() / 1e6:.2f} M parameters\n"
        )
    assert capsys.readouterr().out == "".join(lines)


def test_options_choose_part_name_form_and_precision(experiment: Path, tmp_path: Path) -> None:
    options = ["--part", "decoder", "--name", "numbers", "--zip", "--dtype", "float16"]
    assert main([str(experiment), "--output", str(tmp_path), *options]) == 0
    assert names(tmp_path) == ["numbers_decoder.zip"]
    weights = load_part(experiment, "decoder").weights()
    found = read_module(tmp_path / "numbers_decoder.zip").weights()
    assert all(found[name].equal(weight.half().float()) for name, weight in weights.items())


def test_the_average_unless_a_checkpoint_is_named(experiment: Path, tmp_path: Path) -> None:
    for option, checkpoint in (
        ([], "valid.acc.ave.pth"),
        (["--checkpoint", "latest.pth"], "latest.pth"),
        (["--average", "2"], "valid.acc.ave_2best.pth"),
    ):
        output = tmp_path / checkpoint
        assert main([str(experiment), "--output", str(output), *option]) == 0
        wanted = load_part(f"{experiment}:{checkpoint}", "encoder").sha256()
        assert read_module(output / "lego_encoder").sha256() == wanted


def test_an_average_that_was_not_kept_is_named(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no checkpoint valid.acc.ave_9best.pth; it has"):
        main([str(experiment), "--output", str(tmp_path), "--average", "9"])
    with pytest.raises(ConfigError, match="--average and --checkpoint name the weights twice"):
        main([str(experiment), "--output", "x", "--average", "2", "--checkpoint", "latest.pth"])
    assert names(tmp_path) == []


def score(**options: object) -> Score:
    row: dict[str, object] = {
        "experiment": "E1",
        "recipe": "r",
        "system": "s",
        "test_set": "test",
        "metric": "bleu",
    }
    row |= {"score": 31.25, "low": 30.0, "high": 32.5, "sentences": 8, "signature": "nrefs:1|bs:5"}
    return Score.from_dict({**row, **options})


def test_scores_go_into_description_and_card(experiment: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    (copy / "decode" / "test").mkdir(parents=True)
    (copy / "decode" / "test" / "score.json").write_text(to_json([score()]))
    assert main([str(copy), "--output", str(tmp_path / "m"), "--license", "Apache-2.0"]) == 0
    module = tmp_path / "m" / "exp_decoder"
    (found,) = describe(module)[0]["scores"]
    assert (found["metric"], found["score"], found["test_set"]) == ("bleu", 31.25, "test")
    card = (module / "README.md").read_text(encoding="utf-8")
    assert "| test | bleu | 31.25 | 30.00 to 32.50 | `nrefs:1\\|bs:5` |" in card
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0" and front["library_name"] == "legonn"


def test_scores_are_those_of_the_packed_checkpoint(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    for tag, checkpoint, figure in (
        ("decode", "", 31.25),
        ("decode_latest", ":latest.pth", 30.5),
        ("decode_best", ":1epoch.pth", 12.5),
    ):
        (copy / tag / "test").mkdir(parents=True)
        (copy / tag / "test" / "score.json").write_text(to_json([score(score=figure)]))
        stamp = f"args=--beam_size 5 system=--system exp/x{checkpoint}\nbeam_size: 5\n"
        (copy / tag / "test" / ".done").write_text(stamp)
    for options, wanted in (
        (["--checkpoint", "latest.pth"], [30.5]),
        (["--checkpoint", "3epoch.pth"], [30.5]),  # where the link leads
        (["--checkpoint", "2epoch.pth"], []),
        ([], [31.25]),
        (["--average", "2"], [31.25]),
    ):
        output = tmp_path / "-".join(["m", *options])
        assert main([str(copy), "--output", str(output), *options]) == 0
        module = output / "exp_decoder"
        assert [found["score"] for found in describe(module)[0]["scores"]] == wanted
        card = (module / "README.md").read_text(encoding="utf-8")
        assert [x for x in (31.25, 30.5, 12.5) if f"| {x:.2f} |" in card] == wanted
    told = capsys.readouterr().err
    assert f"left out: {copy}/decode_best/test/score.json, which is of 1epoch.pth" in told


def test_several_decodings_of_a_checkpoint_are_told_apart(experiment: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(experiment, tmp_path / "exp", symlinks=True))
    for tag, figure in (("decode", 31.25), ("decode_mode_attention", 30.5)):
        (copy / tag / "test").mkdir(parents=True)
        (copy / tag / "test" / "score.json").write_text(to_json([score(score=figure)]))
    assert main([str(copy), "--output", str(tmp_path / "m")]) == 0
    test_set = score().test_set
    assert [
        (found["test_set"], found["score"])
        for found in describe(tmp_path / "m" / "exp_decoder")[0]["scores"]
    ] == [(f"{test_set}, decode", 31.25), (f"{test_set}, decode_mode_attention", 30.5)]


def test_a_colon_in_the_path_is_part_of_the_name(experiment: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(experiment, tmp_path / "a:b", symlinks=True))
    (copy / "decode" / "test").mkdir(parents=True)
    (copy / "decode" / "test" / "score.json").write_text(to_json([score()]))
    for spec in (str(copy), f"{copy}:valid.acc.ave.pth"):
        output = tmp_path / f"m{len(spec)}"
        assert main([spec, "--output", str(output), "--part", "decoder"]) == 0
        assert names(output) == ["a:b_decoder"]
        assert len(describe(output / "a:b_decoder")[0]["scores"]) == 1


def test_the_folder_that_one_is_in_has_its_name(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(experiment)
    for spec in (".", "../lego", "./"):
        output = tmp_path / spec.replace("/", "-")
        assert main([spec, "--output", str(output), "--part", "encoder"]) == 0
        assert names(output) == ["lego_encoder"]


def test_what_is_there_is_kept_and_nothing_is_added(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "lego_decoder").mkdir()
    with pytest.raises(ConfigError, match="lego_decoder: there already"):
        main([str(experiment), "--output", str(tmp_path)])
    assert names(tmp_path) == ["lego_decoder"]


def test_a_part_that_is_not_there_is_named(experiment: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no bridge"):
        main([str(experiment), "--output", str(tmp_path), "--part", "bridge"])


def test_a_plain_system_is_refused(
    plain_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, [str(plain_experiment), "--output", str(tmp_path)]) == 2
    assert "it has no interface, so that no other part fits it" in capsys.readouterr().err
    assert names(tmp_path) == []


def test_bridges_are_numbered(train: Callable[..., Path], tmp_path: Path) -> None:
    bridge = {"width": 16, "heads": 2, "feedforward": 32, "layers_after": 0}
    config = tmp_path / "bridges.yaml"
    config.write_text(yaml.safe_dump({"bridges": [bridge, bridge]}))
    options = ["--max_epoch", "1", "--bridges", yaml.safe_dump([bridge, bridge])]
    folder = train(tmp_path / "exp" / "long", *options)
    assert main([str(folder), "--output", str(tmp_path / "m")]) == 0
    assert names(tmp_path / "m") == [
        "long_bridge1",
        "long_bridge2",
        "long_decoder",
        "long_encoder",
    ]
    first, second = (read_module(tmp_path / "m" / f"long_bridge{i}") for i in (1, 2))
    assert first.sha256() != second.sha256() and first.config == second.config


def test_of_a_hybrid_the_encoder_is_packed_as_it_is_lent(
    train: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hybrid = train(tmp_path / "hybrid", "--system", "hybrid", "--max_epoch", "1")
    assert main([str(hybrid), "--output", str(tmp_path / "m")]) == 0
    assert "left out: the decoder of" in capsys.readouterr().out
    assert names(tmp_path / "m") == ["hybrid_encoder"]
    module = read_module(tmp_path / "m/hybrid_encoder")
    assert module.sha256() == lent(load_part(hybrid, "encoder")).sha256()
    assert run(main, [str(hybrid), "--output", str(tmp_path / "n"), "--part", "decoder"]) == 2
