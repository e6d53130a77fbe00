"""One run at a time in a workspace: who holds it, waiting for it, and ending what a killed run left running."""

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
from eibert.redact import shown
from flows.workspace import PRIVATE, Workspace
from tasks.progress import say

RUN_MARK = "EIBERT_RUN"
"""Environment variable that names the workspace in every process a run starts."""

_LOCK, _RETRAINING = "lock", "retraining.lock"
_SECONDS_TO_SIGN = 1.0
_SECONDS_TO_END = 3.0


@contextlib.contextmanager
def alone(workspace: Workspace, *, wait: bool) -> Iterator[None]:
    """Locks a workspace against other runs; the kernel releases the lock of a run that died.

    Args:
        workspace: Where.
        wait: Whether to wait for a run that is active there, after one line naming it.

    Raises:
        RunError: another run is active there, and `wait` is false.
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
    """Locks a workspace against other retrainings; a single run may still slip in between two steps.

    Args:
        workspace: Where.
        wait: As in `alone`.

    Raises:
        RunError: another retraining is active there, and `wait` is false.
    """
    with _held(workspace.private() / _RETRAINING, str(workspace.folder), wait=wait):
        yield


@contextlib.contextmanager
def scheduling(lock: Path, what: str) -> Iterator[None]:
    """Locks out other processes that would serve a schedule for the same workspaces.

    Args:
        lock: Lock file for these workspaces.
        what: Their names, for the error message.

    Raises:
        RunError: another process already serves one.
    """
    with _held(lock, what, wait=False):
        yield


def at_work(workspace: Workspace, *, retrainings: bool = True) -> bool:
    """Returns whether a run, or, with `retrainings`, a retraining, is active in a workspace right now."""
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
                raise RunError(f"{what}: {_holder(file)} is running here; wait for it or stop it")
            say("run", f"waits for {_holder(file)}")
            fcntl.flock(file, fcntl.LOCK_EX)
        _sign(file)
        try:
            yield
        finally:
            file.truncate(0)


def taken(file: TextIO) -> bool:
    """Tries to take an exclusive lock on a file without waiting; returns whether it succeeded."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: TextIO) -> None:
    file.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    command = shown(" ".join(["eibert", *sys.argv[1:]]))
    file.write(json.dumps({"pid": os.getpid(), "command": command, "since": since}))
    file.flush()


def _holder(file: TextIO) -> str:
    """Returns who holds the lock; the holder signs the file just after locking it."""
    until = time.monotonic() + _SECONDS_TO_SIGN
    while time.monotonic() < until:
        file.seek(0)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found = json.loads(file.read())
            return f"process {found['pid']} (`{found['command']}`, since {found['since']})"
        time.sleep(0.05)
    return "another `eibert run`"


def _end_orphans(workspace: Workspace) -> None:
    """Ends processes that a killed run left behind here: two writers would corrupt an artifact."""
    orphans = [process for process in psutil.process_iter() if _marked(process) == str(workspace.folder)]
    for process in orphans:
        with contextlib.suppress(psutil.Error):
            say("run", f"ends process {process.pid}, left running here by a killed run")
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
