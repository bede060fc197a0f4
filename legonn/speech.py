"""From a waveform to the states of an encoder's first layer: ESPnet's features and subsampling."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from espnet.nets.pytorch_backend.transformer.embedding import RelPositionalEncoding
from espnet.nets.pytorch_backend.transformer.subsampling import Conv2dSubsampling
from espnet2.asr.encoder.abs_encoder import AbsEncoder
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.asr.specaug.specaug import SpecAug
from torch import Tensor, nn

from legonn.audio.source import Sound
from legonn.errors import ConfigError
from legonn.layers import Block, Dropout, Linear, padding_bias, padding_mask, sinusoids

if TYPE_CHECKING:
    from legonn.factory import ConformerEncoderConfig, EBranchformerEncoderConfig

__all__ = ["EspnetGroup", "LocalBlock", "LocalStack", "SpeechFrontEnd"]


class SpeechFrontEnd(nn.Module):
    """Log-mel filter bank, normalisation, SpecAugment, convolutional subsampling by 4, position.

    An utterance gives the same states alone and in a batch, unlike ESPnet's own chain of these parts: windows that
    reach beyond the end are left out there and here, but ESPnet pads the batch first.

    Parameters
    ----------
    width : int
        D.
    sample_rate, mels : int
        Hertz; bands of the filter bank.
    channels : int
        Of the two convolutions; ESPnet's own have D of them, most of a small model's time.
    normalisation : {"utterance", "global"}
        Mean and deviation of each band: of the utterance itself, or `mean` and `deviation`, which the encoder keeps.
    spec_augment : bool
        Hide bands and stretches of time in training.
    time_warp : bool
        SpecAugment also moves a point of the utterance a little. Without it for `ctc_consistency`: two passes that
        were warped apart can't agree where a token is.
    dropout : float
        On the result.

    Attributes
    ----------
    mean, deviation : Tensor
        (mels,) of the training set, where normalisation is global.
    """

    source = "speech"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        width: int,
        sample_rate: int,
        mels: int,
        channels: int,
        normalisation: str,
        spec_augment: bool,
        time_warp: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.sound = Sound(sample_rate)
        self.features = DefaultFrontend(
            fs=sample_rate,
            n_fft=self.sound.fft_size,
            win_length=self.sound.window,
            hop_length=self.sound.hop,
            center=False,
            n_mels=mels,
            frontend_conf=None,
        )
        # The filter bank follows from the options: it needs no place in checkpoints and modules.
        self.features.logmel._non_persistent_buffers_set.add("melmat")
        self.normalisation = normalisation
        if normalisation == "global":
            self.register_buffer("mean", torch.zeros(mels))
            self.register_buffer("deviation", torch.ones(mels))
        self.spec_augment = (
            SpecAug(
                apply_time_warp=time_warp,
                time_warp_window=5,
                freq_mask_width_range=(0, 27 * mels // 80),
                num_freq_mask=2,
                time_mask_width_ratio_range=(0.0, 0.05),
                num_time_mask=5,
            )
            if spec_augment
            else None
        )
        self.subsampling = Conv2dSubsampling(mels, channels, 0.0, pos_enc=nn.Identity())
        bands: int = self.subsampling.out[0].in_features
        self.subsampling.out = nn.Linear(bands, width)
        # The layout in which bf16 convolutions are faster by half on a CPU.
        self.subsampling.to(memory_format=torch.channels_last)
        # The convolutions' output begins a tenth as large as the positions, which would drown it for 1,000s of steps.
        self.scale = math.sqrt(width)
        self.dropout = Dropout(dropout)

    def log_mel(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, N) and (B,) -> log-mel energies (B, T, mels), zero beyond the end, and (B,)."""
        missing = self.sound.fewest_samples - waveform.size(1)
        if missing > 0:
            waveform = nn.functional.pad(waveform, (0, missing))
        lengths = lengths.clamp(min=self.sound.fewest_samples)
        with torch.autocast(waveform.device.type, enabled=False):
            features, _ = self.features(waveform.float(), lengths)
        frames = self.sound.frames(lengths)
        return features.masked_fill(padding_mask(frames, features.size(1))[..., None], 0.0), frames

    def set_statistics(self, path: Path) -> None:
        """Take mean and deviation from the statistics stage's `feats_stats.npz`.

        Raises
        ------
        ConfigError
            If the file is absent, damaged, or of other features.
        """
        try:
            with np.load(path) as file:
                count, total, squares = (file[name] for name in ("count", "sum", "sum_square"))
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"{path} has no statistics: run the statistics stage (10) first"
            ) from error
        if total.shape != tuple(self.mean.shape):
            raise ConfigError(
                f"{path} is of {total.shape[0]} mel bands, the encoder has {len(self.mean)}: run stage 10 again"
            )
        mean = total / count
        self.mean.copy_(torch.as_tensor(mean))
        variance = np.maximum(squares / count - mean**2, 1e-5)
        self.deviation.copy_(torch.as_tensor(np.sqrt(variance)))

    def normalise(self, features: Tensor, frames: Tensor) -> Tensor:
        """(B, T, mels), (B,) -> of mean 0 and deviation 1 in each band, zero beyond the end."""
        hidden = padding_mask(frames, features.size(1))[..., None]
        if self.normalisation == "global":
            features = (features - self.mean) / self.deviation
        else:
            count = frames[:, None, None]
            features = (features - features.sum(1, keepdim=True) / count).masked_fill(hidden, 0.0)
            variance = features.square().sum(1, keepdim=True) / count
            features = features / variance.clamp(min=1e-5).sqrt()
        return features.masked_fill(hidden, 0.0)

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (B, N), full scale 1, and (B,) -> (B, T, D), (B,)."""
        features, frames = self.log_mel(waveform, lengths)
        features = self.normalise(features, frames)
        if self.training and self.spec_augment is not None:
            features, _ = self.spec_augment(features, frames)
        x = self.subsampling(features, None)[0]
        states = self.sound.states(lengths)
        x = x[:, : int(states.max())]
        places = torch.arange(x.size(1), device=x.device)
        return self.dropout(x * self.scale + sinusoids(places, x.size(2))), states


class LocalBlock(nn.Module):
    """A convolution over neighbouring states, then a transformer layer.

    The convolution is the Conformer's (Gulati et al. 2020), with layer normalisation, so that no padding is seen and no
    statistics are kept. Without it attention has to find out from absolute positions which states are neighbours: CTC
    then stayed for thousands of steps where it knows no sound.

    Parameters
    ----------
    block : Block
        The layer.
    kernel : int
        States that the convolution spans; odd.
    """

    def __init__(self, block: Block, *, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.depthwise_norm = nn.LayerNorm(width)
        self.output = Linear(width, width)
        self.dropout = Dropout(dropout)
        self.block = block

    def forward(self, x: Tensor, bias: Tensor | None, inside: Tensor | None) -> Tensor:
        """(B, T, D), what is padding: an attention bias, and 0 of (B, T, 1) -> (B, T, D)."""
        y = nn.functional.glu(self.gate(self.norm(x)), dim=-1)
        if inside is not None:
            y = y * inside
        y = self.depthwise(y.transpose(1, 2)).transpose(1, 2)
        y = nn.functional.silu(self.depthwise_norm(y))
        out: Tensor = self.block(x + self.dropout(self.output(y)), bias)
        return out


class LocalStack(nn.Module):
    """Such layers: (B, T, D), (B,) -> (B, T, D)."""

    def __init__(self, blocks: Sequence[LocalBlock]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, T, D)."""
        bias = padding_bias(lengths, x.size(1))
        inside = None if bias is None else ~padding_mask(lengths, x.size(1))[..., None]
        for block in self.blocks:
            x = block(x, bias, inside)
        return x


class EspnetGroup(nn.Module):
    """Layers of one of ESPnet's encoders, on one side of the length controller.

    Their convolutions do look at the batch's padding.

    Parameters
    ----------
    encoder : AbsEncoder
        That takes states (B, T, D).
    """

    sees_padding = True

    def __init__(self, encoder: AbsEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        for part in encoder.modules():
            # This table is no buffer: built without memory, it would stay without values. Where there is none, the
            # first forward makes it.
            if isinstance(part, RelPositionalEncoding) and part.pe.is_meta:
                part.pe = None

    @classmethod
    def conformer(cls, config: ConformerEncoderConfig, layers: int) -> EspnetGroup:
        """Conformer layers (Gulati et al. 2020)."""
        from espnet2.asr.encoder.conformer_encoder import ConformerEncoder

        return cls(
            ConformerEncoder(
                config.width,
                output_size=config.width,
                attention_heads=config.heads,
                linear_units=config.feedforward,
                num_blocks=layers,
                dropout_rate=config.dropout,
                positional_dropout_rate=config.dropout,
                attention_dropout_rate=config.attention_dropout,
                input_layer=None,
                macaron_style=True,
                rel_pos_type="latest",
                cnn_module_kernel=config.kernel,
            )
        )

    @classmethod
    def e_branchformer(cls, config: EBranchformerEncoderConfig, layers: int) -> EspnetGroup:
        """E-Branchformer layers (Kim et al. 2022)."""
        from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoder

        return cls(
            EBranchformerEncoder(
                config.width,
                output_size=config.width,
                attention_heads=config.heads,
                attention_layer_type="rel_selfattn",
                pos_enc_layer_type="rel_pos",
                rel_pos_type="latest",
                cgmlp_linear_units=config.feedforward,
                cgmlp_conv_kernel=config.kernel,
                num_blocks=layers,
                dropout_rate=config.dropout,
                positional_dropout_rate=config.dropout,
                attention_dropout_rate=config.attention_dropout,
                input_layer=None,
                use_ffn=True,
                macaron_ffn=True,
                linear_units=config.feedforward,
                merge_conv_kernel=config.kernel,
            )
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), (B,) -> (B, T, D)."""
        out: Tensor = self.encoder(x, lengths)[0]
        return out
