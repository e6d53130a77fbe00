"""Two runs in one repository, and what a killed one leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from eibert.errors import RunError
from flows.alone import alone
from flows.graph import opened
from flows.run import Selection, run
from flows.workspace import Workspace, find, set_params
from tests.flows.conftest import ran, server_address

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")

RUN = [sys.executable, "-m", "flows.cli", "run", "--json"]
NOBODY = 4_000_000
"""Above the largest process id that Linux assigns by default."""


def started(workspace: Workspace, *options: str, **more: str) -> "subprocess.Popen[str]":
    environment = os.environ | server_address() | more
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*RUN, *options], cwd=workspace.folder, env=environment, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def until(reached: "os.PathLike[str]", process: "subprocess.Popen[str]") -> None:
    while not Path(reached).exists():
        assert process.poll() is None
        time.sleep(0.05)


def test_second_run_waits_says_for_whom_and_finds_everything_done(workspace: Workspace) -> None:
    first = started(workspace, "--set", "quantize.percentile=99.5", STUB_SECONDS="1")
    until(workspace.folder / "ran.txt", first)
    second = started(workspace)
    _, said = second.communicate(timeout=120)
    out, _ = first.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"waits for process {first.pid} (`eibert run --json --set quantize.percentile=99.5`, since " in said
    assert set(json.loads(out)["stages"].values()) == {"Cached", "Completed"}
    assert ran(workspace) == ["quantize", "export", "evaluate"]


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_runs_of_two_workspaces_at_once_both_end_well(workspace: Workspace, share: float) -> None:
    other = workspace.root / "models" / "v"
    other.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (other / name).write_bytes((workspace.folder / name).read_bytes())
    runs = [started(place, "--set", f"quantize.percentile={99 + share}") for place in (workspace, find(other))]
    told = [process.communicate(timeout=120)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], told
    assert json.loads(told[1])["stages"]["ingest"] == "Restored"


def test_run_that_does_not_want_to_wait_is_refused(workspace: Workspace) -> None:
    with (
        alone(workspace, wait=True),
        pytest.raises(RunError, match=rf"process {os.getpid()} \(`eibert.*`, since 2.*is running here"),
    ):
        run(workspace, Selection(), wait=False)


def test_secret_on_the_command_line_is_not_written_down(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["eibert", "promote", "--override", "https://me:hunter2222@host/x"])
    with alone(workspace, wait=True):
        written = (workspace.folder / ".eibert" / "lock").read_text()
    assert "eibert promote --override https://***@host/x" in written


def test_killed_run_is_taken_over_and_what_it_left_running_is_ended(workspace: Workspace) -> None:
    process = started(workspace, "--set", "quantize.percentile=99.5", STUB_SECONDS="600")
    until(workspace.folder / "ran.txt", process)
    stages = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    before = time.monotonic()
    with alone(workspace, wait=True):
        assert time.monotonic() - before < 5
        assert not [child for child in stages if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    process.communicate(timeout=5)
    ran(workspace)
    assert run(workspace, Selection()).states["evaluate"] == "Completed"  # DVC's own locks are free as well
    assert ran(workspace) == ["quantize", "export", "evaluate"]


@pytest.mark.parametrize("pid", [NOBODY, os.getppid()])
def test_lock_of_the_dead_holds_nobody_up(workspace: Workspace, pid: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Their process id may have been reused by now."""
    entry = {"pid": pid, "cmd": "/venv/bin/eibert run -C models/other"}
    output = str(workspace.folder / "data" / "quantize")
    listed = workspace.root / ".dvc" / "tmp" / "rwlock"
    listed.write_text(json.dumps({"write": {output: entry}, "read": {}}))
    os.utime(listed, (1e9, 1e9))  # before any current process started
    (workspace.root / ".dvc" / "tmp" / "lock").write_text("\0garbage")
    (workspace.private() / "lock").write_text('{"pid": 1, "comm')
    set_params(workspace.folder, ["quantize.percentile=99.5"])
    assert run(workspace, Selection(only="quantize"), wait=False).states == {"quantize": "Completed"}
    assert "waits for" not in capsys.readouterr().err


def test_fork_with_the_command_line_of_its_parent_is_at_work(workspace: Workspace) -> None:
    """As in a server or a process pool: DVC noted sys.argv, but the system knows another command line."""
    listed = workspace.root / ".dvc" / "tmp" / "rwlock"
    output = str(workspace.folder / "data" / "quantize")
    for pid in (os.getpid(), os.getppid()):
        content = {"write": {output: {"pid": pid, "cmd": "eibert run -C elsewhere"}}, "read": {}}
        listed.write_text(json.dumps(content))
        with opened(workspace, mending=True):
            assert json.loads(listed.read_text()) == content
    listed.unlink()


def test_stage_waits_for_a_dvc_at_work_on_it_and_says_so(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(4)", "repro", "quantize"])
    entry = {"pid": holder.pid, "cmd": "/venv/bin/dvc repro quantize"}
    output = str(workspace.folder / "data" / "quantize")
    (workspace.root / ".dvc" / "tmp" / "rwlock").write_text(json.dumps({"write": {output: entry}, "read": {}}))
    set_params(workspace.folder, ["quantize.percentile=99.5"])
    try:
        assert run(workspace, Selection(only="quantize")).states == {"quantize": "Completed"}
        assert f"waits for process {holder.pid} (`/venv/bin/dvc repro quantize`, since " in capsys.readouterr().err
    finally:
        holder.wait()
