"""The console command: which verb runs, what a mistake prints, and help that waits for nothing."""

from __future__ import annotations

import errno
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import legonn
from legonn.cli import VERBS, main, run
from legonn.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "espnet2", "espnet", "sacrebleu", "numpy", "sentencepiece", "fastapi", "uvicorn")


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )


def loaded_after(words: Sequence[str]) -> list[str]:
    """The heavy packages that ``legonn <words>`` has imported when it ends."""
    done = python(
        "import sys\n"
        "from legonn.cli import main\n"
        f"try: main({list(words)!r})\n"
        "except SystemExit: pass\n"
        f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    assert loaded_after(words) == []


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_every_verb(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = lines[lines.index("verbs:") + 1 :][: len(VERBS)]
    assert [line.split()[0] for line in listed] == list(VERBS)


def test_every_command_is_a_verb_or_a_tool_of_ours() -> None:
    files = {path.stem for path in (ROOT / "legonn" / "bin").glob("*.py")} - {"__init__"}
    assert set(VERBS) <= files
    assert files - set(VERBS) <= {
        "chain_picture",
        "decode_parser",
        "decoding_options",
        "input_options",
        "system_options",
    }  # the README's picture; the parser of one that has many options; shared options


@pytest.mark.parametrize("verb", VERBS)
def test_verb_shows_its_own_help(verb: str) -> None:
    done = python(f"from legonn.cli import main; raise SystemExit(main([{verb!r}, '--help']))")
    assert done.returncode == 0
    assert f"legonn {verb}" in done.stdout


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"legonn {legonn.__version__}\n"


def test_no_verb_prints_help_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: legonn <verb>")


def test_unknown_verb_names_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decoed", "--system", "x"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("legonn: error: there is no verb 'decoed'; did you mean 'decode'?")
    assert error.count("\n") == 1


def test_unknown_verb_like_none_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zzz"]) == 2
    assert capsys.readouterr().err == (
        f"legonn: error: there is no verb 'zzz'. The verbs are: {', '.join(VERBS)}.\n"
    )


def test_error_of_a_verb_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--hyp", "absent.txt", "--ref", "absent.txt"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("legonn score: error: ")
    assert "absent.txt" in error


def test_module_form_has_the_same_error() -> None:
    words = ["--hyp", "absent.txt", "--ref", "absent.txt"]
    ends = [
        subprocess.run(
            [sys.executable, "-m", *form, *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        for form in (["legonn.cli", "score"], ["legonn.bin.score"])
    ]
    assert [end.returncode for end in ends] == [2, 2]
    assert ends[0].stderr == ends[1].stderr
    assert ends[0].stderr.startswith("legonn score: error: ")


def test_run_passes_arguments_and_status() -> None:
    def command(argv: Sequence[str] | None = None) -> int:
        return len(argv or ())

    assert run(command, ["a", "b", "c"]) == 3


def test_run_prints_each_fault_of_a_data_error(capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: Sequence[str] | None = None) -> int:
        raise DataError("two faults; mend them", ["text.de:3: empty", "text.de:9: duplicate id"])

    assert run(command) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  text.de:3: empty",
        "  text.de:9: duplicate id",
    ]


def test_run_lets_our_own_faults_through() -> None:
    def command(argv: Sequence[str] | None = None) -> int:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        run(command)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileExistsError(errno.EEXIST, "File exists", "exp/x"), "exp/x: File exists"),
        (PermissionError(errno.EACCES, "Permission denied", b"m"), "m: Permission denied"),
        (OSError(errno.EXDEV, "Invalid link", "a", None, "b"), "a -> b: Invalid link"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_what_the_system_says_of_a_file_is_one_line(
    error: OSError, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(argv: Sequence[str] | None = None) -> int:
        raise error

    assert run(command) == 2
    assert capsys.readouterr().err.endswith(f": error: {said}\n")


@pytest.mark.parametrize(
    "error", [OSError("ours"), TimeoutError(), OSError(errno.EBADF, "Bad file descriptor")]
)
def test_an_error_of_no_file_is_a_fault_of_ours(error: OSError) -> None:
    def command(argv: Sequence[str] | None = None) -> int:
        raise error

    with pytest.raises(type(error)):
        run(command)


def test_output_to_a_full_disk_is_one_line() -> None:
    code = (
        "from legonn.cli import run\n"
        "def command(argv=None):\n"
        "    print('a line')\n"
        "    return 0\n"
        "raise SystemExit(run(command))\n"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "__main__: error: No space left on device\n"


def test_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: Sequence[str] | None = None) -> int:
        raise KeyboardInterrupt

    assert run(command) == 130
    assert capsys.readouterr().err.endswith(": interrupted\n")


def test_reader_that_leaves_is_no_traceback() -> None:
    code = (
        "from legonn.cli import run\n"
        "def command(argv=None):\n"
        "    for _ in range(100_000): print('a line')\n"
        "    return 0\n"
        "raise SystemExit(run(command))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()
