"""LegoTask: its files, its statistics, and what it refuses before the first step."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from legonn.data.lengths import measure_lengths, read_shapes
from legonn.errors import ConfigError
from legonn.interface import Interface, positions_needed
from legonn.task import LegoTask, Preprocessor, _yaml_list
from legonn.tokenizer import TextCodec, file_sha256, read_token_list

SHAPES = ("src_text_shape", "text_shape")
LETTERS = ("<blank>", "<unk>", "<space>", "a", "b", "<sos/eos>")


def test_an_experiment_holds_what_an_espnet_user_expects(experiment: Path) -> None:
    names = {path.name for path in experiment.iterdir()}
    assert {"config.yaml", "checkpoint.pth", "latest.pth", "valid.acc.best.pth"} <= names
    assert {"valid.acc.ave.pth", "valid.acc.ave_2best.pth", "3epoch.pth"} <= names
    assert {"interface.yaml", "bpe.model", "src_bpe.model"} <= names


def test_the_configuration_stands_alone(experiment: Path, corpus: Any) -> None:
    config = yaml.safe_load((experiment / "config.yaml").read_text(encoding="utf-8"))
    assert tuple(config["token_list"]) == read_token_list(corpus.folder / "tgt.txt")
    assert tuple(config["src_token_list"]) == read_token_list(corpus.folder / "src.txt")
    assert config["encoder_conf"]["length_ratio"] == 2.0 and config["system"] == "lego"


def test_the_contract_describes_the_experiment(experiment: Path, corpus: Any) -> None:
    interface = Interface.load(experiment / "interface.yaml")
    assert interface.tokens == read_token_list(corpus.folder / "tgt.txt")
    assert interface.tokenizer_sha256 == file_sha256(corpus.folder / "tgt.model")
    assert (interface.unit, interface.case, interface.blank) == ("bpe", "tc", 0)
    assert (interface.ingestor, interface.beam) == ("wemb", None)
    sources = interface.provenance["training_set"]
    assert [Path(path).name for path in sources] == ["train.src", "train.tgt"]
    assert interface.provenance["parents"] == []


def test_a_plain_experiments_contract_has_no_ingestor(plain_experiment: Path) -> None:
    interface = Interface.load(plain_experiment / "interface.yaml")
    assert (interface.ingestor, interface.positions_per_token) == ("none", None)


@pytest.fixture(scope="module")
def statistics(train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("stats"), "--collect_stats", "true")


def test_statistics_are_the_lengths_of_the_texts(statistics: Path, corpus: Any) -> None:
    for part in ("train", "valid"):
        for side, name in (("src", "src_text"), ("tgt", "text")):
            codec = TextCodec(
                token_type="bpe",
                tokens=read_token_list(corpus.folder / f"{side}.txt"),
                model=corpus.folder / f"{side}.model",
            )
            lines = (corpus.folder / f"{part}.{side}").read_text(encoding="utf-8").splitlines()
            texts = dict(line.split(" ", 1) for line in lines)
            wanted = {uid: len(codec.encode(text)) for uid, text in texts.items()}
            assert read_shapes(statistics / part / f"{name}_shape") == wanted


def test_statistics_count_what_ctc_needs(statistics: Path, corpus: Any) -> None:
    import torch

    codec = TextCodec(
        token_type="bpe",
        tokens=read_token_list(corpus.folder / "tgt.txt"),
        model=corpus.folder / "tgt.model",
    )
    found = read_shapes(statistics / "train" / "text_positions_shape")
    for line in (corpus.folder / "train.tgt").read_text(encoding="utf-8").splitlines():
        uid, text = line.split(" ", 1)
        ids = torch.tensor(codec.encode(text))
        assert found[uid] == positions_needed(ids[None], torch.tensor([len(ids)])).item()
    tokens = read_shapes(statistics / "train" / "text_shape")
    assert any(found[uid] > tokens[uid] for uid in tokens)  # "three three" and the like occur


def test_statistics_leave_no_contract(statistics: Path) -> None:
    assert not (statistics / "interface.yaml").exists()


def test_positions_per_token_reach_the_contract(
    train: Callable[..., Path], statistics: Path, corpus: Any, tmp_path: Path
) -> None:
    """Also with the names that the recipes give the shape files, and a command line's ratio."""
    import shutil

    for name in ("src_text_shape", "text_shape"):
        shutil.copyfile(statistics / "train" / name, tmp_path / f"{name}.bpe")
    shapes = [
        f"--train_shape_file={tmp_path / name}.bpe" for name in ("src_text_shape", "text_shape")
    ]
    valid = [f"--valid_shape_file={statistics / 'valid' / 'src_text_shape'}"]
    options = ["--encoder_conf", "length_ratio=3.0", "--dry_run", "true"]
    folder = train(tmp_path / "exp", *shapes, *valid, *options)
    low, middle, high = measure_lengths(statistics / "train", 3.0).positions_per_token
    assert Interface.load(folder / "interface.yaml").positions_per_token == (low, middle, high)
    settings = yaml.safe_load((corpus.folder / "config.yaml").read_text(encoding="utf-8"))
    drawn = {"length_ratio": 3.0, "spread": 2.0, "confusion": 0.1}
    settings |= {"encoder": "imagined", "encoder_conf": drawn}
    (tmp_path / "imagined.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    imagined = ["--config", str(tmp_path / "imagined.yaml"), *options[2:]]
    with pytest.raises(
        ConfigError, match="writes the tokens that it reads, but --src_token_list and text"
    ):
        train(tmp_path / "two", *shapes, *valid, *imagined)
    for option, end in (("--src_token_list", "txt"), ("--src_bpemodel", "model")):
        imagined += [option, f"{corpus.folder / 'tgt'}.{end}"]
    folder = train(tmp_path / "imagined", *shapes, *valid, *imagined)
    wide = (low / 2, middle, high * 2)
    assert Interface.load(folder / "interface.yaml").positions_per_token == wide
    bridged = ["--bridges", "[{width: 16, heads: 2, feedforward: 16, length_ratio: 0.5}]"]
    folder = train(tmp_path / "bridged", *shapes, *valid, *options, *bridged)
    half = measure_lengths(statistics / "train", 1.5).positions_per_token
    assert Interface.load(folder / "interface.yaml").positions_per_token == half


def test_a_hybrid_has_a_position_for_each_state(
    train: Callable[..., Path], statistics: Path, tmp_path: Path
) -> None:
    """Whatever length_ratio says: it has no length controller, and its CTC reads the encoder's states."""
    shapes = [f"--train_shape_file={statistics / 'train' / name}" for name in SHAPES]
    shapes += [f"--valid_shape_file={statistics / 'valid' / 'src_text_shape'}", "--dry_run", "true"]
    found = {
        system: Interface.load(
            train(tmp_path / system, "--system", system, *shapes) / "interface.yaml"
        ).positions_per_token
        for system in ("lego", "hybrid", "attention")
    }
    assert found["hybrid"] == measure_lengths(statistics / "train", 1.0).positions_per_token
    assert found["lego"] == measure_lengths(statistics / "train", 2.0).positions_per_token
    assert found["attention"] is None


def test_how_the_text_was_normalised_is_part_of_the_contract(
    train: Callable[..., Path], tmp_path: Path
) -> None:
    options = ["--case", "lc", "--punctuation", "false", "--ctc_weight", "0", "--dry_run", "true"]
    interface = Interface.load(train(tmp_path / "exp", *options) / "interface.yaml")
    assert (interface.case, interface.punctuation) == ("lc", False)
    assert interface.provenance["ctc_weight"] == 0.0
    assert "longest_seconds" not in interface.provenance  # of text


def test_beamconvs_p_is_part_of_the_contract(train: Callable[..., Path], tmp_path: Path) -> None:
    options = ["--ingestor", "beamconv", "--ingestor_conf", "beam=3", "--dry_run", "true"]
    interface = Interface.load(train(tmp_path / "exp", *options) / "interface.yaml")
    assert (interface.ingestor, interface.beam) == ("beamconv", 3)


def test_init_param_is_refused(train: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--init_param unpickles its file; use --pretrained_encoder"
    ):
        train(tmp_path / "exp", "--init_param", "foreign.pth")
    assert not (tmp_path / "exp").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--encoder_conf", "widht=8"],
            "encoder_conf has no option 'widht'; did you mean 'width'?",
        ),
        (["--ingestor_conf", "beam=3"], "ingestor_conf has no option 'beam'"),
        (["--encoder_conf", "length_ratio=0.0"], "length_ratio is 0.0; it must be above 0"),
        (["--token_list", "absent.txt"], "no token list at absent.txt: run stage 5 first"),
        (["--interface_token_lists", "text_phn=absent.txt"], "no token list at absent.txt"),
        (["--chain_conf", "encoder_target=../x"], "'../x' is no name for an interface's tokens"),
    ],
)
def test_a_mistake_is_an_error_that_leaves_nothing_behind(
    train: Callable[..., Path], tmp_path: Path, options: list[str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        train(tmp_path / "exp", *options)
    assert message in str(caught.value)
    assert not (tmp_path / "exp").exists()


def test_another_task_arguments_are_not_known(train: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        train(tmp_path / "exp", "--frontend", "default")
    assert caught.value.code == 2


def test_the_preprocessor_gives_ids_and_on_demand_positions() -> None:
    codec = TextCodec(token_type="char", tokens=LETTERS)
    codecs = {"src_text": codec, "text": codec}
    data = {"src_text": "aab", "text": "abba aa"}
    ids = Preprocessor(codecs, count_positions=False)("u1", data)
    assert set(ids) == {"src_text", "text"}
    assert ids["text"].tolist() == [3, 4, 4, 3, 2, 3, 3]
    counted = Preprocessor(codecs, count_positions=True)("u1", data)
    assert set(counted) == {"src_text", "text", "text_positions"}
    assert counted["text_positions"].shape == (9,)  # 7 letters, bb and aa


def test_only_the_source_is_sampled_and_only_in_training(corpus: Any) -> None:
    codecs = {
        name: TextCodec(
            token_type="bpe",
            tokens=read_token_list(corpus.folder / f"{side}.txt"),
            model=corpus.folder / f"{side}.model",
        )
        for name, side in (("src_text", "src"), ("text", "tgt"))
    }
    line = (corpus.folder / "train.src").read_text().splitlines()[0].partition(" ")[2]
    target = (corpus.folder / "train.tgt").read_text().splitlines()[0].partition(" ")[2]
    preprocess = Preprocessor(codecs, count_positions=False, src_sampling=0.0)
    data = {"src_text": line, "text": target}

    def drawn(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        return [preprocess("u1", data)["src_text"].tolist() for _ in range(5)]

    assert drawn(1) == drawn(1)
    assert len({tuple(ids) for ids in drawn(1)}) > 1
    assert all(codecs["src_text"].decode(ids) == line for ids in drawn(1))
    assert preprocess("u1", data)["text"].tolist() == codecs["text"].encode(target).tolist()
    command = corpus.options(corpus.folder / "none", "--src_sampling", "0.3")
    args = LegoTask.get_parser().parse_args(command)
    args.collect_stats = False
    assert LegoTask.build_preprocess_fn(args, train=True).src_sampling == 0.3
    assert LegoTask.build_preprocess_fn(args, train=False).src_sampling is None
    args.collect_stats = True
    assert LegoTask.build_preprocess_fn(args, train=True).src_sampling is None


def test_batches_are_padded_with_a_value_that_is_no_id() -> None:
    collate = LegoTask.build_collate_fn(argparse.Namespace(), train=True)
    items = [("u1", {"text": np.array([3, 4])}), ("u2", {"text": np.array([5])})]
    uids, batch = collate(items)
    assert uids == ["u1", "u2"]
    assert batch["text"].tolist() == [[3, 4], [5, -1]]
    assert batch["text_lengths"].tolist() == [2, 1]


def test_data_names() -> None:
    assert LegoTask.required_data_names() == ("text",)
    assert LegoTask.required_data_names(inference=True) == ()
    assert "text_phn" in LegoTask.optional_data_names()


def test_bridges_are_a_yaml_list() -> None:
    assert _yaml_list("[{width: 8}, {}]") == [{"width": 8}, {}]
    with pytest.raises(argparse.ArgumentTypeError, match="'width: 8' is no YAML list"):
        _yaml_list("width: 8")


def test_a_bridged_chain_trains(train: Callable[..., Path], corpus: Any, tmp_path: Path) -> None:
    """Letters as the first interface: its losses are noted under its name."""
    texts = (corpus.folder / "train.tgt").read_text(encoding="utf-8").splitlines()
    spelled, letters = [], set()
    for line in texts + (corpus.folder / "valid.tgt").read_text(encoding="utf-8").splitlines():
        uid, text = line.split(" ", 1)
        letters |= set(text.replace(" ", ""))
        spelled.append(f"{uid} {' '.join(text.replace(' ', ''))}\n")
    (tmp_path / "letters").write_text("".join(spelled))
    tokens = ["<blank>", "<unk>", *sorted(letters), "<sos/eos>"]
    (tmp_path / "letters.txt").write_text("\n".join(tokens) + "\n")
    bridge = "{width: 16, heads: 2, feedforward: 16, layers_before: 0, layers_after: 0}"
    options = ["--bridges", f"[{bridge}]", "--chain_conf", "encoder_target=text_phn"]
    options += ["--interface_token_lists", f"text_phn={tmp_path / 'letters.txt'}"]
    options += ["--encoder_conf", "length_ratio=6.0", "--max_epoch", "1"]
    for part in ("train", "valid"):
        options += [
            f"--{part}_data_path_and_name_and_type",
            f"{tmp_path / 'letters'},text_phn,text",
        ]
    folder = train(tmp_path / "exp", *options)
    stats = epochs(folder)[1]["valid"]
    total = stats["loss_ce"] + stats["loss_ctc"] + stats["loss_ctc_text_phn"]
    assert stats["loss"] == pytest.approx(total, rel=1e-5)
    assert stats["infeasible_text_phn"] < 0.5


def epochs(folder: Path) -> dict[int, dict[str, dict[str, float]]]:
    """What the Trainer noted: epoch -> train or valid -> name -> mean."""
    import torch

    states = torch.load(folder / "checkpoint.pth", weights_only=False)
    stats: dict[int, dict[str, dict[str, float]]] = states["reporter"]["stats"]
    return stats
