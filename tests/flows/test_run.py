"""Which stages run after which change, and how a run ends."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert import trail
from eibert.errors import DataError, ParamsError, RunError
from flows.last_run import last_run
from flows.run import Selection, run
from flows.workspace import Workspace, find, set_params
from tasks import notes, tracking
from tests.flows.conftest import STAGES, break_stage, command, ran, server_address

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


def changed(workspace: Workspace, text: str = "quantize.percentile=99.5") -> None:
    set_params(workspace.folder, [text])


def test_nothing_changed_runs_nothing_and_starts_no_server(workspace: Workspace) -> None:
    result = run(workspace, Selection())
    assert result.outcomes == {}
    assert result.states == dict.fromkeys(STAGES, "Cached")
    assert ran(workspace) == []


def alter(name: str) -> Callable[[Workspace], None]:
    def change(workspace: Workspace) -> None:
        (workspace.folder / "data" / name).write_text("something else")

    return change


def delete(name: str) -> Callable[[Workspace], None]:
    return lambda workspace: shutil.rmtree(workspace.folder / "data" / name)


def alter_in_secret(workspace: Workspace) -> None:
    """Simulates a disk fault: different bytes, with the time and size that DVC remembers."""
    import os

    run(workspace, Selection())
    path = workspace.folder / "data" / "quantize" / "value.json"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"17", b"71"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def alter_everywhere(workspace: Workspace) -> None:
    """Alters both the output and DVC's copy of it."""
    path = workspace.folder / "data" / "quantize" / "value.json"
    content = path.read_bytes()
    for cached in (workspace.root / ".dvc" / "cache" / "files").rglob("*"):
        if cached.is_file() and cached.read_bytes() == content:
            cached.chmod(0o644)
            cached.write_bytes(b"rotten")
            cached.chmod(0o444)
    path.write_bytes(b"rotten")


@pytest.mark.parametrize(
    ("change", "expected", "rerun"),
    [
        (changed, {"quantize": "Completed", "export": "Completed", "evaluate": "Completed"}, STAGES[3:]),
        (delete("evaluate"), {"evaluate": "Restored"}, []),
        (alter("quantize/value.json"), {"quantize": "Restored"}, []),
        (alter("quantize/manifest.json"), {"quantize": "Restored"}, []),
        (alter_in_secret, {"quantize": "Restored"}, []),
        (alter_everywhere, {"quantize": "Completed"}, ["quantize"]),
    ],
)
def test_a_change_runs_or_restores_exactly_these_stages(
    workspace: Workspace, change: Callable[[Workspace], None], expected: dict[str, str], rerun: list[str]
) -> None:
    change(workspace)
    result = run(workspace, Selection())
    assert result.error == ""
    assert result.states == dict.fromkeys(STAGES, "Cached") | expected
    assert ran(workspace) == rerun
    assert run(workspace, Selection()).outcomes == {}


def test_parameter_set_back_restores_what_was_there(workspace: Workspace) -> None:
    manifest = workspace.folder / "data" / "quantize" / "manifest.json"
    before = manifest.read_bytes()
    run(workspace, Selection(), ["quantize.percentile=99.5"])
    assert manifest.read_bytes() != before
    ran(workspace)
    result = run(workspace, Selection(), ["quantize.percentile=99.99"])
    assert [result.states[stage] for stage in STAGES[3:]] == ["Restored"] * 3
    assert ran(workspace) == []
    assert manifest.read_bytes() == before


def test_failed_stage_gives_its_own_message_and_nothing_behind_it_runs(workspace: Workspace) -> None:
    break_stage(workspace, "pretrain", "pretrain: no texts\n  second line")
    result = run(workspace, Selection(), ["pretrain.epochs=7", "finetune.epochs=7"])
    assert result.error == "pretrain: no texts\n  second line"
    assert result.states == {
        "ingest": "Cached", "finetune": "Completed", "pretrain": "Failed", "quantize": "NotRun", "export": "NotRun",
        "evaluate": "NotRun",
    }  # fmt: skip


def test_killed_stage_is_told_from_one_that_failed(workspace: Workspace) -> None:
    break_stage(workspace, "quantize", "kill")
    error = run(workspace, Selection(), ["quantize.percentile=99.5"]).error
    assert "killed" in error
    assert "memory" in error


@pytest.mark.parametrize("place", ["dvc.stage.Stage.run", "flows.stage._drop_altered"])
@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (OSError(28, "No space left on device", "a"), 1, "a: No space left on device; free some space, and repeat "),
        (KeyError("gone https://me:secret@host/"), 70, "KeyError: 'gone https://***@host/'; the traceback is in "),
    ],
)
def test_what_breaks_outside_a_stages_process_is_told_as_what_it_is(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, code: int,
    told: str,
) -> None:  # fmt: skip
    def raising(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "logs").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "logs"))
    monkeypatch.setattr(place, raising)
    result = run(workspace, Selection(only="quantize"), ["quantize.percentile=99.5"])
    assert result.error.startswith(told)
    assert result.exit_code == code
    logs = list((tmp_path / "logs").glob("eibert-*.log"))
    assert len(logs) == (code == 70)
    assert all("secret" not in log.read_text() for log in logs)


@pytest.mark.parametrize("torn", ["", '{"read": {"/da'])
def test_list_of_locks_torn_by_a_kill_is_healed(workspace: Workspace, torn: str) -> None:
    (workspace.root / ".dvc" / "tmp" / "rwlock").write_text(torn)
    changed(workspace)
    assert run(workspace, Selection()).states["evaluate"] == "Completed"
    assert ran(workspace) == ["quantize", "export", "evaluate"]


@pytest.mark.parametrize("harm", ["tear", "forget"])
def test_work_is_kept_where_the_list_is_torn_or_made_anew_meanwhile(workspace: Workspace, harm: str) -> None:
    """Plain DVC killed while writing its lock list leaves it corrupt for all; repairing it drops others' entries."""
    changed(workspace)
    (workspace.folder / f"{harm}-quantize").touch()
    assert run(workspace, Selection()).states["quantize"] == "Completed"
    assert ran(workspace) == ["quantize", "export", "evaluate"]
    assert run(workspace, Selection()).states == dict.fromkeys(STAGES, "Cached")
    changed(workspace, "quantize.percentile=99.25")
    run(workspace, Selection())
    changed(workspace)
    ran(workspace)
    assert run(workspace, Selection()).states["quantize"] == "Restored"  # it is in the run cache as well
    assert ran(workspace) == []


def test_only_runs_that_stage(workspace: Workspace) -> None:
    changed(workspace)
    assert run(workspace, Selection(only="quantize")).states == {"quantize": "Completed"}


def test_from_runs_what_depends_on_the_stage(workspace: Workspace) -> None:
    changed(workspace)
    states = run(workspace, Selection(start="quantize")).states
    assert states == dict.fromkeys(["quantize", "export", "evaluate"], "Completed")


def test_until_runs_what_the_stage_depends_on(workspace: Workspace) -> None:
    changed(workspace)
    states = run(workspace, Selection(until="quantize")).states
    assert states == dict.fromkeys(["ingest", "finetune", "pretrain"], "Cached") | {"quantize": "Completed"}


def test_only_refuses_a_stage_whose_input_is_stale(workspace: Workspace) -> None:
    changed(workspace)
    with pytest.raises(RunError, match=r"--until export(.|\n)*quantize: params quantize.percentile 99.99 → 99.5"):
        run(workspace, Selection(only="export"))
    assert ran(workspace) == []


def test_folder_may_have_any_name(workspace: Workspace, tmp_path: Path) -> None:
    workspace.folder.rename(workspace.root / "models" / "o'brien@3")
    workspace.root.rename(tmp_path / "job@2 é")
    workspace = find(tmp_path / "job@2 é" / "models" / "o'brien@3")
    changed(workspace)
    assert run(workspace, Selection(only="quantize")).states == {"quantize": "Completed"}
    shutil.rmtree(workspace.folder / "data" / "quantize")
    assert run(workspace, Selection(only="quantize")).states == {"quantize": "Restored"}


def test_force_runs_what_is_up_to_date(workspace: Workspace) -> None:
    assert run(workspace, Selection(only="export", force=True)).states == {"export": "Completed"}
    assert ran(workspace) == ["export"]


def test_unknown_stage_is_named_with_the_known_ones(workspace: Workspace) -> None:
    with pytest.raises(RunError, match="prine: no such stage; available: ingest"):
        run(workspace, Selection(only="prine"))


@pytest.mark.parametrize(
    "assignment", ["quantize.percentle=3", "quantize.percentile=300", "quantize", "seed.x=1", "prune.keep=[1"]
)
def test_bad_assignment_leaves_params_as_they_were(workspace: Workspace, assignment: str) -> None:
    path = workspace.folder / "params.yaml"
    before = path.read_bytes()
    with pytest.raises(ParamsError, match="--set"):
        run(workspace, Selection(), ["quantize.percentile=99.5", assignment])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("selection", "assignment", "error"),
    [
        (Selection(only="prine"), "quantize.percentile=99.5", RunError),
        (Selection(only="export"), "quantize.percentile=99.5", RunError),
        (Selection(only="export"), "ingest.source=rows.csv", RunError),
        (Selection(), "ingest.source=gone.csv", DataError),
        (Selection(), "teacher.model=gone", ParamsError),
    ],
)
def test_refused_run_leaves_both_files_as_they_were(
    workspace: Workspace, selection: Selection, assignment: str, error: type[Exception]
) -> None:
    (workspace.folder / "rows.csv").write_text("text,label\n")
    files = [workspace.folder / name for name in ("params.yaml", "dvc.yaml")]
    before = [path.read_bytes() for path in files]
    with pytest.raises(error):
        run(workspace, selection, [assignment])
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("pending", [True, False])
def test_run_with_nothing_to_do_delivers_what_is_pending(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, pending: bool
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(tracking, "deliver", lambda _, private: asked.append(private) or "a warning")
    if pending:
        notes.write(workspace.folder, workspace.name, {}, started=0.0)
    result = run(workspace, Selection())
    assert result.outcomes == {}
    assert asked == ([workspace.private()] if pending else [])
    assert result.warning == ("a warning" if pending else "")


def test_assignment_keeps_comments_and_layout(workspace: Workspace) -> None:
    path = workspace.folder / "params.yaml"
    before = path.read_text()
    changed(workspace)
    assert path.read_text() == before.replace("percentile: 99.99", "percentile: 99.5")


def test_metrics_are_copied_for_git(workspace: Workspace) -> None:
    copy = workspace.folder / "metrics" / "quantize.json"
    assert json.loads(copy.read_text()) == {"accuracy": 0.5, "detail": {"loss": 2}}
    copy.unlink()
    run(workspace, Selection())
    assert copy.exists()


def test_dvc_agrees_with_a_run_and_a_run_with_dvc(workspace: Workspace) -> None:
    import subprocess

    dvc = ["dvc", "--cd", str(workspace.folder)]
    assert subprocess.run([*dvc, "status", "-q"], check=False).returncode == 0
    changed(workspace)
    subprocess.run([*dvc, "repro", "-q"], check=True, capture_output=True)
    assert ran(workspace) == STAGES[3:]
    assert run(workspace, Selection()).outcomes == {}


def test_workspaces_share_equal_work(workspace: Workspace) -> None:
    other = workspace.root / "models" / "v"
    other.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(workspace.folder / name, other / name)
    result = run(find(other), Selection(), ["evaluate.batch_size=3"])
    assert result.states == dict.fromkeys(STAGES, "Restored") | {"evaluate": "Completed"}


def test_command_prints_one_json_object_and_all_else_elsewhere(workspace: Workspace) -> None:
    done = command("run", "--json", "--set", "quantize.percentile=99.5", folder=workspace.folder, **server_address())
    assert done.returncode == 0, done.stderr
    data = workspace.folder / "data"
    said = json.loads(done.stdout)
    assert said.pop("record") == {
        "sequence": 2,
        "digest": trail.read(workspace.root / "trail")[-1].digest,
        "dirty": True,
    }
    assert said == {
        "stages": dict.fromkeys(STAGES, "Cached") | dict.fromkeys(STAGES[3:], "Completed"),
        "bundle": str(data / "export" / "bundle"),
        "bytes": 5,
        "report": str(data / "evaluate" / "report.html"),
        "metrics": {"accuracy": 0.5, "detail": {"loss": 2}},
        "warning": None,
    }
    assert "chatter on standard output" in done.stderr
    assert "quantize  starts: params quantize.percentile 99.99 → 99.5" in done.stderr


def test_command_with_nothing_to_do_says_so(workspace: Workspace) -> None:
    done = command("run", "-C", workspace.folder, folder=Path("/"))
    assert done.returncode == 0
    assert "all 6 stages up to date" in done.stdout
    assert not (workspace.root / ".prefect").exists()


@pytest.mark.parametrize(("message", "code"), [("quantize: too few rows", 1), ("quantize crashed: KeyError", 70)])
def test_failed_command_ends_with_the_stages_message_and_code(workspace: Workspace, message: str, code: int) -> None:
    break_stage(workspace, "quantize", message)
    done = command("run", "--json", "--set", "quantize.percentile=99.5", folder=workspace.folder, **server_address())
    assert done.returncode == code
    assert json.loads(done.stdout)["error"] == message
    assert done.stderr.endswith(f"error: {message}\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_the_stages_processes(workspace: Workspace, number: signal.Signals) -> None:
    import os
    import subprocess
    import sys
    import time

    import psutil

    environment = os.environ | server_address() | {"STUB_SECONDS": "60"}
    arguments = [sys.executable, "-m", "flows.cli", "run", "--set", "quantize.percentile=99.5"]
    process = subprocess.Popen(arguments, cwd=workspace.folder, env=environment, stderr=subprocess.PIPE, text=True)
    while "quantize" not in ran(workspace):
        assert process.poll() is None
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert outcome_of_the_last_run(workspace) == "running"
    process.send_signal(number)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "finished stages are kept" in messages
    assert not any(child.is_running() for child in children)
    assert outcome_of_the_last_run(workspace) == "interrupted"


def outcome_of_the_last_run(workspace: Workspace) -> str | None:
    found = last_run(workspace, [])
    assert found is not None
    return found.outcome


def test_two_choices_of_stages_are_wrong_use(workspace: Workspace) -> None:
    done = command("run", "--only", "export", "--from", "export", folder=workspace.folder)
    assert done.returncode == 2
    assert done.stdout == ""
