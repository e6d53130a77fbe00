"""One run of the pipeline: what has to be done, the flow if anything has to, and the records."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eibert import artifact
from eibert.errors import ArtifactError, EibertError, RunError
from eibert.redact import shown
from flows import environment
from flows.adapter import EXIT_ERROR
from flows.alone import alone
from flows.disk import is_told_in
from flows.failure import Failure
from flows.graph import Graph, read_graph
from flows.interrupt import interruptible
from flows.recording import record, settled
from flows.status import Cause, causes
from flows.steady import CODE
from flows.workspace import JOURNAL, Workspace, follow_params, restored_on_error, set_params
from tasks import notes
from tasks.progress import say

if TYPE_CHECKING:
    from eibert.trail import Record
    from flows.compress import Outcome


@dataclass(frozen=True)
class Selection:
    """The stages of a run; at most one of the names is given.

    Attributes:
        only: This stage.
        start: This stage and everything downstream.
        until: This stage and everything upstream.
        force: Run them even if nothing changed.
    """

    only: str | None = None
    start: str | None = None
    until: str | None = None
    force: bool = False

    def stages(self, graph: Graph) -> list[str]:
        """Returns the chosen stages in order, always with `code`: it is quick, and all stages depend on it.

        Raises:
            RunError: the graph has no stage of that name.
        """
        name = self.only or self.start or self.until
        if name is None:
            return list(graph.stages)
        if name not in graph.stages:
            raise RunError(f"{name}: no such stage; available: {', '.join(graph.stages)}")
        related = graph.descendants(name) if self.start else graph.ancestors(name) if self.until else set()
        chosen = related | {name, CODE}
        return [stage for stage in graph.stages if stage in chosen]


@dataclass
class Result:
    """The result of a run.

    Attributes:
        outcomes: Stage → how it ended, in order; empty if there was nothing to do.
        cached: The chosen stages if there was nothing to do.
        warning: What can safely wait for the next run, such as notes for a server that does not answer.
        unrecorded: Why what was built is not recorded; the trained work stands.
        record: The record of the current bundle; None if there is none.
    """

    outcomes: "dict[str, Outcome]" = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    warning: str = ""
    unrecorded: Failure | None = None
    record: "Record | None" = None

    @property
    def states(self) -> dict[str, str]:
        """The state of each chosen stage."""
        return dict.fromkeys(self.cached, "Cached") | {name: found.state for name, found in self.outcomes.items()}

    @property
    def error(self) -> str:
        """The message of the first failed stage, else why the bundle is not recorded, else empty."""
        told = self.unrecorded.text if self.unrecorded else ""
        return next((found.error for found in self.outcomes.values() if found.error), told)

    @property
    def exit_code(self) -> int:
        """The exit code for the error; 0 if there is none."""
        code = self.unrecorded.exit_code if self.unrecorded else 0
        return next((found.exit_code for found in self.outcomes.values() if found.error), code)


def run(workspace: Workspace, selection: Selection, assignments: Sequence[str] = (), *, wait: bool = True) -> Result:
    """Brings the chosen stages up to date, then delivers pending notes and records the bundle, even if no stage ran.

    A failed stage does not raise, nor does a failure to record: the result holds the message. On the errors below,
    params.yaml and dvc.yaml are left as they were. Waits for another run in the workspace unless `wait` is false.

    Raises:
        ParamsError: an assignment or params.yaml is not valid, or the teacher's folder does not exist.
        DataError: a source does not exist.
        RunError: another run is active here and `wait` is false, a stage is unknown, or a stage that the chosen ones
            depend on is not up to date.
    """
    environment.prepare(workspace.root)
    with alone(workspace, wait=wait), contextlib.chdir(workspace.folder):
        unsettled = _settle(workspace)
        graph = read_graph(workspace, mending=True)
        chosen = selection.stages(graph)
        with restored_on_error(workspace.folder):
            set_params(workspace.folder, assignments)
            if follow_params(workspace, workspace.params()):
                graph = read_graph(workspace, mending=True)
            found = causes(workspace, graph)
            _check_upstream(graph, chosen, found)
        stale = {stage for stage, reasons in found.items() if reasons}
        if not selection.force and not stale.intersection(chosen):
            notes.publish_metrics(workspace.folder, chosen)
            result, note = Result(cached=chosen), None
        else:
            result, note = _run_flow(workspace, chosen, selection)
        undelivered = _deliver(workspace)
        recorded = record(workspace, settled(graph, result.states, stale), note)
        if isinstance(recorded, Failure):
            result.unrecorded = recorded
        else:
            result.record = recorded
        if undelivered and is_told_in(undelivered) and not result.unrecorded:
            result.unrecorded, undelivered = Failure(undelivered, EXIT_ERROR), ""
        result.warning = "; ".join(filter(None, [unsettled, undelivered]))
        return result


def facts(workspace: Workspace) -> dict[str, Any]:
    """Returns what was built: paths of bundle and report, bytes, metrics; None or {} for what does not exist."""
    bundle = artifact.folder(workspace.folder, "export") / "bundle"
    evaluate = artifact.folder(workspace.folder, "evaluate")
    report = evaluate / "report.html"
    sizes = [path.stat().st_size for path in bundle.rglob("*") if path.is_file()]
    try:
        metrics = artifact.read_json(evaluate / artifact.METRICS)
    except ArtifactError:
        metrics = {}
    return {
        "bundle": str(bundle) if sizes else None,
        "bytes": sum(sizes) if sizes else None,
        "report": str(report) if report.is_file() else None,
        "metrics": metrics,
    }


def _run_flow(workspace: Workspace, chosen: list[str], selection: Selection) -> tuple[Result, Path]:
    """Runs the flow; returns its result and its note for MLflow."""
    # Imported only if there is something to do: Prefect takes a second, and its server more.
    from flows.compress import run_flow
    from flows.server import server_if_running

    forced = selection.force
    started = time.time()
    with server_if_running(), interruptible():
        outcomes = run_flow(workspace.folder, chosen, force=forced)
    stages = {name: vars(outcome) for name, outcome in outcomes.items()}
    notes.publish_metrics(workspace.folder, [name for name, found in outcomes.items() if not found.error])
    note = notes.write(workspace.folder, workspace.name, stages, started=started)
    return Result(outcomes=outcomes), note


def _settle(workspace: Workspace) -> str:
    """Finishes or undoes an interrupted promotion; returns a warning if that has to wait."""
    if not (workspace.private() / JOURNAL).is_file():
        return ""
    from flows.journal import settle

    try:
        say("run", settle(workspace)[0])
    except EibertError as error:
        return shown(f"an interrupted promotion is not settled yet: {error}")
    return ""


def _deliver(workspace: Workspace) -> str:
    if not any((workspace.private() / "pending").glob("*.json")):
        return ""
    from tasks import tracking

    return tracking.deliver(workspace.root, workspace.private())


def _check_upstream(graph: Graph, chosen: Sequence[str], found: dict[str, list[Cause]]) -> None:
    outside = {name for stage in chosen for name in graph.ancestors(stage)} - set(chosen)
    stale = [name for name in graph.stages if name in outside and found[name]]
    if stale:
        lines = "\n  ".join(f"{name}: {found[name][0].text}" for name in stale)
        raise RunError(
            f"upstream stages are not up to date; `eibert run --until {chosen[-1]}` runs them first\n  {lines}"
        )
