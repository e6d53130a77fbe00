"""The demo server: what it serves, and what it refuses before and after it starts listening."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from eibert.errors import BundleError, RunError
from eibert.runtime.tokenizer import SPECIALS
from flows import demo
from tests.flows.conftest import heed_interrupts

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with a fake graph; the server does not run it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    files = {"model.onnx": b"graph", "vocab.txt": "\n".join(SPECIALS).encode(), "notes.txt": b"notes"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "secret.txt").write_text("not named")
    facts = {
        "format": 1, "name": "toy", "pair": False, "labels": ["a", "b"], "metric": "accuracy", "max_tokens": 8,
        "lowercase": True, "strip_accents": None,
        "files": {name: {"bytes": len(c), "sha256": sha256(c).hexdigest()} for name, c in files.items()},
    }  # fmt: skip
    (folder / "eibert.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder with files named like those of the built page."""
    folder = tmp_path / "page"
    folder.mkdir()
    for name in ("index.html", "page.css", "page.js", "ort-wasm-simd-threaded.wasm"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def server(bundle: Path, page: Path) -> Iterator[demo.Server]:
    """The running server."""
    with demo.open_server(bundle, 0, page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: demo.Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Returns status, headers and body; the path is sent unmodified."""
    connection = http.client.HTTPConnection(demo.HOST, server.server_port, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("path", "kind", "content"),
    [
        ("/", "text/html; charset=utf-8", b"index.html"),
        ("/index.html?x=1", "text/html; charset=utf-8", b"index.html"),
        ("/page.css", "text/css; charset=utf-8", b"page.css"),
        ("/page.js", "text/javascript; charset=utf-8", b"page.js"),
        ("/ort-wasm-simd-threaded.wasm", "application/wasm", b"ort-wasm-simd-threaded.wasm"),
        ("/bundle/model.onnx", "application/octet-stream", b"graph"),
        ("/bundle/notes.txt", "text/plain; charset=utf-8", b"notes"),
    ],
)
def test_each_file_has_its_type(server: demo.Server, path: str, kind: str, content: bytes) -> None:
    status, headers, body = ask(server, path)
    assert (status, headers["content-type"], body) == (200, kind, content)
    assert headers["content-length"] == str(len(content))
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert ask(server, path, "HEAD")[0::2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/bundle/secret.txt", "/bundle/../bundle/secret.txt", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd", "/bundle/..%2f..%2f..%2fetc%2fpasswd", "/bundle", "/bundle/", "/demo.py", "/%00", "*",
    ],
)  # fmt: skip
def test_nothing_else_is_answered(server: demo.Server, path: str) -> None:
    status, headers, body = ask(server, path)
    assert status == 404
    assert b"root:" not in body
    assert "content-security-policy" in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading_is_answered(server: demo.Server, method: str) -> None:
    assert ask(server, "/", method)[0] == 501


def test_another_name_for_this_machine_is_refused(server: demo.Server) -> None:
    assert ask(server, "/bundle/eibert.json", Host="evil.example")[0] == 421
    assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


def test_server_listens_on_loopback_only(server: demo.Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_altered_or_missing_bundle_is_not_served(bundle: Path, page: Path, tmp_path: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"grapH")
    with pytest.raises(BundleError, match=r"model\.onnx: altered"):
        demo.open_server(bundle, 0, page)
    with pytest.raises(BundleError, match="no bundle there; run `eibert run`"):
        demo.open_server(tmp_path / "none", 0, page)


def test_missing_page_says_what_to_run(bundle: Path, page: Path) -> None:
    (page / "page.js").unlink()
    with pytest.raises(RunError, match=r"page\.js not built; run `make web`"):
        demo.open_server(bundle, 0, page)


def test_port_in_use_is_told(bundle: Path, page: Path) -> None:
    with socket.create_server((demo.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port}: not available .*--port"):
            demo.open_server(bundle, port, page)


def test_command_names_its_address_and_ends_with_an_interrupt(bundle: Path, page: Path) -> None:
    code = f"import pathlib, flows.demo as d; d.open_server.__defaults__ = (pathlib.Path({str(page)!r}),); "
    command = [sys.executable, "-c", f"{code} from flows.cli import main; main()", "demo"]
    process = subprocess.Popen(
        [*command, "--bundle", str(bundle), "--port", "0", "--json"],
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    assert process.stdout is not None
    said = "".join(process.stdout.readline() for _ in range(3))
    port = int(json.loads(said)["url"].rstrip("/").rsplit(":", 1)[1])
    with socket.create_connection((demo.HOST, port), timeout=10):
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
