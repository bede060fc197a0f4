"""A picture of how many positions a token gets, before and behind the length controller."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

__all__ = ["draw_lengths"]

BINS = 30
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw_lengths(series: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Draw two histograms: each encoder's T/U, on a logarithmic axis, and K/U, on a plain one.

    Parameters
    ----------
    series : mapping
        By name, as `legonn.data.lengths.spread` gives them.

    Returns
    -------
    str
        SVG; equal figures give equal text.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "legonn", "font.size": 9}):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        titles = ("before the length controller", "behind it: what the decoder reads")
        for place, (axes, title) in enumerate(zip(figure.subplots(1, 2), titles, strict=True)):
            shown = {name: pair[place] for name, pair in series.items()}
            every = np.concatenate(list(shown.values()))
            low, high = np.percentile(every, (0.1, 99.9))
            edges = np.linspace(low, high, BINS) if place else np.geomspace(low, high, BINS)
            for name, values in shown.items():
                label = f"{name}: median {np.median(values):.2g}"
                share = np.full(len(values), 1 / len(values))
                axes.hist(values, edges, weights=share, histtype="step", linewidth=1.4, label=label)
            if not place:
                axes.set_xscale("log")
                ticks = [tick for tick in TICKS if low <= tick <= high]
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axes.minorticks_off()
                axes.set_ylabel("share of utterances")
            axes.set_title(title)
            axes.set_xlabel("positions a token")
            axes.grid(visible=True, alpha=0.3)
            axes.legend()
        page = io.StringIO()
        figure.savefig(page, format="svg", metadata={"Date": None})
    return page.getvalue()
