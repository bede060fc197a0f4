from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from legonn.config import merge, read_config
from legonn.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_variant_is_its_base_with_what_differs(tmp_path: Path) -> None:
    write(tmp_path / "train.yaml", "encoder_conf: {width: 160, heads: 4}\nmax_epoch: 12\n")
    variant = write(
        tmp_path / "tuning/wide.yaml", "base: ../train.yaml\nencoder_conf: {width: 256}\n"
    )
    assert read_config(variant) == {"encoder_conf": {"width": 256, "heads": 4}, "max_epoch": 12}


def test_options_of_another_class_are_left_out(tmp_path: Path) -> None:
    base = {"optim": "adam", "optim_conf": {"lr": 1.0, "amsgrad": True}, "encoder_conf": {"a": 1}}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    changes = {"base": "base.yaml", "optim": "sgd", "optim_conf": {"lr": 2.0}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(changes))
    found = read_config(tmp_path / "x.yaml")
    assert found == {"optim": "sgd", "optim_conf": {"lr": 2.0}, "encoder_conf": {"a": 1}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({**changes, "optim": "adam"}))
    assert read_config(tmp_path / "x.yaml")["optim_conf"] == {"lr": 2.0, "amsgrad": True}


def test_a_list_replaces_a_list() -> None:
    assert merge({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


def test_a_mapping_and_a_number_replace_each_other() -> None:
    assert merge({"a": {"b": 1}, "c": 2}, {"a": 3, "c": {"d": 4}}) == {"a": 3, "c": {"d": 4}}


def test_a_base_of_itself_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "first.yaml", "base: second.yaml\n")
    write(tmp_path / "second.yaml", "base: first.yaml\n")
    with pytest.raises(ConfigError, match="is its own base: .*first.yaml -> .*second.yaml"):
        read_config(first)


def test_a_base_that_is_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml: base is 3; it wants the name of another"):
        read_config(write(tmp_path / "x.yaml", "base: 3\n"))


def test_an_absent_base_is_named_with_its_reader(tmp_path: Path) -> None:
    variant = write(tmp_path / "variant.yaml", "base: gone.yaml\n")
    with pytest.raises(ConfigError, match=r"gone\.yaml \(base of .*variant\.yaml\) can't be read"):
        read_config(variant)


@pytest.mark.parametrize("text", ["- 1\n", "", "word\n"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="holds no mapping"):
        read_config(write(tmp_path / "x.yaml", text))


def test_a_key_that_stands_twice_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    twice = write(tmp_path / "train.yaml", "seed: 1\nencoder_conf:\n  width: 8\n  width: 16\n")
    with pytest.raises(ConfigError, match="the key 'width' stands here twice") as caught:
        read_config(twice)
    assert "line 4" in str(caught.value)
