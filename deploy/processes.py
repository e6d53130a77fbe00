"""Server processes of one stack: started in order, waited for, and ended in the opposite order."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_SECONDS_TO_START = 180.0
_SECONDS_TO_END = 20.0
_PAUSE_SECONDS = 0.2
_LINES_SHOWN = 15


class ServerError(Exception):
    """A server that did not start or did not stay; the message says which, why, and where its log lies."""


@dataclass(frozen=True)
class Server:
    """A running server: its name, its process, and its log."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Raises ServerError, with the last lines of the log, where the process has ended."""
        if self.process.poll() is not None:
            last = "\n  ".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LINES_SHOWN:])
            raise ServerError(f"{self.name} ended with exit code {self.process.returncode}; {self.log} says:\n  {last}")


@contextlib.contextmanager
def serving(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str],
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[Server]:
    """Starts a server, yields it once it answers, and ends it with everything it has started.

    Args:
        name: For messages.
        command: Program and arguments.
        log: File for what it prints.
        ready: Says whether it answers.
        environment: Its whole environment.
        user: Who runs it; None: who runs this.
        stop: The signal that asks it to end.

    Raises:
        ServerError: it ended, or did not answer in three minutes.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = _start(command, output, environment, user)
    server = Server(name, process, log)
    try:
        _wait(server, ready)
        yield server
    finally:
        _end(process, stop)


def answers(url: str) -> Callable[[], bool]:
    """Returns what says whether a GET of that address succeeds."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return bool(response.status < 400)
        except (OSError, urllib.error.URLError):
            return False

    return ready


def program(name: str) -> str:
    """Returns the path of a program of this Python environment."""
    return str(Path(sys.executable).with_name(name))


def _start(
    command: Sequence[str | Path], output: IO[bytes], environment: Mapping[str, str], user: str | None
) -> "subprocess.Popen[bytes]":
    # A session of its own: Ctrl-C reaches this process only, which ends the servers in order.
    return subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        env=dict(environment), start_new_session=True, user=user, cwd="/" if user else None,
    )  # fmt: skip


def _wait(server: Server, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not ready():
        server.check()
        if time.monotonic() > deadline:
            raise ServerError(f"{server.name} does not answer after {_SECONDS_TO_START:.0f} s; see {server.log}")
        time.sleep(_PAUSE_SECONDS)
    server.check()  # else another server answers in its place


def _end(process: "subprocess.Popen[bytes]", stop: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
    with contextlib.suppress(ProcessLookupError):  # what it has left of its session
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
