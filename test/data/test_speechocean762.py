"""speechocean762: its folders, its phones, and what is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from legonn.data import speechocean762
from legonn.data.folder import read_text, write_text
from legonn.data.speechocean762 import fetch, main, phones_of, prepare
from legonn.errors import DataError

AGES = {f"{n:04d}": str(age) for n, age in enumerate((6, 17, 18, 30), 1)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two utterances of each of four speakers in train, one of a fifth in test."""
    folder = tmp_path / "corpus"
    people = {"train": AGES, "test": {"0009": "40"}}
    words: dict[str, str] = {}
    for name, ages in people.items():
        ids = {f"{speaker}{n}": speaker for speaker in ages for n in "12"}
        write_text(folder / name / "utt2spk", ids)
        write_text(folder / name / "spk2age", ages)
        write_text(folder / name / "text", dict.fromkeys(ids, "WE CALL"))
        write_text(folder / name / "wav.scp", {i: f"WAVE/{i}.WAV" for i in ids})
        for utt_id in ids:
            words |= {f"{utt_id}.1": "K_B AO0_I L_E", f"{utt_id}.0": "W_B IY1_E"}
    (folder / "resource").mkdir()
    lines = (f"{key}\t{phones}\n" for key, phones in words.items())  # a tab, as the corpus has it
    (folder / "resource/text-phone").write_text("".join(lines))
    return folder


def test_folders_hold_text_phones_and_groups(source: Path, tmp_path: Path) -> None:
    (source / "train").rename(source / "dev")
    subprocess.run(["cp", "-r", source / "dev", source / "train"], check=True)
    assert prepare(source, tmp_path / "data") == {"train": 8, "dev": 8, "test": 2}
    train = tmp_path / "data/train"
    assert read_text(train / "text.lc.en")["00011"] == "we call"
    assert read_text(train / "text.phn.en")["00011"] == "W IY K AO L"
    assert read_text(train / "wav.scp")["00011"] == f"{source.resolve()}/WAVE/00011.WAV"
    groups = read_text(train / "utt2group")
    assert [groups[f"{speaker}1"] for speaker in AGES] == ["child", "child", "adult", "adult"]


def test_without_a_dev_set_some_speakers_become_one(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speechocean762, "DEV_SPEAKERS", 2)
    assert prepare(source, tmp_path / "data") == {"train": 4, "dev": 4, "test": 2}
    speakers = [
        set(read_text(tmp_path / f"data/{name}/utt2spk").values()) for name in ("train", "dev")
    ]
    assert speakers == [{"0002", "0004"}, {"0001", "0003"}]


def test_phones_are_in_the_order_of_the_words() -> None:
    lines = {f"a.{n}": f"T_B {phone}0_E" for n, phone in enumerate(["AA", "EH"] * 6)}
    assert phones_of(lines) == {"a": " ".join(f"T {phone}" for phone in ["AA", "EH"] * 6)}


def test_lines_of_another_form_are_all_named() -> None:
    with pytest.raises(DataError, match="aren't '<utt-id>.<n> <phone>") as error:
        phones_of({"a": "T_B", "b.x": "T_B", "c.0": "", "d.0": "t_B", "e.0": "T_B"})
    assert error.value.items == ["a T_B", "b.x T_B", "c.0 ", "d.0 t_B"]


def test_what_lacks_something_is_all_named(source: Path, tmp_path: Path) -> None:
    for name, lost in (("text", "00011"), ("utt2spk", "00021")):
        texts = read_text(source / "train" / name)
        del texts[lost]
        write_text(source / "train" / name, texts)
    with pytest.raises(DataError, match="3 utterances of .*corpus lack something") as error:
        prepare(source, tmp_path / "data")
    assert sorted(error.value.items) == [
        "00011: nothing in text",
        "00021: nothing in utt2group",
        "00021: nothing in utt2spk",
    ]


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not speechocean762; set SPEECHOCEAN762") as error:
        main(["--source", str(tmp_path), "--output", str(tmp_path / "data")])
    assert len(error.value.items) == 3
    assert not (tmp_path / "data").exists()


def test_it_is_fetched_at_one_commit(source: Path, tmp_path: Path) -> None:
    run = lambda *words: subprocess.run(  # noqa: E731
        ["git", "-c", "user.name=n", "-c", "user.email=e", *words],
        cwd=source,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    run("init", "-q")
    run("add", "-A")
    run("commit", "-q", "-m", "corpus")
    commit = run("rev-parse", "HEAD")
    folder = fetch(tmp_path / "got", url=str(source), commit=commit)
    assert read_text(folder / "train/text") == read_text(source / "train/text")
    assert fetch(folder, url="nowhere") == folder  # what is there isn't fetched again
    with pytest.raises(DataError, match="git fetch .*failed.*fetch the corpus by hand"):
        fetch(tmp_path / "other", url=str(tmp_path / "nowhere"), commit=commit)
