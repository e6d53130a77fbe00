"""One run at a time in a workspace: who is at work there, the wait for it, and what a killed run left running."""

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import psutil

from eibert.errors import RunError
from flows.workspace import PRIVATE, Workspace
from tasks.progress import say

RUN_MARK = "EIBERT_RUN"
"""Names the workspace in the environment of every process that a run starts."""

_LOCK, _RETRAINING = "lock", "retraining.lock"
_SECONDS_TO_SIGN = 1.0
_SECONDS_TO_END = 3.0


@contextlib.contextmanager
def alone(workspace: Workspace, *, wait: bool) -> Iterator[None]:
    """Keeps other runs out of a workspace for a while; the kernel frees the lock of a run that died.

    Args:
        workspace: Where.
        wait: Waits for a run that is at work there, after one line that says for whom.

    Raises:
        RunError: another run is at work there, and nobody is to wait.
    """
    with _held(workspace.private() / _LOCK, str(workspace.folder), wait=wait):
        _end_orphans(workspace)
        os.environ[RUN_MARK] = str(workspace.folder)
        try:
            yield
        finally:
            del os.environ[RUN_MARK]


@contextlib.contextmanager
def retraining(workspace: Workspace, *, wait: bool) -> Iterator[None]:
    """Keeps other retrainings out of a workspace for a while, though not a single run between two of its steps.

    Args:
        workspace: Where.
        wait: As in `alone`.

    Raises:
        RunError: another retraining is at work there, and nobody is to wait.
    """
    with _held(workspace.private() / _RETRAINING, str(workspace.folder), wait=wait):
        yield


@contextlib.contextmanager
def scheduling(lock: Path, what: str) -> Iterator[None]:
    """Keeps other schedules of the same workspaces from being served for a while.

    Args:
        lock: The file that stands for these workspaces.
        what: Names them.

    Raises:
        RunError: another process serves one.
    """
    with _held(lock, what, wait=False):
        yield


def at_work(workspace: Workspace, *, retrainings: bool = True) -> bool:
    """Returns whether a run, or with `retrainings` a retraining, is at work in a workspace at this moment."""
    for name in (_LOCK, _RETRAINING) if retrainings else (_LOCK,):
        path = workspace.folder / PRIVATE / name
        if path.is_file():
            with path.open("a+", encoding="utf-8") as file:
                if not taken(file):
                    return True
    return False


@contextlib.contextmanager
def _held(path: Path, what: str, *, wait: bool) -> Iterator[None]:
    with path.open("a+", encoding="utf-8") as file:
        if not taken(file):
            if not wait:
                raise RunError(f"{what}: {_holder(file)} is at work here; wait for it or stop it")
            say("run", f"waits for {_holder(file)}")
            fcntl.flock(file, fcntl.LOCK_EX)
        _sign(file)
        try:
            yield
        finally:
            file.truncate(0)


def taken(file: TextIO) -> bool:
    """Takes the lock of a file for this process alone, if nobody else has one; returns whether it did."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: TextIO) -> None:
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    command = " ".join(["eibert", *sys.argv[1:]])
    file.write(json.dumps({"pid": os.getpid(), "command": command, "since": since}))
    file.flush()


def _holder(file: TextIO) -> str:
    """Returns who holds the lock; it signs just after it has taken it."""
    until = time.monotonic() + _SECONDS_TO_SIGN
    while time.monotonic() < until:
        file.seek(0)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(file.read())
            return f"process {found['pid']} (`{found['command']}`, since {found['since']})"
        time.sleep(0.05)
    return "another `eibert run`"


def _end_orphans(workspace: Workspace) -> None:
    """Ends what a killed run left at work here; two writers of one artifact would tear it."""
    orphans = [process for process in psutil.process_iter() if _marked(process) == str(workspace.folder)]
    for process in orphans:
        with contextlib.suppress(psutil.Error):
            say("run", f"ends process {process.pid}, which a killed run left at work here")
            process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=_SECONDS_TO_END)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _marked(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(RUN_MARK)
    except (psutil.Error, OSError):
        return None
