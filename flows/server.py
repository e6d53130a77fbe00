"""Prefect's server on this machine: one for all processes of a repository, started by the first and ended by the last.

Two servers would fight over one database, so a single run or retraining, which starts none here, uses a running one.
It asks for a password: what it is told to run runs as its user, who need not be the only one on the machine.
Set the environment with `flows.environment.prepare` before importing this module: it imports Prefect.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_HOME, temporary_settings

from eibert.errors import RunError
from flows.alone import taken
from flows.flow_runs import has_ended, process_of, tag_of
from flows.interrupt import end_at_once
from tasks.progress import say

_ADDRESS = "PREFECT_API_URL"
_AUTH = "PREFECT_API_AUTH_STRING"
_PAGE_ADDRESS = "PREFECT_SERVER_UI_API_URL"
"""The API address for Prefect's page, which otherwise assumes port 4200."""
_ASKED_AUTH = "PREFECT_SERVER_API_AUTH_STRING"
_ORIGINS = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
_LOG = "server.log"
_NOTE = "server.json"
_SECONDS_TO_START = 180
_SECONDS_TO_ANSWER = 10
_SECONDS_TO_END = 30


@dataclass(frozen=True)
class _Server:
    address: str
    """Of its API."""
    password: str
    """`user:password`, as Prefect's settings and page take it."""
    process: psutil.Process


@contextlib.contextmanager
def server(port: int) -> Iterator[str]:
    """Yields the address of the Prefect API that this process and its children use.

    It is the configured one, else this repository's server, which may be one that a killed process left running.

    Args:
        port: Port for a new server, if the repository has none running.

    Raises:
        RunError: the port is taken, or the server does not start.
    """
    if configured := PREFECT_API_URL.value():
        yield configured
        return
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    with _used(home, lambda note: _running(note, _SECONDS_TO_START) or _started(port, note)) as address:
        assert address is not None
        yield address


@contextlib.contextmanager
def server_if_running() -> Iterator[None]:
    """Makes this process and its children use the repository's server if one is running; otherwise does nothing.

    Prefect would start a second server, in this process, on the same database. Waits for a server that is just starting
    or stopping; ignores one that does not answer within some seconds.
    """
    home = Path(PREFECT_HOME.value())
    if PREFECT_API_URL.value() or not (home / _NOTE).is_file():
        yield
        return
    with _used(home, _answering):
        yield


@contextlib.contextmanager
def _used(home: Path, find: Callable[[TextIO], _Server | None]) -> Iterator[str | None]:
    """Yields the address of the server that `find` returns, or None; registers this process as one of its users."""
    with (home / "server.users").open("a") as users:
        with _alone(home) as note:
            if found := find(note):
                fcntl.flock(users, fcntl.LOCK_SH)
        if found is None:
            yield None
            return
        page = found.address.removesuffix("/api")
        own = temporary_settings({PREFECT_API_URL: found.address, PREFECT_API_AUTH_STRING: found.password})
        given = os.environ.get(_AUTH)
        try:
            say("server", f"Prefect UI: {page} (its password is in {home / _NOTE})")
            with _watched(found.process), own:
                os.environ.update({_ADDRESS: found.address, _AUTH: found.password})  # for child processes
                yield found.address
        finally:
            os.environ.pop(_ADDRESS, None)
            os.environ.pop(_AUTH, None)
            if given is not None:
                os.environ[_AUTH] = given
            with _alone(home):
                if taken(users):  # nobody else uses it
                    _end(found.process)


def free_port() -> int:
    """Returns a free port on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[TextIO]:
    """Yields the note of the server, locked: nobody else starts or stops one meanwhile; only its owner can read it."""
    opened = os.open(home / _NOTE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(opened, "a+", encoding="utf-8") as note:
        os.fchmod(opened, 0o600)  # one of an older version
        fcntl.flock(note, fcntl.LOCK_EX)
        yield note


def _running(note: TextIO, seconds: float) -> _Server | None:
    """The server in the note, once it answers; None if it has ended."""
    note.seek(0)
    try:
        noted = json.loads(note.read())
        found = _Server(str(noted["address"]), str(noted["password"]), process_of(noted["process"]))
    except (ValueError, KeyError, TypeError, psutil.Error):
        return None
    _wait(found, seconds)
    return found


def _answering(note: TextIO) -> _Server | None:
    """The server in the note; None if it has ended or does not answer in time."""
    try:
        return _running(note, _SECONDS_TO_ANSWER)
    except RunError:
        return None


def _started(port: int, note: TextIO) -> _Server:
    if _is_taken(port):
        raise RunError(
            f"--port {port}: in use, but not by a server of this repository; choose another, or name the Prefect "
            f"server to use in {_ADDRESS}"
        )
    page = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    own = {_PAGE_ADDRESS: f"{page}/api", _ORIGINS: page, _ASKED_AUTH: f"eibert:{secrets.token_urlsafe(18)}"}
    environment = {**own, **os.environ}
    with Path(PREFECT_HOME.value(), _LOG).open("wb") as log:
        # Shares no streams with this process, which it may outlive. Has its own session, so that Ctrl-C ends this
        # process first and the server after it.
        process = psutil.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    found = _Server(f"{page}/api", environment[_ASKED_AUTH], process)
    try:
        note.truncate(0)
        note.write(json.dumps({"address": found.address, "password": found.password, "process": tag_of(process)}))
        note.flush()
        _wait(found, _SECONDS_TO_START)
    except BaseException:
        _end(process)
        raise
    return found


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(server: _Server, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not _answers(server.address):
        if has_ended(server.process):
            log = Path(PREFECT_HOME.value(), _LOG)
            raise RunError(
                f"{server.address}: Prefect's server exited, see {log}; if the port is taken, set another with --port"
            )
        if time.monotonic() > until:
            raise RunError(f"{server.address}: Prefect's server did not answer within {seconds:g} s; try again")
        time.sleep(0.2)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310 — our own address
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def _watched(process: psutil.Process) -> Iterator[None]:
    """Ends this process if its server exits, whoever started it: Prefect would keep retrying for minutes."""
    no_longer_needed = threading.Event()

    def watch() -> None:
        while not no_longer_needed.wait(1):
            if has_ended(process):
                end_at_once(1, "error: Prefect's server exited unexpectedly; run the same command again, it catches up")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        no_longer_needed.set()


def _end(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except psutil.TimeoutExpired:
            process.kill()
