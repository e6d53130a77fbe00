"""Flow runs in Prefect's database: the process of each, those whose process was killed, those that are old.

Set the environment with `flows.environment.prepare` before importing this module: it imports Prefect.
"""

import contextlib
import socket
from collections.abc import Sequence
from datetime import datetime

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

OURS = "eibert"
FLOWS = ["compress", "retrain", "retrain-all"]
_PROCESS = "process"
_UNFINISHED = [StateType.RUNNING, StateType.PENDING]


def sweep() -> None:
    """Marks flow runs as crashed whose process on this machine was killed; what goes wrong, the next one mends."""
    unfinished = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[OURS]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
    )
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        for left in client.read_flow_runs(flow_run_filter=unfinished):
            if _is_dead(left.tags):
                client.set_flow_run_state(left.id, Crashed(message="its process was killed"), force=True)


def forget(before: datetime) -> None:
    """Deletes runs of our flows that ended before a moment, with their pages; the next one mends what fails."""
    ours = FlowFilter(name=FlowFilterName(any_=FLOWS))
    ended = FlowRunFilter(end_time=FlowRunFilterEndTime(before_=before))
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        while old := [run.id for run in client.read_flow_runs(flow_filter=ours, flow_run_filter=ended)]:  # 200 at most
            theirs = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=old))
            for page in client.read_artifacts(artifact_filter=theirs):
                client.delete_artifact(page.id)
            for run in old:
                client.delete_flow_run(run)


def mark_as_this_process() -> None:
    """Tags the flow run, which a Prefect runner may have made before this process began."""
    with contextlib.suppress(Exception), get_client(sync_client=True) as client:
        run = FlowRunContext.get()
        if run is not None and run.flow_run is not None:
            names = {*run.flow_run.tags, OURS, process_tag()}
            client.update_flow_run(run.flow_run.id, tags=sorted(names))


def process_tag() -> str:
    """Returns the tag that names this process, on this machine, for ever."""
    return tag_of(psutil.Process())


def tag_of(process: psutil.Process) -> str:
    """Returns the tag that names a process."""
    return f"{_PROCESS}:{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def _is_dead(names: Sequence[str]) -> bool:
    """Whether the process that a flow run's tags name was on this machine and is no more."""
    marks = [name for name in names if name.startswith(f"{_PROCESS}:{socket.gethostname()}:")]
    return any(not _is_alive(mark) for mark in marks)


def _is_alive(mark: str) -> bool:
    try:
        return tag_of(psutil.Process(int(mark.split(":")[2]))) == mark
    except (psutil.Error, ValueError):
        return False
