"""Flow runs in Prefect's database: their processes, and runs that were killed, are old or overdue.

Set the environment with `flows.environment.prepare` before importing this module: it imports Prefect.
"""

import contextlib
import socket
from collections.abc import Sequence
from datetime import datetime

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import Crashed

OURS = "eibert"
FLOWS = ["compress", "retrain", "retrain-all"]
_PROCESS = "process"
_CLOCK_S = 10
"""Clock changes shift the kernel's process start times by less than this; no PID is reused within it."""
_UNFINISHED = [StateType.RUNNING, StateType.PENDING]
_COUNTING = [StateType.SCHEDULED, *_UNFINISHED, StateType.COMPLETED, StateType.FAILED]


def sweep() -> None:
    """Marks flow runs as crashed if their process on this machine is dead; errors are left to the next sweep."""
    unfinished = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[OURS]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
    )
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        for left in client.read_flow_runs(flow_run_filter=unfinished):
            if _is_dead(left.tags):
                client.set_flow_run_state(left.id, Crashed(message="its process was killed"), force=True)


def forget(before: datetime) -> None:
    """Deletes our flow runs that ended before a moment, with their pages; errors are left to the next call."""
    ours = FlowFilter(name=FlowFilterName(any_=FLOWS))
    ended = FlowRunFilter(end_time=FlowRunFilterEndTime(before_=before))
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        while old := [run.id for run in client.read_flow_runs(flow_filter=ours, flow_run_filter=ended)]:  # 200 at most
            theirs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=old))
            for page in client.read_artifacts(artifact_filter=theirs):
                client.delete_artifact(page.id)
            for run in old:
                client.delete_flow_run(run)


def overdue(deployment: str, moment: datetime) -> list[datetime]:
    """Returns the due times, earliest first, of a deployment's scheduled runs that nobody started."""
    with get_client(sync_client=True) as client:
        return [run.expected_start_time for run in _overdue(client, deployment, moment) if run.expected_start_time]


def drop_overdue(deployment: str, moment: datetime) -> None:
    """Deletes overdue runs: each would start as soon as the deployment is served again."""
    with get_client(sync_client=True) as client:
        while late := _overdue(client, deployment, moment):
            for run in late:
                client.delete_flow_run(run.id)


def later_due(moment: datetime) -> datetime | None:
    """Returns when a later run like this process's was due, up to a moment; None if this run is still needed.

    A later run counts if the same deployment's schedule made it with the same parameters, and it neither crashed nor
    was cancelled. Also None if a person started this run, or Prefect does not answer.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or run.expected_start_time is None or not run.auto_scheduled:
        return None
    theirs = DeploymentFilter(id=DeploymentFilterId(any_=[run.deployment_id]))
    due = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_COUNTING)),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=run.expected_start_time, before_=moment),
    )
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        for other in client.read_flow_runs(
            flow_run_filter=due, deployment_filter=theirs, sort=FlowRunSort.EXPECTED_START_TIME_DESC
        ):
            same = other.auto_scheduled and other.parameters == run.parameters
            if same and other.expected_start_time and other.expected_start_time > run.expected_start_time:
                return other.expected_start_time
    return None


def mark_as_this_process() -> None:
    """Tags the current flow run with this process; a Prefect runner may have created the run earlier."""
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        run = FlowRunContext.get()
        if run is not None and run.flow_run is not None:
            names = {*run.flow_run.tags, OURS, process_tag()}
            client.update_flow_run(run.flow_run.id, tags=sorted(names))


def process_tag() -> str:
    """Returns the tag that identifies this process on this machine, for good."""
    return tag_of(psutil.Process())


def tag_of(process: psutil.Process) -> str:
    """Returns the tag that identifies a process."""
    return f"{_PROCESS}:{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def process_of(mark: str) -> psutil.Process:
    """Returns the process that a tag identifies.

    Raises:
        psutil.Error: it has ended, or was on another machine.
    """
    _, host, number, began = mark.split(":")
    process = psutil.Process(int(number))
    if host != socket.gethostname() or abs(process.create_time() - float(began)) > _CLOCK_S or has_ended(process):
        raise psutil.NoSuchProcess(process.pid)
    return process


def has_ended(process: psutil.Process) -> bool:
    """Returns whether a process has ended or is a zombie."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _overdue(client: SyncPrefectClient, deployment: str, moment: datetime) -> list[FlowRun]:
    """At most 200 overdue runs; those a person started do not count."""
    waiting = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=moment),
    )
    named = DeploymentFilter(name=DeploymentFilterName(any_=[deployment]))
    found = client.read_flow_runs(
        flow_run_filter=waiting, deployment_filter=named, sort=FlowRunSort.EXPECTED_START_TIME_ASC
    )
    return [run for run in found if run.auto_scheduled]


def _is_dead(names: Sequence[str]) -> bool:
    """Whether the process in a flow run's tags was on this machine and has ended."""
    marks = [name for name in names if name.startswith(f"{_PROCESS}:{socket.gethostname()}:")]
    return any(not _is_alive(mark) for mark in marks)


def _is_alive(mark: str) -> bool:
    try:
        process_of(mark)
    except (psutil.Error, ValueError):
        return False
    return True
