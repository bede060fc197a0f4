"""The boards: what they would run, in which order, is told before anything runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest


def plan(recipe: Any, *options: str) -> list[dict[str, str]]:
    """The options of each run.sh, or of each `legonn decode`, by name."""
    printed = recipe.run("--plan", "true", *options, script="./board.sh")
    commands = [
        shlex.split(line) for line in printed.splitlines() if "multi30k/lego1/run.sh" not in line
    ]
    return [dict(pairs(words[1 + (words[:1] == ["legonn"]) :])) for words in commands]


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip([word.removeprefix("--") for word in words[::2]], words[1::2], strict=True))


def named(baseline: str) -> tuple[str, str]:
    """A baseline's name, which is its experiment's unless another is given, and its folder."""
    name, given, folder = baseline.rpartition("=")
    return (name, folder) if given else (Path(folder).parent.name, folder)


EVERYTHING = [
    *(("multi30k", experiment) for experiment in ("E1", "E2", "E3", "E4", "E5", "E6", "E9")),
    *(("numbers", experiment) for experiment in ("E1", "E2", "E3", "E6", "E7", "E8", "E9")),
]


@pytest.mark.parametrize(("name", "experiment"), EVERYTHING)
@pytest.mark.parametrize("seeds", ["1", "4 2"])
def test_nothing_is_read_before_it_is_made(
    name: str, experiment: str, seeds: str, request: pytest.FixtureRequest
) -> None:
    made = {"exp/de_en"} if name == "numbers" else set()  # the demo's
    recipe = request.getfixturevalue(name)
    steps = plan(recipe, "--experiments", experiment, "--seeds", seeds)
    for step in steps:
        baseline = step.get("compare_with", "")
        read = [step.get("pretrained_encoder"), step.get("pretrained_decoder")]
        folders = dict(named(item) for item in baseline.split())
        assert len(folders) == len(baseline.split())
        read += [str(Path(folder).parent) for folder in folders.values()]
        read += step.get("ensemble", "").split()
        read += [step.get("pretrained_lm")]
        # Of an experiment a checkpoint may be named.
        assert {name.removesuffix(":latest.pth") for name in read if name} <= made
        if step.get("use_lm") == "true":
            made.add(step["lm_exp"])
        folder = Path(step.get("lego_exp", ""))
        if "lego_exp" not in step and "pretrained_encoder" in step:  # a swap
            parts = [Path(step[f"pretrained_{kind}"]).name for kind in ("encoder", "decoder")]
            folder = Path(step["expdir"], "_".join(["compose", *parts]))
        if folder.name:
            made.add(str(folder))
        beside = [*step.get("ensemble", "").split(), *filter(None, [step.get("pretrained_lm")])]
        together = [f"ensemble_{folder.name}", *(Path(other).name for other in beside)]
        if beside:  # it is decoded in a folder of its own
            made.add(str(folder.with_name("_with_".join(together))))
    assert made > {"exp/de_en"} or name == "multi30k" and made


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("multi30k", []),
        ("speechocean762", []),
        ("numbers", ["--experiments", "E1 E2 E3 E6 E7 E8 E9"]),
    ],
)
def test_every_configuration_exists(
    name: str, options: list[str], request: pytest.FixtureRequest
) -> None:
    recipe = request.getfixturevalue(name)
    for step in plan(recipe, *options):
        for option in ("lego_config", "inference_config"):
            assert option not in step or (recipe.folder / step[option]).is_file()


@pytest.mark.parametrize("seeds", ["1", "1 2"])
def test_real_voices_begin_with_what_the_board_of_captions_makes(
    multi30k: Any, speechocean762: Any, seeds: str
) -> None:
    captions = plan(multi30k, "--experiments", "E6")
    made = {f"../../multi30k/lego1/{step['lego_exp']}" for step in captions if "lego_exp" in step}
    steps = plan(speechocean762, "--experiments", "tuned", "--seeds", seeds)
    tuned = [step for step in steps if "pretrained_encoder" in step]
    # LegoNN, and the hybrid; with a language model it, and both.
    assert len(tuned) == 4 * len(seeds.split())
    for step in tuned:
        begun = {step["pretrained_encoder"], step["pretrained_decoder"]}
        assert begun <= {*made, "../../multi30k/lego1/modules/de_en_pieces_decoder"}
        assert step["token_listdir"] == "../../multi30k/lego1/modules/de_en_pieces_decoder"
        baseline = str(Path(step["compare_with"].split()[0]).parent)
        assert baseline in [other.get("lego_exp") for other in steps[: steps.index(step)]]


def test_a_language_model_is_made_before_it_is_asked(speechocean762: Any) -> None:
    steps = plan(speechocean762, "--experiments", "tuned")
    learned = [step["lm_exp"] for step in steps if "lm_exp" in step]
    asked = [step for step in steps if "pretrained_lm" in step]
    assert learned == ["exp/lm_captions_s1"] and len(asked) == 2
    assert {step["pretrained_lm"] for step in asked} == set(learned)
    assert steps.index(asked[0]) > [step.get("lm_exp") for step in steps].index(learned[0])


def test_real_voices_meet_a_committed_decoder_of_their_pieces(speechocean762: Any) -> None:
    trained, alone, beside = plan(speechocean762, "--experiments", "E6", "--seeds", "3")
    lists = {step["token_listdir"] for step in (trained, alone, beside)}
    assert lists == {alone["pretrained_decoder"], beside["pretrained_decoder"]}
    module = Path(__file__).parents[2] / "egs/speechocean762/lego1" / lists.pop()
    assert (module / "model.safetensors").is_file() and (module / "bpe.model").is_file()
    assert trained["lego_exp"] == alone["pretrained_encoder"] == beside["ensemble"]
    assert {step["compare_with"] for step in (alone, beside)} == {f"{trained['lego_exp']}/decode"}


def test_real_voices_say_what_they_lack(speechocean762: Any) -> None:
    """At once, not when the baselines are trained; what is on the Hub is not looked for."""
    options = "--listener hf:a/b --captions missing"
    printed = speechocean762.fail("--experiments", "tuned", *options.split(), script="./board.sh")
    assert "error: missing is missing: mend its name, or leave --listener" in printed
    assert "stage" not in printed


def test_the_listener_of_captions_is_what_their_board_trains(
    multi30k: Any, speechocean762: Any
) -> None:
    printed = speechocean762.run("--plan", "true", "--experiments", "tuned", script="./board.sh")
    words, listener = (
        dict(pairs(shlex.split(line)[1:]))
        for line in printed.splitlines()
        if line.startswith("../../multi30k/lego1/run.sh")
    )
    captions = plan(multi30k, "--experiments", "E6")
    (trained,) = (
        step
        for step in captions
        if step.get("lego_exp") == listener["lego_exp"]
        and "hybrid,pieces,2500" in step["score_args"]
    )
    same = ("train_pairs", "token_listdir", "speed_perturb_factors", "lego_config")
    assert [listener[name] for name in same] == [trained[name] for name in same]
    assert listener["lego_args"].split() == trained["lego_args"].split()
    assert words["train_pairs"] == captions[0]["train_pairs"] and words["nbpe"] == "300"
    given = ["--listener", "hf:a/b", "--captions", "x"]
    assert "multi30k/lego1/run.sh" not in speechocean762.run(
        "--plan", "true", *given, script="./board.sh"
    )


def test_every_preface_exists() -> None:
    boards = list((Path(__file__).parents[2] / "egs").glob("*/lego1/board.sh"))
    assert len(boards) == 3
    for board in boards:
        (name,) = re.findall(r"--preface (\S+)", board.read_text())
        assert (board.parent / name).is_file()


def test_an_experiment_is_trained_in_one_way(multi30k: Any) -> None:
    ways: dict[str, set[tuple[str, ...]]] = {}
    for step in plan(multi30k):
        if "lego_exp" in step:
            way = [
                step.get(name, "") for name in ("lego_config", "lego_args", "train_pairs", "freeze")
            ]
            ways.setdefault(step["lego_exp"], set()).add(tuple(way))
    assert {len(way) for way in ways.values()} == {1}


def test_decoders_go_round_the_seeds(multi30k: Any) -> None:
    swaps = {
        (step["pretrained_encoder"], step["pretrained_decoder"])
        for step in plan(multi30k, "--experiments", "E3", "--seeds", "1 2 3")
        if "pretrained_encoder" in step and "lego_exp" not in step
    }
    assert swaps == {
        (f"exp/{name}_s{seed}", f"exp/{name}_s{other}")
        for name in ("noctc", "lessctc")
        for seed, other in ((1, 2), (2, 3), (3, 1))
    }


@pytest.mark.parametrize("experiment", ["E4", "E5", "E6"])
def test_no_caption_of_a_lent_decoder_is_the_others(multi30k: Any, experiment: str) -> None:
    lines: dict[str, range] = {}
    borrowed = set()
    for step in plan(multi30k, "--experiments", experiment, "--seeds", "1 2"):
        low, high = (int(line) for line in step["train_pairs"].split("-"))
        lines[step.get("lego_exp", "swap")] = mine = range(low, high + 1)
        if "pretrained_decoder" in step:
            theirs = lines[step["pretrained_decoder"]]
            if step.get("lego_config") == "conf/tuning/train_bridge.yaml":
                # Of text, the decoder's own.
                assert mine == theirs and "src_modality" not in step
                continue
            assert not set(mine) & set(theirs)
            assert lines.get(step.get("pretrained_bridge", ""), theirs) == theirs
            assert step["token_listdir"].endswith(f"_{theirs[0]}-{theirs[-1]}")
            borrowed.add((len(mine), len(theirs)))
    curve = {(1000, 24000), (2000, 24000), (5000, 24000), (10000, 19000)}
    spoken = {(750, 24000), (1250, 24000), (2500, 24000)}
    assert borrowed == {"E4": {(5000, 24000)}, "E5": curve, "E6": spoken}[experiment]


def test_a_tenth_is_heard_and_all_of_it_lent(numbers: Any) -> None:
    steps = plan(numbers, "--experiments", "E8", "--seeds", "3")
    of_tenth, of_all = "train_en_100_speech", "train_en_1000_speech"
    assert [step["train_set"] for step in steps] == [*[of_tenth] * 3, of_all, of_tenth]
    plain, *trained, lent = steps
    assert "--num_iters_per_epoch 117" in plain["lego_args"]
    assert "num_iters_per_epoch" not in "".join(step["lego_args"] for step in trained)
    assert [Path(step["lego_exp"]).name for step in trained] == [
        "tenth_hybrid_s3",
        "tenth_s3",
        "frames_s3",
    ]
    assert lent["pretrained_encoder"] == trained[1]["lego_exp"]
    assert lent["pretrained_decoder"] == trained[2]["lego_exp"]
    # The hybrid is compared with the plain encoder-decoder, all that follow with both.
    plain_scores = f"{plain['lego_exp']}/decode_attention"
    assert steps[1]["compare_with"] == plain_scores
    assert {step["compare_with"] for step in steps[2:]} == {
        f"exp_board/tenth_hybrid_s3/decode {plain_scores}"
    }


def test_a_listener_meets_both_ingestors(numbers: Any) -> None:
    steps = plan(numbers, "--experiments", "E9", "--seeds", "3")
    *trained, first, second = steps
    assert [Path(step["lego_exp"]).name for step in trained] == [
        "lego_s3",
        "beamconv_s3",
        "frames_s3",
    ]
    assert ["max_epoch" in step["lego_args"] for step in trained] == [True, True, False]
    assert {step["pretrained_encoder"] for step in (first, second)} == {trained[2]["lego_exp"]}
    assert [step["pretrained_decoder"] for step in (first, second)] == [
        trained[0]["lego_exp"],
        trained[1]["lego_exp"],
    ]


def test_a_chain_has_parts_of_three_data_sets(numbers: Any) -> None:
    german, bridge, listener, cascade, chain = plan(numbers, "--experiments", "E7", "--seeds", "3")
    sets = [step["train_set"] for step in (german, bridge, listener)]
    assert sets == ["train_ro_de", "train_en_de", "train_en_1000_speech"]
    # Ro-De has a list of its own, as the demo's is of few pairs; the bridge reads English.
    assert german["token_tag"] == "20000" and bridge["interface_lang"] == bridge["src_lang"] == "en"
    # The bridge fits what the listener writes and what the decoder reads, which stays as it is.
    assert bridge["pretrained_decoder"] == german["lego_exp"] and bridge["freeze"] == "decoder"
    assert bridge["interface_listdir"] == bridge["src_token_listdir"] == listener["token_listdir"]
    assert bridge["token_listdir"] == german["token_listdir"] != listener["token_listdir"]
    parts = [chain[kind] for kind in ("encoder", "bridge", "decoder")]
    assert parts == [step["lego_exp"] for step in (listener, bridge, german)]
    # Beside it the same bridge and decoder, after the text that the listener writes.
    assert cascade["system"] == bridge["lego_exp"]
    assert cascade["input"] == f"{listener['lego_exp']}/decode/{listener['test_sets']}/text"


def test_a_listener_is_compared_with_two_baselines_of_its_recordings(numbers: Any) -> None:
    *baselines, listener = plan(numbers, "--experiments", "E1", "--seeds", "3")
    assert {step["train_set"] for step in (*baselines, listener)} == {"train_en_1000_speech"}
    folders = [f"{step['lego_exp']}/{Path(step['inference_config']).stem}" for step in baselines]
    assert listener["compare_with"].split() == folders
    assert folders == [
        "exp_board/hybrid_s3/decode",
        "exp_board/speech_attention_s3/decode_attention",
    ]


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ("E1", "E1 needs data/en_token_list/bpe_bpe100, which is missing: ./run.sh --stop_stage 5"),
        ("E6", "E6 needs exp/de_en, which is missing: its decoder is lent; ./run.sh comes first"),
        ("E8", "E8 needs data/en_token_list/bpe_bpe100, which is missing: ./run.sh --stop_stage 5"),
        ("E9", "E9 needs data/en_token_list/bpe_bpe100, which is missing: ./run.sh --stop_stage 5"),
        ("E7", "E7 needs data/en_token_list/bpe_bpe100, which is missing: ./run.sh --stop_stage 5"),
        ("E5", "error: --experiments E5: there are E1, E2, E3, E6, E7, E8 and E9"),
    ],
)
def test_numbers_say_what_they_lack(numbers: Any, experiment: str, message: str) -> None:
    printed = numbers.fail("--experiments", experiment, script="./board.sh")
    assert message in printed and "stage" not in printed.partition("--stop_stage")[0]


def test_an_unknown_experiment_is_named(multi30k: Any) -> None:
    printed = multi30k.fail("--experiments", "E7", script="./board.sh")
    assert "error: no experiment E7: there are E1 E2 E3 E4 E5 E6 E9" in printed
