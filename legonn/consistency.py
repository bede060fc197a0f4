"""Two passes of one batch that shall agree: what dropout, hidden words and retiming change must not change the output.

For cross-entropy it is R-Drop (Liang et al. 2021, arXiv 2106.14448), for CTC, CR-CTC (Yao et al. 2024, arXiv
2410.05101).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["disagreement", "twice"]


def twice(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Each tensor of a batch (B, ...) followed by itself: (2B, ...); and so the list of ids that ESPnet adds."""
    return {
        name: torch.cat([value, value]) if isinstance(value, Tensor) else [*value, *value]
        for name, value in batch.items()
    }


def disagreement(log_probs: Tensor) -> Tensor:
    """Half the symmetric Kullback-Leibler divergence of each distribution of one half from its twin in the other.

    Parameters
    ----------
    log_probs : Tensor
        (2N, V), normalised.

    Returns
    -------
    Tensor
        (N,), nats.
    """
    one, other = log_probs.float().chunk(2)
    # (p - q) (log p - log q) sums both directions: KL(p, q) + KL(q, p).
    return 0.5 * ((one.exp() - other.exp()) * (one - other)).sum(dim=-1)
