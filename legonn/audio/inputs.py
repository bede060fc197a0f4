"""Which recordings a command line means: files of sound, folders of them, and Kaldi's `wav.scp`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from legonn.audio.recordings import Utterance, read_utterances
from legonn.audio.source import Sound
from legonn.data.folder import is_named_text, read_keys
from legonn.errors import ConfigError, DataError

__all__ = [
    "SPEECH",
    "SUFFIXES",
    "by_id",
    "check_kind",
    "find_recordings",
    "has_suffix",
    "is_sound",
    "list_recordings",
    "text_names",
    "utterance_id",
]

# Names of what soundfile reads and knows by its content; the usual ones first, for messages.
SUFFIXES = tuple(
    ".wav .flac .mp3 .ogg .opus .oga .aif .aiff .aifc .au .snd .caf .w64 .rf64 .sph .nist .voc".split()
)
# Of sound and video that it can't read.
UNREADABLE = frozenset(".aac .amr .m4a .mkv .mov .mp4 .webm .wma".split())
SPEECH = (
    f"audio files ({', '.join(SUFFIXES[:5])} ...), a folder of them, or a Kaldi folder's wav.scp"
)


def is_sound(paths: Sequence[str], form: str = "auto") -> bool:
    """Whether an input is recordings: a folder, a `wav.scp`, or a name that ends as audio files' do.

    Parameters
    ----------
    paths : sequence of str
        The input.
    form : str
        Of text, if it isn't `auto`: then it is no recordings.

    Raises
    ------
    ConfigError
        If some paths are and some aren't, and when several aren't.
    """
    text = [path for path in paths if form != "auto" or not _is_sound(path)]
    unreadable = [path for path in text if Path(path).suffix.lower() in UNREADABLE]
    if unreadable and form == "auto":
        raise ConfigError(
            f"{unreadable[0]}: a format that isn't read; convert it, for example with ffmpeg -i {unreadable[0]} x.flac"
        )
    if not text:
        return True
    if len(text) < len(paths):
        sound = next(path for path in paths if _is_sound(path))
        raise ConfigError(
            f"--input names audio, {sound}, and by its name {_called(text[0])} isn't: give {SPEECH}; "
            "convert other formats, for example with ffmpeg"
        )
    if len(text) > 1:
        raise ConfigError(
            f"--input names {len(text)} texts, {_called(text[0])} first: give one. It takes several only of audio: "
            f"{SPEECH}"
        )
    return False


def _is_sound(path: str) -> bool:
    if path == "-":
        return False
    given = Path(path)
    return given.is_dir() or given.name == "wav.scp" or has_suffix(given)


def has_suffix(path: Path) -> bool:
    """Whether a name ends as audio files' do."""
    return path.suffix.lower() in SUFFIXES


def text_names(folder: Path) -> list[str]:
    """A data folder's texts: `text` and `text.*` that aren't recordings, sorted."""
    paths = [path for path in folder.glob("text*") if path.is_file() and is_named_text(path)]
    return sorted(path.name for path in paths if not has_suffix(path))


def _called(path: str) -> str:
    return "standard input" if path == "-" else path


def check_kind(source: object, name: str, paths: Sequence[str], *, sound: bool) -> None:
    """Raise a ConfigError unless a system takes what it is given.

    Parameters
    ----------
    source : TextCodec or Sound
        What its encoder reads.
    name : str
        The system's.
    paths : sequence of str
        The input.
    sound : bool
        Whether that is recordings.
    """
    if isinstance(source, Sound) == sound:
        return
    if sound:
        raise ConfigError(
            f"{name} reads text, and --input {paths[0]} is audio: give it a file of text, or name a system whose "
            "encoder hears"
        )
    raise ConfigError(
        f"{name} takes {source}, and {_called(paths[0])} is read as text: give --input {SPEECH}"
    )


def _tell(message: str) -> None:
    print(f"legonn: warning: {message}", file=sys.stderr)


def find_recordings(
    paths: Sequence[str],
    *,
    allow_pipes: bool = False,
    key_file: str | None = None,
    tell: Callable[[str], None] = _tell,
) -> dict[str, Utterance]:
    """What an input of sound consists of; no recording is opened yet.

    Parameters
    ----------
    paths : sequence of str
        Audio files, whose ids are their names without the suffix; folders of them at any depth, through links too,
        whose ids are the paths below the folder, `-` for `/`; `wav.scp`, or the folder that holds it, with the
        `segments` beside it. In ids `_` stands for white space.
    allow_pipes : bool
        Let `wav.scp` hold commands.
    key_file : str, optional
        Only the ids that begin this file's lines, in its order.
    tell : callable
        Told, once a folder, how many recordings are left out of it, as their formats can't be read.

    Returns
    -------
    dict of str to Utterance
        By id, in the order of `paths`; a folder's in the C locale's order of ids, those of `wav.scp` in its order.

    Raises
    ------
    DataError
        If a folder has no recordings or can't be read, or a `wav.scp` has faults; naming all files that would get an
        id twice, and all keys that there aren't.
    """
    found, clashes = by_id(
        one
        for path in paths
        for one in list_recordings(Path(path), allow_pipes=allow_pipes, tell=tell)
    )
    if clashes:
        raise DataError(
            f"{len(clashes)} recordings have the id of another; rename them, or name them in a wav.scp:",
            clashes,
        )
    if key_file is None:
        return found
    return {key: found[key] for key in read_keys(key_file, found, ", ".join(paths))}


def by_id(utterances: Iterable[Utterance]) -> tuple[dict[str, Utterance], list[str]]:
    """The first utterance of each id; and of each other `id: the first's place and its own`."""
    found: dict[str, Utterance] = {}
    clashes = []
    for utterance in utterances:
        first = found.setdefault(utterance.utt_id, utterance)
        if first is not utterance:
            clashes.append(f"{utterance.utt_id}: {first.where} and {utterance.where}")
    return found, clashes


def list_recordings(
    path: Path, *, allow_pipes: bool = False, tell: Callable[[str], None] = _tell
) -> list[Utterance]:
    """What one path consists of, several of one id too; the arguments and errors are `find_recordings`'s."""
    # os.path: False of a folder that can't be looked into, which is told when it is searched
    if path.is_dir() and not os.path.isfile(path / "wav.scp"):
        return _folder(path, tell)
    if path.is_dir() or path.name == "wav.scp":
        folder = path if path.is_dir() else path.parent
        return list(read_utterances(folder, allow_pipes=allow_pipes).values())
    return [_named(path, Path(path.name))]


def _folder(folder: Path, tell: Callable[[str], None]) -> list[Utterance]:
    files = sorted(_walk(folder, Path(), tell))
    unreadable = [name.suffix.lower() for name in files if name.suffix.lower() in UNREADABLE]
    if unreadable:
        tell(
            f"{folder}: {len(unreadable)} files are left out, as they can't be read by their names' formats "
            f"({', '.join(sorted(set(unreadable)))}): convert them, for example with ffmpeg"
        )
    utterances = [_named(folder / name, name) for name in files if has_suffix(name)]
    if not utterances:
        raise DataError(
            f"{folder} has neither wav.scp nor audio files: name a folder that has. Audio files end in "
            f"{', '.join(SUFFIXES)}"
        )
    return sorted(utterances, key=lambda one: one.utt_id.encode("utf-8"))  # as the C locale does


def _walk(
    folder: Path, below: Path, tell: Callable[[str], None], above: frozenset[str] = frozenset()
) -> Iterator[Path]:
    """Files in `folder / below`, relative to `folder`; without hidden ones, as other systems' file managers leave.

    Links to folders are followed, but not within `folder`, to what holds it, or into `above`, the real paths that lead
    here: files would come twice, or without an end. A folder below `folder` that can't be read is told.
    """
    above |= {os.path.realpath(folder / below)}
    try:
        with os.scandir(folder / below) as entries:
            names = {entry.name: _is_folder(entry) for entry in entries if entry.name[0] != "."}
    except OSError as error:
        fault = f"{error.filename} can't be read ({error.strerror}): give yourself the right to read it, for example "
        fault += "with chmod, or move it elsewhere"
        if not below.parts:
            raise DataError(fault) from error
        tell(f"left out: {fault}")
        return
    for name, is_folder in names.items():
        if not is_folder:
            yield below / name
        elif _leads_elsewhere(folder, folder / below / name, above):
            yield from _walk(folder, below / name, tell, above)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or to where one may not look
        return False


def _leads_elsewhere(folder: Path, path: Path, above: frozenset[str]) -> bool:
    """Whether a folder is none that `folder` has elsewhere, or that has it."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return not path.is_symlink() or (
        real not in above and os.path.commonpath([real, root]) not in (real, root)
    )


def _named(path: Path, name: Path) -> Utterance:
    return Utterance(utterance_id(name), str(path), str(path))


def utterance_id(name: Path) -> str:
    """`a/b c.wav` -> `a-b_c`: one word of UTF-8, as a text file's ids are."""
    words = "-".join(name.with_suffix("").parts).split()
    return os.fsencode("_".join(words)).decode("utf-8", errors="replace")
