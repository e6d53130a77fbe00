"""When a schedule retrains: missed runs are caught up first, and once; two schedules do not interfere."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from eibert.errors import RunError
from flows.history import Outcome, Retraining
from flows.workspace import Workspace
from tests.flows.conftest import command

GIVEN_UP = "Service exceeded error threshold."
"""Raised by Prefect's runner (`critical_service_loop`)."""
NOON = datetime(2026, 5, 9, 12, tzinfo=UTC)
FOLDERS = [Path("/r/models/a"), Path("/r/models/b")]


@pytest.mark.parametrize(
    ("last", "now", "missed"),
    [
        (None, "2026-05-02T12:00", False),  # a first run was never due
        ("2026-05-01T03:00", "2026-05-01T23:00", False),
        ("2026-05-01T03:00", "2026-05-02T02:59", False),
        ("2026-05-01T03:00", "2026-05-02T03:00", True),
        ("2026-05-01T03:00", "2026-05-09T12:00", True),  # eight were due: the one that follows is the last
        ("2026-05-09T12:00", "2026-05-09T12:01", False),
    ],
)
def test_missed_run_is_caught_up_once(last: str | None, now: str, missed: bool) -> None:
    from flows.schedule import check_cron, is_missed

    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert is_missed(check_cron("0 3 * * *", "UTC"), at(last) if last else None, at(now)) is missed


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("every night", "UTC"),
        ("0 3 * *", "UTC"),
        ("0 0 3 * * *", "UTC"),
        ("0 0 31 2 *", "UTC"),
        ("0 3 * * *", "Mars/Olympus"),
    ],
)
def test_what_is_no_schedule_is_refused(cron: str, zone: str) -> None:
    from flows.schedule import check_cron

    with pytest.raises(RunError, match="use five fields"):
        check_cron(cron, zone)


def test_each_set_of_workspaces_has_a_deployment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.schedule import deployment_name

    names = [deployment_name(folders) for folders in (FOLDERS, FOLDERS[:1], [Path("/other/models/a")])]
    monkeypatch.setattr("socket.gethostname", lambda: "another-machine")
    names.append(deployment_name(FOLDERS))
    assert len(set(names)) == 4
    assert deployment_name(FOLDERS[::-1]) == names[-1]


def test_second_schedule_of_the_same_workspaces_is_refused(unbuilt: Workspace) -> None:
    from flows.alone import scheduling
    from flows.schedule import deployment_name

    home = unbuilt.root / ".prefect"
    home.mkdir()
    with scheduling(home / f"{deployment_name([unbuilt.folder])}.lock", "it"):
        done = command("schedule", "--cron", "0 3 * * *", folder=unbuilt.folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {unbuilt.folder}: process ")
    assert "is running here; wait for it or stop it" in done.stderr


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Which workspaces were retrained together."""
    found: list[Any] = []
    monkeypatch.setattr("flows.schedule.run_many", lambda folders, *, parallel: found.append((folders, parallel)))
    return found


def deployed(name: str) -> Any:
    """The id of a nightly deployment that was not served for a week: eight runs, one of them in the future."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule

    from flows.retrain_flow import retrain_all

    nightly = DeploymentScheduleCreate(schedule=CronSchedule(cron="0 3 * * *", timezone="UTC"))
    with get_client(sync_client=True) as client:
        made = client.create_deployment(client.create_flow(retrain_all), name, schedules=[nightly], paused=True)
        span = {"start_time": "2026-05-02T00:00:00Z", "end_time": "2026-05-10T12:00:00Z", "min_runs": 9, "max_runs": 9}
        client.request("POST", "/deployments/{id}/schedule", path_params={"id": made}, json=span)
        client.create_flow_run_from_deployment(made)  # as a user would on Prefect's page
    return made


def waiting(deployment: Any) -> list[tuple[bool, datetime | None]]:
    """For each run not yet started: whether the schedule created it, and when it is due."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(deployment_filter=one)
    return sorted((run.auto_scheduled, run.expected_start_time) for run in found)  # type: ignore[type-var]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("last", "retrainings"),
    [
        ("2026-05-01T03:00", 1),
        ("2026-05-09T11:00", 0),  # someone retrained by hand in the meantime
        (None, 1),  # it was killed before its first run
    ],
)
def test_runs_that_a_deployment_still_waits_for_are_caught_up_once(
    last: str | None, retrainings: int, runs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import schedule

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # noqa: ARG003
            return NOON

    began = datetime.fromisoformat(last).replace(tzinfo=UTC) if last else None
    monkeypatch.setattr(schedule, "datetime", Clock)
    monkeypatch.setattr(schedule, "last_run", lambda folders: began)  # noqa: ARG005
    deployment, other = deployed(f"week-down-{last}"), deployed(f"another-{last}")
    assert len(waiting(deployment)) == 10
    schedule.catch_up(f"week-down-{last}", FOLDERS, schedule.check_cron("0 3 * * *", "UTC"), parallel=2)
    assert runs == [(FOLDERS, 2)] * retrainings
    asked, tonight = waiting(deployment)
    assert not asked[0]
    assert tonight == (True, datetime(2026, 5, 10, 3, tzinfo=UTC))
    assert len(waiting(other)) == 10


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("newest_first", [False, True])
def test_of_late_runs_that_a_worker_executes_one_after_the_other_the_newest_retrains(
    monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
    from prefect.flow_engine import run_flow

    from flows import retrain_flow

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # noqa: ARG003
            return NOON

    retrained: list[str] = []

    def in_its_own_process(folder: str, *, wait: bool) -> Retraining:
        retrained.append(folder)
        return Retraining(folder, Outcome.UNCHANGED, "")

    monkeypatch.setattr(retrain_flow, "datetime", Clock)
    monkeypatch.setattr(retrain_flow, "_in_its_own_process", in_its_own_process)
    one = DeploymentFilter(id=DeploymentFilterId(any_=[deployed(f"worker-{newest_first}")]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(deployment_filter=one)
    [asked] = [run for run in found if not run.auto_scheduled]
    due = {run.expected_start_time: run for run in found if run.auto_scheduled and run.expected_start_time}
    late = [due[moment] for moment in sorted(due, reverse=newest_first) if moment <= NOON]
    states = [
        run_flow(retrain_flow.retrain_all, run, {"folders": [str(run.expected_start_time)]}, return_type="state")
        for run in [*late, asked]
    ]
    skipped = ["Skipped"] * 7
    names = ["Completed", *skipped] if newest_first else [*skipped, "Completed"]
    assert [state.name for state in states] == [*names, "Completed"]  # manual requests are served
    assert all(state.is_completed() for state in states)
    assert retrained == ["2026-05-09 03:00:00+00:00", str(asked.expected_start_time)]
    assert "the run of 2026-05-09 03:00 UTC" in str(states[1].message if newest_first else states[0].message)


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), ExceptionGroup("tasks", [RuntimeError(GIVEN_UP)])])
def test_outage_that_the_runner_does_not_outlast_is_said_in_one_line(error: Exception) -> None:
    from flows.compress import answered

    with pytest.raises(RunError, match="does not answer"), answered():
        raise error


def test_defect_is_no_outage() -> None:
    from flows.compress import answered

    with pytest.raises(ExceptionGroup), answered():
        raise ExceptionGroup("tasks", [RuntimeError("no such thing")])
