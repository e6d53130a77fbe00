"""Runs all stages in the order of DVC's graph: one Prefect task per stage, independent ones in parallel.

Set the environment with `flows.environment.prepare` before importing this module: it imports Prefect.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from prefect import Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from eibert.errors import EibertError, GateError, RunError
from eibert.redact import shown
from flows.adapter import EXIT_BROKEN, EXIT_ERROR
from flows.failure import Failure, failure
from flows.graph import read_graph
from flows.interrupt import interruptible
from flows.stage import bring, is_passing
from flows.stage_failure import BrokenStageError
from flows.status import own_causes
from flows.workspace import find
from tasks.progress import say

NOT_RUN = "NotRun"
FAILED = "Failed"
_GAVE_UP = ("Failed to reach API", "exceeded error threshold")
"""What Prefect's client and its runner say of a server that they cannot reach, whatever the reason."""
_REFUSED = (401, 403)
"""HTTP statuses of a server that wants credentials, or others."""


@dataclass(frozen=True)
class Outcome:
    """How one stage ended.

    Attributes:
        state: `Completed`, `Restored`, `Cached`, `Failed`, or `NotRun` if an upstream stage failed.
        started: Unix time in seconds; 0 if the stage failed or was not reached.
        seconds: Duration; 0 likewise.
        reasons: Why it was not up to date, one line each.
        error: The stage's message if it failed.
        exit_code: The exit code this stage gives the command.
        refused: Whether it failed because the data gate refused the rows.
    """

    state: str
    started: float = 0.0
    seconds: float = 0.0
    reasons: tuple[str, ...] = field(default=())
    error: str = ""
    exit_code: int = 0
    refused: bool = False


def can_heal(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 — Prefect's signature
    """Returns whether a retry may help: for a lock or the file system, never for a stage's own error."""
    return is_passing(state.data)


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,  # DVC's is the only cache
    persist_result=False,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=2),
    retry_condition_fn=can_heal,
)
def bring_up_to_date(folder: str, stage: str, force: bool, share_terminal: bool) -> State[Any]:
    """Brings one stage up to date; the returned state is named Completed, Restored or Cached."""
    workspace = find(Path(folder))
    started = time.time()
    reasons = tuple(own_causes(workspace, stage)) or (("forced",) if force else ())
    for reason in reasons:
        say(stage, f"starts: {reason}")
    state = bring(workspace, stage, force=force, share_terminal=share_terminal)
    seconds = time.time() - started
    say(stage, f"{state} in {seconds:.1f} s")
    return Completed(name=state, data=Outcome(state, started, seconds, reasons))


_RUNNER: Any = ThreadPoolTaskRunner()  # typed as a runner of another kind of future


@flow(name="compress", validate_parameters=False, persist_result=False, task_runner=_RUNNER)
def compress(folder: str, stages: Sequence[str], force: bool) -> State[Any]:
    """Brings stages up to date, each after its dependencies.

    Args:
        folder: The workspace.
        stages: Names in graph order; their other dependencies are up to date.
        force: Run them even if nothing changed.

    Returns:
        A state whose data maps each stage to its outcome, in order.
    """
    graph = read_graph(find(Path(folder)), mending=True)
    futures: dict[str, Any] = {}
    with interruptible():
        for stage in stages:
            upstream = [futures[name] for name in graph.upstream[stage] if name in futures]
            share_terminal = not graph.runs_alone(stage, stages)
            arguments = {"folder": folder, "stage": stage, "force": force, "share_terminal": share_terminal}
            futures[stage] = bring_up_to_date.submit(**arguments, return_state=False, wait_for=upstream)
        outcomes = {stage: _outcome(future) for stage, future in futures.items()}
    sound = all(outcome.state not in {FAILED, NOT_RUN} for outcome in outcomes.values())
    return Completed(data=outcomes) if sound else Failed(data=outcomes, message="a stage failed")


def run_flow(folder: Path, stages: Sequence[str], *, force: bool) -> dict[str, Outcome]:
    """Runs the flow in this process and returns each stage's outcome.

    Raises:
        RunError: Prefect's server does not answer, or refuses to.
    """
    without_heartbeat = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})  # joining its thread takes 1 s
    with answered(), without_heartbeat:
        state: Any = compress(str(folder), list(stages), force, return_state=True)
    outcomes = state.result(raise_on_failure=False)
    if not isinstance(outcomes, dict):
        state.result()  # the flow itself failed: re-raises its exception
    return dict(outcomes)


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Turns errors of a Prefect server that is unreachable or wants credentials into a one-line message.

    Raises:
        RunError: Prefect's server does not answer, or no longer, or refuses to.
    """
    try:
        yield
    except Exception as error:
        outage = _outage(error)
        if outage is None:
            raise
        address = shown(PREFECT_API_URL.value() or "its own server")
        if isinstance(outage, httpx.HTTPStatusError):
            said, remedy = f"refuses ({outage.response.status_code})", "set PREFECT_API_AUTH_STRING or PREFECT_API_KEY"
        else:
            said = f"does not answer ({type(outage.__cause__ or outage).__name__})"
            remedy = "start it or correct its address"
        raise RunError(f"Prefect at {address} {said}; {remedy}") from error


def _outage(error: BaseException) -> BaseException | None:
    """Returns what says that Prefect is out of reach, the error itself or one behind it; None: it is something else."""
    if isinstance(error, EibertError):  # says so itself, whatever is behind it
        return None
    behind = error.exceptions if isinstance(error, BaseExceptionGroup) else filter(None, [error.__cause__])
    if outage := next(filter(None, map(_outage, behind)), None):
        return outage
    gave_up = any(said in str(error) for said in _GAVE_UP)
    refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code in _REFUSED
    return error if isinstance(error, httpx.TransportError) or gave_up or refused else None


def _outcome(future: Any) -> Outcome:
    future.wait()
    state = future.state
    found: Any = state.result(raise_on_failure=False) if state.is_final() else None
    if isinstance(found, Outcome):
        return found
    if state.is_failed() or state.is_crashed():
        return failed(found)
    return Outcome(NOT_RUN)


def failed(error: BaseException) -> Outcome:
    """Returns the outcome of a stage that ended with this error."""
    if is_passing(error):
        found = Failure(shown(f"{error}; several attempts failed, repeat the command later"), EXIT_ERROR)
    else:
        found = failure(error)
    code = EXIT_BROKEN if isinstance(error, BrokenStageError) else found.exit_code
    return Outcome(FAILED, error=found.text, exit_code=code, refused=isinstance(error, GateError))
