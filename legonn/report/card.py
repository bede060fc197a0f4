"""A module's model card: README.md in Markdown, with the front matter that the Hugging Face Hub reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml

from legonn.audio.source import Sound

if TYPE_CHECKING:
    from legonn.interface import Interface
    from legonn.part import Part
    from legonn.scoring import Score

__all__ = ["model_card"]

WHAT = {
    "encoder": "An encoder with length controller and head: it reads or hears, and writes marginals.",
    "bridge": "A bridge: it reads marginals over one token list and writes them over another.",
    "decoder": "A decoder with its ingestor: it reads marginals and writes text.",
}
BAR = r"\|"  # within a table's cell
OTHER = {"encoder": "decoder", "decoder": "encoder", "bridge": "encoder M --decoder"}


def model_card(
    part: Part, scores: Sequence[Score], *, title: str, license_name: str = "not stated"
) -> str:
    """Write the card of a part.

    Parameters
    ----------
    scores : sequence of Score
        Of the system that it was trained in.
    title : str
        The module's name.
    license_name : str
        Of the weights.
    """
    front = {"library_name": "legonn", "tags": ["legonn", f"legonn-{part.kind}", "ctc"]}
    if license_name != "not stated":
        front["license"] = license_name.lower()
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {title}",
        f"{WHAT[part.kind]} A module of [LegoNN](https://arxiv.org/abs/2206.03318) with "
        f"{part.parameters() / 1e6:.2f} M parameters.",
        "## Use",
        _usage(part, title),
        "## Contract",
        _contract(part),
    ]
    if scores:
        parts += ["## Scores", "Of the system that it was trained in.", _scores(scores)]
    parts += ["## Origin", _origin(part), "## Licence", f"Weights: {license_name}."]
    return "\n\n".join(parts) + "\n"


def _usage(part: Part, title: str) -> str:
    other = OTHER[part.kind]
    source = "a.wav" if isinstance(part.source, Sound) else "source.txt"
    return (
        "```sh\n"
        f"legonn inspect {title}\n"
        f"legonn compose --{part.kind} {title} --{other} M --output exp/composed\n"
        f"legonn decode --system exp/composed --input {source}\n"
        "```"
    )


def _contract(part: Part) -> str:
    lines = []
    if part.kind == "encoder" and part.source is not None:
        text = f"text, {len(part.source.tokens)} tokens ({part.source.token_type})"
        heard = (
            f"{part.source}{part.source.heard(part.provenance)}"
            if isinstance(part.source, Sound)
            else text
        )
        lines.append(f"- source: {heard}")
    for verb, interface in (("reads", part.reads), ("writes", part.writes)):
        if interface is not None:
            lines.append(f"- {verb}: {_interface(interface)}")
    if part.kind == "decoder":
        lines.append(f"- target: text, {len(part.target.tokens)} tokens ({part.target.token_type})")
    return "\n".join(lines)


def _interface(interface: Interface) -> str:
    seen = interface.positions_per_token
    positions = (
        f"; positions a token (1, 50, 99 %): {', '.join(f'{x:.2f}' for x in seen)}" if seen else ""
    )
    return (
        f"marginals over {len(interface.tokens)} tokens ({interface.unit}, {interface.normalisation}), "
        f"interface `{interface.fingerprint()}`{positions}"
    )


def _scores(scores: Sequence[Score]) -> str:
    rows = [
        f"| {score.test_set or ''}{' (synthetic speech)' * score.synthetic} | {score.metric} | {score.score:.2f} | "
        + (f"{score.low:.2f} to {score.high:.2f}" if score.low is not None else "")
        + f" | `{score.signature.replace('|', BAR)}` |"
        for score in scores
    ]
    header = [
        "| test set | metric | score | 95 % interval | signature |",
        "| :-- | :-- | --: | :-- | :-- |",
    ]
    return "\n".join([*header, *rows])


def _origin(part: Part) -> str:
    provenance = part.provenance
    rows = {
        "experiment": part.name,
        "training set": ", ".join(provenance.get("training_set") or []),
        "date": provenance.get("date"),
        "source revision": provenance.get("revision"),
        "parents": ", ".join(
            f"{parent['kind']} {parent['name']} (`{parent['weights_sha256'][:12]}`)"
            for parent in provenance.get("parents") or []
        ),
    }
    return "\n".join(f"- {name}: {value}" for name, value in rows.items() if value)
