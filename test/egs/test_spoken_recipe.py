"""The numbers recipe with speech, all its stages, with a tiny configuration."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import soundfile

from legonn.data.folder import read_text
from legonn.module import describe
from legonn.system import System

SYSTEMS = {
    "English-ASR": "exp/asr_en/decode/test_en_speech",
    "ASR-encoder+De-En-decoder": "exp/compose_asr_en_de_en/decode/test_en_speech",
}
STAGES = "../../TEMPLATE/lego1/lego.sh"
SPEECH = (
    "--src_modality speech --train_set train_en_12_speech --valid_set val_en_speech "
    "--test_sets test_en_speech --src_lang en --tgt_lang en --token_listdir data/en_token_list/bpe_bpe50 "
    "--lego_config conf/tiny_speech.yaml"
).split()


@pytest.fixture(scope="module")
def spoken(spoken_run: tuple[Any, str]) -> Any:
    """The recipe; look, don't change."""
    return spoken_run[0]


def test_what_was_done_for_text_is_not_done_again(spoken_run: tuple[Any, str]) -> None:
    for experiment in ("de_en", "ro_en"):
        assert f"up to date: exp/{experiment}/.done" in spoken_run[1]


def test_it_ends_with_a_table_of_five_systems_with_word_errors(spoken_run: tuple[Any, str]) -> None:
    lines = [re.split(r"  +", line) for line in spoken_run[1].splitlines()[-6:]]
    assert lines[0] == ["system", "test set", "sentences", "exact %", "BLEU", "WER"]
    assert [line[:3] for line in lines[4:]] == [
        ["English ASR alone", "test_en_speech", "6"],
        ["ASR encoder + De-En decoder", "test_en_speech", "6"],
    ]
    assert all(len(line) == 6 for line in lines)


def test_training_reads_the_recordings_where_they_were_made(spoken: Any) -> None:
    paths = read_text(spoken.folder / "dump/raw_speech/train_en_12_speech/wav.scp")
    assert len(paths) == 12
    assert set(paths.values()) == {
        str(path.resolve()) for path in spoken.folder.glob("data/train_en_12_speech/wav/*/*.flac")
    }
    counts = read_text(spoken.folder / "dump/raw_speech/train_en_12_speech/utt2num_samples")
    assert {i: str(soundfile.info(path).frames) for i, path in paths.items()} == counts
    speakers = [
        set(read_text(spoken.folder / f"dump/raw_speech/{name}/utt2spk").values())
        for name in ("train_en_12_speech", "val_en_speech", "test_en_speech")
    ]
    assert not speakers[0] & speakers[1] and not speakers[1] & speakers[2]


def test_its_encoder_is_packed_with_its_statistics(spoken: Any) -> None:
    description, _ = describe(spoken.folder / "exp/asr_en/modules/asr_en_encoder")
    assert description["kind"] == "encoder"
    log = (spoken.folder / "exp/asr_en/train.log").read_text()
    assert "loss_early_ctc=" in log
    assert list(spoken.folder.glob("exp/lego_stats_train_en_12_speech_*/train/feats_stats.npz"))


@pytest.mark.parametrize(("system", "folder"), SYSTEMS.items())
def test_its_scores_have_word_errors_and_where_they_are(
    spoken: Any, system: str, folder: str
) -> None:
    scores = json.loads((spoken.folder / folder / "score.json").read_text())
    assert [score["metric"] for score in scores] == ["exact", "bleu", "wer"]
    assert {score["system"] for score in scores} == {system}
    assert "|speech:synthetic|units:speakers" in scores[2]["signature"]
    alignments = (spoken.folder / folder / "alignments.txt").read_text(encoding="utf-8")
    assert "REF: " in alignments and "HYP: " in alignments


def test_the_same_command_again_does_nothing(spoken: Any) -> None:
    options = ["--lego_exp", "exp/asr_en", "--stage", "3", "--stop_stage", "11"]
    printed = spoken.run(*SPEECH, *options, script=STAGES)
    for stamp in ("dump/raw_speech/train_en_12_speech/.done", "exp/asr_en/.done"):
        assert f"up to date: {stamp}" in printed


def test_speeds_are_copies_of_the_training_set_alone(
    spoken: Any, copied: Callable[[Any], Any]
) -> None:
    recipe = copied(spoken)
    recipe.run(
        *SPEECH,
        "--speed_perturb_factors",
        "0.9 1.0",
        "--stage",
        "2",
        "--stop_stage",
        "4",
        script=STAGES,
    )
    paths = read_text(recipe.folder / "dump/raw_speech/train_en_12_speech_sp/wav.scp")
    assert sum(utt_id.startswith("sp0.9-") for utt_id in paths) == 12 and len(paths) == 24
    texts = read_text(recipe.folder / "dump/raw_speech/train_en_12_speech_sp/text.tc.en")
    assert all(
        texts[f"sp0.9-{utt_id}"] == text for utt_id, text in texts.items() if utt_id[:2] != "sp"
    )
    assert len(read_text(recipe.folder / "dump/raw_speech/val_en_speech/wav.scp")) == 6
    # A training may read them, so they aren't replaced, and nothing else is trained on under other options.
    others = [*SPEECH, "--speed_perturb_factors", "1.0 1.1"]
    made = "was made with speeds=0.9 1.0 format=flac, not speeds=1.0 1.1 format=flac"
    assert f"{made}, and trainings may read it" in recipe.fail(
        *others, "--stage", "2", script=STAGES
    )
    assert f"{made}: go on with those" in recipe.fail(*others, "--stage", "10", script=STAGES)
    assert len(list(recipe.folder.glob("data/*_sp/wav/*/sp0.9-*"))) == 12


def test_a_recording_that_was_written_again_is_prepared_again_and_no_other_training(
    spoken: Any, copied: Callable[[Any], Any]
) -> None:
    recipe = copied(spoken)
    path, *_ = read_text(recipe.folder / "data/val_en_speech/wav.scp").values()
    os.utime(recipe.folder / path)
    options = ["--lego_exp", "exp/asr_en", "--stage", "3", "--stop_stage", "11"]
    printed = recipe.run(*SPEECH, *options, script=STAGES)
    assert "up to date: dump/raw_speech/org/train_en_12_speech/.done" in printed
    assert "up to date: dump/raw_speech/org/val_en_speech/.done" not in printed
    assert "up to date: exp/asr_en/.done" in printed
    samples, rate = soundfile.read(recipe.folder / path)
    soundfile.write(recipe.folder / path, samples[::-1], rate)
    recipe.run(*SPEECH, "--stage", "3", "--stop_stage", "4", script=STAGES)
    printed = recipe.fail(*SPEECH, "--lego_exp", "exp/asr_en", "--stage", "11", script=STAGES)
    assert "has no statistics of these training and validation sets: run stage 10" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "11", "--max_wav_duration", "20"], "not length=1-1000 seconds=0.1-20: run"),
        (["--fs", "8k"], 'hears 16000 Hz: give --lego_args "--encoder_conf sample_rate=8000", too'),
        (["--inference_args", "--beam_size 2 --jsonl x"], "--jsonl is legonn decode's own"),
    ],
)
def test_what_later_stages_would_not_heed_is_refused(
    spoken: Any, options: list[str], message: str
) -> None:
    printed = spoken.fail(*SPEECH, *options, "--lego_exp", "exp/asr_en", script=STAGES)
    assert message in printed and "stage 1:" not in printed


def test_foreign_folders_are_not_written_over(spoken: Any, copied: Callable[[Any], Any]) -> None:
    recipe = copied(spoken)
    for stamp in recipe.folder.glob("data/.*"):
        stamp.unlink()
    printed = recipe.fail(*SPEECH, script=STAGES)
    assert "data/train_en_12_speech is there, and local/data.sh, which would write over" in printed
    (recipe.folder / "local/data.sh").unlink()
    for path in recipe.folder.glob("data/*/text.tc.en"):
        path.rename(path.with_name("text"))
    printed = recipe.fail(*SPEECH, script=STAGES)
    assert "has Kaldi's text, which has no language: link it by what it is, ln -s text" in printed
    assert "data/train_en_12_speech/text.tc.en for English with capitals (--tgt_case tc)" in printed


def test_an_encoders_own_decoder_scores_beside_a_borrowed_one(
    spoken: Any, copied: Callable[[Any], Any]
) -> None:
    recipe = copied(spoken)
    options = "--skip_train true --pretrained_encoder exp/asr_en --pretrained_decoder exp/de_en"
    together = [*options.split(), "--stage", "12", "--stop_stage", "13"]
    together += ["--inference_config", "conf/decode.yaml", "--ensemble"]
    weighted = ["--inference_args", "--ensemble_weights 1 3"]
    recipe.run(*SPEECH, *together, "exp/asr_en", *weighted, script=STAGES)
    folder = (
        "exp/ensemble_compose_asr_en_de_en_with_asr_en/decode_ensemble_weights_1_3/test_en_speech"
    )
    assert len(read_text(recipe.folder / folder / "text")) == 6
    (log, *_) = sorted((recipe.folder / folder / "logdir").glob("decode.*.log"))
    assert "--ensemble exp/asr_en" in log.read_text()
    (score, *_) = json.loads((recipe.folder / folder / "score.json").read_text())
    assert score["system"] == "ensemble_compose_asr_en_de_en_with_asr_en"
    assert (score["parameters"], score["train_seconds"]) == (None, None)
    printed = recipe.run(*SPEECH, *together, "exp/asr_en", *weighted, script=STAGES)
    assert f"up to date: {folder}/.done" in printed


def test_an_ensemble_of_experiments_has_a_folder_of_its_own(
    spoken: Any, copied: Callable[[Any], Any]
) -> None:
    recipe = copied(spoken)
    shutil.copytree(recipe.folder / "exp/asr_en", recipe.folder / "exp/other")
    options = [
        "--lego_exp",
        "exp/asr_en",
        "--stage",
        "12",
        "--inference_config",
        "conf/decode.yaml",
    ]
    printed = recipe.run(*SPEECH, *options, "--ensemble", "exp/other", script=STAGES)
    assert "up to date: exp/asr_en/modules/.done" in printed
    scores = recipe.folder / "exp/ensemble_asr_en_with_other/decode/test_en_speech/score.json"
    assert json.loads(scores.read_text())[0]["system"] == "ensemble_asr_en_with_other"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("exp/absent", "exp/absent/config.yaml"),
        ("hf:a/b", "--ensemble hf:a/b: give an experiment"),
        ("exp/asr_en/modules/asr_en_encoder", "asr_en_encoder: give an experiment"),
    ],
)
def test_a_wrong_ensemble_is_told_before_anything_runs(
    spoken: Any, other: str, message: str
) -> None:
    printed = spoken.fail(*SPEECH, "--lego_exp", "exp/none", "--ensemble", other, script=STAGES)
    assert message in printed and "stage 1:" not in printed


def test_a_bridge_leads_from_the_encoders_own_list(
    spoken: Any, copied: Callable[[Any], Any]
) -> None:
    from legonn.bin.tokenlist import main

    recipe = copied(spoken)
    folder = recipe.folder
    text = folder / "dump/raw_speech/train_en_12_speech/text.tc.en"
    learn = ["--text", str(text), "--output", str(folder / "data/small"), "--bpemode", "bpe"]
    assert main([*learn, "--nbpe", "35"]) == 0
    (folder / "conf/bridge.yaml").write_text(
        "base: tiny_speech.yaml\nencoder_conf: {length_ratio: 3.0}\n"
        "bridges: [{width: 16, heads: 2, feedforward: 16, layers_before: 0, layers_after: 0}]\n"
    )
    options = ["--interface_listdir", "data/small", "--lego_config", "conf/bridge.yaml"]
    options += [
        "--lego_exp",
        "exp/bridged",
        "--stage",
        "5",
        "--inference_config",
        "conf/decode.yaml",
    ]
    recipe.run(*SPEECH, *options, "--stop_stage", "13", script=STAGES)
    encoder, bridge, decoder = System.load(folder / "exp/bridged").parts()
    assert encoder.writes is not None and bridge.reads is not None
    assert encoder.writes.tokens == tuple(
        (folder / "data/small/tokens.txt").read_text().splitlines()
    )
    assert bridge.reads == encoder.writes != bridge.writes == decoder.reads
    assert "loss_ctc_text_bpe" in (folder / "exp/bridged/train.log").read_text()
    assert len(read_text(folder / "exp/bridged/decode/test_en_speech/text")) == 6
    absent = ["--interface_listdir", "data/absent", "--stop_stage", "5"]
    assert "--interface_listdir: it names a finished" in recipe.fail(
        *SPEECH, *absent, script=STAGES
    )


def test_another_maximum_is_decoded_again_and_one_speaker_has_no_bootstrap_over_speakers(
    spoken: Any, copied: Callable[[Any], Any]
) -> None:
    recipe = copied(spoken)
    path = recipe.folder / "dump/raw_speech/test_en_speech/utt2spk"
    path.write_text("".join(f"{utt_id} one\n" for utt_id in read_text(path)))
    options = ["--lego_exp", "exp/asr_en", "--stage", "12", "--stop_stage", "13"]
    options += ["--inference_config", "conf/decode.yaml", "--max_wav_duration", "5"]
    printed = recipe.run(*SPEECH, *options, script=STAGES)
    assert "up to date" not in printed
    assert "WER" in printed and "units:speakers" not in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--src_modality", "song"], "--src_modality song: give text or speech"),
        (
            ["--src_modality", "text", "--speed_perturb_factors", "0.9"],
            "is for --src_modality speech",
        ),
        (["--joint_tokens", "true", "--stage", "5"], "--joint_tokens: speech has no tokens"),
    ],
)
def test_options_that_cannot_be(spoken: Any, options: list[str], message: str) -> None:
    assert message in spoken.fail(*SPEECH, *options, "--stop_stage", "5", script=STAGES)
