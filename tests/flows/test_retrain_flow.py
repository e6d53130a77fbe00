"""Many retrainings in separate processes: their arguments, and who reports one that cannot report itself."""

import contextlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eibert.errors import RunError
from flows import cli_retraining, history
from flows.alone import retraining
from flows.history import Outcome, Retraining
from flows.refresh import refresh
from flows.retrain import retrain
from flows.workspace import Workspace, set_params
from tasks import registry
from tasks.registry import Version

KILLED = "kill -KILL $$"


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the Python interpreter that runs a script written by the test."""
    path = tmp_path / "python"
    path.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


@pytest.fixture
def heard(unbuilt: Workspace, tmp_path: Path) -> Path:
    """The notifications received."""
    set_params(unbuilt.folder, [f"notify.command=\"sh -c 'cat >> {tmp_path / 'told'}'\""])
    return tmp_path / "told"


def retrained(place: Workspace, interpreter: Path, script: str, *, wait: bool = True) -> Retraining:
    from flows.retrain_flow import _in_its_own_process

    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    return _in_its_own_process(str(place.folder), wait=wait)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (KILLED, "its process was killed by SIGKILL"),
        ("exit 3", "its process exited with code 3"),
        ("""echo '{"error": "Prefect does not answer"}'; exit 1""", "Prefect does not answer"),
    ],
)
def test_failure_of_a_process_that_could_not_tell_it_is_told_and_written_down(
    unbuilt: Workspace, interpreter: Path, heard: Path, script: str, reason: str
) -> None:
    found = retrained(unbuilt, interpreter, script)
    assert (found.outcome, found.reason) == (Outcome.FAILED, reason)
    assert history.read(unbuilt) == [found]
    told = json.loads(heard.read_text())
    assert (told["workspace"], told["outcome"], told["reason"]) == ("models/w", "failed", reason)


def test_what_a_process_has_told_is_not_told_again(unbuilt: Workspace, interpreter: Path, heard: Path) -> None:
    answer = json.dumps(Retraining("models/w", Outcome.KEPT, "a gate").as_object() | {"page": None})
    found = retrained(unbuilt, interpreter, f"echo '{answer}'")
    assert (found.outcome, found.reason) == (Outcome.KEPT, "a gate")
    assert not heard.exists()
    assert history.read(unbuilt) == []


def test_interruption_is_told_to_nobody(unbuilt: Workspace, interpreter: Path, heard: Path) -> None:
    assert retrained(unbuilt, interpreter, "exit 130").outcome is Outcome.FAILED
    assert not heard.exists()


def test_only_the_one_that_is_at_work_tells_of_a_model(unbuilt: Workspace, interpreter: Path, heard: Path) -> None:
    with retraining(unbuilt, wait=False):
        assert retrained(unbuilt, interpreter, KILLED).outcome is Outcome.FAILED
    assert not heard.exists()
    assert history.read(unbuilt) == []


@pytest.mark.parametrize("wait", [True, False])
def test_process_is_asked_not_to_wait_where_the_command_was(
    unbuilt: Workspace, interpreter: Path, tmp_path: Path, *, wait: bool
) -> None:
    retrained(unbuilt, interpreter, f'echo "$@" > {tmp_path / "asked"}', wait=wait)
    assert ("--no-wait" in (tmp_path / "asked").read_text().split()) is not wait


@pytest.mark.parametrize("options", [[], ["--no-wait"]])
def test_command_with_several_models_passes_on_not_to_wait(
    unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    import shutil

    from typer.testing import CliRunner

    from flows.cli import app

    asked: list[bool] = []

    def run_many(folders: list[Path], *, parallel: int, wait: bool) -> list[Retraining]:
        asked.append(wait)
        assert [folder.name for folder in folders] == ["broken", "v"]  # `w` is on the sample
        return [Retraining(folder.name, Outcome.UNCHANGED, "") for folder in folders]

    for name, text in {"v": "source: ../rows.csv", "broken": "unknown: key"}.items():
        shutil.copytree(unbuilt.folder, unbuilt.folder.parent / name)
        params = unbuilt.folder.parent / name / "params.yaml"
        params.write_text(params.read_text().replace("source: sample", text, 1))
    monkeypatch.setattr("flows.retrain_flow.run_many", run_many)
    monkeypatch.setattr("flows.cli_retraining._page", lambda folder: None)  # noqa: ARG005
    monkeypatch.setattr("flows.server.server", contextlib.nullcontext)
    done = CliRunner().invoke(app, ["retrain", "--all", "-C", str(unbuilt.folder), *options])
    assert (done.exit_code, asked) == (0, [not options])


def test_all_leaves_out_the_built_in_sample(unbuilt: Workspace) -> None:
    with pytest.raises(RunError, match="no workspace with data of its own in it; create one"):
        cli_retraining._chosen([unbuilt.folder], everything=True, sample=False)
    assert cli_retraining._chosen([unbuilt.folder], everything=True) == [unbuilt.folder]  # to collect from
    assert cli_retraining._chosen([unbuilt.folder], everything=False, sample=False) == [unbuilt.folder]


def test_parameters_that_are_not_valid_are_in_the_history(unbuilt: Workspace) -> None:
    (unbuilt.folder / "params.yaml").write_text("seed: many\n")
    found = [retrain(unbuilt), retrain(unbuilt)]
    assert [one.outcome for one in found] == [Outcome.FAILED] * 2
    assert "params.yaml" in found[0].reason
    assert [one.as_object() for one in history.read(unbuilt)] == [one.as_object() for one in found]


@pytest.mark.parametrize(
    ("outcome", "note"), [(Outcome.STOPPED, "fix them in `retrain.incoming`, they are"), (Outcome.FAILED, "they are")]
)
def test_delivery_is_blamed_by_a_gate_alone(
    unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, note: str
) -> None:
    from flows.retrain import _Attempt

    set_params(unbuilt.folder, ["ingest.source=rows", "retrain.incoming=../in"])
    (unbuilt.folder.parent / "in").mkdir()
    (unbuilt.folder.parent / "in" / "day.csv").write_text("text,label\nplay it,play\n")

    def made(attempt: _Attempt) -> Retraining:
        refresh(unbuilt, attempt.params)
        return Retraining("models/w", outcome, "the gate, or the disk")

    monkeypatch.setattr(_Attempt, "made", made)
    monkeypatch.setattr("flows.retrain.collect", lambda *_, **__: [])
    [said] = retrain(unbuilt).notes
    assert said == f"the incoming rows were taken out again; {note} read again next time"


def test_failure_in_between_keeps_what_is_known_by_then(unbuilt: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = Version(3, "", datetime.now(UTC), "", {}, ("champion",))
    monkeypatch.setattr("flows.promote.recover", lambda _: "finished what was interrupted: version 3 was promoted")
    monkeypatch.setattr(registry, "champion", lambda *_: champion)
    set_params(unbuilt.folder, ["retrain.incoming=../gone", "ingest.source=rows"])
    found = retrain(unbuilt)
    assert (found.outcome, found.version) == (Outcome.FAILED, 3)
    assert "../gone" in found.reason
    assert found.notes == ["finished what was interrupted: version 3 was promoted"]
