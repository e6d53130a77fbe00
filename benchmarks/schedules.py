"""Drives `eibert schedule` as a user would: it catches up on missed runs and serves requests to its deployment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound

from flows import history
from flows.history import Retraining
from flows.schedule import deployment_name
from flows.workspace import Workspace

_CRON = "0 3 * * *"
_PAGE = 200
_SECONDS = 600
_BEGUN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING, StateType.PAUSED]


class Schedule:
    """One `eibert schedule` process of a workspace, which finds the repository's server through its note."""

    def __init__(self, place: Workspace, log: Path) -> None:
        """Starts nothing yet."""
        self.place = place
        self._log = log
        self._process: psutil.Popen | None = None

    def begin(self) -> None:
        """Starts it unless it is running."""
        if self._process is not None:
            return
        own = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
        command = [sys.executable, "-m", "flows.cli", "schedule", "--cron", _CRON, "-C", str(self.place.folder)]
        with self._log.open("ab") as said:
            self._process = psutil.Popen(
                command, cwd=self.place.root, env=own, stdout=said, stderr=said, start_new_session=True
            )

    def ask(self) -> None:
        """Triggers its deployment now, as a user would on Prefect's page; waits until the deployment exists."""
        name, started = f"retrain-all/{deployment_name([self.place.folder])}", time.monotonic()
        with get_client(sync_client=True) as client:
            while True:
                try:
                    deployment = client.read_deployment_by_name(name)
                    break
                except ObjectNotFound:  # it is still catching up
                    self._check(started)
                    time.sleep(0.1)
            client.create_flow_run_from_deployment(deployment.id)

    def retrained(self, before: Sequence[Retraining], kill_after: float | None) -> tuple[Retraining, float]:
        """Waits for the next retraining and its flow to end; returns its history entry and the seconds waited.

        Args:
            before: The history so far.
            kill_after: Seconds after which only the `eibert retrain` process is killed; None: never.
        """
        started = began = time.monotonic()
        while (found := history.read(self.place))[-1:] == list(before[-1:]):
            self._check(started)
            retraining = self._retraining()
            began = began if retraining else time.monotonic()
            if kill_after is not None and retraining and time.monotonic() - began > kill_after:
                retraining.kill()
            time.sleep(0.1)
        while self._retraining() or unfinished("retrain-all"):
            self._check(started)
            time.sleep(0.1)
        return found[-1], time.monotonic() - started

    def close(self) -> None:
        """Stops it, if running, as a service manager would."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(60)
        except psutil.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)

    def _retraining(self) -> psutil.Process | None:
        """The `eibert retrain` process started by it or by its flow run's process."""
        assert self._process is not None
        try:
            children = self._process.children(recursive=True)
            return next((child for child in children if "retrain" in child.cmdline()), None)
        except psutil.Error:
            return None

    def _check(self, started: float) -> None:
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            raise subprocess.SubprocessError(f"eibert schedule ended with exit code {code}")
        if time.monotonic() - started > _SECONDS:
            raise TimeoutError(f"eibert schedule has not retrained in {_SECONDS} s")


def unfinished(*flows: str) -> int:
    """Returns how many flow runs, of these flows or of all, are in a pending, running, cancelling or paused state."""
    begun = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_BEGUN)))
    theirs = FlowFilter(name=FlowFilterName(any_=list(flows))) if flows else None
    count = 0
    with get_client(sync_client=True) as client:
        while page := client.read_flow_runs(flow_filter=theirs, flow_run_filter=begun, limit=_PAGE, offset=count):
            count += len(page)
    return count
