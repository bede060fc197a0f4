"""The statistics command: what it prints, notes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from legonn.bin.stats import main
from legonn.cli import run
from legonn.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """100 utterances of 4 source tokens; 98 need 4 positions, one 8, one 9."""
    (tmp_path / "train").mkdir()
    needed = [4] * 98 + [8, 9]
    for name, sizes in (("src_text", [4] * 100), ("text", needed), ("text_positions", needed)):
        lines = [f"u{i:02d} {size}\n" for i, size in enumerate(sizes)]
        (tmp_path / "train" / f"{name}_shape").write_text("".join(lines))
    return tmp_path


def config(folder: Path, **options: object) -> list[str]:
    path = folder / "train.yaml"
    path.write_text(yaml.safe_dump(options))
    return ["--stats_dir", str(folder), "--config", str(path)]


def test_enough_positions_are_printed_and_noted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(config(folder, encoder_conf={"length_ratio": 2.0})) == 0  # one of 100 is lost
    assert capsys.readouterr().out == (
        "length ratio 2: 1.00 / 2.00 / 2.00 positions a token (1, 50, 99 %); "
        "1.00% of 100 targets can't be emitted; ratio 2.25 covers 99.9 %\n"
    )
    (noted,) = json.loads((folder / "length_stats.json").read_text())
    assert noted["ratio"] == 2.0 and noted["infeasible"] == 0.01
    assert noted["covering_ratio"] == 2.25 and noted["worst"][:2] == ["u99", "u98"]


def test_more_than_one_percent_lost_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = config(folder, encoder_conf={"length_ratio": 1.5})
    with pytest.raises(DataError) as caught:
        main(arguments)
    message = str(caught.value)
    assert "length_ratio 1.5 leaves 2.0% of the training set" in message
    assert "limit 1%" in message and "length_ratio to 2.25 or more" in message
    assert caught.value.items[:2] == ["u99", "u98"]
    assert json.loads((folder / "length_stats.json").read_text())[0]["infeasible"] == 0.02
    assert run(main, arguments) == 2
    assert "error: length_ratio 1.5 leaves" in capsys.readouterr().err


def shapes(folder: Path, **sizes: int) -> list[str]:
    """A statistics folder of one utterance."""
    (folder / "train").mkdir()
    for name, size in sizes.items():
        (folder / "train" / f"{name}_shape").write_text(f"a {size}\n")
    return ["--stats_dir", str(folder)]


def test_a_ratio_that_is_told_covers(tmp_path: Path) -> None:
    arguments = shapes(tmp_path, src_text=1000, text=234, text_positions=234)
    with pytest.raises(DataError, match="length_ratio 0.23 leaves .* to 0.24 or more"):
        main([*arguments, "--lego_args", "--encoder_conf length_ratio=0.23"])
    assert main([*arguments, "--lego_args", "--encoder_conf length_ratio=0.24"]) == 0


def test_each_interface_has_its_own_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"text_bpe": 5, "text_bpe_positions": 5, "text": 15, "text_positions": 15}
    arguments = shapes(tmp_path, src_text=5, **sizes)
    arguments += ["--lego_args", "--chain_conf encoder_target=text_bpe"]
    chain = {"encoder_conf": {"length_ratio": 2.0}, "bridges": [{"length_ratio": 1.5}]}
    settings = tmp_path / "train.yaml"
    settings.write_text(yaml.safe_dump(chain))
    assert main([*arguments, "--config", str(settings)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("length ratio 2, text_bpe: 2.00 / 2.00 / 2.00 positions")
    assert second.startswith("length ratio 1.5: 1.00 / 1.00 / 1.00 positions")
    noted = json.loads((tmp_path / "length_stats.json").read_text())
    assert [(one["target"], one["ratio"]) for one in noted] == [("text_bpe", 2.0), ("text", 3.0)]
    settings.write_text(yaml.safe_dump({**chain, "bridges": [{}]}))  # one position for each
    with pytest.raises(DataError, match=r"ratio 1 leaves .* Set bridges: length_ratio to 1\.50"):
        main([*arguments, "--config", str(settings)])
    settings.write_text(yaml.safe_dump({**chain, "encoder_conf": {"length_ratio": 0.6}}))
    with pytest.raises(DataError, match=r"0\.6, text_bpe leaves .* Set encoder_conf: length_rat"):
        main([*arguments, "--config", str(settings)])


def test_a_trained_encoder_writes_what_this_training_calls_it(
    tmp_path: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"text_bpe": 5, "text_bpe_positions": 5, "text": 15, "text_positions": 15}
    arguments = shapes(tmp_path, src_text=5, **sizes)
    arguments += ["--pretrained_encoder", str(experiment)]  # of ratio 2, which writes text
    with pytest.raises(DataError, match="length_ratio 2 leaves 100.0%"):
        main(arguments)
    assert main([*arguments, "--lego_args", "--chain_conf encoder_target=text_bpe"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("length ratio 2, text_bpe: 2.00")


def test_what_is_imagined_is_as_long_as_it_must_be(tmp_path: Path) -> None:
    arguments = shapes(tmp_path, src_text=10, text=20, text_positions=20)
    assert main([*arguments, "--lego_args", "--encoder imagined"]) == 0


def test_a_plain_system_needs_no_positions(folder: Path) -> None:
    assert main(config(folder, system="attention", encoder_conf={"length_ratio": 1.0})) == 0


def test_what_training_is_given_besides_wins(folder: Path) -> None:
    arguments = config(folder, encoder_conf={"length_ratio": 3.0})
    given = "--max_epoch 2 --encoder_conf width=8 --encoder_conf length_ratio=1.2"
    with pytest.raises(DataError, match="length_ratio 1.2 leaves"):
        main([*arguments, "--lego_args", given])
    assert main([*arguments, "--lego_args", f"{given} --system hybrid"]) == 0


@pytest.mark.parametrize("options", [{}, {"encoder_conf": {"width": 8}}])
def test_without_a_ratio_the_encoders_default_counts(
    folder: Path, options: dict[str, object]
) -> None:
    from legonn.factory import TextEncoderConfig

    default = TextEncoderConfig().length_ratio
    with pytest.raises(DataError, match=f"length_ratio {default:g} leaves"):
        main(config(folder, **options))
    with pytest.raises(DataError, match=f"length_ratio {default:g} leaves"):
        main(["--stats_dir", str(folder)])


def test_absent_statistics_name_the_stage(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"src_text_shape is absent: run the statistics stage \(10\)"
    ):
        main(["--stats_dir", str(tmp_path)])


def test_an_absent_config_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="none.yaml"):
        main(["--stats_dir", str(folder), "--config", str(folder / "none.yaml")])


def test_of_speech_the_states_count_not_the_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 16,000 samples give 23 states: at a ratio of 0.2, 5 positions.
    (tmp_path / "train").mkdir()
    for name, size in (("speech", 16000), ("text", 5), ("text_positions", 5)):
        (tmp_path / "train" / f"{name}_shape").write_text(f"a {size}\nb {size}\n")
    arguments = config(tmp_path, encoder="speech", encoder_conf={"length_ratio": 0.2})
    assert main(arguments) == 0
    assert "1.00 / 1.00 / 1.00 positions a token" in capsys.readouterr().out
    assert main([*arguments, "--lego_args", "--encoder conformer"]) == 0
    alone = ["--stats_dir", str(tmp_path)]
    assert main([*alone, "--lego_args", "--encoder speech --encoder_conf length_ratio=0.2"]) == 0
    with pytest.raises(DataError, match="length_ratio 0.1 leaves 100.0% of the training set"):
        main([*arguments, "--lego_args", "--encoder_conf length_ratio=0.1"])
    # The same recording at twice the rate has half of the states.
    with pytest.raises(DataError, match="length_ratio 0.2 leaves 100.0% of the training set"):
        main([*arguments, "--lego_args", "--encoder_conf sample_rate=32000"])
    with pytest.raises(ConfigError, match="encoder is 'ears'"):
        main([*arguments, "--lego_args", "--encoder ears"])


def test_a_picture_of_several_training_sets(folder: Path, tmp_path: Path) -> None:
    settings = tmp_path / "plot.yaml"
    settings.write_text("encoder_conf: {length_ratio: 2.0}\n")
    picture = tmp_path / "lengths.svg"
    of = [word for name in ("one", "other") for word in ("--of", f"{name}={folder}:{settings}")]
    assert main(["--plot", str(picture), *of]) == 0
    first = picture.read_bytes()
    assert main(["--plot", str(picture), *of]) == 0
    assert picture.read_bytes() == first


@pytest.mark.parametrize("given", ["one", "=a:b", "one=a", "one=:b", "one=a:"])
def test_what_is_drawn_must_be_named(given: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give NAME=STATS_DIR:CONFIG"):
        main(["--plot", str(tmp_path / "f.svg"), "--of", given])


@pytest.mark.parametrize("arguments", [[], ["--plot", "f.svg"], ["--of", "a=b:c"]])
def test_options_that_belong_together(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_a_trained_encoder_counts_with_its_own_ratio(
    folder: Path, experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2.0; the configuration's, which training wouldn't take, can't emit the text."""
    arguments = config(folder, encoder_conf={"length_ratio": 0.5})
    assert run(main, arguments) == 2
    assert main([*arguments, "--pretrained_encoder", str(experiment)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("length ratio 2: ")
