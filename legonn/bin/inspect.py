"""`legonn inspect`: what a module is, what it fits, where it comes from, in one screen."""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["get_parser", "main"]

EPILOG = """\
examples:
  legonn inspect modules/de_decoder
  legonn inspect modules/*          the last lines say which encoder fits which decoder
"""


SHAPE = (
    "layers",
    "layers_before",
    "layers_after",
    "width",
    "length_ratio",
    "positions_per_token",
)


def get_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="legonn inspect",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modules", nargs="+", metavar="M", help="folder, file, or hf:owner/name")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Print one block a module; reads no weights."""
    args = get_parser().parse_args(argv)
    from legonn.hub import locate
    from legonn.module import describe

    looked = []
    for name in args.modules:
        document, folder = describe(locate(name))
        sides = interfaces(document, folder)
        print("\n".join(map(_shown, screen(name, document, folder, sides))), end="\n\n")
        looked.append((name, sides))
    if len(looked) > 1:
        print("\n".join(map(_shown, fits(looked))))
    return 0


def _shown(line: str) -> str:
    """Without what a terminal obeys, or what turns the direction of writing: a stranger wrote it."""
    return "".join("\ufffd" if unicodedata.category(char)[0] == "C" else char for char in line)


def interfaces(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """`reads` and `writes` of a module, those that it has."""
    from legonn.interface import Interface
    from legonn.module import DESCRIPTION
    from legonn.tokenizer import read_token_list

    sides = {}
    for side in ("reads", "writes"):
        if document[side] is not None:
            prefix = "src_" if document["kind"] == "bridge" and side == "reads" else ""
            tokens = read_token_list(folder / f"{prefix}tokens.txt")
            name = str(folder / DESCRIPTION)
            sides[side] = Interface.from_dict({**document[side], "tokens": tokens}, name)
    return sides


def screen(
    name: str, document: Mapping[str, Any], folder: Path, sides: Mapping[str, Any]
) -> list[str]:
    """The lines about one module."""
    from legonn.module import WEIGHTS

    size = (folder / WEIGHTS).stat().st_size / 2**20
    provenance = document["provenance"]
    rows = {
        "kind": f"{document['kind']}, {_classes(document)}",
        "weights": f"{document['parameters'] / 1e6:.2f} M parameters, {size:.1f} MiB, "
        f"SHA-256 {document['weights_sha256'][:12]}",
        **_source(document, folder),
        **{side: _interface(interface) for side, interface in sides.items()},
        "made": _joined(provenance.get("date"), _revision(provenance.get("revision"))),
        "trained on": ", ".join(provenance.get("training_set") or []),
        "parents": ", ".join(
            f"{parent['kind']} {parent['name']} ({parent['weights_sha256'][:12]})"
            for parent in provenance.get("parents") or []
        ),
    }
    lines = [name]
    lines += [f"  {row:<11} {text}" for row, text in rows.items() if text]
    scores = [_score(score) for score in document["scores"]]
    return lines + [f"  {'scores' if i == 0 else '':<11} {text}" for i, text in enumerate(scores)]


def fits(looked: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A line for each module that another one can be put behind."""
    lines = []
    for name, sides in looked:
        if "writes" in sides:
            mark = sides["writes"].fingerprint()
            behind = [
                other
                for other, theirs in looked
                if "reads" in theirs and theirs["reads"].fingerprint() == mark
            ]
            lines.append(f"{name} fits {', '.join(behind) or 'none of the others'}")
    return lines


def _classes(document: Mapping[str, Any]) -> str:
    config = document["config"]
    names = [str(config[key]) for key in ("encoder", "ingestor", "decoder") if key in config]
    options = {
        "encoder": config.get("encoder_conf"),
        "decoder": config.get("decoder_conf"),
        "bridge": config,
    }[document["kind"]]
    shape = [f"{key} {options[key]}" for key in SHAPE if options and key in options]
    return ", ".join([*names, *shape])


def _source(document: Mapping[str, Any], folder: Path) -> dict[str, str]:
    from legonn.audio.source import Sound
    from legonn.tokenizer import read_token_list

    if document["kind"] != "encoder":
        return {}
    if document["source"]["token_type"] == Sound.token_type:
        rate = (document["config"].get("encoder_conf") or {}).get("sample_rate")
        sound = Sound() if rate is None else Sound(rate)
        return {"source": f"{sound}{sound.heard(document['provenance'])}"}
    tokens = read_token_list(folder / "src_tokens.txt")
    return {"source": f"text, {len(tokens)} tokens ({document['source']['token_type']})"}


def _interface(interface: Any) -> str:
    seen = interface.positions_per_token
    positions = f", {seen[0]:.2f} / {seen[1]:.2f} / {seen[2]:.2f} positions a token" if seen else ""
    return (
        f"marginals over {len(interface.tokens)} tokens ({interface.unit}, {interface.normalisation}), "
        f"interface {interface.fingerprint()}{positions}"
    )


def _revision(revision: Any) -> str:
    return f"revision {revision[:12]}" if revision else ""


def _joined(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def _score(score: Mapping[str, Any]) -> str:
    from legonn.scoring import Score

    speech = " (synthetic speech)" if Score.from_dict(score).synthetic else ""
    low, high = score.get("low"), score.get("high")
    interval = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{score['metric']} {score['score']:.2f}{interval} on {score.get('test_set') or '?'}{speech}"


if __name__ == "__main__":
    from legonn.cli import run

    raise SystemExit(run(main))
