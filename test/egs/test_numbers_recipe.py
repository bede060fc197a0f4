"""The numbers recipe, all its stages, with a tiny configuration."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from legonn.bin.pack import main as pack
from legonn.data.folder import read_text
from legonn.module import describe
from legonn.system import System

SYSTEMS = {
    "De-En": "exp/de_en/decode/test_de_en",
    "Ro-En": "exp/ro_en/decode/test_ro_en",
    "Ro-encoder+De-En-decoder": "exp/compose_ro_en_de_en/decode/test_ro_en",
}


def test_it_ends_with_a_table_of_the_three_systems(first_run: Any) -> None:
    lines = first_run[1].splitlines()[-4:]
    assert re.split(r"  +", lines[0]) == ["system", "test set", "sentences", "exact %", "BLEU"]
    assert [re.split(r"  +", line)[:3] for line in lines[1:]] == [
        ["De-En", "test_de_en", "6"],
        ["Ro-En alone", "test_ro_en", "6"],
        ["Ro encoder + De-En decoder", "test_ro_en", "6"],
    ]


def test_stages_that_do_nothing_say_why(first_run: Any) -> None:
    for what in (
        "stage 2: speed perturbation is skipped: this recipe reads text",
        "stages 6-8: no language model is trained: --use_lm true asks for one",
        "stage 15: publishing is skipped",
    ):
        assert what in first_run[1]


@pytest.mark.parametrize("folder", SYSTEMS.values())
def test_decoding_has_espnets_layout_with_every_id_in_order(finished: Any, folder: str) -> None:
    decoded = finished.folder / folder
    ids = list(read_text(finished.folder / "dump/raw" / decoded.name / "text.tc.en"))
    for name in ("text", "token", "score"):
        lines = (decoded / name).read_text(encoding="utf-8").splitlines()
        assert [line.split(" ")[0] for line in lines] == ids
    jobs = [
        line
        for job in (1, 2)
        for line in (decoded / f"logdir/output.{job}/1best_recog/text").read_text().splitlines()
    ]
    assert sorted(jobs) == (decoded / "text").read_text().splitlines()


@pytest.mark.parametrize(("system", "folder"), SYSTEMS.items())
def test_scores_are_recorded_with_what_makes_them(finished: Any, system: str, folder: str) -> None:
    scores = json.loads((finished.folder / folder / "score.json").read_text())
    assert [score["metric"] for score in scores] == ["exact", "bleu"]
    for score in scores:
        assert (score["system"], score["recipe"]) == (system, "numbers")
        assert score["command"].startswith("cd egs/numbers/lego1 && ./run.sh --train_pairs 120")
        assert score["decode_seconds"] > 0
        composed = "compose" in folder
        assert (score["seed"] is None) == (score["train_seconds"] is None) == composed
    everything = json.loads((finished.folder / "exp/results.json").read_text())
    assert [s for s in everything if s["system"] == system] == scores


@pytest.mark.parametrize("name", ["de_en", "ro_en"])
def test_parts_are_packed_with_their_scores(finished: Any, name: str) -> None:
    folder = finished.folder / f"exp/{name}/modules"
    assert sorted(path.name for path in folder.glob("[!.]*")) == [
        f"{name}_decoder",
        f"{name}_encoder",
    ]
    for path in folder.glob("[!.]*"):
        document, _ = describe(path)
        assert [score["metric"] for score in document["scores"]] == ["exact", "bleu"]


def test_a_new_encoder_learns_before_a_modules_frozen_decoder(again: Any) -> None:
    """Romanian, with the module as its token list; the report names the module's hash.

    The configuration asks for a deeper decoder than the module is; the log says so, and all that ESPnet says.
    """
    (again.folder / "conf/deeper.yaml").write_text("base: tiny.yaml\ndecoder_conf: {layers: 2}\n")
    decoder = "exp/de_en/modules/de_en_decoder"
    sets = "--train_set train_ro_en --valid_set val_ro_en --test_sets test_ro_en"
    languages = "--src_lang ro --tgt_lang en --bpemode bpe --src_nbpe 50 --token_tag 80"
    options = (
        f"--stage 10 --token_listdir {decoder} --pretrained_decoder {decoder} --freeze decoder"
    )
    training = [
        "--lego_config",
        "conf/deeper.yaml",
        "--num_threads",
        "1",
        "--lego_args",
        "--max_epoch 1",
    ]
    words = [*sets.split(), *languages.split(), *options.split(), *training]
    printed = again.run(*words, script="../../TEMPLATE/lego1/lego.sh")
    (experiment,) = again.folder.glob(
        "exp/lego_deeper_ro_en_max_epoch_1_from_de_en_decoder_freeze_decoder"
    )
    digest = describe(again.folder / decoder)[0]["weights_sha256"]
    assert f"frozen: decoder {decoder} unchanged, SHA-256 {digest}" in printed
    (packed,) = experiment.glob("modules/*_decoder")
    assert describe(packed)[0]["weights_sha256"] == digest
    assert "config.yaml" in {path.name for path in experiment.iterdir()}
    log = (experiment / "train.log").read_text()
    assert f"INFO: decoder_conf: layers of {decoder} is 1, not 2" in log
    assert "INFO: 1epoch results" in log
    scores = json.loads((experiment / "decode/test_ro_en/score.json").read_text())
    assert all(score["parameters"] > 0 for score in scores)
    assert all(score["train_seconds"] is not None for score in scores)
    assert len((experiment / "decode/test_ro_en/text").read_text().splitlines()) == 6
    once_more = again.run(*words, script="../../TEMPLATE/lego1/lego.sh")
    assert f"up to date: {experiment.relative_to(again.folder)}/.done" in once_more


def test_modules_are_decoded_like_experiments(again: Any) -> None:
    encoder, decoder = (
        f"exp/{x}_en/modules/{x}_en_{y}" for x, y in (("ro", "encoder"), ("de", "decoder"))
    )
    sets = "--train_set train_ro_en --valid_set val_ro_en --test_sets test_ro_en"
    words = f"{sets} --src_lang ro --tgt_lang en --stage 12 --skip_train true"
    parts = ["--pretrained_encoder", encoder, "--pretrained_decoder", decoder]
    decoding = ["--inference_config", "conf/decode.yaml"]
    printed = again.run(*words.split(), *parts, *decoding, script="../../TEMPLATE/lego1/lego.sh")
    assert "nothing to pack: legonn compose makes an experiment of these parts" in printed
    found = again.folder / "exp/compose_ro_en_encoder_de_en_decoder/decode/test_ro_en/text"
    wanted = again.folder / "exp/compose_ro_en_de_en/decode/test_ro_en/text"
    assert found.read_text() == wanted.read_text()


def test_both_languages_share_the_english_tokens(finished: Any) -> None:
    data = finished.folder / "data"
    lists = {str(path.parent.relative_to(data)) for path in data.glob("*_token_list/*/tokens.txt")}
    assert lists == {
        "de_token_list/bpe_bpe50",
        "en_token_list/bpe_bpe50",
        "ro_token_list/bpe_bpe50_80",
    }
    contracts = [(finished.folder / f"exp/{x}_en/interface.yaml").read_text() for x in ("de", "ro")]
    digests = [re.findall(r"^tokenizer_sha256: (\w+)", contract, re.M) for contract in contracts]
    assert digests[0] == digests[1] and len(digests[0]) == 1


def test_a_second_run_does_nothing_again(again: Any, tiny_options: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in again.folder.glob("**/*.pth")}
    printed = again.run(*tiny_options)
    assert "up to date: exp/de_en/.done" in printed
    assert "up to date: exp/compose_ro_en_de_en/decode/test_ro_en/.done" in printed
    assert before and before == {p: p.stat().st_mtime_ns for p in again.folder.glob("**/*.pth")}


def test_the_number_of_jobs_leaves_no_trace(again: Any, tiny_options: list[str]) -> None:
    # But for the scores' last digits: other jobs make other batches.
    decoded = again.folder / "exp/de_en/decode/test_de_en"
    (stats,) = again.folder.glob("exp/lego_stats_train_de_en_*")
    exact = [*sorted(stats.glob("*/*_shape*")), decoded / "text", decoded / "token"]
    before = [path.read_bytes() for path in exact]
    scores = read_text(decoded / "score")
    shutil.rmtree(stats)
    assert (decoded / "logdir/output.2").exists()
    (decoded / ".done").unlink()
    again.run(*tiny_options, "--stage", "10", "--nj", "3", "--inference_nj", "1")
    assert len(exact) == 12
    assert [path.read_bytes() for path in exact] == before
    assert [path.name for path in (decoded / "logdir").glob("output.*")] == ["output.1"]
    assert [path.name for path in (decoded / "logdir").glob("*.log")] == ["decode.1.log"]
    after = read_text(decoded / "score")
    assert {key: float(score) for key, score in after.items()} == pytest.approx(
        {key: float(score) for key, score in scores.items()}, abs=1e-4
    )


def test_other_settings_do_not_overwrite_an_experiment(again: Any, tiny_options: list[str]) -> None:
    config = again.folder / "conf/tiny.yaml"
    config.write_text(config.read_text().replace("lr: 0.002", "lr: 0.001"))
    printed = again.fail(*tiny_options, "--stage", "11", "--stop_stage", "11")
    assert '-optim_conf: {"lr": 0.002}' in printed and '+optim_conf: {"lr": 0.001}' in printed
    assert "exp/de_en was trained, or begun, with other settings" in printed
    assert "give this one a name with --lego_tag" in printed


def test_a_comment_in_the_configuration_and_blanks_change_nothing(
    again: Any, tiny_options: list[str]
) -> None:
    config = again.folder / "conf/tiny.yaml"
    config.write_text("# A comment.\n" + config.read_text())
    printed = again.run(*tiny_options, "--lego_args", "  ", "--stage", "11", "--stop_stage", "11")
    assert "up to date: exp/de_en/.done" in printed


def test_the_experiments_own_script_runs_it_again(again: Any) -> None:
    script = again.folder / "exp/de_en/run.sh"
    # It names the folder in which the experiment was made; this is a copy.
    text = re.sub(r"^cd .*$", f"cd {again.folder}", script.read_text(), flags=re.M)
    script.write_text(text)
    assert "up to date: exp/de_en/.done" in again.run(script=str(script))


def test_other_decoding_options_get_a_folder_of_their_own(again: Any) -> None:
    arguments = [
        "--train_set", "train_de_en", "--valid_set", "val_de_en", "--test_sets", "test_de_en",
        "--src_lang", "de", "--tgt_lang", "en", "--bpemode", "bpe", "--nbpe", "50",
        "--lego_exp", "exp/de_en", "--stage", "12", "--stop_stage", "13",
        "--inference_args", "--beam_size 2", "--compare_with", "exp/de_en/decode",
    ]  # fmt: skip
    again.run(*arguments, script="../../TEMPLATE/lego1/lego.sh")
    folder = again.folder / "exp/de_en/decode_beam_size_2/test_de_en"
    scores = json.loads((folder / "score.json").read_text())
    assert {score["baseline"] for score in scores} == {"de_en"}


def test_a_validation_set_is_decoded_whole(again: Any) -> None:
    """Of its pairs, training is validated only with those of allowed lengths."""
    given = read_text(again.folder / "data/val_de_en/text.tc.en")
    longest = max(len(text) for text in given.values())
    options = lego("--bpemode", "bpe", "--nbpe", "50", "--lego_exp", "exp/de_en")
    options += ["--test_sets", "val_de_en", "--max_text_length", str(longest - 1)]
    script = "../../TEMPLATE/lego1/lego.sh"
    again.run(*options, "--stage", "4", "--stop_stage", "4", script=script)
    left = read_text(again.folder / "dump/raw/val_de_en/text.tc.en")
    assert 0 < len(left) < len(given)
    again.run(*options, "--stage", "12", "--stop_stage", "13", script=script)
    (decoded,) = (again.folder / "exp/de_en").glob("decode*/val_de_en")
    assert read_text(decoded / "text").keys() == given.keys()
    scores = json.loads((decoded / "score.json").read_text())
    assert {score["sentences"] for score in scores} == {len(given)}


def test_groups_of_a_test_set_are_scored_apart(again: Any) -> None:
    ids = list(read_text(again.folder / "data/test_de_en/text.tc.de"))
    groups = "".join(f"{name} {'odd' if place % 2 else 'even'}\n" for place, name in enumerate(ids))
    (again.folder / "data/test_de_en/utt2group").write_text(groups)
    again.run(
        *"--train_set train_de_en --valid_set val_de_en --test_sets test_de_en --src_lang de".split(),
        *"--tgt_lang en --bpemode bpe --nbpe 50 --lego_exp exp/de_en --stage 13 --stop_stage 13".split(),
        script="../../TEMPLATE/lego1/lego.sh",
    )
    path = again.folder / "exp/de_en/decode/test_de_en/score.json"
    sizes = {(score["test_set"], score["sentences"]) for score in json.loads(path.read_text())}
    assert sizes == {("test_de_en", 6), ("test_de_en:even", 3), ("test_de_en:odd", 3)}
    table = again.run(f"whole={path}", script="../../TEMPLATE/lego1/utils/table.py")
    assert table.splitlines()[1].split()[:3] == ["whole", "test_de_en", "6"]


# Slurm's part in training: sbatch runs the script, srun would start a process on every node.
FAKE_SBATCH = """#!/bin/sh
echo "$@" >"$FAKE/sbatch.txt"
for last; do :; done
bash "$last"
"""
FAKE_SRUN = """#!/bin/sh
echo "$@" >"$FAKE/srun.txt"
"""


def test_training_on_many_nodes_goes_through_slurm(again: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", FAKE_SBATCH), ("srun", FAKE_SRUN)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    again.variables.update(
        PATH=f"{folder}:{again.environment['PATH']}", FAKE=str(tmp_path), CMD_BACKEND="slurm"
    )
    options = lego("--bpemode", "bpe", "--nbpe", "50", "--lego_config", "conf/tiny.yaml")
    options += ["--lego_tag", "many", "--stage", "11", "--stop_stage", "11"]
    again.run(*options, "--num_nodes", "2", "--ngpu", "4", script="../../TEMPLATE/lego1/lego.sh")
    sbatch, srun = ((tmp_path / f"{name}.txt").read_text() for name in ("sbatch", "srun"))
    assert "--nodes=2 --ntasks-per-node=1" in sbatch and "--gres=gpu:4" in sbatch
    assert "-m legonn.bin.train --collect_stats false" in srun
    assert "--ngpu 4 --multiprocessing_distributed true --dist_launcher slurm" in srun
    assert "--dist_init_method file://" in srun


def lego(*more: str) -> list[str]:
    """Options of a German-English run by lego.sh."""
    sets = "--train_set train_de_en --valid_set val_de_en --test_sets test_de_en"
    return [*sets.split(), "--src_lang", "de", "--tgt_lang", "en", *more]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train_set", "x"], "--valid_set is not set"),
        (lego("--nj", "two"), "--nj two: give a whole number"),
        (lego("--nj", "0"), "--nj and --inference_nj: give at least 1"),
        (lego("--launcher", "mpi"), "--launcher mpi: give espnet or torchrun"),
        (lego("--num_procs", "2"), "--num_procs 2: add --launcher torchrun"),
        (
            lego("--launcher", "torchrun", "--num_nodes", "2"),
            "--num_nodes 2: several nodes are for --launcher espnet",
        ),
        (
            lego("--pretrained_lm", "hf:a/b"),
            "--pretrained_lm hf:a/b: give the folder of a language",
        ),
        (
            lego("--use_lm", "true", "--lm_exp", "exp/absent", "--stage", "10"),
            "exp/absent/config.yaml is missing: it is no language model; run stages 6 and 7",
        ),
        (
            lego("--use_lm", "true", "--lm_exp", "exp/absent", "--stage", "8", "--stop_stage", "8"),
            "exp/absent/.done is missing: run stage 7",
        ),
        (lego("--token_type", "phone"), "--token_type phone: give bpe, char or word"),
        (
            lego("--pretrained_decoder", "exp/x"),
            "exp/x/config.yaml is missing: it is no experiment and no module",
        ),
        (lego("--freeze", "decoders"), "--freeze decoders: give encoder, bridge or decoder"),
        (
            lego("--compare_with", "one=exp/x"),
            "exp/x is missing: --compare_with names [NAME=]FOLDER",
        ),
        (
            lego("--interface_lang", "de"),
            "--interface_lang is that of --interface_listdir: give both",
        ),
        (
            lego("--interface_lang", "fr", "--interface_listdir", "x"),
            "--interface_lang fr: give de or en, a language of the data",
        ),
        (
            lego("--interface_lang", "de", "--interface_listdir", "x", "--src_modality", "speech"),
            "train the bridge on text, and compose",
        ),
        (
            lego("--pretrained_decoder", "exp/x", "--skip_train", "true"),
            "a composition needs --pretrained_encoder and --pretrained_decoder",
        ),
        (lego("--stage", "3"), "data/train_de_en/text.tc.de is missing: run stage 1"),
        (lego("--stage", "4"), "dump/raw/org/train_de_en/.done is missing: run stage 3"),
        (lego("--stage", "5"), "dump/raw/train_de_en/.done is missing: run stage 4"),
        (lego("--stage", "11"), "dump/raw/train_de_en/text.tc.de is missing: run stages 1 to 4"),
        (lego("--stage", "12"), "config.yaml is missing: it is no experiment and no module"),
    ],
)
def test_wrong_options_are_told_before_any_work(
    numbers: Any, options: list[str], message: str
) -> None:
    assert message in numbers.fail(*options, script="../../TEMPLATE/lego1/lego.sh")
    assert not list(numbers.folder.glob("exp/*/*.pth"))


def test_a_module_that_is_one_file_is_a_token_list(again: Any) -> None:
    experiment = again.folder / "exp/de_en"
    assert pack([str(experiment), "--part", "decoder", "--zip", "--output", str(again.folder)]) == 0
    (module,) = again.folder.glob("*.zip")
    options = f"--train_set train_ro_en --valid_set val_ro_en --test_sets test_ro_en --src_lang ro --tgt_lang en \
        --bpemode bpe --src_nbpe 50 --token_tag 80 --stage 5 --stop_stage 5 --token_listdir {module.name}"
    printed = again.run(*options.split(), script="../../TEMPLATE/lego1/lego.sh")
    (folder,) = re.findall(r"token lists: \S+, (\S+)", printed)
    tokens = (again.folder / "data/en_token_list/bpe_bpe50/tokens.txt").read_bytes()
    assert (Path(folder) / "tokens.txt").read_bytes() == tokens


def test_help_teaches_without_a_recipe(numbers: Any) -> None:
    printed = numbers.run("--help")
    for option in (
        "--low_pairs",
        "--stage",
        "--pretrained_encoder",
        "--token_listdir",
        "--inference_args",
    ):
        assert option in printed


def test_a_token_list_of_other_text_is_not_overwritten(
    numbers: Any, tiny_options: list[str]
) -> None:
    numbers.run(*tiny_options, "--stop_stage", "5")
    before = (numbers.folder / "data/en_token_list/bpe_bpe50/tokens.txt").read_bytes()
    more = ["--stop_stage", "5", "--train_pairs", "110"]
    printed = numbers.fail(*tiny_options, *more)
    assert "data/de_token_list/bpe_bpe50 was made from other text or options" in printed
    assert "--token_listdir" in printed
    assert (numbers.folder / "data/en_token_list/bpe_bpe50/tokens.txt").read_bytes() == before


def test_bad_data_stops_stage_1_with_all_faults(numbers: Any, tiny_options: list[str]) -> None:
    numbers.run(*tiny_options, "--stop_stage", "1")
    texts = numbers.folder / "data/val_de_en/text.tc.de"
    lines = texts.read_bytes().splitlines(keepends=True)
    texts.write_bytes(b"".join([lines[0], b"val-00002\n", b"val-00003 \xff\n", *lines[3:]]))
    printed = numbers.fail(*tiny_options, "--stop_stage", "1")
    assert "data/val_de_en/text.tc.de:2: no text after the id" in printed
    assert "data/val_de_en/text.tc.de:3: not UTF-8" in printed


def test_stage_4_drops_long_pairs_but_not_from_test_sets(
    numbers: Any, tiny_options: list[str]
) -> None:
    printed = numbers.run(*tiny_options, "--stop_stage", "4", "--max_text_length", "25")
    assert "pairs dropped, longer than 25 characters" in printed

    def longest(folder: str) -> int:
        path: Path = numbers.folder / folder / "text.tc.en"
        return max(map(len, read_text(path).values()))

    assert longest("dump/raw/train_de_en") <= 25 < longest("data/train_de_en")
    assert longest("dump/raw/test_de_en") == longest("data/test_de_en") > 25


GERMAN = (
    "--train_set train_de_en --valid_set val_de_en --test_sets test_de_en --src_lang de --tgt_lang en "
    "--bpemode bpe --lego_config conf/tiny.yaml --num_threads 1"
).split()


def test_statistics_of_other_data_are_not_trained_with(again: Any, tiny_options: list[str]) -> None:
    text = again.folder / "dump/raw/train_de_en/text.tc.en"
    lines = text.read_text().splitlines(keepends=True)
    text.write_text("".join(lines[:-1]))
    printed = again.fail(*tiny_options, "--stage", "11", "--stop_stage", "11")
    assert "has no statistics of these training and validation sets: run stage 10" in printed


def test_an_encoders_module_is_the_list_of_its_source(again: Any) -> None:
    """Trained on from its encoder, which reads other tokens than its target's; nothing is told of missing ones."""
    encoder, decoder = (f"exp/de_en/modules/de_en_{part}" for part in ("encoder", "decoder"))
    options = f"--stage 5 --stop_stage 11 --src_token_listdir {encoder} --token_listdir {decoder}"
    more = f"--pretrained_encoder {encoder} --pretrained_decoder {decoder} --lego_exp exp/on"
    training = ["--lego_args", "--max_epoch 1"]
    printed = again.run(
        *GERMAN, *options.split(), *more.split(), *training, script="../../TEMPLATE/lego1/lego.sh"
    )
    assert "become <unk>" not in printed
    codecs = [System.load(again.folder / name).source for name in ("exp/on", "exp/de_en")]
    assert codecs[0].tokens == codecs[1].tokens


def test_a_data_script_is_told_the_number_of_jobs(again: Any) -> None:
    (again.folder / "local/data.sh").write_text("echo jobs: ${nj}; exit 5")
    options = ["--local_data_opts", "another", "--stop_stage", "1", "--nj", "7"]
    assert "jobs: 7" in again.fail(
        *GERMAN, *options, script="../../TEMPLATE/lego1/lego.sh", status=5
    )


def test_a_recipe_without_its_own_data_script_takes_what_is_there(again: Any) -> None:
    (again.folder / "local/data.sh").rename(again.folder / "local/elsewhere.sh")
    stages = ["--stop_stage", "1"]
    again.run(*GERMAN, *stages, script="../../TEMPLATE/lego1/lego.sh")
    (again.folder / "data/val_de_en/text.tc.en").unlink()
    printed = again.fail(*GERMAN, *stages, script="../../TEMPLATE/lego1/lego.sh")
    assert "data/val_de_en/text.tc.en is missing: this recipe has no local/data.sh" in printed


def cached(home: Path, name: str, commit: str, module: Path) -> None:
    """Put a module into the Hub's cache, its main branch at this commit."""
    folder = home / f"hub/models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text(commit)
    shutil.copytree(module, folder / "snapshots" / commit)


def test_a_module_that_changed_on_the_hub_is_decoded_with_again(again: Any, tmp_path: Path) -> None:
    """Under its name alone a branch that moved couldn't be seen."""
    home = tmp_path / "hub_home"
    recipe = dataclasses.replace(
        again, variables={"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    )
    options = "--stage 12 --stop_stage 12 --skip_train true --pretrained_encoder exp/de_en".split()
    words = [*GERMAN, *options, "--pretrained_decoder", "hf:me/x"]
    printed = []
    for commit, name in (("1" * 40, "de_en"), ("", ""), ("2" * 40, "ro_en")):
        if commit:
            cached(home, "me/x", commit, again.folder / f"exp/{name}/modules/{name}_decoder")
        printed.append(recipe.run(*words, script="../../TEMPLATE/lego1/lego.sh"))
    stamp = "up to date: exp/compose_de_en_x/decode/test_de_en/.done"
    assert [stamp in text for text in printed] == [False, True, False]
