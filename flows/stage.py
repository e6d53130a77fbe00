"""DVC, in this process: the graph of a workspace, and one stage brought up to date.

DVC decides what has changed. It trusts modification times and its cache, so what it leaves alone is compared with the
artifact's manifest besides, and what it hands out with its name (`flows/cache.py`).
"""

import errno
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.repo.index import Index
from dvc.rwlock import RWLockFileCorruptedError, RWLockFileFormatError
from dvc.stage.exceptions import StageCmdFailedError

from eibert import artifact
from eibert.errors import ArtifactError, CorruptArtifactError, EibertError, GateError, RunError
from eibert.redact import shown
from flows.adapter import CODE, ERROR, EXIT_BROKEN, EXIT_REFUSED, RAN_MARK
from flows.cache import check_list, guard
from flows.disk import refusal
from flows.healing import heal, reading
from flows.whole import WholeFiles
from flows.workspace import GRAPH, Workspace
from tasks import code
from tasks.progress import say

_PASSING = {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.ESTALE, errno.ETIMEDOUT}
_BLOCKER = re.compile(r"\(PID (?P<pid>\d+)\): (?P<command>.*)")
_SECONDS_TO_LOOK = 1.0
_LOGGERS = ("dvc", "dvc_data", "dvc_objects")
_PROBE_BYTES = 1 << 14


class BrokenStageError(RunError):
    """A stage's command ended with a defect of its own."""


_KINDS: dict[int | None, type[EibertError]] = {EXIT_BROKEN: BrokenStageError, EXIT_REFUSED: GateError}
"""Exit status of a stage's command → what it means."""


@dataclass(frozen=True)
class Graph:
    """Stages of one workspace.

    Attributes:
        stages: Names, each after all that it depends on, else as in dvc.yaml.
        upstream: Stage → the stages whose outputs it reads.
    """

    stages: tuple[str, ...]
    upstream: dict[str, frozenset[str]]

    def ancestors(self, stage: str) -> set[str]:
        """Returns all stages that a stage depends on, itself not among them."""
        direct = self.upstream[stage]
        return set(direct).union(*(self.ancestors(name) for name in direct))

    def descendants(self, stage: str) -> set[str]:
        """Returns all stages that depend on a stage, itself not among them."""
        return {name for name in self.stages if stage in self.ancestors(name)}

    def runs_alone(self, stage: str, among: Collection[str]) -> bool:
        """Returns whether no stage of `among` can run at the same time as this one."""
        related = self.ancestors(stage) | self.descendants(stage) | {stage}
        return set(among) <= related


def is_passing(error: object) -> bool:
    """Returns whether trying again may help: another process holds a lock, a disk or a network folder stumbles."""
    return isinstance(error, LockError) or (isinstance(error, OSError) and error.errno in _PASSING)


@contextmanager
def opened(workspace: Workspace, *, thorough: bool = False, mending: bool = False) -> Iterator[Any]:
    """Yields DVC's repository, waiting for its lock where needed; one for each thread.

    Args:
        workspace: Where.
        thorough: Reads each object of the cache before DVC uses it, rather than only those that can be written to.
        mending: Puts right what a kill has torn, and sets altered objects aside; else nothing is changed.

    Raises:
        RunError: DVC refuses the repository.
    """
    logging.getLogger("dvc").setLevel(logging.WARNING)  # what it does is told as stages and reasons
    for name in _LOGGERS:
        logging.getLogger(name).propagate = False  # its own handlers write a line; Prefect's would add a traceback
    try:
        found = Repo(str(workspace.root), fs=WholeFiles(), _wait_for_lock=True)
    except DvcException as error:
        raise RunError(f"{workspace.root / '.dvc'}: DVC refuses it: {error}; mend .dvc/config") from error
    with found as repo:
        if mending:
            heal(repo, workspace.folder)
        guard(repo, thorough=thorough, mending=mending)
        yield repo


def read_graph(workspace: Workspace, *, mending: bool = False) -> Graph:
    """Returns the graph of a workspace's stages.

    Args:
        workspace: Where.
        mending: Puts a torn dvc.lock right first, rather than refuse it.

    Raises:
        RunError: DVC refuses dvc.yaml, or dvc.lock is torn.
    """
    path = workspace.folder / GRAPH
    try:
        with opened(workspace, mending=mending) as repo, reading(repo, workspace.folder):
            graph = Index.from_file(repo, str(path)).graph
            upstream = {node.name: frozenset(found.name for found in graph.successors(node)) for node in graph}
            listed = list(load_file(repo, str(path)).stages)
    except DvcException as error:
        raise RunError(f"{path}: DVC refuses it: {error}; mend it, `eibert new` shows a sound one") from error
    return Graph(_ordered(listed, upstream), upstream)


def collect(repo: Any, workspace: Workspace, stage: str) -> Any:
    """Returns DVC's stage of that name."""
    return repo.stage.collect(_address(workspace, stage))[0]


def collect_all(repo: Any, workspace: Workspace) -> dict[str, Any]:
    """Returns DVC's stages of a workspace by name, reading its files once."""
    return {stage.name: stage for stage in repo.stage.load_all(str(workspace.folder / GRAPH))}


def code_is_current(workspace: Workspace) -> bool:
    """Returns whether data/code describes the code and the libraries as they are now."""
    return recorded_code(workspace) == code.current(workspace.folder)


def recorded_code(workspace: Workspace) -> dict[str, Any]:
    """Returns what data/code says of each stage; {} where it is missing or broken."""
    try:
        names = [name for name in artifact.read_manifest(workspace.folder, CODE)["files"] if name.endswith(".json")]
        folder = artifact.folder(workspace.folder, CODE)
        return {Path(name).stem: artifact.read_json(folder / name) for name in names}
    except ArtifactError:
        return {}


def bring(workspace: Workspace, stage: str, *, force: bool, share_terminal: bool) -> str:
    """Brings one stage up to date whose upstream stages are; the working folder must be the workspace.

    Returns:
        `Completed` when its command ran, `Restored` when DVC had the result, `Cached` when nothing was to be done.

    Raises:
        RunError: the command failed; the message is the stage's own.
        BrokenStageError: it ended with EXIT_BROKEN.
        GateError: it ended with EXIT_REFUSED.
        CorruptArtifactError: what came out still differs from its manifest.
        LockError, OSError: `is_passing` tells whether trying again may help.
        Exception: whatever else arises in DVC, as it is.
    """
    if stage == CODE:
        force = force or not code_is_current(workspace) or _changed(workspace, stage)
    elif not force:
        _drop_altered(workspace, stage)
        if _refilled(workspace, stage):
            return "Restored"
    if stage == CODE and not force:  # DVC alone cannot know, and would run it each time
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
                done = repo.reproduce([_address(workspace, stage)], single_item=True, force=force, run_env=environment)
        except DvcException as error:
            cause = error.__cause__ or error
            if isinstance(cause, RWLockFileCorruptedError | RWLockFileFormatError):
                return _recovered(workspace, stage, force=force, share_terminal=share_terminal, ran=mark.exists())
            if is_passing(cause) or not isinstance(cause, DvcException):
                raise cause from error  # the disk's, or a defect; not what DVC or the stage has to say
            kind = _KINDS.get(_exit_status(cause), RunError)
            raise kind(shown(_failure(workspace, stage, cause, started))) from error
        # A forced stage always runs, also one whose command leaves no mark.
        ran = mark.exists() or (force and bool(done))
    return "Completed" if ran else "Restored" if done else "Cached"


def _recovered(workspace: Workspace, stage: str, *, force: bool, share_terminal: bool, ran: bool) -> str:
    """Goes on where a kill beside this run tore DVC's list: what was computed meanwhile is recorded, not lost."""
    if ran and not _problems(workspace, stage):
        with opened(workspace, mending=True) as repo:
            repo.commit(_address(workspace, stage), force=True)
        return "Completed"
    return _reproduce(workspace, stage, force=force, share_terminal=share_terminal)


def _environment(mark: Path, *, share_terminal: bool) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    environment = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve the stage beside
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
        "TOKENIZERS_PARALLELISM": "false",
        RAN_MARK: str(mark),
    }
    return environment | ({"EIBERT_PLAIN": "1"} if share_terminal else {})


def _failure(workspace: Workspace, stage: str, cause: BaseException, started: float) -> str:
    log = workspace.folder / "logs" / f"{stage}.log"
    if log.is_file() and log.stat().st_mtime >= started - 1:
        _, marker, message = ("\n" + log.read_text(encoding="utf-8", errors="replace")).rpartition(f"\n{ERROR}")
        if marker:
            return message.strip()
    status = _exit_status(cause)
    if status is not None and (status < 0 or status in {137, 143}):
        return f"{stage}: its process was killed (exit status {status}); was memory enough? See {log}"
    return refusal(cause) or _log_refusal(log) or f"{stage}: {cause}"


def _log_refusal(log: Path) -> str:
    """Returns what the disk says to a small file beside a log, for a stage that left no message there; "": nothing."""
    probe = log.with_name(f".{log.name}.part")
    try:
        probe.parent.mkdir(exist_ok=True)
        probe.write_bytes(bytes(_PROBE_BYTES))
        probe.unlink()
    except OSError as error:
        return refusal(error)
    return ""


def _exit_status(cause: BaseException) -> int | None:
    found = str(cause).rpartition("exited with ")[2]
    return int(found) if isinstance(cause, StageCmdFailedError) and found.lstrip("-").isdigit() else None


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
    """Puts an output that is up to date back into DVC's cache where it is missing or altered there."""
    with opened(workspace, thorough=True, mending=True) as repo:
        with repo.lock:
            found = collect(repo, workspace, stage)
            for out in found.outs:
                check_list(repo, out.hash_info.value if out.hash_info else None)
            if found.changed_stage() or any(entry.status() for entry in found.deps):
                return False
            if any(out.workspace_status() for out in found.outs) or not any(out.changed_cache() for out in found.outs):
                return False
        repo.commit(_address(workspace, stage), force=True)
    return True


def _drop_altered(workspace: Workspace, stage: str) -> None:
    """Removes an artifact that differs from its manifest, so that DVC restores or rebuilds it."""
    folder = artifact.folder(workspace.folder, stage)
    if folder.exists() and _problems(workspace, stage):
        shutil.rmtree(folder)


def _address(workspace: Workspace, stage: str) -> str:
    return f"{workspace.folder / GRAPH}:{stage}"


def _ordered(listed: list[str], upstream: dict[str, frozenset[str]]) -> tuple[str, ...]:
    ordered: list[str] = []
    while waiting := [name for name in listed if name not in ordered]:
        ordered.append(next(name for name in waiting if upstream[name] <= set(ordered)))
    return tuple(ordered)
