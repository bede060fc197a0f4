"""Multi30k's data folders, from a small corpus of the same form."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from legonn.data import multi30k
from legonn.data.folder import read_text
from legonn.errors import DataError

TEXTS = {
    "train.de": "Ein Mann.\n Zwei\tHunde. \n\nVier.\n",
    "train.en": "A man.\nTwo dogs.\nThree.\nFour.\n",
    "val.de": "Ja.\n",
    "val.en": "Yes.\n",
    "test_2016_flickr.de": "Nein.\n",
    "test_2016_flickr.en": "No.\n",
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as $MULTI30K names it, and its hashes in place of the real ones."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in TEXTS.items()}
    monkeypatch.setattr(multi30k, "TEXT_SHA256", hashes)
    return folder


def test_every_file_has_a_pinned_hash() -> None:
    names = {f"{name}.{lang}" for name in multi30k.SETS for lang in multi30k.LANGUAGES}
    assert names == set(multi30k.TEXT_SHA256)
    assert all(len(value) == 64 for value in multi30k.TEXT_SHA256.values())


def test_folders_have_parallel_ids_and_no_empty_side(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = multi30k.prepare(tmp_path / "data", src_lang="de", tgt_lang="en", source=source)
    assert written == {"train_de_en": 3, "val_de_en": 1, "test_2016_flickr_de_en": 1}
    train = tmp_path / "data/train_de_en"
    assert read_text(train / "text.tc.de") == {
        "train-00001": "Ein Mann.",
        "train-00002": "Zwei Hunde.",
        "train-00004": "Vier.",
    }
    assert list(read_text(train / "text.tc.en")) == ["train-00001", "train-00002", "train-00004"]
    assert "train: line 3 (train-00003) is empty on one side" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pairs", "ids"),
    [
        ("1", ["train-00001"]),
        ("2-4", ["train-00002", "train-00004"]),  # the third is empty on one side
        ("4-9", ["train-00004"]),
    ],
)
def test_a_part_of_the_training_set_has_its_own_folder(
    source: Path, tmp_path: Path, pairs: str, ids: list[str]
) -> None:
    options = {"src_lang": "de", "tgt_lang": "en", "source": source, "train_pairs": pairs}
    written = multi30k.prepare(tmp_path, **options)  # type: ignore[arg-type]
    assert written[f"train_de_en_{pairs}"] == len(ids) and written["val_de_en"] == 1
    assert list(read_text(tmp_path / f"train_de_en_{pairs}/text.tc.en")) == ids


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("many", "it wants a number, or lines"),
        ("3-3", "leaves no pair"),
        ("9-12", "leaves no pair"),
    ],
)
def test_a_part_that_is_not_there_is_refused(
    source: Path, tmp_path: Path, pairs: str, message: str
) -> None:
    options = {"src_lang": "de", "tgt_lang": "en", "source": source, "train_pairs": pairs}
    with pytest.raises(DataError, match=message):
        multi30k.prepare(tmp_path, **options)  # type: ignore[arg-type]


def test_other_text_is_refused_with_both_hashes(source: Path, tmp_path: Path) -> None:
    (source / "val.de.gz").write_bytes(gzip.compress(b"Doch.\n"))
    with pytest.raises(DataError, match="val.de.gz holds other text") as error:
        multi30k.prepare(tmp_path / "data", src_lang="de", tgt_lang="en", source=source)
    assert hashlib.sha256(b"Doch.\n").hexdigest() in str(error.value)
    assert multi30k.TEXT_SHA256["val.de"] in str(error.value)


def test_a_truncated_archive_is_refused(source: Path, tmp_path: Path) -> None:
    archive = source / "train.de.gz"
    archive.write_bytes(archive.read_bytes()[:-5])
    with pytest.raises(DataError, match="train.de.gz is no whole gzip file"):
        multi30k.prepare(tmp_path / "data", src_lang="de", tgt_lang="en", source=source)


def test_a_missing_archive_says_how_to_download(source: Path, tmp_path: Path) -> None:
    (source / "train.en.gz").unlink()
    with pytest.raises(DataError, match="train.en.gz isn't there; unset MULTI30K"):
        multi30k.prepare(tmp_path / "data", src_lang="de", tgt_lang="en", source=source)


def test_downloads_are_kept_and_come_from_the_pinned_commit(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def urlopen(url: str, timeout: float) -> object:
        asked.append(url)
        return (source / url.rsplit("/", 1)[1]).open("rb")

    monkeypatch.setattr(multi30k.urllib.request, "urlopen", urlopen)
    for _ in range(2):
        archive = multi30k.fetch("val.de", source=None, downloads=tmp_path / "downloads")
        assert gzip.decompress(archive) == b"Ja.\n"
    assert asked == [
        "https://raw.githubusercontent.com/multi30k/dataset/"
        "a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/val.de.gz"
    ]


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def urlopen(url: str, timeout: float) -> object:
        raise OSError("no route")

    monkeypatch.setattr(multi30k.urllib.request, "urlopen", urlopen)
    with pytest.raises(DataError, match="no route.*fetch it by hand and set MULTI30K"):
        multi30k.fetch("val.de", source=None, downloads=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_language_twice_is_a_corpus_of_its_own(source: Path, tmp_path: Path) -> None:
    written = multi30k.prepare(
        tmp_path, src_lang="en", tgt_lang="en", source=source, train_pairs="2"
    )
    assert written == {"train_en_2": 2, "val_en": 1, "test_2016_flickr_en": 1}
    assert list(read_text(tmp_path / "train_en_2/text.tc.en")) == ["train-00001", "train-00002"]
    assert not list(tmp_path.glob("*/text.tc.de"))
