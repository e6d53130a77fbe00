"""Prefect's server of a repository: who starts it, who uses it, who ends it, and what is none."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flows.workspace import Workspace
from tests.flows.conftest import PROJECT, command

pytestmark = pytest.mark.timeout(900)

USE = (
    "import pathlib, sys; from flows import environment; environment.prepare(pathlib.Path(sys.argv[1]))\n"
    "from flows.server import free_port, server\n"
    "with server(free_port()) as address: print(address, flush=True); input()"
)


def use(root: Path) -> "subprocess.Popen[str]":
    """A process that uses the server of a repository until it gets a line."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-c", USE, str(root)], env=own, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def address_of(user: "subprocess.Popen[str]") -> str:
    assert user.stdout is not None
    return user.stdout.readline()


def server_of(user: "subprocess.Popen[str]") -> psutil.Process:
    [found] = [child for child in psutil.Process(user.pid).children() if "server" in child.cmdline()]
    return found


def test_one_server_serves_a_repository_until_the_last_user_ends(tmp_path: Path) -> None:
    first = use(tmp_path)
    address = address_of(first)
    process = server_of(first)
    assert address.startswith("http://127.0.0.1:")
    second = use(tmp_path)
    assert address_of(second) == address
    first.communicate("\n", timeout=180)
    assert first.returncode == 0
    assert process.is_running()
    second.kill()
    second.communicate()
    third = use(tmp_path)
    assert address_of(third) == address  # of the server that a killed process left running
    third.communicate("\n", timeout=180)
    assert third.returncode == 0
    assert not process.is_running()


def test_user_whose_server_is_gone_ends_and_says_so(tmp_path: Path) -> None:
    first = use(tmp_path)
    address = address_of(first)
    second = use(tmp_path)
    assert address_of(second) == address
    server_of(first).kill()
    for user in (first, second):  # whoever started it
        user.wait(180)
        _, said = user.communicate()
        assert user.returncode == 1
        assert "error: Prefect's server ended by itself; start the same command again, it catches up" in said


def test_port_of_another_program_is_refused(unbuilt: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = command("schedule", "--cron", "0 3 * * *", "--port", port, folder=unbuilt.folder)
    assert done.returncode == 1
    assert f"error: --port {port}: taken by what is no server of this repository; choose another" in done.stderr
