"""Options of decoding: limits as formulas, YAML, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from legonn.errors import ConfigError
from legonn.search import DecodingOptions


@pytest.mark.parametrize(
    ("maxlenratio", "minlenratio", "positions", "limits"),
    [
        (0.0, 0.0, 6, (0, 22)),  # 2 K + 10
        (1.5, 0.5, 5, (2, 7)),  # int(ratio K)
        (0.1, 0.0, 5, (0, 1)),  # at least one token
        (-12.0, -3.0, 5, (3, 12)),  # absolute
        (-2.0, -3.0, 5, (2, 2)),  # the longest wins
    ],
)
def test_limits(
    maxlenratio: float, minlenratio: float, positions: int, limits: tuple[int, int]
) -> None:
    options = DecodingOptions(maxlenratio=maxlenratio, minlenratio=minlenratio)
    assert options.limits(positions) == limits


def test_load_takes_the_file_and_then_the_overrides(tmp_path: Path) -> None:
    path = tmp_path / "decode.yaml"
    path.write_text("# tuned on val\nbeam_size: 8\nlength_penalty: 2\nensemble_weights: [1, 2.5]\n")
    options = DecodingOptions.load(path, {"beam_size": 3})
    assert options == DecodingOptions(beam_size=3, length_penalty=2.0, ensemble_weights=(1, 2.5))
    assert isinstance(options.length_penalty, float)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "decode.yaml"
    path.write_text("# all as it is\n")
    assert DecodingOptions.load(path) == DecodingOptions()


def test_an_unknown_key_names_the_file_and_the_closest_key(tmp_path: Path) -> None:
    path = tmp_path / "decode.yaml"
    path.write_text("beam_sise: 8\n")
    with pytest.raises(ConfigError, match=r"decode\.yaml.*beam_sise.*'beam_size'"):
        DecodingOptions.load(path)


@pytest.mark.parametrize("content", ["- beam_size\n", "beam_size: [\n", "\xff"])
def test_what_is_no_configuration(tmp_path: Path, content: str) -> None:
    path = tmp_path / "decode.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"decode\.yaml is no decoding configuration"):
        DecodingOptions.load(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"mode": "ctc"},
            "mode is 'ctc'; legal are auto, attention, joint, greedy, ctc_greedy, ctc_beam, rescore",
        ),
        ({"beam_size": 0}, "beam_size is 0; it must be at least 1"),
        ({"beam_size": 3, "nbest": 4}, "nbest is 4; legal are 1 to beam_size"),
        ({"ctc_weight": 1.5}, "ctc_weight is 1.5; it must be at least 0 and below 1"),
        ({"ctc_weight": 1.0}, "ctc_weight is 1.0; it must be at least 0 and below 1"),
        (
            {"ensemble_weights": (1, 0.0)},
            r"ensemble_weights is \(1, 0.0\); each must be a number above 0",
        ),
        (
            {"ensemble_weights": ("a",)},
            r"ensemble_weights is \('a',\); each must be a number above 0",
        ),
        ({"length_penalty": -1.0}, "length_penalty is -1.0; it must be at least 0"),
        ({"length_bonus": float("inf")}, "length_bonus is inf; it must be finite"),
        ({"maxlenratio": float("nan")}, "maxlenratio is nan; it must be finite"),
        ({"minlenratio": float("inf")}, "minlenratio is inf; it must be finite"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"batch_tokens": -1}, "batch_tokens is -1; it must be at least 0"),
        ({"precision": "fp16"}, "precision is 'fp16'; legal are fp32, bf16, int8, auto"),
    ],
)
def test_illegal_values(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        DecodingOptions(**values)  # type: ignore[arg-type]
