"""speechocean762 as data folders: real people, half of them children, reading English prompts.

Zhang et al. 2021, "speechocean762: An Open-Source Non-native English Speech Corpus For Pronunciation Assessment" (arXiv
2104.01378, OpenSLR 101). The text is the prompt: what somebody misread isn't in it, so error rates have a floor.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from legonn.data.folder import c_sorted, read_lines, read_text, write_text
from legonn.errors import DataError

__all__ = ["COMMIT", "fetch", "get_parser", "main", "phones_of", "prepare"]

URL = "https://github.com/jimbozhang/speechocean762"
COMMIT = "613968e3b0b789fc33936fb5eba1973176ba7d11"
SETS = ("train", "dev", "test")
DEV_SPEAKERS = 12  # of the training set, where the corpus comes without a dev set
ADULT = 18  # years
# A phone as `resource/text-phone` writes it, `IY0_E`: stress and place in the word are left out.
PHONE = re.compile(r"([A-Z]+)[0-9]?(_[BIES])?")


def fetch(folder: Path, *, url: str = URL, commit: str = COMMIT) -> Path:
    """Download the corpus with git, whose commit is the hash of all that it holds, unless it is there.

    Raises
    ------
    DataError
        When git fails; says what to do.
    """
    if (folder / "train" / "wav.scp").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for command in (
        ["git", "init", "-q"],
        ["git", "fetch", "-q", "--depth", "1", url, commit],
        ["git", "checkout", "-q", "FETCH_HEAD"],
    ):
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1:]
            raise DataError(
                f"{' '.join(command)} failed in {folder} ({' '.join(said)}): fetch the corpus by hand (OpenSLR 101), "
                "and set SPEECHOCEAN762 to its folder"
            ) from error
    return folder


def phones_of(lines: Mapping[str, str]) -> dict[str, str]:
    """Phones of utterances, from those of their words: `000010011.0` -> `W_B IY0_E` gives `000010011` -> `W IY ...`.

    Raises
    ------
    DataError
        Naming every line that has another form.
    """
    words: dict[str, list[tuple[int, str]]] = {}
    faults = []
    for key, text in lines.items():
        utt_id, _, place = key.rpartition(".")
        found = [PHONE.fullmatch(phone) for phone in text.split()]
        if not (utt_id and place.isdigit() and found and all(found)):
            faults.append(f"{key} {text}")
            continue
        phones = " ".join(match[1] for match in found if match)
        words.setdefault(utt_id, []).append((int(place), phones))
    if faults:
        raise DataError("lines of text-phone that aren't '<utt-id>.<n> <phone> ...':", faults)
    return {
        utt_id: " ".join(phones for _, phones in sorted(said)) for utt_id, said in words.items()
    }


def prepare(source: Path, output: Path) -> dict[str, int]:
    """Write the folders `train`, `dev` and `test`: wav.scp, text.lc.en, text.phn.en, utt2spk, utt2group.

    Where the corpus has no dev set, every n-th of the training speakers becomes one. `utt2group` says `child` or
    `adult` of each utterance's speaker.

    Returns
    -------
    dict
        Utterances written, by set.

    Raises
    ------
    DataError
        When files are missing, or utterances lack something: all of them.
    """
    needed = [source / name for name in ("train/wav.scp", "test/wav.scp", "resource/text-phone")]
    missing = [f"{path}: no such file" for path in needed if not path.is_file()]
    if missing:
        raise DataError(f"{source} is not speechocean762; set SPEECHOCEAN762 to it:", missing)
    phones = phones_of(_read_words(source / "resource" / "text-phone"))
    columns = {name: _read_set(source, name) for name in SETS if (source / name).is_dir()}
    if "dev" not in columns:
        columns["train"], columns["dev"] = _divide(columns["train"])
    faults: list[str] = []
    written = {}
    for name in SETS:
        written[name] = _write_set(source, output / name, columns[name], phones, faults)
    if faults:
        raise DataError(f"{len(faults)} utterances of {source} lack something:", faults)
    return written


def _read_words(path: Path) -> dict[str, str]:
    """Lines `<utt-id>.<n>`, white space of any kind, phones."""
    lines = (line.decode("utf-8").split(maxsplit=1) for _, line in read_lines(path))
    return {words[0]: " ".join(words[1:]) for words in lines if words}


Columns = dict[str, dict[str, str]]  # by file, by utterance


def _read_set(source: Path, name: str) -> Columns:
    files = ("wav.scp", "text", "utt2spk")
    columns = {file: read_text(source / name / file) for file in files}
    ages = read_text(source / name / "spk2age")
    columns["utt2group"] = {
        utt_id: "adult" if int(ages[speaker]) >= ADULT else "child"
        for utt_id, speaker in columns["utt2spk"].items()
        if speaker in ages
    }
    return columns


def _divide(columns: Columns) -> tuple[Columns, Columns]:
    """Training and dev set of the whole training set, no speaker in both."""
    speakers = c_sorted(set(columns["utt2spk"].values()))
    held_out = set(speakers[:: max(1, len(speakers) // DEV_SPEAKERS)][:DEV_SPEAKERS])

    def some(inside: bool) -> Columns:
        spoken = columns["utt2spk"]
        return {
            name: {i: value for i, value in column.items() if (spoken.get(i) in held_out) == inside}
            for name, column in columns.items()
        }

    return some(False), some(True)


def _write_set(
    source: Path, folder: Path, columns: Columns, phones: Mapping[str, str], faults: list[str]
) -> int:
    everything = {
        **columns,
        "text-phone": {i: phones[i] for i in columns["wav.scp"] if i in phones},
    }
    lacking = [
        f"{utt_id}: nothing in {name}"
        for name, column in everything.items()
        for utt_id in columns["wav.scp"].keys() - column.keys()
    ]
    faults += sorted(lacking)
    if lacking:
        return 0
    ids = list(columns["wav.scp"])
    write_text(folder / "text.lc.en", {i: columns["text"][i].lower() for i in ids})
    write_text(folder / "text.phn.en", {i: phones[i] for i in ids})
    write_text(folder / "utt2spk", {i: columns["utt2spk"][i] for i in ids})
    write_text(folder / "utt2group", {i: columns["utt2group"][i] for i in ids})
    write_text(
        folder / "wav.scp", {i: str((source / columns["wav.scp"][i]).resolve()) for i in ids}
    )
    return len(ids)


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn.data.speechocean762", description="Prepare speechocean762."
    )
    parser.add_argument("--source", default="", help="the corpus's folder; empty downloads it")
    parser.add_argument("--downloads", type=Path, default=Path("downloads"))
    parser.add_argument("--output", type=Path, default=Path("data"))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = get_parser().parse_args(argv)
    if not args.source:
        print(f"fetching {URL} at {COMMIT[:12]}: 600 MB", file=sys.stderr)
    source = Path(args.source) if args.source else fetch(args.downloads / "speechocean762")
    for name, count in prepare(source, args.output).items():
        print(f"{args.output / name}: {count} utterances")
    return 0


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
