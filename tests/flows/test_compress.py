"""What is said of a Prefect server that does not answer, or not without credentials."""

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from eibert.errors import DataError, EibertError, RunError
from flows.workspace import Workspace
from tests.flows.conftest import command


@pytest.fixture
def gone() -> Iterator[str]:
    """The address of a Prefect server that is down."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        yield f"127.0.0.1:{taken.getsockname()[1]}/api"


@pytest.fixture
def foreign() -> Iterator[str]:
    """The address of a web server that is not Prefect's."""
    with serving(http.server.BaseHTTPRequestHandler) as address:
        yield address


@pytest.fixture
def guarded() -> Iterator[str]:
    """The address of a server that wants credentials."""

    class Guard(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 — named by the base class

    with serving(Guard) as address:
        yield address


@contextlib.contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}/api"
        server.shutdown()


@pytest.mark.parametrize("name", ["run", "retrain"])
def test_command_without_prefects_server_ends_with_one_message(name: str, unbuilt: Workspace, gone: str) -> None:
    address = f"http://me:secretsecret@{gone}"
    done = command(name, "--json", folder=unbuilt.folder, PREFECT_API_URL=address)
    said = f"Prefect at http://***@{gone} does not answer (ConnectError); start it or correct its address"
    assert (done.returncode, done.stderr) == (1, f"error: {said}\n")
    assert json.loads(done.stdout) == {"error": said}


def test_server_that_wants_credentials_says_which_settings_hold_them(unbuilt: Workspace, guarded: str) -> None:
    done = command("run", "--json", folder=unbuilt.folder, PREFECT_API_URL=f"http://{guarded}")
    said = f"Prefect at http://{guarded} refuses (401); set PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
    assert (done.returncode, done.stderr) == (1, f"error: {said}\n")
    assert json.loads(done.stdout) == {"error": said}


@pytest.mark.parametrize(("place", "reason"), [("gone", "ConnectError"), ("foreign", "PrefectHTTPStatusError")])
def test_error_of_prefects_client_is_told_by_what_is_behind_it(
    place: str, reason: str, request: pytest.FixtureRequest, server: None
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.compress import answered

    address = f"http://{request.getfixturevalue(place)}"
    with (
        temporary_settings({PREFECT_API_URL: address}),
        pytest.raises(RunError, match=rf"Prefect at {address} does not answer \({reason}\); start it") as caught,
        answered(),
        get_client(sync_client=True) as client,
    ):
        client.raise_for_api_version_mismatch()
    assert str(caught.value.__cause__).startswith("Failed to reach API at http://127.0.0.1:")


@pytest.mark.parametrize(
    "error", [DataError("https://host/rows.csv: not found"), KeyError("Failed"), ExceptionGroup("tasks", [KeyError()])]
)
def test_other_errors_are_no_outage(error: Exception, server: None) -> None:
    from flows.compress import answered

    if isinstance(error, EibertError):
        error.__cause__ = httpx.ConnectError("a source that is not Prefect's")
    with pytest.raises(type(error)) as caught, answered():
        raise error
    assert caught.value is error
