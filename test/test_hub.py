"""Modules on the Hub, against a stub server of its protocol: download, cache, upload, and every refusal."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from legonn.bin.pack import main as pack
from legonn.errors import ConfigError
from legonn.hub import fetch, is_hub_name, publish
from legonn.module import describe
from legonn.system import load_part

COMMIT = "c0ffee" * 6 + "c0de"
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Hub:
    """What the stub holds: repositories of one commit, and what it was asked."""

    url: str = ""
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)

    def run(self, home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A legonn command that knows this Hub: the library reads its address when imported."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_TOKEN": "hf_stub",
            **variables,
        }
        command = [sys.executable, "-m", "legonn.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of files, and the three requests of an upload."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.file(body=False)

    def do_GET(self) -> None:
        if "/tree/" in self.path:
            self.list_files("/".join(self.path.split("/")[3:5]))
        elif self.path.startswith("/api/models/"):
            name = "/".join(self.path.split("/")[3:5])
            self.answer({"id": name, "sha": COMMIT, "siblings": []})
        else:
            self.file(body=True)

    def list_files(self, name: str) -> None:
        if name not in self.hub.repositories:
            self.refuse("RepoNotFound", 401)
            return
        files = self.hub.repositories[name].items()
        kind: dict[str, Any] = {"type": "file", "oid": "0" * 40}
        self.answer([{**kind, "path": path, "size": len(value)} for path, value in files])

    def file(self, *, body: bool) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        assert match is not None, self.path
        name, revision, file = match.groups()
        if name not in self.hub.repositories:
            self.refuse("RepoNotFound", 404)
        elif revision not in ("main", "v1", COMMIT):
            self.refuse("RevisionNotFound", 404)
        elif file not in self.hub.repositories[name]:
            self.refuse("EntryNotFound", 404)
        else:
            content = self.hub.repositories[name][file]
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.hub.asked.append(f"POST {self.path}")
        if self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != "Bearer hf_stub":
            self.refuse("", 401)
        elif self.path == "/api/repos/create":
            self.hub.made.append(json.loads(content))
            name = "me/" + json.loads(content)["name"]
            self.hub.repositories.setdefault(name, {})
            self.answer({"url": f"{self.hub.url}/{name}", "name": name})
        elif "/preupload/" in self.path:
            files = json.loads(content)["files"]
            self.answer(
                {
                    "files": [
                        {
                            "path": f["path"],
                            "uploadMode": "regular",
                            "shouldIgnore": False,
                            "oid": None,
                        }
                        for f in files
                    ]
                }
            )
        elif "/commit/" in self.path:
            name = "/".join(self.path.split("/")[3:5])
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    value = base64.b64decode(line["value"]["content"])
                    self.hub.repositories[name][line["value"]["path"]] = value
                elif line["key"] == "deletedFile":
                    del self.hub.repositories[name][line["value"]["path"]]
            self.answer(
                {"commitUrl": f"{self.hub.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT}
            )
        else:
            self.answer({})

    def answer(self, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, code: str, status: int) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    stub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"hub": stub}))
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield stub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def decoder(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    pack([str(experiment), "--output", str(folder), "--part", "decoder"])
    return folder / "lego_decoder"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_published_module_serves_by_its_name(
    hub: Hub, decoder: Path, experiment: Path, tmp_path: Path
) -> None:
    """Up, down, composed; then once more without the network."""
    done = hub.run(tmp_path, "publish", str(decoder), "--to", "hf:me/dec", "--private")
    assert (done.returncode, done.stdout) == (0, f"hf:me/dec@{COMMIT}\n"), done.stderr
    assert hub.repositories["me/dec"] == content(decoder)
    assert hub.made[0]["name"] == "dec" and hub.made[0]["visibility"] == "private"

    words = ["compose", "--encoder", str(experiment), "--decoder", "hf:me/dec@v1", "--output"]
    done = hub.run(tmp_path, *words, str(tmp_path / "both"))
    assert done.returncode == 0, done.stderr
    assert f"from {experiment}+hf:me/dec@v1" in done.stdout
    wanted = load_part(experiment, "decoder").sha256()
    assert load_part(tmp_path / "both", "decoder").sha256() == wanted

    asked = len(hub.asked)
    done = hub.run(tmp_path, *words, str(tmp_path / "again"), HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert len(hub.asked) == asked
    done = hub.run(tmp_path, "inspect", "hf:me/dec@v1", HF_HUB_OFFLINE="1")
    assert done.stdout.splitlines()[0] == "hf:me/dec@v1" and wanted[:12] in done.stdout


def test_nothing_of_a_module_before_is_left(hub: Hub, decoder: Path, tmp_path: Path) -> None:
    """Under the same name a module with another tokenizer was; the owner's own files stay."""
    kept = {"LICENSE": b"mine", ".gitattributes": b"*.safetensors", "docs/bpe.model": b"mine"}
    hub.repositories["me/dec"] = {**kept, "src_bpe.model": b"old", "tokens.txt": b"old"}
    done = hub.run(tmp_path, "publish", str(decoder), "--to", "hf:me/dec")
    assert done.returncode == 0, done.stderr
    assert hub.repositories["me/dec"] == {**kept, **content(decoder)}


@pytest.mark.parametrize("error", [TimeoutError(), OSError("\n the Hub is asleep\nmore")])
def test_errors_without_a_first_line_are_told(
    decoder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", fail)
    said = "TimeoutError" if isinstance(error, TimeoutError) else "the Hub is asleep"
    for call in (fetch, functools.partial(publish, decoder)):
        with pytest.raises(ConfigError, match=f"^hf:me/dec: {said}$"):
            call("hf:me/dec")


def test_all_files_come_from_one_commit_and_only_a_modules(
    hub: Hub, decoder: Path, tmp_path: Path
) -> None:
    hub.repositories["me/dec"] = {**content(decoder), "evil.py": b"import os"}
    assert hub.run(tmp_path, "inspect", "hf:me/dec").returncode == 0
    files = {path.rpartition("/")[2] for path in hub.asked}
    assert files == {"module.yaml", *describe(decoder)[0]["files"]}
    later = [path for path in hub.asked if not path.endswith("module.yaml")]
    assert all(f"/resolve/{COMMIT}/" in path for path in later)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:me/nothing", "no such repository; if it is private, `hf auth login`"),
        ("hf:me/dec@v9", "the repository has no such revision"),
        ("hf:me/empty", "holds no module.yaml: it is no module"),
        ("hf:me/torn", "holds no tokens.txt: it is no module of legonn, or damaged"),
        ("hf:me/bent", "module.yaml is damaged or was changed"),
        ("hf:me", "is no name on the Hub; it wants hf:owner/name"),
        ("hf:a/b/c", "is no name on the Hub; it wants hf:owner/name"),
        ("hf:me/..", "hf:me/..: "),
    ],
)
def test_what_is_wrong_is_one_error(
    hub: Hub, decoder: Path, tmp_path: Path, name: str, message: str
) -> None:
    whole = content(decoder)
    hub.repositories["me/dec"] = whole
    hub.repositories["me/empty"] = {"README.md": b"x"}
    hub.repositories["me/torn"] = {k: v for k, v in whole.items() if k != "tokens.txt"}
    hub.repositories["me/bent"] = {**whole, "module.yaml": whole["module.yaml"] + b" "}
    done = hub.run(tmp_path, "inspect", name)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_without_network_and_cache_the_remedy_is_told(tmp_path: Path) -> None:
    dead = Hub(url="http://127.0.0.1:9")
    done = dead.run(tmp_path, "inspect", "hf:me/dec", HF_HUB_OFFLINE="1")
    assert done.returncode == 2
    assert "module.yaml is not in the cache, and the Hub can't be reached" in done.stderr


def test_who_may_not_write_is_told(hub: Hub, decoder: Path, tmp_path: Path) -> None:
    done = hub.run(tmp_path, "publish", str(decoder), "--to", "hf:me/dec", HF_TOKEN="hf_other")
    assert done.returncode == 2 and "hf:me/dec: " in done.stderr and "401" in done.stderr
    assert "Traceback" not in done.stderr and hub.repositories == {}


def test_only_a_whole_module_is_published(experiment: Path, decoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no module: it has no module.yaml"):
        publish(experiment, "hf:me/x")
    (tmp_path / "d.zip").write_bytes(b"x")
    with pytest.raises(ConfigError, match="is one file: publish its folder"):
        publish(tmp_path / "d.zip", "hf:me/x")
    with pytest.raises(ConfigError, match="is no name on the Hub"):
        publish(decoder, "me/x")


def test_a_path_is_no_name() -> None:
    assert (
        is_hub_name("hf:me/dec") and not is_hub_name("exp/hf") and not is_hub_name(Path("hf:a/b"))
    )
    with pytest.raises(ConfigError, match="is no name on the Hub"):
        fetch("hf:/x")
