"""Server processes that cannot start where another one already answers, or that end by themselves."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.conftest import PROJECT


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of deploy/, whose modules import each other by their bare names."""
    monkeypatch.syspath_prepend(str(PROJECT / "deploy"))
    return import_module


@pytest.mark.parametrize("name", ["s3", "mlflow", "prefect"])
def test_taken_port_is_refused_before_anything_starts(name: str, tmp_path: Path) -> None:
    with socket.socket() as taken, contextlib.ExitStack() as freed:
        free = [freed.enter_context(socket.socket()) for _ in range(3)]
        for one in (taken, *free):
            one.bind(("127.0.0.1", 0))
        taken.listen()
        ports = dict(zip(("s3", "mlflow", "prefect"), (one.getsockname()[1] for one in free), strict=True))
        freed.close()
        ports[name] = taken.getsockname()[1]
        options = [part for server, port in ports.items() for part in (f"--{server}-port", str(port))]
        done = subprocess.run(
            [sys.executable, PROJECT / "deploy/servers.py", "--folder", tmp_path / "servers", *options],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: --{name}-port {ports[name]}: in use; choose another, or end what listens there\n"
    assert list(tmp_path.iterdir()) == []


def test_server_that_has_ended_is_not_ready_though_another_answers(deploy: Any, tmp_path: Path) -> None:
    processes = deploy("processes")

    def ready() -> bool:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        return True

    program = [sys.executable, "-c", "print('address in use', flush=True); raise SystemExit(3)"]
    said = r"(?s)web ended with exit code 3; .*web\.log says:\n  address in use"
    with (
        pytest.raises(processes.ServerError, match=said),
        processes.serving("web", program, log=tmp_path / "web.log", ready=ready, environment=os.environ),
    ):
        pytest.fail("taken for its own")


@pytest.fixture
def database_alone(deploy: Any, tools: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """deploy/servers.py without the servers that need a database."""
    servers = deploy("servers")
    for name in ("_mlflow", "_prefect", "_worker"):
        monkeypatch.setattr(servers, name, lambda *_: contextlib.nullcontext())
    return servers


def keep_checking(stack: Any, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stack.check()
        time.sleep(0.1)


def test_end_of_postgresql_is_noticed(database_alone: Any, place: Path) -> None:
    with database_alone.stack(place / "ended", s3="http://none") as found:
        found.check()
        postmaster = int((place / "ended/postgres/data/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGINT)
        said = r"(?s)PostgreSQL ended with exit code 0; .*postgres\.log says:\n.*database system is shut down"
        with pytest.raises(database_alone.ServerError, match=said):
            keep_checking(found, seconds=60)


def test_postgresql_left_running_is_not_taken_for_its_own(database_alone: Any, place: Path) -> None:
    with database_alone.stack(place / "twice", s3="http://none") as first:
        said = rf"{place}/twice/postgres/data: PostgreSQL runs here already; end it: kill -INT "
        with (
            pytest.raises(database_alone.ServerError, match=said),
            database_alone.stack(place / "twice", s3="http://none"),
        ):
            pytest.fail("taken for its own")
        first.check()
        assert first.servers[0].name == "PostgreSQL"
