"""A repository's Prefect server: who starts, uses and stops it, and what does not count as one."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import psutil
import pytest

from flows.history import Outcome, Retraining
from flows.workspace import Workspace
from tests.flows.conftest import PROJECT, command

pytestmark = pytest.mark.timeout(900)

USE = (
    "import pathlib, sys; from flows import environment; environment.prepare(pathlib.Path(sys.argv[1]))\n"
    "from flows.server import free_port, server\n"
    "with server(free_port()) as address: print(address, flush=True); input()"
)


def use(root: Path) -> "subprocess.Popen[str]":
    """A process that uses a repository's server until it receives a line."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-c", USE, str(root)], env=own, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def address_of(user: "subprocess.Popen[str]") -> str:
    assert user.stdout is not None
    return user.stdout.readline()


def asked(address: str, password: str | None, **headers: str) -> int:
    """Tries to list flow runs; returns the answer's status."""
    if password is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
    request = urllib.request.Request(
        f"{address.strip()}/flow_runs/filter", b"{}", {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def may_ask(address: str, origin: str) -> bool:
    """Whether a browser lets a page of this origin use the API."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    request = urllib.request.Request(f"{address.strip()}/flow_runs/filter", headers=headers, method="OPTIONS")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers["Access-Control-Allow-Origin"] in (origin, "*")
    except urllib.error.HTTPError:  # 400
        return False


def server_of(user: "subprocess.Popen[str]") -> psutil.Process:
    [found] = [child for child in psutil.Process(user.pid).children() if "server" in child.cmdline()]
    return found


def test_one_server_serves_a_repository_until_the_last_user_ends(tmp_path: Path) -> None:
    first = use(tmp_path)
    address = address_of(first)
    process = server_of(first)
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address.replace("/api\n", "/ui-settings"), timeout=30) as answer:
        assert json.load(answer)["api_url"] == address.strip()  # the URL that its page queries
    second = use(tmp_path)
    assert address_of(second) == address
    first.communicate("\n", timeout=180)
    assert first.returncode == 0
    assert process.is_running()
    second.kill()
    second.communicate()
    third = use(tmp_path)
    assert address_of(third) == address  # for the server that a killed process left running
    third.communicate("\n", timeout=180)
    assert third.returncode == 0
    assert not process.is_running()


def test_server_obeys_those_who_know_its_password_and_no_other_page(tmp_path: Path) -> None:
    user = use(tmp_path)
    address = address_of(user)
    note = tmp_path / ".prefect/server.json"
    assert note.stat().st_mode & 0o077 == 0  # other users of the machine cannot read it
    password = json.loads(note.read_text())["password"]
    assert asked(address, None) == 401
    assert asked(address, "eibert:guessed") == 401
    assert asked(address, password) == 200
    assert may_ask(address, address.removesuffix("/api\n"))
    assert not may_ask(address, "https://elsewhere.example")
    _, said = user.communicate("\n", timeout=180)
    assert password not in said


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
        assert "error: Prefect's server exited unexpectedly; run the same command again, it catches up" in said


def test_commands_by_hand_use_the_server_that_runs_and_the_last_ends_it(unbuilt: Workspace, database: Path) -> None:
    shutil.copy(database, unbuilt.root / "mlflow.db")
    alone = {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}  # Prefect starts none by itself
    without = command("run", "--until", "ingest", folder=unbuilt.folder, **alone)
    assert "No Prefect API URL provided" in without.stderr
    first = use(unbuilt.root)
    address = address_of(first)
    process = server_of(first)
    done = command("run", "--until", "ingest", folder=unbuilt.folder, **alone)
    assert done.returncode == 0, done.stderr
    assert f"Prefect UI: {address.strip().removesuffix('/api')}" in done.stderr
    first.kill()
    first.communicate()
    retrained = command("retrain", "--json", folder=unbuilt.folder, **alone)
    assert json.loads(retrained.stdout)["reason"].startswith("validate: no such stage"), retrained.stderr
    assert not process.is_running()


def test_server_that_does_not_answer_soon_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    from flows import server
    from flows.flow_runs import tag_of

    monkeypatch.setattr(server, "_SECONDS_TO_ANSWER", 0.1)
    process = subprocess.Popen(["sleep", "600"])
    noted = {"address": "http://127.0.0.1:9/api", "password": "", "process": tag_of(psutil.Process(process.pid))}
    with temporary_settings({PREFECT_HOME: str(tmp_path)}, restore_defaults={PREFECT_API_URL}):
        with server.server_if_running():  # never was one
            assert PREFECT_API_URL.value() is None
        (tmp_path / "server.json").write_text(json.dumps(noted))
        with server.server_if_running():
            assert PREFECT_API_URL.value() is None
        assert process.poll() is None
    process.kill()
    process.wait()


def test_retraining_deletes_no_flow_runs_of_the_server_that_runs(
    unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows import retrain_flow

    found, forgot = Retraining("models/w", Outcome.UNCHANGED, ""), []
    monkeypatch.setattr(retrain_flow, "_run", lambda _: found)
    monkeypatch.setattr(retrain_flow, "_forget_old", forgot.append)
    running = partial(temporary_settings, {PREFECT_API_URL: "http://127.0.0.1:9/api"})
    monkeypatch.setattr(retrain_flow, "server_if_running", running)
    assert retrain_flow.run_one(unbuilt.folder, wait=False) == found
    assert forgot == []


def test_port_of_another_program_is_refused(unbuilt: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = command("schedule", "--cron", "0 3 * * *", "--port", port, folder=unbuilt.folder)
    assert done.returncode == 1
    assert f"error: --port {port}: in use, but not by a server of this repository; choose another" in done.stderr
