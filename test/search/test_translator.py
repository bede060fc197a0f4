"""Lines to hypotheses: order, batches, empty and unknown input."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from legonn.chain import Chain
from legonn.errors import ConfigError
from legonn.search import DecodingOptions, Transcriber, Translator
from legonn.search import translator as translator_module
from legonn.search.memory import positions
from legonn.tokenizer import TextCodec

TOKENS = ("<blank>", "<unk>", "<space>", "a", "b", "c", "<sos/eos>")
LINES = ["abc", "ab", "", "cab", "b", "ba", "  ", "acbbca", "ca"]


@pytest.fixture
def system(make_chain: Callable[..., Chain]) -> SimpleNamespace:
    codec = TextCodec(token_type="char", tokens=TOKENS)
    return SimpleNamespace(chain=make_chain(), source=codec, target=codec)


def test_any_batch_size_gives_the_same_in_the_order_of_the_input(system: SimpleNamespace) -> None:
    done: list[int] = []
    many = Translator(system, DecodingOptions(batch_size=8)).translate(LINES, done.append)
    single = Translator(system, DecodingOptions(batch_size=1)).translate(LINES)
    assert [found[0].text for found in many] == [found[0].text for found in single]
    assert len({found[0].text for found in many}) > 3
    assert sum(done) == len(LINES)
    for line, found in zip(LINES, many, strict=True):
        (alone,) = Translator(system).translate([line])
        assert found[0].ids == alone[0].ids


def test_a_budget_of_positions_makes_smaller_batches(
    system: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, sizes = translator_module.decode_batch, []

    def counted(chain: Chain, sources: Any, options: DecodingOptions, **others: Any) -> Any:
        sizes.append([len(source) for source in sources])
        return inner(chain, sources, options, **others)

    monkeypatch.setattr(translator_module, "decode_batch", counted)
    most = positions(system.chain, [1, 2, 3, 6])
    whole = Translator(system, DecodingOptions(beam_size=2)).translate(LINES)
    options = DecodingOptions(beam_size=2, batch_tokens=2 * 2 * most[2])
    parts = Translator(system, options).translate(LINES)
    assert most == [2, 3, 5, 9]
    assert sizes == [[1, 2, 2, 2, 3, 3, 6], [1, 2, 2], [2, 3], [3], [6]]
    assert [found[0].ids for found in parts] == [found[0].ids for found in whole]


def test_batches_are_halved_where_memory_runs_out_with_one_warning(
    system: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = translator_module.decode_batch
    told: list[str] = []

    def starved(chain: Chain, sources: Any, *others: Any, **options: Any) -> Any:
        if len(sources) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(chain, sources, *others, **options)

    expected = Translator(system).translate(LINES)
    monkeypatch.setattr(translator_module, "decode_batch", starved)
    found = Translator(system, tell=told.append).translate(LINES)
    assert [row[0].ids for row in found] == [row[0].ids for row in expected]
    (message,) = told
    assert message.startswith("warning: not enough memory for 7 inputs together: decoding halves")


def test_a_hypothesis_tells_its_tokens(system: SimpleNamespace) -> None:
    ((one, two),) = Translator(system, DecodingOptions(nbest=2)).translate(["abc"])
    assert one.tokens == tuple(TOKENS[i] for i in one.ids)
    assert one.text == system.target.decode(one.ids)
    assert one.ids != two.ids
    assert one.score > two.score


def test_an_empty_line_has_an_empty_translation(system: SimpleNamespace) -> None:
    for ((one,),) in (Translator(system).translate([line]) for line in ("", "  ")):
        assert (one.text, one.tokens, one.score, one.scores) == ("", (), 0.0, {})


def test_unknown_tokens_are_named(system: SimpleNamespace) -> None:
    translator = Translator(system)
    assert translator.unknown("abc") == []
    assert translator.unknown("aßbΩ") == ["ß", "Ω"]


def test_int8_leaves_the_system_as_it_is(system: SimpleNamespace) -> None:
    before = Translator(system).translate(LINES)
    rounded = Translator(system, DecodingOptions(precision="int8")).translate(LINES)
    assert Translator(system).translate(LINES) == before
    assert rounded[0][0].score != before[0][0].score


def test_dropout_is_off(system: SimpleNamespace) -> None:
    system.chain.train()
    Translator(system)
    assert not system.chain.training


def test_what_cannot_be_done_is_said_before_any_line(make_chain: Callable[..., Chain]) -> None:
    codec = TextCodec(token_type="char", tokens=TOKENS)
    plain = SimpleNamespace(chain=make_chain(system="attention"), source=codec, target=codec)
    with pytest.raises(ConfigError, match="plain encoder-decoder"):
        Translator(plain, DecodingOptions(mode="ctc_greedy"))


def test_a_system_that_reads_transcribes_nothing(system: SimpleNamespace) -> None:
    with pytest.raises(ConfigError, match=r"takes text, not speech: call System\.translate"):
        Transcriber(system)
