"""Render BENCHMARKS.md from benchmarks.json, which the benchmarks add their figures to.

python tools/benchmarks_page.py            write it
python tools/benchmarks_page.py --check    exit with 1 unless it is what the figures give
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEADER = ("system", "peer", "metric", "system's", "peer's", "ratio", "rounds' least and most")
PACKAGES = ("python", "torch", "espnet", "ctranslate2", "transformers", "fastapi", "uvicorn")
TITLES = {
    "decode": "Joint CTC/attention search",
    "generate": "Beam search of the decoder alone",
    "scaling": "Longer files",
    "serve": "The service",
    "train": "Training",
    "module": "Loading a module",
    "audio": "Speech that is made and read",
}


def get_parser() -> argparse.ArgumentParser:
    """Arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--figures", type=Path, default=HERE / "benchmarks.json")
    add("--preface", type=Path, default=HERE / "BENCHMARKS.preface.md")
    add("--output", type=Path, default=HERE / "BENCHMARKS.md")
    add("--check", action="store_true", help="write nothing")
    return parser


def render(figures: Sequence[Mapping[str, Any]], preface: str) -> str:
    """The page: a section a benchmark, a table for each shape that it measured."""
    from legonn.report.results_page import markdown_table

    parts = [preface.rstrip()]
    for bench, title in TITLES.items():
        mine = [row for row in figures if row["bench"] == bench]
        parts += [f"## {title}"] if mine else []
        for shape in dict.fromkeys(row["shape"] for row in mine):
            rows = [row for row in mine if row["shape"] == shape]
            parts.append(f"**{shape}**")
            parts.append(markdown_table(HEADER, map(_cells, rows), left=3))
            parts += [_answers(row) for row in rows if "lost" in row]
            parts.append(_origin(rows))
    return "\n\n".join(parts) + "\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    spread = f"{row['ratio_low']:g} to {row['ratio_high']:g}" if "ratio_low" in row else ""
    values = (row.get(key) for key in ("value", "peer_value", "ratio"))
    figures = ["" if value is None else f"{value:g}" for value in values]
    return [row["system"], row.get("peer") or "", row["metric"], *figures, spread]


def _answers(row: Mapping[str, Any]) -> str:
    half, most = (f"{row[name] / 1000:.1f} s" for name in ("p50_ms", "p99_ms"))
    counts = f"{row['requests']} requests, {row['lost']} lost, {row['wrong']} answered otherwise than offline"
    return f"{counts}; half of them within {half}, 99 % within {most}."


def _origin(rows: Sequence[Mapping[str, Any]]) -> str:
    found = {name: version for row in rows for name, version in row["versions"].items()}
    versions = ", ".join(f"{name} {found[name]}" for name in PACKAGES if name in found)
    processor = f"; {rows[0]['processor']}" if rows[0].get("processor") else ""
    return f"`{rows[0]['command']}`, revision `{rows[0]['revision'][:7]}`{processor}; {versions}."


def main(argv: Sequence[str] | None = None) -> int:
    """Render, then write or compare."""
    from legonn.data.atomic import write_atomic

    args = get_parser().parse_args(argv)
    page = render(json.loads(args.figures.read_text()), args.preface.read_text())
    if not args.check:
        write_atomic(args.output, page)
    elif not args.output.exists() or args.output.read_text() != page:
        print(
            f"{args.output} isn't what {args.figures} gives; run without --check", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
