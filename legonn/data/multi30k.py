"""Multi30k (task 1, raw captions) as data folders.

Read from a folder that holds `<set>.<lang>.gz`, or downloaded from the repository
`multi30k/dataset` at one commit. Either way the text's hash is checked; that of the archive would
change with the compressor.

Elliott et al., "Multi30K: Multilingual English-German Image Descriptions", 2016.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
import sys
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path

from legonn.data.atomic import write_atomic
from legonn.data.folder import clean, numbered_ids, write_text
from legonn.errors import DataError

__all__ = ["COMMIT", "TEXT_SHA256", "fetch", "get_parser", "main", "prepare"]

COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
URL = "https://raw.githubusercontent.com/multi30k/dataset/{commit}/data/task1/raw/{name}"
SETS = ("train", "val", "test_2016_flickr")
LANGUAGES = ("de", "en", "fr")
# SHA-256 of each file's text, decompressed.
TEXT_SHA256 = {
    "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test_2016_flickr.fr": "cb3160d69b002bb638e66cc7612fcd56cb0af82eadc9c142dedc438afb885ef6",
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "train.fr": "5925a3c18f1587b6b54b87743106e6e8ab93618edb6f65d19eac0621f853a10d",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "val.fr": "5304e444d842e962b2dda4d816b70b22a1765b15401642b7ca37a67477e708dc",
}


def fetch(name: str, *, source: Path | None, downloads: Path) -> bytes:
    """Give one file's archive, from a folder or from its public home.

    Parameters
    ----------
    name : str
        `<set>.<lang>`.
    source : path or None
        A folder with `<name>.gz`; None downloads.
    downloads : path
        Where downloaded archives are kept.

    Raises
    ------
    DataError
        When the folder lacks the file, or the download fails.
    """
    path = (source or downloads) / f"{name}.gz"
    if path.is_file():
        return path.read_bytes()
    if source is not None:
        raise DataError(f"{path} isn't there; unset MULTI30K to download the corpus")
    url = URL.format(commit=COMMIT, name=f"{name}.gz")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            archive: bytes = answer.read()
    except OSError as error:
        raise DataError(
            f"{url} can't be downloaded ({error}); fetch it by hand and set MULTI30K to its folder"
        ) from error
    write_atomic(path, archive)
    return archive


def checked_text(name: str, archive: bytes) -> str:
    """Decompress an archive and compare its text with the pinned hash."""
    try:
        content = gzip.decompress(archive)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{name}.gz is no whole gzip file ({error}); remove it and run again"
        ) from (error)
    got = hashlib.sha256(content).hexdigest()
    if got != TEXT_SHA256[name]:
        raise DataError(
            f"{name}.gz holds other text than commit {COMMIT[:12]}: SHA-256 {got}, expected "
            f"{TEXT_SHA256[name]}; remove it and run again"
        )
    return content.decode("utf-8")


def read_set(
    name: str, languages: Sequence[str], *, source: Path | None, downloads: Path
) -> list[list[str]]:
    """Read one set: for each language its captions, cleaned of stray white space."""
    columns = []
    for language in languages:
        key = f"{name}.{language}"
        text = checked_text(key, fetch(key, source=source, downloads=downloads))
        columns.append([clean(line) for line in text.removesuffix("\n").split("\n")])
    if len({len(column) for column in columns}) > 1:
        counts = ", ".join(f"{k} {len(c)}" for k, c in zip(languages, columns, strict=True))
        raise DataError(f"{name} has different numbers of lines: {counts}")
    return columns


def keep_full_pairs(name: str, ids: Sequence[str], columns: Sequence[Sequence[str]]) -> list[int]:
    """Give the rows that have text in every language; list the others on stderr."""
    full = [row for row in range(len(ids)) if all(column[row] for column in columns)]
    for row in sorted(set(range(len(ids))) - set(full)):
        print(
            f"{name}: line {row + 1} ({ids[row]}) is empty on one side, left out", file=sys.stderr
        )
    if len(full) < len(ids):
        print(f"{name}: {len(ids) - len(full)} pairs left out", file=sys.stderr)
    return full


def prepare(
    output: Path,
    *,
    src_lang: str,
    tgt_lang: str,
    source: Path | None = None,
    downloads: Path = Path("downloads"),
    train_pairs: str = "",
) -> dict[str, int]:
    """Write the folders `<set>_<src>_<tgt>` with `text.tc.<lang>`; of one language twice, `<set>_<lang>`.

    Parameters
    ----------
    output : path
        The parent of the folders.
    source, downloads : path
        See `fetch`.
    train_pairs : str
        Keep some of the training pairs, to play a language with little data: `5000` the first of them,
        `24001-29000` those lines. The folder's name then ends in it. Empty or 0 keeps all.

    Returns
    -------
    dict
        Pairs written, by folder name.
    """
    written = {}
    languages = tuple(dict.fromkeys((src_lang, tgt_lang)))
    for name in SETS:
        columns = read_set(name, languages, source=source, downloads=downloads)
        ids = numbered_ids(name, len(columns[0]))
        rows = keep_full_pairs(name, ids, columns)
        folder = "_".join((name, *languages))
        if name == "train" and train_pairs not in ("", "0"):
            rows, folder = _chosen(rows, train_pairs), f"{folder}_{train_pairs}"
        for language, column in zip(languages, columns, strict=True):
            texts = {ids[row]: column[row] for row in rows}
            write_text(output / folder / f"text.tc.{language}", texts)
        written[folder] = len(rows)
    return written


def _chosen(rows: list[int], pairs: str) -> list[int]:
    """`5000`: the first of the rows; `24001-29000`: those with these line numbers."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)", pairs)
    if found is None:
        raise DataError(f"--train_pairs is {pairs!r}; it wants a number, or lines: 24001-29000")
    last = int(found[2])
    chosen = (
        rows[:last]
        if found[1] is None
        else [row for row in rows if int(found[1]) <= row + 1 <= last]
    )
    if not chosen:
        raise DataError(f"--train_pairs {pairs} leaves no pair of the {len(rows)} that there are")
    return chosen


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="legonn.data.multi30k", description="Prepare Multi30k.")
    parser.add_argument("--source", default="", help="folder with <set>.<lang>.gz; empty downloads")
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--output", type=Path, default=Path("data"))
    parser.add_argument("--src_lang", choices=LANGUAGES, default="de")
    parser.add_argument("--tgt_lang", choices=LANGUAGES, default="en")
    parser.add_argument(
        "--train_pairs", default="", help="keep the first N, or lines M-N (default: all)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    written = prepare(
        args.output,
        src_lang=args.src_lang,
        tgt_lang=args.tgt_lang,
        source=Path(args.source) if args.source else None,
        downloads=args.downloads,
        train_pairs=args.train_pairs,
    )
    for folder, count in written.items():
        print(
            f"{args.output / folder}: {count} {'lines' if args.src_lang == args.tgt_lang else 'pairs'}"
        )
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
