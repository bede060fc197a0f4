"""The picture of positions per token: what is drawn is what was given."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np

from legonn.report.lengths import draw_lengths


def test_each_series_is_drawn_before_and_behind() -> None:
    draw = np.random.default_rng(0)
    series = {
        "text": (draw.uniform(0.8, 1.6, 500), draw.uniform(1.5, 2.0, 500)),
        "speech": (draw.uniform(4.0, 6.0, 500), draw.uniform(1.8, 2.2, 500)),
    }
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        page = draw_lengths(series)
        assert page == draw_lengths(series)
    texts = [element.text for element in ElementTree.fromstring(page).iter() if element.text]
    shown = [text for text in texts if "median" in text]
    medians = [f"{np.median(pair[place]):.2g}" for place in (0, 1) for pair in series.values()]
    names = ["text", "speech"] * 2
    assert shown == [f"{n}: median {m}" for n, m in zip(names, medians, strict=True)]
    assert {"1", "2", "5"} <= set(texts)  # ticks of the logarithmic axis
