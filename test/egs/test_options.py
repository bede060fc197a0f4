"""The recipes' options and stamps, which are shell functions."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[2] / "egs/TEMPLATE/lego1/utils"


def shell(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script that has sourced both files."""
    head = f"set -euo pipefail\n. {UTILS}/options.sh\n. {UTILS}/stamp.sh\n"
    return subprocess.run(
        ["bash", "-c", head + script, "run.sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


PARSE = 'stage=1\nlego_args=\nskip_train=false\nparse_options "stage\n lego_args skip_train" "$@"\n'
SHOW = 'printf "%s|" "$stage" "$lego_args" "$skip_train"'


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ([], "1||false|"),
        (["--stage", "3"], "3||false|"),
        (["--stage=3", "--skip-train", "true"], "3||true|"),
        (["--lego-args", "--max_epoch 3 --a=b c"], "1|--max_epoch 3 --a=b c|false|"),
        (["--lego_args=--x y"], "1|--x y|false|"),
        (["--stage", "2", "--stage", "4"], "4||false|"),
    ],
)
def test_hyphens_underscores_and_equals_signs(arguments: list[str], values: str) -> None:
    assert shell(PARSE + SHOW, *arguments).stdout == values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stag", "3"], "unknown option --stag: did you mean --stage?"),
        (["--skip-trian", "true"], "unknown option --skip_trian: did you mean --skip_train?"),
        (["--nothing-like-it", "3"], "unknown option --nothing_like_it (--help lists all)"),
        (["stage"], "'stage' is no option: give --name value"),
        (["--stage"], "--stage needs a value"),
        (["--skip_train", "yes"], "--skip_train yes: give true or false"),
    ],
)
def test_wrong_options_are_told(arguments: list[str], message: str) -> None:
    done = shell(PARSE + SHOW, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_punctuation_is_or_is_not(tmp_path: Path) -> None:
    lego = UTILS.parent / "lego.sh"
    done = subprocess.run(
        ["bash", lego, "--tgt_punctuation", "some"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "--tgt_punctuation some: give true or false" in done.stderr


def test_the_closest_option_may_be_the_recipes_own() -> None:
    script = 'take_options "train_pairs" "$@"\nparse_options "torchrun_args" "${remaining[@]}"\n'
    assert "did you mean --train_pairs?" in shell(script, "--trian_pairs", "3").stderr


def test_help_lists_the_recipes_own_options_with_their_defaults(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text(
        "#!/usr/bin/env bash\n# A recipe.\nset -eu\npairs=0 # how many; 0: all\nlang=\n"
    )
    script = f'cd {tmp_path}\npairs=0\nlang=\ntake_options "pairs\n lang" "$@"'
    printed = shell(script, "--help").stdout
    assert printed.startswith(
        "A recipe.\n\nOptions of this recipe, with their defaults:\n"
        f'  {"--pairs 0":34} how many; 0: all\n  --lang ""\n'
    )
    assert "--lego_config F" in printed


def test_a_recipe_takes_its_own_options_and_leaves_the_rest() -> None:
    script = 'pairs=0\ntake_options "pairs\n lang" "$@"\nprintf "%s|" "$pairs" "${remaining[@]}"'
    done = shell(script, "--stage", "3", "--pairs", "5", "--lego_args", "--pairs 9", "--pairs=6")
    assert done.stdout == "6|--stage|3|--lego_args|--pairs 9|"


def test_what_follows_two_hyphens_is_left_alone() -> None:
    script = 'pairs=0\ntake_options "pairs" "$@"\nprintf "%s|" "$pairs" "${remaining[@]}"'
    assert shell(script, "--pairs", "5", "--", "--pairs", "9").stdout == "5|--pairs|9|"


def test_a_recipe_remembers_its_command_for_the_scores(tmp_path: Path) -> None:
    folder = tmp_path / "numbers/lego1"
    folder.mkdir(parents=True)
    script = f'cd {folder}\ntake_options "a" "$@"\nbash -c \'echo "$LEGONN_COMMAND"\''
    done = shell(script, "--a", "x y")
    assert done.stdout == f"cd egs/numbers/lego1 && ./run.sh --a {shlex.quote('x y')}\n".replace(
        "'x y'", "x\\ y"
    )


ONCE = "work() { echo x >>runs; }\n"


def test_a_stage_runs_once_for_one_key(tmp_path: Path) -> None:
    script = f"cd {tmp_path}\n{ONCE}once .done key work\nonce .done key work\n"
    assert "up to date: .done" in shell(script).stdout
    assert (tmp_path / "runs").read_text() == "x\n"
    assert (tmp_path / ".done").read_text() == "key\n"


def test_a_stage_with_another_key_runs_again(tmp_path: Path) -> None:
    shell(f"cd {tmp_path}\n{ONCE}once .done one work\nonce .done 'two\nlines' work\n")
    assert (tmp_path / "runs").read_text() == "x\nx\n"
    assert (tmp_path / ".done").read_text() == "two\nlines\n"


def test_a_stage_that_fails_has_no_stamp_and_stops_the_recipe(tmp_path: Path) -> None:
    (tmp_path / ".done").write_text("old\n")
    script = f"cd {tmp_path}\nwork() {{ false; echo on; }}\nonce .done new work\necho after\n"
    done = shell(script)
    assert done.returncode == 1 and done.stdout == ""
    assert not (tmp_path / ".done").exists()


def test_what_changed_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".done").write_text("lr: 1\nsize: 2\n")
    done = shell(f"stamp_difference {tmp_path}/.done 'lr: 3\nsize: 2'\n")
    assert done.stdout == "-lr: 1\n+lr: 3\n"


def test_one_run_at_a_time_writes_into_a_folder(tmp_path: Path) -> None:
    # The outer run holds the lock while it starts an inner one, which must not get it.
    inner = f"flock -n {tmp_path}/.lock echo twice || echo locked"
    done = shell(
        f"work() {{ {inner}; }}\nlocked {tmp_path} work\nflock -n {tmp_path}/.lock echo free"
    )
    assert done.stdout == "locked\nfree\n"


def test_installed_files_are_whole_copies(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text\n")
    shell(f"install_file {tmp_path}/a {tmp_path}/new/b")
    assert (tmp_path / "new/b").read_text() == "text\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b"]


def test_as_many_processes_speak_as_the_recipe_says() -> None:
    """`nproc` would say how many threads a process has, by OMP_NUM_THREADS: one."""
    script = f"python=echo\n. {UTILS}/speak.sh\nexport OMP_NUM_THREADS=1\nspeak data/a data/b"
    jobs = "--seed 1 --nj {0}", "--seed 2 --nj {0}"
    for given, expected in (("", 2), ("nj=5\n", 5)):
        lines = shell(given + script).stdout.splitlines()
        assert [line[line.index("--seed") :] for line in lines] == [
            job.format(expected) for job in jobs
        ]


def test_a_modules_scores_are_no_part_of_what_it_is(tmp_path: Path) -> None:
    """Or each new score of a system would be another parent for what was trained from its module."""
    path = tmp_path / "module.yaml"
    found = []
    for change in (("", ""), ("bleu", "wer"), ("name: x", "name: y")):
        text = "# seal {0}\nname: x\nscores:\n- metric: bleu\n  score: 3\n- metric: bleu\ntarget:\n  case: tc\n"
        path.write_text(text.format(change).replace(*change))
        found.append(shell(f". {UTILS}/stages_decode.sh\ncheckpoint_sums {tmp_path}").stdout)
    assert found[0] == found[1] != found[2]
    kept = shell(f". {UTILS}/stages_decode.sh\nwhat_it_is <{path}").stdout
    assert kept == "name: y\ntarget:\n  case: tc\n"


def test_earlier_logs_of_a_training_are_kept(tmp_path: Path) -> None:
    for run in range(3):
        shell(f". {UTILS}/stages_train.sh\nset_log_aside {tmp_path}")
        (tmp_path / "train.log").write_text(f"run {run}\n")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"train.1.log": "run 0\n", "train.2.log": "run 1\n", "train.log": "run 2\n"}
