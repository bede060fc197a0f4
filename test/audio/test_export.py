"""Archives: kaldiio, as Kaldi's and ESPnet's users call it, finds in them what the files had."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from legonn.audio import export
from legonn.audio.export import export_folder, main
from legonn.audio.recordings import read_sound, read_utterances
from legonn.errors import ConfigError, DataError

RATE = 8000
RAMP = (np.arange(4000) * 8 - 16000).astype(np.int16)
STEREO = np.stack([RAMP, -RAMP // 2], axis=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mono and a stereo recording, with a text and speakers."""
    folder = tmp_path / "data"
    folder.mkdir()
    soundfile.write(folder / "a.wav", RAMP, RATE, subtype="PCM_16")
    soundfile.write(folder / "b.flac", STEREO, RATE, subtype="PCM_16")
    (folder / "wav.scp").write_text("a a.wav\nb b.flac\n")
    (folder / "text.tc.en").write_text("a one\nb two\n")
    (folder / "utt2spk").write_text("a s\nb s\n")
    (folder / "utt2group").write_text("a child\nb adult\n")
    (folder / "text_old").mkdir()
    (folder / "text_reading.wav").write_bytes((folder / "a.wav").read_bytes())
    return folder


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_kaldiio_reads_what_was_exported(
    folder: Path, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ARCHIVE", 1)
    output = tmp_path / "arks"
    assert export_folder(folder, output, format=format) == 2
    assert sorted(path.name for path in (output / "wav").iterdir()) == ["000.ark", "001.ark"]
    found = kaldiio.load_scp(str(output / "wav.scp"))
    for name, wanted in (("a", RAMP), ("b", STEREO)):
        rate, samples = found[name]
        assert rate == RATE and samples.shape == wanted.shape
        scale = 1 if samples.dtype == np.int16 else 32768
        assert np.array_equal(samples * scale, wanted)
    for name in ("text.tc.en", "utt2spk", "utt2group"):
        assert (output / name).read_text() == (folder / name).read_text()


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_legonn_reads_it_too(folder: Path, tmp_path: Path, format: str) -> None:
    (folder / "segments").write_text("a-1 a 0.1 0.25\nb-1 b 0.4 -1 1\n")
    (folder / "text.tc.en").write_text("a-1 one\nb-1 two\n")
    export_folder(folder, tmp_path / "arks", format=format)
    first, second = (read_sound(u)[0] for u in read_utterances(tmp_path / "arks").values())
    assert first[:, 0] == pytest.approx(RAMP[800:2000] / 32768, abs=1e-6)
    assert second[:, 0] == pytest.approx((-RAMP // 2)[3200:] / 32768, abs=1e-6)


def test_what_is_there_stays(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is there: give a new folder, or remove it"):
        export_folder(folder, folder)


def test_bad_recordings_are_listed_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    (folder / "b.flac").write_text("no sound")
    (folder / "wav.scp").write_text("a a.wav\nb b.flac\nc c.wav\n")
    with pytest.raises(DataError, match="2 recordings of .* can't be exported") as error:
        export_folder(folder, tmp_path / "arks")
    assert [item.partition(": ")[0] for item in error.value.items] == [
        f"{folder / 'wav.scp'}:2",
        f"{folder / 'wav.scp'}:3",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_damaged_recordings_are_not_archived_as_whole(
    folder: Path, tmp_path: Path, format: str
) -> None:
    whole = (folder / "a.wav").read_bytes()
    (folder / "a.wav").write_bytes(whole[:-1000])
    strange = np.linspace(-0.5, 0.5, 4000, dtype=np.float32)
    strange[7] = np.nan
    soundfile.write(folder / "n.wav", strange, RATE, subtype="FLOAT")
    soundfile.write(folder / "s.wav", np.zeros(4000, dtype=np.int16), RATE)
    (folder / "wav.scp").write_text("a a.wav\nb b.flac\nn n.wav\ns s.wav\n")
    with pytest.raises(DataError, match="2 recordings of .* can't be exported") as error:
        export_folder(folder, tmp_path / "arks", format=format)
    cut, none = error.value.items
    assert "a.wav: cut off: 1000 bytes are missing" in cut
    assert "n.wav: samples that are no numbers" in none
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_is_synthetic_stays_so(folder: Path, tmp_path: Path) -> None:
    (folder / "synthesis.yaml").write_text("note: synthetic speech\n")
    export_folder(folder, tmp_path / "arks")
    assert (tmp_path / "arks/synthesis.yaml").read_text() == "note: synthetic speech\n"


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--input", str(folder), "--output", str(tmp_path / "arks")]) == 0
    assert "arks: 2 recordings in archives" in capsys.readouterr().out
