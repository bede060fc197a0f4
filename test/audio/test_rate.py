import argparse

import pytest

from legonn.audio.rate import parse_rate


def test_rates_as_espnet_writes_them() -> None:
    assert [parse_rate(text) for text in ("16k", "16000", "22.05K")] == [16000, 16000, 22050]
    for text in ("16", "k", "fast", "96k"):
        with pytest.raises(argparse.ArgumentTypeError, match="give 4000 to 48000 hertz"):
            parse_rate(text)
