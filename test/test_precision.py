"""Which number format is chosen where."""

from __future__ import annotations

import pytest
import torch

from legonn import precision
from legonn.errors import ConfigError
from legonn.precision import autocast, resolve_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("amx", "avx512", "wanted"),
    [
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
        (True, True, torch.bfloat16),
        (False, False, torch.float32),
    ],
)
def test_auto_is_bf16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512: bool, wanted: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert resolve_precision("auto", CPU) == wanted


@pytest.mark.parametrize("supported", [True, False])
def test_auto_asks_the_gpu_about_itself(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    wanted = torch.bfloat16 if supported else torch.float32
    assert resolve_precision("auto", GPU) == wanted


def test_a_named_precision_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_multiplies_bf16", lambda device: pytest.fail("not asked"))
    assert resolve_precision("fp32", CPU) == torch.float32
    assert resolve_precision("bf16", CPU) == torch.bfloat16


def test_another_word_is_an_error_that_lists_the_legal_ones() -> None:
    with pytest.raises(ConfigError, match="precision is 'fp16'; legal are auto, fp32, bf16"):
        resolve_precision("fp16", CPU)


def test_autocast_runs_products_in_the_format_asked_for() -> None:
    x = torch.randn(3, 3)
    for dtype in (torch.bfloat16, torch.float32):
        with autocast(CPU, dtype):
            assert (x @ x).dtype == dtype
    assert (x @ x).dtype == torch.float32
