"""utt2spk and utt2group: the speakers and groups of what is scored, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.errors import ConfigError, DataError
from legonn.scoring import Pairs, read_groups, read_speakers

IDS = Pairs(format="kaldi", refs=("a", "b", "c"), systems=(), ids=("utt-3", "utt-1", "utt-2"))
LINES = Pairs(format="lines", refs=("a",), systems=())


def write(folder: Path, text: str) -> Path:
    path = folder / "utt2spk"
    path.write_text(text)
    return path


def test_speakers_in_the_texts_order(tmp_path: Path) -> None:
    path = write(tmp_path, "utt-0 bob\nutt-1 ann\nutt-2 ann\nutt-3 kim\n")
    assert read_speakers(path, IDS) == ("kim", "ann", "ann")


def test_groups_are_read_the_same_way(tmp_path: Path) -> None:
    path = write(tmp_path, "utt-1 child\nutt-2 adult\nutt-3 child\n")
    assert read_groups(path, IDS) == ("child", "child", "adult")
    path = write(tmp_path, "utt-1 child\nutt-2 adult\n")
    with pytest.raises(DataError, match="lacks the group of 1 of 3.*`<utt-id> <group>`") as caught:
        read_groups(path, IDS)
    assert caught.value.items == ["utt-3"]


def test_all_utterances_without_a_speaker_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "utt-1 ann b\nutt-2 \n")
    with pytest.raises(
        DataError, match="lacks the speaker of 3 of 3 utterances; give each"
    ) as caught:
        read_speakers(path, IDS)
    assert caught.value.items == ["utt-3", "utt-1: got 'ann b'", "utt-2"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="utt2spk: can't be read: No such file"):
        read_speakers(tmp_path / "utt2spk", IDS)


def test_texts_without_ids_have_no_speakers(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="needs texts with utterance ids, and these are paired by line"
    ):
        read_speakers(write(tmp_path, "utt-1 ann\n"), LINES)
