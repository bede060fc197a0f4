"""Sample rates as command lines give them."""

from __future__ import annotations

import argparse

__all__ = ["parse_rate"]


def parse_rate(text: str) -> int:
    """`16000`, or ESPnet's `16k`, in hertz."""
    number = text.lower().removesuffix("k")
    try:
        rate = round(float(number) * (1000 if number != text.lower() else 1))
    except ValueError:
        rate = 0
    if not 4000 <= rate <= 48000:
        raise argparse.ArgumentTypeError(f"{text!r}: give 4000 to 48000 hertz, or 4k to 48k")
    return rate
