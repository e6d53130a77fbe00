"""A retraining as a Prefect flow with a page that shows what happened; many of them, each in its own process.

Set the environment with `flows.environment.prepare` before importing this module: it imports Prefect.
"""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, tags
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed

from eibert import artifact
from eibert.errors import INTERRUPTED, EibertError
from eibert.redact import shown
from flows import history
from flows.alone import retraining
from flows.compress import answered
from flows.flow_runs import OURS, forget, later_due, mark_as_this_process, process_tag, sweep
from flows.history import Outcome, Retraining
from flows.history_page import point
from flows.retrain import retrain as attempt
from flows.retrain import told
from flows.retrain_page import markdown, overview
from flows.server import server_if_running
from flows.workspace import Workspace, find
from tasks import registry
from tasks.picture import size_against_quality
from tasks.progress import say


@flow(name="retrain", flow_run_name="retrain {folder}", validate_parameters=False, persist_result=False)
def retrain(folder: str) -> State[Any]:
    """Retrains one workspace and publishes its page; the state is named after the outcome.

    The caller holds `flows.alone.retraining`.
    """
    workspace = find(Path(folder))
    found = attempt(workspace)
    page = markdown(found, history.read(workspace), _picture(workspace, found))
    _publish(f"retraining-{workspace.name}", page, found.reason)
    kind = Failed if found.outcome is Outcome.FAILED else Completed
    return kind(name=found.outcome.value.capitalize(), message=found.reason, data=found)


@flow(name="retrain-all", validate_parameters=False, persist_result=False)
def retrain_all(folders: Sequence[str], parallel: int = 1, *, wait: bool = True) -> State[Any]:
    """Retrains many workspaces, each in its own process, and publishes an overview.

    A scheduled run is skipped if a later one is already due, so that missed runs are caught up once.

    Args:
        folders: The workspaces.
        parallel: Maximum number of them at a time.
        wait: Wait for another retraining active in a workspace; otherwise that workspace fails.
    """
    mark_as_this_process()
    if later := later_due(datetime.now(UTC)):
        message = f"skipped for the run of {later:%Y-%m-%d %H:%M} UTC: missed runs are caught up on once"
        say("retrain", message)
        return Completed(name="Skipped", data=[], message=message)
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        found = list(pool.map(partial(_in_its_own_process, wait=wait), folders))
    _publish("retrainings", overview(found), "all retrainings of one run")
    failed = [one.workspace for one in found if one.outcome is Outcome.FAILED]
    if failed:
        return Failed(data=found, message=f"failed: {', '.join(failed)}")
    return Completed(data=found)


def run_one(folder: Path, *, wait: bool) -> Retraining:
    """Retrains one workspace in this process; returns how it ended.

    Raises:
        RunError: another retraining is active there and `wait` is false, or Prefect's server does not answer.
    """
    workspace = find(folder)
    with retraining(workspace, wait=wait), server_if_running():
        found = _run(lambda: retrain(str(folder), return_state=True))
        if not PREFECT_API_URL.value():  # servers vacuum old runs; Prefect's ephemeral one does not
            _forget_old(workspace)
    assert isinstance(found, Retraining)
    return found


def run_many(folders: Sequence[Path], *, parallel: int, wait: bool = True) -> list[Retraining]:
    """Retrains many workspaces; returns how each ended, in their order."""
    found = _run(lambda: retrain_all([str(folder) for folder in folders], parallel, wait=wait, return_state=True))
    assert isinstance(found, list)
    return found


def _run(flow_run: Callable[[], Any]) -> Any:
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # joining its thread takes a second
        sweep()
        with answered(), tags(OURS, process_tag()):
            state = flow_run()
    found = state.result(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found  # the flow itself failed
    return found


def _forget_old(workspace: Workspace) -> None:
    with contextlib.suppress(EibertError):  # params.yaml is not valid, which the retraining reported
        kept = workspace.params().retention
        if kept.collect:
            forget(datetime.now(UTC) - timedelta(days=kept.runs_days))


def _in_its_own_process(folder: str, *, wait: bool) -> Retraining:
    """Retrains a workspace in a new process; returns how it ended, even if the process was killed."""
    began = datetime.now(UTC)
    command = [sys.executable, "-m", "flows.cli", "retrain", "-C", folder, "--json", *([] if wait else ["--no-wait"])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)  # noqa: S603
    found = _answer(done)
    if isinstance(found, Retraining):
        return found
    seconds = round((datetime.now(UTC) - began).total_seconds(), 1)
    failed = Retraining(_name(folder), Outcome.FAILED, found, when=began.isoformat(timespec="seconds"), seconds=seconds)
    return failed if done.returncode == INTERRUPTED else _told_for(folder, failed)


def _answer(done: "subprocess.CompletedProcess[str]") -> Retraining | str:
    """The retraining that a process reported, or why there is none."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        values = json.loads(done.stdout)
        values.pop("page", None)
        if "outcome" in values:
            return Retraining(**{**values, "outcome": Outcome(values["outcome"])})
        return str(values["error"])
    if done.returncode < 0:
        return f"its process was killed by {signal.Signals(-done.returncode).name}"
    return f"its process exited with code {done.returncode}"


def _told_for(folder: str, failed: Retraining) -> Retraining:
    """Reports a failure and writes its history line in place of a process that could not."""
    try:
        workspace = find(Path(folder))
        with retraining(workspace, wait=False):
            return told(workspace, failed)
    except (EibertError, OSError):  # no workspace, or another retraining there reports for itself
        return failed


def _name(folder: str) -> str:
    try:
        return find(Path(folder)).name
    except Exception:  # noqa: BLE001 — for a message only
        return folder


def _picture(workspace: Workspace, found: Retraining) -> str:
    """The plot of size against quality; "" if nothing was judged, or its figures are unavailable."""
    if not found.verdict:
        return ""
    try:
        evaluated = artifact.read_manifest(workspace.folder, "evaluate")["metrics"]
        versions = registry.versions(workspace.root, workspace.name)
    except EibertError:
        return ""
    before = next((point(one) for one in versions if one.number == found.verdict["champion"]), None)
    return size_against_quality(evaluated, before)


def _publish(key: str, page: str, description: str) -> None:
    """Publishes a page with the flow run; a server that rejects it does not fail the retraining."""
    name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in key.lower())
    try:
        create_markdown_artifact(key=name, markdown=page, description=description)
    except Exception as error:  # noqa: BLE001 — the page is a copy of what the history holds
        sys.stderr.write(shown(f"warning: Prefect did not accept the page: {type(error).__name__}\n"))
