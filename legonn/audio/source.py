"""What a speech encoder reads, in the place where a text encoder has its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Sound"]


@dataclass(frozen=True)
class Sound:
    """Waveforms of one rate; no tokens, no tokenizer.

    Attributes
    ----------
    sample_rate : int
        Hertz.
    """

    sample_rate: int = 16000
    token_type = "speech"
    tokens: tuple[str, ...] = ()
    model = None

    WINDOW, HOP = 0.025, 0.010  # seconds

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return round(self.WINDOW * self.sample_rate)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.HOP * self.sample_rate)

    @property
    def fft_size(self) -> int:
        """The next power of two: what a frame is padded to."""
        return 1 << (self.window - 1).bit_length()

    @property
    def fewest_samples(self) -> int:
        """What gives one state; shorter input is padded with silence."""
        return self.fft_size + 6 * self.hop

    def frames(self, samples: Any) -> Any:
        """Frames that lie inside so many samples: whole numbers, NumPy's or PyTorch's."""
        return (samples.clip(min=self.fewest_samples) - self.fft_size) // self.hop + 1

    def states(self, samples: Any) -> Any:
        """States that two convolutions of kernel 3 and stride 2 give without looking beyond the end."""
        return ((self.frames(samples) - 1) // 2 - 1) // 2

    @staticmethod
    def heard(provenance: Mapping[str, Any]) -> str:
        """What the provenance of an encoder says of how long its recordings were, as the end of a sentence."""
        seconds = provenance.get("longest_seconds")
        return f", trained on recordings of up to {seconds:g} s" if seconds else ""

    def __str__(self) -> str:
        return f"speech at {self.sample_rate} Hz"
