"""The decoder as the search's scorer: kept keys and values against the forward pass of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from legonn.chain import Chain
from legonn.search.scorers import DecoderScorer

N, SIZE = 3, 2


def forward(chain: Chain, memory: Tensor, lengths: Tensor, prefixes: Tensor) -> Tensor:
    """Log-probabilities of the next token: memory (N, K, D), prefixes (N, b, U) -> (N, b, V)."""
    rows = memory.repeat_interleave(SIZE, dim=0)
    states = chain.decoder.states(rows, lengths.repeat_interleave(SIZE), prefixes.flatten(0, 1))
    return chain.decoder.output(states[:, -1]).log_softmax(dim=-1).view(len(memory), SIZE, -1)


def test_hypotheses_change_places_and_utterances_leave(make_chain: Callable[..., Chain]) -> None:
    chain = make_chain()
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([6, 3, 5])
    memory = torch.randn(N, 6, 16, generator=generator)
    scorer = DecoderScorer(chain.decoder, memory, lengths, size=SIZE)
    prefixes = torch.full((N, SIZE, 1), chain.sos)
    with torch.inference_mode():
        for step in range(40):  # more than there is room for at first
            scores = scorer.step(prefixes[:, :, -1])
            wanted = forward(chain, memory, lengths, prefixes)
            torch.testing.assert_close(scores, wanted, atol=1e-4, rtol=1e-4)
            parents = torch.randint(SIZE, (len(memory), SIZE), generator=generator)
            tokens = torch.randint(6, (len(memory), SIZE, 1), generator=generator)
            rows = parents[:, :, None].expand(-1, -1, prefixes.size(2))
            prefixes = torch.cat([prefixes.gather(1, rows), tokens], dim=2)
            scorer.reorder(parents)
            if step == 20:
                kept = torch.tensor([2, 1])
                memory, lengths, prefixes = memory[kept], lengths[kept], prefixes[kept]
                scorer.keep(kept)
    assert scorer.filled < 40 * SIZE  # what no hypothesis sees has been dropped


def test_keys_and_values_of_the_memory_are_computed_once_an_utterance(
    make_chain: Callable[..., Chain],
) -> None:
    chain = make_chain()
    calls = []
    cross = chain.decoder.layers()[0].cross_attention
    assert cross is not None
    cross.key_value.register_forward_hook(
        lambda module, given, made: calls.append(tuple(given[0].shape))
    )
    with torch.inference_mode():
        scorer = DecoderScorer(chain.decoder, torch.randn(N, 6, 16), torch.full((N,), 6), size=SIZE)
        for _ in range(3):
            scorer.step(torch.full((N, SIZE), chain.sos))
    assert calls == [(N, 6, 16)]
