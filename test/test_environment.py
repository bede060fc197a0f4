"""What a result was made with, and ESPnet's imports without its notices."""

from __future__ import annotations

import importlib.metadata
import io
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from legonn.environment import DropLines, defer_import, revision, versions

ROOT = Path(__file__).resolve().parents[1]


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one committed file."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one\n")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


def test_revision_is_gits(checkout: Path) -> None:
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_revision_ignores_tags(checkout: Path) -> None:
    git(checkout, "tag", "v1")
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_revision_tells_changed_files(checkout: Path) -> None:
    (checkout / "file").write_text("two\n")
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD") + "-dirty"


def test_new_files_are_no_change(checkout: Path) -> None:
    (checkout / "results.json").write_text("{}\n")
    assert revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_no_revision_below_somebody_elses_checkout(checkout: Path) -> None:
    (checkout / "site-packages").mkdir()
    assert revision(checkout / "site-packages") is None


def test_no_revision_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert revision(tmp_path) is None


def test_versions_are_those_installed() -> None:
    assert versions(["torch", "no-such-package"]) == {
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
    }


@pytest.mark.parametrize(
    ("written", "passed"),
    [
        (["one\n", "two\n"], "one\ntwo\n"),
        (["Notice: x\n", "two\n"], "two\n"),
        (["Notice: x", "\n", "two", "\n"], "two\n"),  # as print() writes
        (["one\nNotice: x\ntwo\n"], "one\ntwo\n"),
        (["Notice: x\ntwo\n"], "two\n"),
        (["No", "\n"], "No\n"),
    ],
)
def test_only_the_notice_is_dropped(written: list[str], passed: str) -> None:
    stream = io.StringIO()
    filtered = DropLines(stream, "Notice")
    assert [filtered.write(text) for text in written] == [len(text) for text in written]
    assert stream.getvalue() == passed


@pytest.fixture
def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that `slow_package` leaves beside it when it is loaded."""
    folder = tmp_path / "slow_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('loaded').touch()\nANSWER = 42\n"
    )
    (folder / "part.py").write_text("from slow_package import ANSWER\nHALF = ANSWER // 2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("slow_package", "slow_package.part"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder / "loaded"


def test_deferred_package_loads_when_used(trace: Path) -> None:
    defer_import("slow_package")
    import slow_package  # type: ignore[import-not-found]

    assert not hasattr(slow_package, "__no_such_name__")  # `inspect` asks so of every module
    assert not trace.exists()
    assert slow_package.ANSWER == 42
    assert trace.exists()


def test_deferred_part_loads_through_its_parent(trace: Path) -> None:
    # As ESPnet uses tacotron_cleaner.cleaners.
    defer_import("slow_package")
    defer_import("slow_package.part")
    import slow_package.part  # type: ignore[import-not-found]

    assert not trace.exists()
    assert slow_package.part.HALF == 21
    assert trace.exists()


def test_deferring_what_is_not_there_changes_nothing() -> None:
    defer_import("no_such_package")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401


def test_deferring_what_is_loaded_changes_nothing() -> None:
    defer_import("json")
    import json

    assert sys.modules["json"] is json
    assert json.loads("1") == 1


def test_espnet_is_imported_in_silence() -> None:
    code = (
        "import sys\n"
        "from legonn.environment import quiet_imports\n"
        "with quiet_imports():\n"
        "    import espnet2.train.preprocessor, espnet.nets.pytorch_backend.transformer.attention\n"
        "    print('a print of our own')\n"
        "print('nltk' in sys.modules, 'inflect' in sys.modules)\n"
        "cleaner = espnet2.text.cleaner.TextCleaner('tacotron')\n"
        "print(cleaner('no. 21'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert done.stdout.splitlines() == ["a print of our own", "False False", "NO. TWENTY ONE"]
    assert done.stderr == ""
