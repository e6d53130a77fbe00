"""Retraining on a schedule: one process that serves its own deployment on Prefect's server.

Runs missed while it was down are caught up once. Set the environment with `flows.environment.prepare` before importing
this module: it imports Prefect.
"""

import asyncio
import hashlib
import json
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.client.schemas.schedules import CronSchedule
from prefect.schedules import Cron
from prefect.settings import PREFECT_HOME
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from eibert.errors import RunError
from flows import history
from flows.alone import scheduling
from flows.compress import answered
from flows.flow_runs import drop_overdue, overdue, sweep
from flows.retrain_flow import retrain_all, run_many
from flows.server import server
from flows.workspace import find
from tasks.progress import say

NAME = "schedule"
_FIELDS = 5


def check_cron(cron: str, timezone: str) -> CronSchedule:
    """Parses a cron expression.

    Raises:
        RunError: the expression or the time zone is not valid, or it is never due.
    """
    try:
        if not cron.startswith("@") and len(cron.split()) != _FIELDS:
            raise ValueError  # with six, croniter takes the last for seconds
        schedule = CronSchedule(cron=cron, timezone=timezone)
        _dates(schedule, datetime.now(UTC), 1)
    except (ValidationError, ValueError) as error:  # croniter's are ValueErrors
        raise RunError(
            f'--cron "{cron}", --timezone {timezone}: no schedule, or never due; use five fields, such as "0 3 * * *", '
            "and a time zone such as UTC"
        ) from error
    return schedule


def is_missed(schedule: CronSchedule, last: datetime | None, now: datetime) -> bool:
    """Returns whether a run was due since the last one; without a last one, none was missed."""
    if last is None:
        return False
    return any(last < date <= now for date in _dates(schedule, last, 2))


def _dates(schedule: CronSchedule, start: datetime, count: int) -> list[datetime]:
    from prefect.server.schemas.schedules import CronSchedule as Dates

    dates = Dates(cron=schedule.cron, timezone=schedule.timezone, day_or=schedule.day_or)
    return list(asyncio.run(dates.get_dates(count, start=start)))


def last_run(folders: Sequence[Path]) -> datetime | None:
    """Returns the earliest start among the workspaces' latest retrainings; None if there are none."""
    latest = [found[-1].when for folder in folders if (found := history.read(find(folder)))]
    return min(map(datetime.fromisoformat, latest), default=None)


def deployment_name(folders: Sequence[Path]) -> str:
    """Returns a deployment name unique to machine and workspaces, lest one schedule replace another."""
    identity = [socket.gethostname(), *sorted(map(str, folders))]
    return f"{NAME}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"


def catch_up(name: str, folders: Sequence[Path], schedule: CronSchedule, *, parallel: int) -> None:
    """Retrains once if any run was missed, and deletes the deployment's overdue runs."""
    last, now = last_run(folders), datetime.now(UTC)
    if last is None and (waiting := overdue(name, now)):  # served before, but no run has begun
        last = waiting[0] - timedelta(seconds=1)
    while is_missed(schedule, last, now):
        say(NAME, "catches up once on missed runs")
        last = now
        run_many(folders, parallel=parallel)
        now = datetime.now(UTC)
    drop_overdue(name, now)


def serve(folders: Sequence[Path], schedule: CronSchedule, *, parallel: int, port: int) -> None:
    """Retrains workspaces on a schedule until the process ends, first catching up once on missed runs.

    Args:
        folders: The workspaces.
        schedule: When.
        parallel: Maximum number of them at a time.
        port: Port of Prefect's server on this machine, unless PREFECT_API_URL names another.

    Raises:
        RunError: another process serves a schedule for these workspaces, or Prefect's server does not start or answer.
    """
    name = deployment_name(folders)
    listed = ", ".join(map(str, folders))
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    with scheduling(home / f"{name}.lock", listed), server(port), answered():
        sweep()
        catch_up(name, folders, schedule, parallel=parallel)
        retrain_all.serve(
            name=name,
            description=f"`eibert schedule` on {socket.gethostname()}: {listed}",
            schedule=Cron(schedule.cron, timezone=schedule.timezone),
            parameters={"folders": [str(folder) for folder in folders], "parallel": parallel},
            limit=1,
            print_starting_message=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
