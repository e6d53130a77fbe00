"""Brings one stage up to date with DVC, in this process.

DVC decides what has changed; whatever it leaves alone is also checked against the artifact's manifest.
"""

import errno
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import psutil
from dvc import rwlock
from dvc.exceptions import DvcException
from dvc.lock import LockError

from eibert import artifact
from eibert.errors import ArtifactError, CorruptArtifactError
from flows.adapter import RAN_MARK
from flows.cache import check_list
from flows.graph import address, collect, opened
from flows.stage_failure import failure
from flows.steady import CODE
from flows.workspace import Workspace
from tasks import code
from tasks.progress import say

_PASSING = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
_BLOCKER = re.compile(r"\(PID (?P<pid>\d+)\): (?P<command>.*)")
_SECONDS_TO_LOOK = 1.0


def is_passing(error: object) -> bool:
    """Returns whether an error is transient: a lock held elsewhere, or a hiccup of a disk or network folder."""
    return isinstance(error, LockError) or (isinstance(error, OSError) and error.errno in _PASSING)


def code_is_current(workspace: Workspace) -> bool:
    """Returns whether data/code describes the current code and libraries."""
    return recorded_code(workspace) == code.current(workspace.folder)


def recorded_code(workspace: Workspace) -> dict[str, Any]:
    """Returns what data/code says about each stage; {} if it is missing or broken."""
    try:
        names = [name for name in artifact.read_manifest(workspace.folder, CODE)["files"] if name.endswith(".json")]
        folder = artifact.folder(workspace.folder, CODE)
        return {Path(name).stem: artifact.read_json(folder / name) for name in names}
    except ArtifactError:
        return {}


def bring(workspace: Workspace, stage: str, *, force: bool, share_terminal: bool) -> str:
    """Brings one stage up to date, its upstream stages being so; the current folder must be the workspace.

    Returns:
        `Completed` if its command ran, `Restored` if DVC had the result, `Cached` if there was nothing to do.

    Raises:
        RunError: the command failed; the message is the stage's own.
        BrokenStageError: it ended with EXIT_BROKEN.
        GateError: it ended with EXIT_REFUSED.
        CorruptArtifactError: the output still differs from its manifest.
        LockError, OSError: `is_passing` says whether a retry may help.
        Exception: anything else raised in DVC, unchanged.
    """
    if stage == CODE:
        force = force or not code_is_current(workspace) or _changed(workspace, stage)
    elif not force:
        _drop_altered(workspace, stage)
        if _refilled(workspace, stage):
            return "Restored"
    if stage == CODE and not force:  # DVC cannot tell, and would run it every time
        state = "Cached"
    else:
        state = _reproduce(workspace, stage, force=force, share_terminal=share_terminal)
    if _problems(workspace, stage) and state != "Completed":
        _drop_altered(workspace, stage)
        state = _reproduce(workspace, stage, force=True, share_terminal=share_terminal)
    if problems := _problems(workspace, stage):
        raise CorruptArtifactError(problems[0])
    return state


def _reproduce(workspace: Workspace, stage: str, *, force: bool, share_terminal: bool) -> str:
    waits_for = ""
    while True:
        try:
            return _attempt(workspace, stage, force=force, share_terminal=share_terminal)
        except LockError as error:
            blocker = _BLOCKER.search(str(error))
            if blocker is None:
                raise
            if waits_for != (waits_for := f"process {blocker['pid']} (`{blocker['command']}`{_since(blocker['pid'])})"):
                say(stage, f"waits for {waits_for}")
        time.sleep(_SECONDS_TO_LOOK)


def _since(pid: str) -> str:
    try:
        started = psutil.Process(int(pid)).create_time()
    except psutil.Error:
        return ""
    return time.strftime(", since %Y-%m-%d %H:%M:%S", time.localtime(started))


def _attempt(workspace: Workspace, stage: str, *, force: bool, share_terminal: bool) -> str:
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder, "ran")
        environment = _environment(mark, share_terminal=share_terminal)
        try:
            with opened(workspace, thorough=True, mending=True) as repo:
                done = repo.reproduce([address(stage)], single_item=True, force=force, run_env=environment)
        except DvcException as error:
            cause = error.__cause__ or error
            if _list_is_spoilt(cause):
                return _recovered(workspace, stage, force=force, share_terminal=share_terminal, ran=mark.exists())
            if is_passing(cause) or not isinstance(cause, DvcException):
                raise cause from error  # from the disk, or a bug; not DVC's or the stage's message
            raise failure(workspace, stage, cause, started) from error
        # A forced stage always runs, even if its command leaves no mark.
        ran = mark.exists() or (force and bool(done))
    return "Completed" if ran else "Restored" if done else "Cached"


def _list_is_spoilt(cause: BaseException) -> bool:
    """Returns whether DVC's rwlock is torn, or was recreated without the processes still using it."""
    if isinstance(cause, AssertionError):
        innermost = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(cause.__traceback__)][-1:]
        return innermost == [rwlock.__name__]
    return isinstance(cause, rwlock.RWLockFileCorruptedError | rwlock.RWLockFileFormatError)


def _recovered(workspace: Workspace, stage: str, *, force: bool, share_terminal: bool, ran: bool) -> str:
    """Recovers after another run's kill spoilt DVC's rwlock: what was computed meanwhile is recorded, not lost."""
    if ran and not _problems(workspace, stage):
        with opened(workspace, mending=True) as repo:
            repo.commit(address(stage), force=True)
        return "Completed"
    return _reproduce(workspace, stage, force=force, share_terminal=share_terminal)


def _environment(mark: Path, *, share_terminal: bool) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    environment = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve a parallel stage
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "TOKENIZERS_PARALLELISM": "false",
        RAN_MARK: str(mark),
    }
    return environment | ({"EIBERT_PLAIN": "1"} if share_terminal else {})


def _changed(workspace: Workspace, stage: str) -> bool:
    with opened(workspace, mending=True) as repo, repo.lock:
        found = collect(repo, workspace, stage)
        return found.changed_stage() or any(entry.status() for entry in (*found.deps, *found.outs))


def _problems(workspace: Workspace, stage: str) -> list[str]:
    try:
        return artifact.problems(workspace.folder, stage)
    except ArtifactError as error:
        return [str(error)]


def _refilled(workspace: Workspace, stage: str) -> bool:
    """Puts an up-to-date output back into DVC's cache if it is missing or altered there; returns whether it did."""
    with opened(workspace, thorough=True, mending=True) as repo:
        with repo.lock:
            found = collect(repo, workspace, stage)
            for out in found.outs:
                check_list(repo, out.hash_info.value if out.hash_info else None)
            if found.changed_stage() or any(entry.status() for entry in found.deps):
                return False
            if any(out.workspace_status() for out in found.outs) or not any(out.changed_cache() for out in found.outs):
                return False
        repo.commit(address(stage), force=True)
    return True


def _drop_altered(workspace: Workspace, stage: str) -> None:
    """Removes an artifact that differs from its manifest, so that DVC restores or rebuilds it."""
    folder = artifact.folder(workspace.folder, stage)
    if folder.exists() and _problems(workspace, stage):
        shutil.rmtree(folder)
