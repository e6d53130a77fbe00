"""How commands end when they raise."""

import errno
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.lock import LockError

from eibert.errors import DataError, RunError
from flows import cli, cli_bundle, report
from flows.failure import tell
from flows.stage import is_passing
from flows.workspace import Workspace
from tests.flows.conftest import heed_interrupts


def test_error_to_mend_is_one_message_and_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(DataError("rows.csv:1: no"), ["run", "--json"]) == 1
    told = capsys.readouterr()
    assert told.err == "error: rows.csv:1: no\n"
    assert json.loads(told.out) == {"error": "rows.csv:1: no"}


@pytest.mark.parametrize("arguments", [["predict", "x"], ["predict", "--", "--json"]])
def test_without_json_standard_output_stays_empty(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    tell(DataError("no"), arguments)
    assert capsys.readouterr().out == ""


def test_standard_output_that_takes_nothing_costs_no_traceback(unbuilt: Workspace) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "status", "--json"],
            cwd=unbuilt.folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


def test_defect_is_one_line_that_names_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "app", lambda: {}["gone"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    told = re.fullmatch(r"error: KeyError: 'gone'; the traceback is in (.+)\n", capsys.readouterr().err)
    assert told is not None
    assert Path(told[1]).read_text().startswith("Traceback")


@pytest.mark.parametrize("error", [PermissionError(1, "Operation not permitted"), KeyError("gone")])
def test_defect_while_an_error_was_dealt_with_keeps_its_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error.__context__ = OSError(28, "No space left on device", "a")
    assert tell(error, []) == 70
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "a", None, "b"), "b: No space left on device; free some space, "),
        (PermissionError(13, "Permission denied", "/etc/x"), "/etc/x: Permission denied; grant this user access"),
        (Exception("No space left on device (os error 28)"), "the disk: No space left on device; free some space, "),
        (ValueError("(sqlite3.OperationalError) database or disk is full"), "database file: database or disk is "),
    ],
)
def test_what_the_disk_refuses_is_no_defect_however_deep_it_lies(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outer = RuntimeError("a library's own")
    outer.__cause__ = error
    assert tell(outer, []) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {told}")
    assert said.endswith("and repeat the command\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_with_130_and_one_line(number: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import time; from flows import cli, new\n"
        "def wait(*_, **__): print('waits', flush=True); time.sleep(60)\n"
        "new.new = wait; cli.main()"
    )
    command = [sys.executable, "-c", script, "new", "m", "--data", "sample"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    assert process.stderr is not None
    assert process.stdout is not None
    while "waits" not in (process.stdout.readline() or process.stderr.readline()):
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted; nothing is left half done, repeat the command to resume\n"


def test_interrupt_that_comes_where_exceptions_are_ignored_comes_again(tmp_path: Path) -> None:
    script = (
        "import os, signal, time; from flows import cli, new\n"
        "class Taken:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "def wait(*_, **__): Taken(); time.sleep(60)\n"
        "new.new = wait; cli.main()"
    )
    command = [sys.executable, "-c", script, "new", "m", "--data", "sample"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 130
    assert done.stderr == "interrupted; nothing is left half done, repeat the command to resume\n"


def test_installation_without_the_pipeline_says_what_to_install() -> None:
    script = "import sys; sys.modules['typer'] = None; from flows.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*pip install 'eibert\[pipeline\]'`\n", done.stderr)


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (LockError("held"), True),
        (OSError(errno.ESTALE, "stale"), True),
        (TimeoutError(errno.ETIMEDOUT, "late"), True),
        (OSError(errno.ENOSPC, "full"), False),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (OSError("without a number"), False),
        (RunError("the stage's own"), False),
        (None, False),
    ],
)
def test_only_locks_and_stumbling_disks_are_tried_again(error: object, passing: bool) -> None:
    assert is_passing(error) is passing


def test_report_is_named_where_there_is_one(unbuilt: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    path = unbuilt.folder / "data" / "evaluate" / "report.html"
    with pytest.raises(report.MissingArtifactError, match=r"report\.html: missing; run `eibert run`"):
        cli_bundle.report(unbuilt.folder)
    path.parent.mkdir(parents=True)
    path.touch()
    cli_bundle.report(unbuilt.folder)
    assert capsys.readouterr().out == f"{path}\n"
    cli_bundle.report(unbuilt.folder, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"report": str(path)}
