"""Retraining on schedule: one process with Prefect's server, or the one that PREFECT_API_URL names.

A run that was missed while nothing ran here is caught up once. Set the environment with `flows.environment.prepare`
before importing this module: it imports Prefect.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.schemas.schedules import CronSchedule
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from eibert.errors import RunError
from flows import history
from flows.flow_runs import sweep
from flows.interrupt import end_at_once
from flows.retrain_flow import retrain_all, run_many
from flows.workspace import find
from tasks.progress import say

NAME = "schedule"
_ADDRESS = "PREFECT_API_URL"
_SECONDS_TO_START = 180


def check_cron(cron: str, timezone: str) -> CronSchedule:
    """Returns the schedule that a cron line means.

    Raises:
        RunError: it is none, or there is no such time zone.
    """
    try:
        return CronSchedule(cron=cron, timezone=timezone)
    except (ValidationError, ValueError) as error:
        raise RunError(
            f'--cron "{cron}", --timezone {timezone}: no schedule; write five fields, as "0 3 * * *", and a name as UTC'
        ) from error


def is_missed(schedule: CronSchedule, last: datetime | None, now: datetime) -> bool:
    """Returns whether a run was due between the last one and now; without a last one nothing was missed."""
    if last is None:
        return False
    from prefect.server.schemas.schedules import CronSchedule as Dates

    dates = Dates(cron=schedule.cron, timezone=schedule.timezone, day_or=schedule.day_or)
    due = asyncio.run(dates.get_dates(2, start=last))
    return any(last < date <= now for date in due)


def last_run(folders: Sequence[Path]) -> datetime | None:
    """Returns when the retraining began that is the longest ago among the latest ones of workspaces; None: none."""
    latest = [found[-1].when for folder in folders if (found := history.read(find(folder)))]
    return min(map(datetime.fromisoformat, latest), default=None)


def serve(folders: Sequence[Path], schedule: CronSchedule, *, parallel: int, port: int) -> None:
    """Retrains workspaces on schedule until the process ends; what was missed comes first, and once.

    Args:
        folders: The workspaces.
        schedule: When.
        parallel: Most of them at the same time.
        port: Of Prefect's server on this machine, where PREFECT_API_URL names no other.

    Raises:
        RunError: the server does not start.
    """
    with server(port):
        sweep()
        last = last_run(folders)
        while is_missed(schedule, last, now := datetime.now(UTC)):
            say(NAME, "catches up once on what was missed")
            last = now
            run_many(folders, parallel=parallel)
        retrain_all.serve(
            name=NAME,
            schedule=Cron(schedule.cron, timezone=schedule.timezone),
            parameters={"folders": [str(folder) for folder in folders], "parallel": parallel},
            limit=1,
            print_starting_message=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )


def free_port() -> int:
    """Returns a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(port: int) -> Iterator[str]:
    """Yields the address of a Prefect API that this process and its children use: the configured one, else an own.

    Raises:
        RunError: the server does not start.
    """
    if configured := PREFECT_API_URL.value():
        yield configured
        return
    address = f"http://127.0.0.1:{port}/api"
    process = None if _answers(address) else _start(port)
    no_longer_needed = threading.Event()
    try:
        if process is not None:
            _wait(address, process)
            say(NAME, f"Prefect's page: http://127.0.0.1:{port}")
            threading.Thread(target=_watch, args=(process, no_longer_needed), daemon=True).start()
        os.environ[_ADDRESS] = address  # for the processes started from here
        with temporary_settings({PREFECT_API_URL: address}):
            yield address
    finally:
        os.environ.pop(_ADDRESS, None)
        no_longer_needed.set()
        if process is not None:
            process.terminate()
            process.wait()


def _start(port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    # In a session of its own: Ctrl-C ends what runs here first, and the server after it.
    return subprocess.Popen(command, stdout=sys.stderr, stderr=sys.stderr, start_new_session=True)  # noqa: S603


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _SECONDS_TO_START
    while not _answers(address):
        if process.poll() is not None:
            raise RunError(f"{address}: Prefect's server ended, as it says above; is the port free? --port chooses one")
        if time.monotonic() > until:
            raise RunError(f"{address}: Prefect's server does not answer after {_SECONDS_TO_START} s; try again")
        time.sleep(0.2)


def _watch(process: "subprocess.Popen[bytes]", no_longer_needed: threading.Event) -> None:
    """Ends this process when its server is gone: it would wait for ever, and retrain nothing."""
    code = process.wait()
    if not no_longer_needed.is_set():
        message = f"error: Prefect's server ended by itself (exit code {code}); start `eibert schedule` again"
        end_at_once(1, f"{message}, it catches up on what it missed")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310 — our own address
            return bool(answer.status == 200)
    except OSError:
        return False
