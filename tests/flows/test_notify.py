"""Who is notified, and that a failing or hanging hook costs only a warning."""

import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from eibert.errors import ParamsError
from eibert.params.load import Params, parse
from eibert.params.notify import NotifyParams
from flows.history import Outcome, Retraining
from flows.notify import notify

FOUND = Retraining("models/w", Outcome.KEPT, "quality: 0.80 against 0.90", drifted=True, version=3)


@pytest.fixture
def quiet(params: Params) -> NotifyParams:
    return params.notify.model_copy(update={"timeout_s": 5.0})


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    """A local web server: its address, and the request bodies it received."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()
    thread.join()


def test_webhook_gets_the_end_as_json(quiet: NotifyParams, listener: tuple[str, list[Any]]) -> None:
    address, got = listener
    assert notify(FOUND, quiet.model_copy(update={"webhook": f"{address}/x"})) == []
    [body] = got
    assert body["text"] == "models/w: kept, drifted: quality: 0.80 against 0.90"
    assert (body["outcome"], body["version"], body["drifted"]) == ("kept", 3, True)


def test_address_of_a_variable_is_told_to_nobody(quiet: NotifyParams, listener: tuple[str, list[Any]]) -> None:
    address, _ = listener
    secret = f"{address.replace('//', '//user:hunter22222@')}/broken?token=abcdefgh"
    [warning] = notify(FOUND, quiet.model_copy(update={"webhook": "$HOOK"}), environment={"HOOK": secret})
    assert warning.startswith("notify.webhook: 127.0.0.1 was not notified")
    assert "hunter" not in warning
    assert "token" not in warning
    assert "broken" not in warning


def test_missing_variable_is_named(quiet: NotifyParams) -> None:
    [warning] = notify(FOUND, quiet.model_copy(update={"webhook": "$HOOK"}), environment={})
    assert "environment variable HOOK contains no http" in warning


def test_webhook_that_hangs_is_given_up(quiet: NotifyParams) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # accepts the connection but never answers
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        [warning] = notify(FOUND, quiet.model_copy(update={"webhook": address, "timeout_s": 0.2}))
    assert "was not notified (TimeoutError)" in warning


def test_command_gets_the_same_on_standard_input(quiet: NotifyParams, tmp_path: Path) -> None:
    target = tmp_path / "told.json"
    command = f"{sys.executable} -c \"import sys; open('{target}', 'w').write(sys.stdin.read())\""
    assert notify(FOUND, quiet.model_copy(update={"command": command})) == []
    assert json.loads(target.read_text())["reason"] == "quality: 0.80 against 0.90"


def test_command_that_hangs_is_stopped_with_its_children(quiet: NotifyParams, tmp_path: Path) -> None:
    import psutil

    mark = tmp_path / "pid"
    command = f"sh -c 'sleep 600 & echo $! > {mark}; wait'"
    [warning] = notify(FOUND, quiet.model_copy(update={"command": command, "timeout_s": 1.0}))
    assert warning == "notify.command: sh did not finish within 1 s and was stopped"
    until = time.monotonic() + 5
    while psutil.pid_exists(pid := int(mark.read_text())) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until


@pytest.mark.parametrize(
    ("command", "said"),
    [("false", "exited with code 1"), ("/no/such/command", "cannot be started"), ("'", "cannot be started")],
)
def test_command_that_fails_is_a_warning(quiet: NotifyParams, command: str, said: str) -> None:
    [warning] = notify(FOUND, quiet.model_copy(update={"command": command}))
    assert said in warning


def test_only_what_is_asked_for_is_told(quiet: NotifyParams) -> None:
    some = quiet.model_copy(update={"command": "false", "events": ("promoted",)})
    assert notify(FOUND, some) == []
    drifted = quiet.model_copy(update={"command": "false", "events": ("drifted",)})
    assert len(notify(FOUND, drifted)) == 1


@pytest.mark.parametrize(
    "webhook", ["https://user:hunter22222@host/x", "https://host/x?token=abcdefgh", "ftp://host", "host/x"]
)
def test_address_with_a_secret_is_refused_in_params(params: Params, webhook: str) -> None:
    raw = params.model_dump(mode="json", by_alias=True)
    raw["notify"]["webhook"] = webhook
    with pytest.raises(ParamsError, match=r"notify: .*webhook") as caught:
        parse(raw, "params.yaml")
    assert "hunter" not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)
