"""Serves a page that shows a bundle's predictions as you type, on this machine only, from memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eibert.errors import BundleError, RunError
from eibert.runtime.bundle import CONFIGURATION, read_bundle

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "web"
_TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm", ".json": "application/json", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
_PAGE_FILES = ("index.html", "page.css", "page.js", "ort-wasm-simd-threaded.wasm")
_HEADERS = {
    "Cache-Control": "no-store",  # another bundle may be served here next
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class File:
    """The response for one path.

    Attributes:
        kind: Its MIME type.
        content: Its bytes.
    """

    kind: str
    content: bytes


class Server(ThreadingHTTPServer):
    """Serves the files it holds on loopback, and nothing else.

    Attributes:
        files: URL path → file.
    """

    daemon_threads = True

    def __init__(self, port: int, files: Mapping[str, File]) -> None:
        self.files = files
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Stays silent: a browser that hangs up is not an error."""


def open_server(bundle: Path, port: int, page: Path = PAGE) -> Server:
    """Returns a server of a bundle's page, bound to its port but not serving yet.

    Args:
        bundle: Folder of a bundle; verified before anything is served.
        port: Port on loopback; 0: any free one.
        page: Folder with the built page.

    Raises:
        BundleError: the bundle is missing, altered or of an unknown format.
        RunError: the page is not built, or the port is not available.
    """
    if not bundle.is_dir():
        raise BundleError(f"{bundle}: no bundle there; run `eibert run`, or name one with --bundle")
    files = {f"/bundle/{name}": file for name, file in _bundle_files(bundle).items()} | _page_files(page)
    try:
        return Server(port, files | {"/": files["/index.html"]})
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RunError(f"port {port}: not available ({reason}); name another with --port, or 0 for any") from error


def _bundle_files(folder: Path) -> dict[str, File]:
    read_bundle(folder)
    named = json.loads((folder / CONFIGURATION).read_bytes())["files"]
    return {name: _file(folder / name) for name in (CONFIGURATION, *named)}


def _page_files(page: Path) -> dict[str, File]:
    absent = [name for name in _PAGE_FILES if not (page / name).is_file()]
    if absent:
        raise RunError(f"{page}: {', '.join(absent)} not built; run `make web` in the repository, which needs npm")
    return {f"/{name}": _file(page / name) for name in _PAGE_FILES}


def _file(path: Path) -> File:
    return File(_TYPES.get(path.suffix, "application/octet-stream"), path.read_bytes())


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "eibert", ""
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds; closes an idle connection and its thread

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if not self._is_local():  # DNS rebinding: another site's name points at this machine
            return self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        file = self.server.files.get(unquote(urlsplit(self.path).path))
        if file is None:
            return self.send_error(HTTPStatus.NOT_FOUND)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", file.kind)
        self.send_header("Content-Length", str(len(file.content)))
        self.end_headers()
        if body:
            self.wfile.write(file.content)
        return None

    def _is_local(self) -> bool:
        return self.headers.get("Host", "") in {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: object) -> None: ...
