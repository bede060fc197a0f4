"""Speech encoders: features against a written-out reference, and a trained one through all that modules do."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from legonn.audio.source import Sound
from legonn.errors import ConfigError, DataError
from legonn.factory import LayerConfig, build_chain
from legonn.inference_linear import converted
from legonn.interface import Interface
from legonn.module import read_module, write_module
from legonn.part import Part, networks, stored
from legonn.speech import LocalBlock, LocalStack, SpeechFrontEnd
from legonn.system import System, load_part
from legonn.tokenizer import TextCodec

WIDE = {"width": 16, "heads": 2, "feedforward": 32, "layers_before": 1, "layers_after": 1}


def front_end(**options: Any) -> SpeechFrontEnd:
    torch.manual_seed(0)
    usual: dict[str, Any] = {
        "width": 16,
        "sample_rate": 16000,
        "mels": 20,
        "channels": 8,
        "normalisation": "utterance",
        "spec_augment": False,
        "time_warp": True,
        "dropout": 0.0,
    }
    return SpeechFrontEnd(**usual | options).eval()


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_features_are_logarithms_of_mel_bands_power() -> None:
    """Against NumPy's transform, window by window, and librosa's filters."""
    import librosa

    waveform = noise(3000)
    features, frames = front_end().log_mel(waveform[None], torch.tensor([3000]))
    assert frames.tolist() == [(3000 - 512) // 160 + 1]
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    starts = range(0, 3000 - 512 + 1, 160)
    spectrum = np.stack([np.fft.rfft(waveform.numpy()[i : i + 512] * window) for i in starts])
    bands = np.square(np.abs(spectrum)) @ librosa.filters.mel(sr=16000, n_fft=512, n_mels=20).T
    assert features[0].numpy() == pytest.approx(np.log(np.maximum(bands, 1e-10)), abs=1e-3)


def test_an_utterance_alone_is_as_in_a_batch() -> None:
    lengths = torch.tensor([9000, 5000, 40])
    batch = torch.stack(
        [torch.nn.functional.pad(noise(n, n), (0, 9000 - n)) for n in lengths.tolist()]
    )
    for normalisation in ("utterance", "global"):
        part = front_end(normalisation=normalisation)
        states, sizes = part(batch, lengths)
        assert sizes.tolist() == part.sound.states(lengths).tolist()
        for i, length in enumerate(lengths.tolist()):
            alone, size = part(batch[i : i + 1, :length], lengths[i : i + 1])
            assert size.item() == alone.size(1) == sizes[i]
            assert torch.allclose(alone[0], states[i, : sizes[i]], atol=1e-5)


def test_the_number_of_states() -> None:
    sound = Sound(16000)
    # By hand: frames of 512 samples each 160; two convolutions of kernel 3 and stride 2.
    for samples, states in ((1, 1), (512 + 6 * 160, 1), (512 + 10 * 160, 2), (16000, 23)):
        assert sound.states(np.array([samples])).tolist() == [states]
    assert sound.states(torch.tensor(16000)).item() == 23


def test_each_band_is_normalised_by_itself() -> None:
    part = front_end()
    features, frames = part.log_mel(
        torch.stack([noise(8000), 3 * noise(8000, 1)]), torch.tensor([8000, 4000])
    )
    normal = part.normalise(features, frames)
    for i, count in enumerate(frames.tolist()):
        assert normal[i, :count].mean(0).abs().max() < 1e-5
        assert normal[i, :count].std(0, unbiased=False) == pytest.approx(torch.ones(20), abs=1e-3)
        assert not normal[i, count:].any()


def local_block(kernel: int = 3) -> LocalBlock:
    torch.manual_seed(0)
    block = LayerConfig(
        width=16, heads=2, feedforward=32, dropout=0.0, attention_dropout=0.0
    ).block()
    return LocalBlock(block, width=16, kernel=kernel, dropout=0.0).eval()


def test_a_local_blocks_convolution_sees_its_neighbours_and_no_padding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against the convolution written out, with the transformer layer taken out."""
    local = local_block()
    monkeypatch.setattr(local.block, "forward", lambda x, bias: x)
    x = torch.randn(1, 6, 16)
    inside = torch.tensor([1.0, 1, 1, 1, 0, 0])[None, :, None]
    found = local(x, None, inside)[0]
    a, b = local.gate(local.norm(x[0])).chunk(2, dim=-1)
    y = torch.nn.functional.pad(a * b.sigmoid() * inside[0], (0, 0, 1, 1))
    weight, shift = local.depthwise.weight[:, 0], local.depthwise.bias  # (D, 3), (D,)
    assert shift is not None
    for t in range(4):
        mixed = (y[t : t + 3] * weight.t()).sum(0) + shift
        new = local.output(torch.nn.functional.silu(local.depthwise_norm(mixed)))
        torch.testing.assert_close(found[t], x[0, t] + new, atol=1e-5, rtol=1e-5)


def test_a_local_stack_gives_each_utterance_what_it_gives_alone() -> None:
    stack = LocalStack([local_block(5), local_block(5)])
    x = torch.randn(2, 9, 16)
    lengths = torch.tensor([9, 4])
    together = stack(x, lengths)
    torch.testing.assert_close(stack(x[:1], lengths[:1])[0], together[0], atol=1e-5, rtol=1e-5)
    alone = stack(x[1:, :4], lengths[1:])[0]
    torch.testing.assert_close(alone, together[1, :4], atol=1e-5, rtol=1e-5)


def test_spec_augment_hides_in_training_only() -> None:
    part = front_end(spec_augment=True)
    waveform, length = noise(16000)[None], torch.tensor([16000])
    assert torch.equal(part(waveform, length)[0], part(waveform, length)[0])
    part.train()
    assert not torch.equal(part(waveform, length)[0], part(waveform, length)[0])


def test_without_time_warp_frames_stay_where_they_are() -> None:
    features, frames = torch.randn(1, 200, 20) + 5.0, torch.tensor([200])  # no zeros of its own
    part = front_end(spec_augment=True, time_warp=False)
    assert part.spec_augment is not None
    hidden, _ = part.spec_augment(features.clone(), frames)
    assert torch.equal(hidden[hidden != 0], features[hidden != 0])


@pytest.mark.parametrize("encoder", ["speech", "conformer", "e_branchformer"])
def test_both_losses_reach_every_weight(encoder: str) -> None:
    config = {
        "encoder": encoder,
        "encoder_conf": {**WIDE, "spec_augment": False},
        "decoder_conf": {"width": 16, "heads": 2, "feedforward": 32, "layers": 1},
        "ingestor_conf": {"layers": 1},
        "precision": "fp32",
    }
    torch.manual_seed(0)
    chain = build_chain(config, source_size=0, target_size=12)
    batch = {
        "speech": torch.stack([noise(16000), noise(16000, 1)]),
        "speech_lengths": torch.tensor([16000, 9000]),
        "text": torch.tensor([[3, 4, 5], [6, 7, -1]]),
        "text_lengths": torch.tensor([3, 2]),
    }
    loss, stats, _ = chain(**batch)
    loss.backward()
    assert stats["infeasible"].item() == 0
    assert [name for name, p in chain.named_parameters() if p.grad is None] == []
    with pytest.raises(KeyError, match="speech"):
        chain(**{name.replace("speech", "src_text"): value for name, value in batch.items()})


def counting_chain(**losses: Any) -> Any:
    """A tiny listener whose length controller counts tokens."""
    torch.manual_seed(0)
    return build_chain(
        {
            "encoder": "speech",
            "encoder_conf": {**WIDE, "spec_augment": False, "positions_per_token": 2.0},
            "decoder_conf": {"width": 16, "heads": 2, "feedforward": 32, "layers": 1},
            "ingestor_conf": {"layers": 1},
            "chain_conf": losses,
            "precision": "fp32",
        },
        source_size=0,
        target_size=12,
    )


@pytest.mark.parametrize("early", [0.0, 0.5])
def test_by_how_many_tokens_a_count_is_wrong_is_a_loss(early: float) -> None:
    """Golden: the counter's own numbers, by hand from there."""
    chain = counting_chain(early_ctc=early)
    waveforms = [noise(16000), noise(16000, 1)]
    batch = {
        "speech": torch.stack(waveforms),
        "speech_lengths": torch.tensor([16000, 16000]),
        "text": torch.tensor([[3, 4, 5, 6, 7, 3], [6, 7, -1, -1, -1, -1]]),
        "text_lengths": torch.tensor([6, 2]),
    }
    encoder = chain.encoder
    chain.eval()
    counted = encoder.length_control.counter(
        *encoder.hear(batch["speech"], batch["speech_lengths"])
    )
    _, stats, _ = chain(**batch)
    wrong = (abs(counted[0].item() - 6) + abs(counted[1].item() - 2)) / 10  # tokens and <eos>
    assert stats["loss_length"].item() == pytest.approx(wrong, rel=1e-5)
    parts = ["loss_ce", "loss_ctc", "loss_length"]
    wanted = sum(stats[name].item() for name in parts)
    wanted += early * stats["loss_early_ctc"].item() if early else 0.0
    assert stats["loss"].item() == pytest.approx(wanted, rel=1e-5)
    loss, _, _ = chain(**batch)
    loss.backward()
    assert [name for name, p in chain.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_count_is_as_fine_in_all_precisions(precision: str) -> None:
    chain = counting_chain().eval()
    counter = chain.encoder.length_control.counter
    torch.nn.init.normal_(counter.linear.weight)
    states, sizes = torch.randn(3, 200, 16), torch.tensor([200, 150, 90])
    coarse = converted(chain, precision)
    assert not isinstance(coarse.encoder.before.blocks[0].output, torch.nn.Linear)
    found = coarse.encoder.length_control.counter(states, sizes)
    assert torch.equal(found, counter(states, sizes))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"system": "hybrid"}, "is of a length controller, which only --system lego has"),
        ({"system": "attention"}, "is of a length controller, which only --system lego has"),
        ({"chain_conf": {"ctc_consistency": 0.5}}, "leave one of the two out"),
    ],
)
def test_what_counting_does_not_go_with(config: dict[str, Any], message: str) -> None:
    counting = {"encoder": "speech", "encoder_conf": {**WIDE, "positions_per_token": 2.0}}
    with pytest.raises(ConfigError, match=message):
        build_chain({**counting, **config}, source_size=0, target_size=9)


def test_imagined_passes_are_not_compared() -> None:
    config = {"encoder": "imagined", "chain_conf": {"ctc_consistency": 0.5}}
    with pytest.raises(ConfigError, match="encoder imagined draws anew how many there are"):
        build_chain(config, source_size=9, target_size=9)


def test_a_module_that_counts_is_read_as_it_was(tmp_path: Path) -> None:
    part = untrained("speech", positions_per_token=2.0)
    again: Any = read_module(write_module(part, tmp_path / "module"))
    assert again.config["encoder_conf"]["positions_per_token"] == 2.0
    assert again.sha256() == part.sha256()
    faster = again.with_length_ratio(0.8)  # twice the default
    assert faster.network["encoder"].length_control.positions_per_token == pytest.approx(4.0)
    assert faster.config["encoder_conf"]["positions_per_token"] == pytest.approx(4.0)
    with pytest.raises(
        ConfigError,
        match="length_ratio 0.16 would leave 0.80 positions for each token that .* give 0.2 or more",
    ):
        again.with_length_ratio(0.16)


@pytest.mark.parametrize("system", ["lego", "hybrid"])
def test_early_ctc_is_the_heads_of_the_states_before_the_length_controller(system: str) -> None:
    """Golden: PyTorch's `ctc_loss`, an utterance at a time."""
    chain = build_chain(
        {
            "system": system,
            "encoder": "speech",
            "encoder_conf": {**WIDE, "spec_augment": False},
            "decoder_conf": {"width": 16, "heads": 2, "feedforward": 32, "layers": 1},
            "ingestor_conf": {"layers": 1},
            "chain_conf": {"early_ctc": 0.5},
            "precision": "fp32",
        },
        source_size=0,
        target_size=12,
    ).eval()
    waveforms, targets = [noise(16000), noise(9000, 1)], [[3, 4, 4], [6, 7]]
    golden = 0.0
    encoder: Any = chain.encoder
    for waveform, target in zip(waveforms, targets, strict=True):
        x, sizes = encoder.front_end(waveform[None], torch.tensor([len(waveform)]))
        assert chain.head is not None
        log_probs = chain.head(encoder.norm(encoder.before(x, sizes)), sizes).log_probs[0]
        sums = torch.nn.functional.ctc_loss(
            log_probs, torch.tensor(target), sizes[0], torch.tensor(len(target)), reduction="sum"
        )
        golden += sums.item() / 7  # tokens, each <eos> included
    _, stats, _ = chain(
        speech=torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True),
        speech_lengths=torch.tensor([16000, 9000]),
        text=torch.tensor([[3, 4, 4], [6, 7, -1]]),
        text_lengths=torch.tensor([3, 2]),
    )
    found = {name: value.item() for name, value in stats.items()}
    assert found["loss_early_ctc"] == pytest.approx(golden, rel=1e-4)
    wanted = found["loss_ce"] + found["loss_ctc"] + 0.5 * golden
    assert found["loss"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalisation": "none"}, "normalisation is 'none'; legal are utterance, global"),
        ({"sample_rate": 100}, "sample_rate is 100; it is between 4000 and 48000 Hz"),
        ({"mels": 2}, "mels is 2; it is between 8 and 256"),
        ({"positions_per_token": 0.5}, "positions_per_token is 0.5; it must be between 1 and 100"),
    ],
)
def test_illegal_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_chain({"encoder": "speech", "encoder_conf": options}, source_size=0, target_size=9)


@pytest.mark.parametrize(
    "config", [{"encoder": "text"}, {"encoder": "speech", "system": "attention"}]
)
def test_early_ctc_needs_speech_and_a_head(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="early_ctc is for speech, with a head"):
        build_chain({**config, "chain_conf": {"early_ctc": 1.0}}, source_size=9, target_size=9)


def test_early_ctc_is_a_weight() -> None:
    with pytest.raises(ConfigError, match="early_ctc is -1.0; it is a weight between 0 and 100"):
        build_chain({"chain_conf": {"early_ctc": -1.0}}, source_size=9, target_size=9)


# ---- Trained, on speech that was made for it -----------------------------------------------------


@pytest.fixture(scope="session")
def spoken(corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus's target texts, spoken."""
    from legonn.audio.corpus import Manner, synthesize_corpus

    folder = tmp_path_factory.mktemp("spoken")
    for part in ("train", "valid"):
        synthesize_corpus(corpus.folder / f"{part}.tgt", folder / part, Manner(voices=2))
    return folder


def options(corpus: Any, spoken: Path, output: Path, *more: str) -> list[str]:
    command = ["--config", str(corpus.folder / "config.yaml"), "--output_dir", str(output)]
    command += ["--token_list", str(corpus.folder / "tgt.txt")]
    command += ["--bpemodel", str(corpus.folder / "tgt.model"), "--encoder", "conformer"]
    command += ["--encoder_conf", "length_ratio=0.6", "--max_epoch", "1"]
    for part in ("train", "valid"):
        for file, name, kind in (
            (spoken / part / "wav.scp", "speech", "sound"),
            (corpus.folder / f"{part}.tgt", "text", "text"),
        ):
            command += [f"--{part}_data_path_and_name_and_type", f"{file},{name},{kind}"]
        command += [f"--{part}_shape_file", str(corpus.folder / f"{part}.tgt")]
    return [*command, *more]


@pytest.fixture(scope="session")
def heard(corpus: Any, spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment whose encoder hears the corpus's target."""
    from legonn.bin.train import main

    folder = tmp_path_factory.mktemp("speech") / "exp"
    main(options(corpus, spoken, folder))
    return folder


def test_a_trained_system_transcribes(heard: Path, spoken: Path) -> None:
    import soundfile

    system = System.load(heard)
    assert system.source == Sound(16000)
    path = next((spoken / "valid" / "wav").rglob("*.flac"))
    samples, _ = soundfile.read(path, dtype="float32")
    found = system.transcribe([samples, samples[:0], samples], mode="joint", beam_size=2)
    assert found[0].text == found[2].text
    assert set(found[0].scores) == {"decoder", "ctc"}
    assert found[1].text == ""
    for wrong, message in (
        (
            np.stack([samples, samples], axis=1),
            r"of shape \(\d+, 2\), not \(N,\): mix its channels",
        ),
        ((samples * 32768).astype(np.int16), "of whole numbers, not -1 to 1: divide"),
        (np.full(16000, np.nan), "with NaN or infinite samples"),
    ):
        with pytest.raises(DataError, match=rf"waveform 1 \(from 0 on\) is {message}"):
            system.transcribe([samples, wrong])
    with pytest.raises(
        ConfigError, match="takes speech at 16000 Hz, not text: call System.transcribe"
    ):
        system.translate(["one"])


def test_a_text_system_says_that_it_reads(experiment: Path) -> None:
    with pytest.raises(ConfigError, match="takes text, not speech: call translate"):
        System.load(experiment).transcribe([np.zeros(9000)])


@pytest.mark.parametrize("encoder", ["speech", "conformer", "e_branchformer"])
def test_a_loaded_encoder_hears_what_the_packed_one_hears(encoder: str, tmp_path: Path) -> None:
    part = untrained(encoder)
    found = read_module(write_module(part, tmp_path / "ears"))
    waveforms = torch.stack([noise(16000), noise(16000, 1)]), torch.tensor([16000, 9000])
    states: list[Tensor] = []
    with torch.no_grad():
        for network in (part.network, found.network):
            x, lengths, _ = network["encoder"](*waveforms)
            states.append(network["head"](x, lengths).log_probs)
    assert states[0].shape == (2, 10, 5)
    torch.testing.assert_close(states[1], states[0], atol=1e-5, rtol=1e-5)
    for name, weight in stored(part.network).items():
        assert stored(found.network)[name].stride() == weight.stride(), name
    convolution = found.weights()["encoder.front_end.subsampling.conv.2.weight"]
    assert convolution.is_contiguous(memory_format=torch.channels_last)
    assert not convolution.is_contiguous()


def untrained(encoder: str, **conf: float) -> Part:
    """An encoder that hears, with statistics of its own, and writes words."""
    torch.manual_seed(0)
    words = ("<blank>", "<unk>", "one", "two", "<sos/eos>")
    config = {"encoder": encoder, "encoder_conf": {**WIDE, **conf}}
    network = torch.nn.ModuleDict(networks("encoder", config, reads=0, writes=len(words))).eval()
    for name, kept in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            kept.uniform_(0.5, 1.5)
    return Part(
        kind="encoder",
        name=encoder,
        config=config,
        network=network,
        writes=Interface(tokens=words, unit="word"),
        source=Sound(16000),
        target=TextCodec(token_type="word", tokens=words),
    )


@pytest.mark.parametrize("name", ["ears", "ears.zip"])
def test_a_packed_encoder_is_the_same_with_all_its_statistics(
    heard: Path, tmp_path: Path, name: str
) -> None:
    part = load_part(heard, "encoder")
    kept = part.weights().keys() - dict(part.network.named_parameters()).keys()
    counted = {"running_mean", "running_var", "num_batches_tracked"}
    assert {weight.rpartition(".")[2] for weight in kept} == counted
    path = write_module(part, tmp_path / name)
    found = read_module(path)
    assert found.source == Sound(16000)
    assert found.sha256() == part.sha256()
    for weight, value in stored(part.network).items():
        assert torch.equal(stored(found.network)[weight], value), weight


def test_it_fits_a_text_systems_decoder_and_is_saved_with_it(
    heard: Path, experiment: Path, spoken: Path, tmp_path: Path
) -> None:
    system = System.compose(encoder=heard, decoder=experiment)
    system.save(tmp_path / "both")
    again = System.load(tmp_path / "both")
    waveform = noise(12000).numpy()
    assert again.transcribe([waveform])[0] == system.transcribe([waveform])[0]


def test_frozen_ears_keep_their_running_means(
    heard: Path, corpus: Any, spoken: Path, tmp_path: Path
) -> None:
    from legonn.bin.train import main

    pretrained = ["--pretrained_encoder", str(heard), "--freeze", "encoder"]
    # Two epochs are averaged: means, and a count of batches.
    more = ["--max_epoch", "2", "--keep_nbest_models", "2"]
    main(options(corpus, spoken, tmp_path / "exp", *pretrained, *more))
    before, after = (load_part(folder, "encoder") for folder in (heard, tmp_path / "exp"))
    assert after.sha256() == before.sha256()
    decoders = [load_part(folder, "decoder").sha256() for folder in (heard, tmp_path / "exp")]
    assert decoders[0] != decoders[1]


@pytest.mark.parametrize(
    ("more", "known", "stated"),
    [([], 30.0, 30.0), ([], 1.0, 2.0), (["--freeze", "encoder"], 1.0, 1.0)],
)
def test_an_encoder_that_is_trained_on_keeps_the_length_that_it_knows(
    corpus: Any,
    spoken: Path,
    heard: Path,
    tmp_path: Path,
    more: list[str],
    known: float,
    stated: float,
) -> None:
    from legonn.bin.train import main

    before = shutil.copytree(heard, tmp_path / "before", symlinks=True)
    interface = Interface.load(before / "interface.yaml")
    provenance = {**interface.provenance, "longest_seconds": known}
    dataclasses.replace(interface, provenance=provenance).save(before / "interface.yaml")
    (tmp_path / "speech_shape").write_text("train00 16000\ntrain01 32000\n")
    command = options(corpus, spoken, tmp_path / "exp", "--dry_run", "true")
    i = command.index("--train_shape_file")
    command[i : i + 2] = [f"--train_shape_file={tmp_path / 'speech_shape'}"]
    main([*command, f"--pretrained_encoder={before}", *more])
    found = Interface.load(tmp_path / "exp" / "interface.yaml").provenance
    assert found["longest_seconds"] == stated


def test_positions_per_token_follow_from_samples(corpus: Any, spoken: Path, tmp_path: Path) -> None:
    from legonn.bin.train import main

    (tmp_path / "speech_shape").write_text("train00 16000\ntrain01 32000\n")
    (tmp_path / "text_shape.bpe").write_text("train00 2,24\ntrain01 4,24\n")
    shapes = [
        f"--train_shape_file={tmp_path / name}" for name in ("speech_shape", "text_shape.bpe")
    ]
    command = options(corpus, spoken, tmp_path / "exp", "--dry_run", "true")
    i = command.index("--train_shape_file")
    main([*command[:i], *command[i + 2 :], *shapes])
    # 23 and 48 states times 0.6, rounded up: 14 and 29 positions, for 2 and 4 tokens.
    wanted = np.percentile([7.0, 7.25], [1, 50, 99]).round(3)
    interface = Interface.load(tmp_path / "exp" / "interface.yaml")
    assert interface.positions_per_token == pytest.approx(tuple(wanted))
    assert interface.provenance["longest_seconds"] == 2.0


def test_global_statistics_are_measured_kept_and_packed(
    corpus: Any, spoken: Path, tmp_path: Path
) -> None:
    import soundfile

    from legonn.bin.train import main

    conf = ["--encoder_conf", "normalisation=global"]
    stats = tmp_path / "stats"
    main(options(corpus, spoken, stats, *conf, "--collect_stats", "true"))
    main(
        options(
            corpus,
            spoken,
            tmp_path / "exp",
            *conf,
            "--feats_stats",
            str(stats / "train/feats_stats.npz"),
        )
    )
    part = load_part(tmp_path / "exp", "encoder")
    front_end: Any = part.network.get_submodule("encoder.front_end")
    features = []
    for path in (spoken / "train" / "wav").rglob("*.flac"):
        waveform = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
        features.append(front_end.log_mel(waveform[None], torch.tensor([len(waveform)]))[0][0])
    together = torch.cat(features)
    assert torch.allclose(front_end.mean, together.mean(0), atol=1e-2)
    assert torch.allclose(front_end.deviation, together.std(0), rtol=1e-2)
    found: Any = read_module(write_module(part, tmp_path / "ears")).network.get_submodule(
        "encoder.front_end"
    )
    assert torch.equal(found.mean, front_end.mean)
    with pytest.raises(
        ConfigError, match="normalisation=global needs the training set's statistics"
    ):
        main(options(corpus, spoken, tmp_path / "other", *conf))
    with pytest.raises(ConfigError, match=r"none.npz has no statistics: run the statistics stage"):
        main(options(corpus, spoken, tmp_path / "other", *conf, "--feats_stats", "none.npz"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_damaged_statistics_are_told(tmp_path: Path, share: float) -> None:
    path = tmp_path / "feats_stats.npz"
    np.savez(path, count=2, sum=np.zeros(8), sum_square=np.ones(8))
    layers = front_end(normalisation="global", mels=8)
    layers.set_statistics(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ConfigError, match="feats_stats.npz has no statistics: run the statistics"):
        layers.set_statistics(path)


def test_data_without_what_the_encoder_reads_is_refused(
    corpus: Any, spoken: Path, tmp_path: Path, train: Callable[..., Path]
) -> None:
    with pytest.raises(
        ConfigError,
        match="--encoder speech reads speech, but --train_data_path.* names src_text, text",
    ):
        train(tmp_path / "exp", "--encoder", "speech", "--encoder_conf", "length_ratio=0.5")


def test_recordings_of_another_rate_are_refused(corpus: Any, spoken: Path, tmp_path: Path) -> None:
    from legonn.bin.train import main

    with pytest.raises(
        ConfigError,
        match=r"flac has 16000 Hz, and the encoder hears 8000: give its .*sample_rate=16000",
    ):
        main(options(corpus, spoken, tmp_path / "exp", "--encoder_conf", "sample_rate=8000"))
    assert not (tmp_path / "exp" / "interface.yaml").exists()
