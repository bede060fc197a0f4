"""Which recordings a command line means, and what it says where it can't be meant."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from legonn.audio.inputs import check_kind, find_recordings, is_sound, utterance_id
from legonn.audio.recordings import Utterance
from legonn.audio.source import Sound
from legonn.errors import ConfigError, DataError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("paths", "sound"),
    [
        (["-"], False),
        (["in.fr"], False),
        (["text.tc.de"], False),
        (["a.wav"], True),
        (["A.FLAC", "b.opus", "c.mp3"], True),
        (["data/t/wav.scp"], True),
    ],
)
def test_names_tell_sound_from_text(paths: list[str], sound: bool) -> None:
    assert is_sound(paths) == sound


def test_a_folder_is_sound_and_a_given_format_is_text(tmp_path: Path) -> None:
    assert is_sound([str(tmp_path)])
    assert not is_sound(["a.wav"], "lines")


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a.wav", "b.txt"], r"--input names audio, a\.wav, and by its name b\.txt isn't: give"),
        (
            ["a.wav", "b.m4a"],
            r"b\.m4a: a format that isn't read; convert it, .* ffmpeg -i b\.m4a x",
        ),
        (["b.M4A"], r"b\.M4A: a format that isn't read"),
        (["-", "a.wav"], r"names audio, a\.wav, and by its name standard input isn't"),
        (["a.fr", "b.fr"], r"--input names 2 texts, a\.fr first: give one"),
    ],
)
def test_inputs_of_two_kinds_and_several_texts(paths: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        is_sound(paths)


def test_a_system_and_its_input_must_be_of_one_kind() -> None:
    check_kind(Sound(8000), "exp/asr", ["a.wav"], sound=True)
    check_kind("a codec", "exp/mt", ["in.fr"], sound=False)
    with pytest.raises(
        ConfigError, match=r"exp/mt reads text, and --input a\.wav is audio: give it a file of text"
    ):
        check_kind("a codec", "exp/mt", ["a.wav"], sound=True)
    with pytest.raises(
        ConfigError,
        match="exp/asr takes speech at 8000 Hz, and standard input is read as text: give --input audio files",
    ):
        check_kind(Sound(8000), "exp/asr", ["-"], sound=False)


def test_files_are_called_by_their_names_in_the_order_given() -> None:
    found = find_recordings(["x/b.flac", "a.b.wav"])
    assert found == {
        "b": Utterance("b", "x/b.flac", "x/b.flac"),
        "a.b": Utterance("a.b", "a.b.wav", "a.b.wav"),
    }
    assert list(found) == ["b", "a.b"]


def test_ids_are_one_word_of_utf8() -> None:
    assert utterance_id(Path("a/my  talk\t1.wav")) == "a-my_talk_1"
    assert utterance_id(Path("caf\udce9.wav")) == "caf\ufffd"


def test_equal_ids_name_both_files(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="2 recordings have the id of another; rename them"
    ) as error:
        find_recordings(["x/a.wav", "y/a.flac", "a.wav", "b.wav"])
    assert error.value.items == ["a: x/a.wav and y/a.flac", "a: x/a.wav and a.wav"]
    touch(tmp_path, "a/b.wav", "a-b.wav")
    with pytest.raises(DataError) as error:
        find_recordings([str(tmp_path)])
    assert error.value.items == [f"a-b: {tmp_path}/a/b.wav and {tmp_path}/a-b.wav"]


def test_a_folder_of_audio_files_is_searched_and_sorted_by_bytes(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "B.FLAC", "ä.mp3", "a/2.ogg", "a/1/z.opus")
    touch(tmp_path, "notes.txt", "._b.wav", ".trash/c.wav")
    found = find_recordings([str(tmp_path)])
    assert list(found) == ["B", "a-1-z", "a-2", "b", "ä"]
    assert found["a-1-z"].source == str(tmp_path / "a" / "1" / "z.opus")


def test_a_folder_without_audio(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="has neither wav.scp nor audio files: name a folder that"):
        find_recordings([str(tmp_path)])


def test_links_to_folders_are_followed_but_not_in_a_ring(tmp_path: Path) -> None:
    """`in/far` leads to `far`, whose `home` leads back to `in` and whose `self` leads to itself."""
    touch(tmp_path, "in/a.wav", "in/near/b.wav", "far/c.wav")
    (tmp_path / "in/far").symlink_to(tmp_path / "far")
    (tmp_path / "in/twin").symlink_to("near")
    (tmp_path / "far/home").symlink_to(tmp_path / "in")
    (tmp_path / "far/self").symlink_to(".")
    (tmp_path / "link").symlink_to("in")
    wanted = ["a", "far-c", "near-b"]  # and twin-b would be near-b again
    assert list(find_recordings([str(tmp_path / "in")])) == wanted
    assert list(find_recordings([str(tmp_path / "link")])) == wanted
    # From the other side the ring is entered elsewhere.
    assert list(find_recordings([str(tmp_path / "far")])) == [
        "c",
        "home-a",
        "home-near-b",
        "home-twin-b",
    ]


def test_a_link_that_leads_nowhere_is_a_recording_by_its_name_only(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "b.wav").symlink_to("gone.wav")
    (tmp_path / "notes").symlink_to("gone")
    assert list(find_recordings([str(tmp_path)])) == ["a", "b"]


def test_a_link_to_what_holds_the_folder_or_to_itself_is_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "in/a.wav")
    (tmp_path / "in/up").symlink_to("..")
    (tmp_path / "in/loop").symlink_to("loop")
    assert list(find_recordings([str(tmp_path / "in")])) == ["a"]


@pytest.mark.parametrize("locked", ["", "b/c"])
def test_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    """Also for root, who may read everything. A folder below the named one is only told."""
    touch(tmp_path, "a.wav", "b/c/d.wav")
    scandir = os.scandir

    def refuse(path: Path) -> Iterator[os.DirEntry[str]]:
        if path == tmp_path / locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    what = (
        f"{tmp_path / locked} can't be read (Permission denied): give yourself the right to read it, for example with "
        "chmod, or move it elsewhere"
    )
    told: list[str] = []
    if not locked:
        with pytest.raises(DataError) as error:
            find_recordings([str(tmp_path)], tell=told.append)
        assert (str(error.value), told) == (what, [])
        return
    assert list(find_recordings([str(tmp_path)], tell=told.append)) == ["a"]
    assert told == [f"left out: {what}"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(DataError, match=r"locked can't be read \(Permission denied\): give"):
        find_recordings([str(tmp_path / "locked")])


def test_what_hidden_folders_hold_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.wav", ".trash/b.m4a")
    looked = []
    scandir = os.scandir

    def look(path: Path) -> Iterator[os.DirEntry[str]]:
        looked.append(path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", look)
    assert list(find_recordings([str(tmp_path)])) == ["a"]
    assert looked == [tmp_path]


def test_recordings_of_formats_that_cannot_be_read_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.wav", "b.M4A", "x/c.webm", "x/d.m4a", "._e.m4a", "x/notes.txt", "e.json")
    told: list[str] = []
    assert list(find_recordings([str(tmp_path)], tell=told.append)) == ["a"]
    assert told == [
        f"{tmp_path}: 3 files are left out, as they can't be read by their names' formats (.m4a, .webm): convert "
        "them, for example with ffmpeg"
    ]
    find_recordings([str(tmp_path)])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"legonn: warning: {told[0]}\n")


@pytest.mark.parametrize("name", "a.aac a.amr a.mkv a.mov a.mp4 a.webm a.wma a.m4a".split())
def test_a_folder_of_such_files_alone_says_so_too(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    told: list[str] = []
    with pytest.raises(DataError, match="has neither wav.scp nor audio files"):
        find_recordings([str(tmp_path)], tell=told.append)
    assert (
        f"1 files are left out, as they can't be read by their names' formats ({name[1:]})"
        in (told[0])
    )


def test_texts_beside_recordings_deserve_no_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path, "a.wav", "a.txt", "a.json", "README", "a.TextGrid")
    find_recordings([str(tmp_path)])
    assert capsys.readouterr().err == ""


def test_a_kaldi_folder_by_its_own_name_or_its_files(tmp_path: Path) -> None:
    touch(tmp_path, "z.wav")
    scp = tmp_path / "wav.scp"
    scp.write_text("b z.wav\na z.wav\n")
    assert list(find_recordings([str(tmp_path)])) == ["b", "a"]
    (tmp_path / "segments").write_text("a-2 a 1 2\na-1 a 0 1\n")
    wanted = {
        "a-2": Utterance("a-2", str(tmp_path / "z.wav"), f"{tmp_path}/segments:1", 1.0, 2.0),
        "a-1": Utterance("a-1", str(tmp_path / "z.wav"), f"{tmp_path}/segments:2", 0.0, 1.0),
    }
    assert find_recordings([str(scp)]) == find_recordings([str(tmp_path)]) == wanted
    assert list(find_recordings([str(scp), "c.wav"])) == ["a-2", "a-1", "c"]


def test_an_absent_wav_scp(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        find_recordings([str(tmp_path / "wav.scp")])
    assert error.value.items == [f"{tmp_path}/wav.scp: no such file; make it, or mend the name"]


def test_commands_must_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("a cat a.wav |\n")
    with pytest.raises(DataError, match="a command, which would run with your rights"):
        find_recordings([str(tmp_path)])
    assert find_recordings([str(tmp_path)], allow_pipes=True)["a"].is_pipe


def test_keys_pick_recordings(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("c\na more\n")
    names = ["a.wav", "b.wav", "c.wav"]
    assert list(find_recordings(names, key_file=str(keys))) == ["c", "a"]
    keys.write_text("a\nd\n")
    with pytest.raises(DataError, match=r"1 keys of .* are not in a\.wav, b\.wav, c\.wav") as error:
        find_recordings(names, key_file=str(keys))
    assert error.value.items == [f"{keys}:2: d"]
    with pytest.raises(DataError, match="can't read .*absent: No such file"):
        find_recordings(names, key_file=str(tmp_path / "absent"))
