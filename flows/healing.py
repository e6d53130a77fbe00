"""Repairs files that DVC writes in place and a kill left torn, before DVC reads them."""

import errno
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.lock import make_lock
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK, SCHEMA
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from eibert.errors import RunError
from flows.quarantine import set_aside

LOCK_FILE = "dvc.lock"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast with libyaml
_CLOCKS_DIFFER_SECONDS = 2.0  # file times and process start times
_TORN = "damaged, perhaps by a kill; results are restored from the cache"


def heal(repo: Any, folder: Path) -> None:
    """Removes what is torn or stale: DVC's list of readers and writers (rwlock), and a workspace's dvc.lock.

    Args:
        repo: DVC's repository, not locked.
        folder: The workspace.
    """
    _heal_list(repo)
    if torn_lock_file(folder / LOCK_FILE):
        with repo.lock:  # it might just be being written
            if torn_lock_file(folder / LOCK_FILE):
                set_aside(Path(repo.root_dir), folder / LOCK_FILE, _TORN)


@contextmanager
def reading(repo: Any, folder: Path) -> Iterator[None]:
    """Holds DVC's lock while a workspace is read, unless the disk is read-only; changes nothing there.

    Args:
        repo: DVC's repository, not locked.
        folder: The workspace.

    Raises:
        RunError: its dvc.lock is torn.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(repo.lock)  # otherwise dvc.lock might be read half-written
        except OSError as error:
            if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM}:
                raise
        refuse_torn(folder / LOCK_FILE)
        yield


def refuse_torn(path: Path) -> None:
    """Raises RunError if a dvc.lock exists and is not valid."""
    if torn_lock_file(path):
        raise RunError(f"{path}: damaged, perhaps by a kill; `eibert run` repairs it, restoring results from the cache")


def torn_lock_file(path: Path) -> bool:
    """Returns whether a dvc.lock exists and is not valid."""
    try:
        status = path.stat()
        return _is_torn(path, (status.st_mtime_ns, status.st_size, status.st_ino))
    except FileNotFoundError:
        return False


@lru_cache(maxsize=64)
def _is_torn(path: Path, identity: tuple[int, int, int]) -> bool:  # noqa: ARG001 — part of the cache key
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.load(path.read_bytes(), _Loader))  # noqa: S506 — a safe loader
    except (yaml.YAMLError, UnicodeDecodeError, Invalid, TypeError):
        return True
    return False


def _heal_list(repo: Any) -> None:
    """Deletes DVC's rwlock if it is torn; otherwise drops the entries of processes that have ended."""
    path = Path(repo.tmp_dir, RWLOCK_FILE)
    if not _unsound(path):
        return
    guard = str(path.with_name(RWLOCK_LOCK))
    hardlink = repo.config["core"].get("hardlink_lock", False)
    with make_lock(guard, tmp_dir=repo.tmp_dir, hardlink_lock=hardlink, wait=True):
        if not _unsound(path):  # it was only being written, by the holder of the guard
            return
        found = _read_list(path)
        if found is None:
            path.unlink()
        else:
            path.write_text(json.dumps(_without_the_dead(found, _written(path))), encoding="utf-8")


def _unsound(path: Path) -> bool:
    if not path.exists():
        return False
    found = _read_list(path)
    return found is None or any(not _is_at_work(entry, _written(path)) for entry in _entries(found))


def _read_list(path: Path) -> dict[str, Any] | None:
    try:
        return dict(SCHEMA(json.loads(path.read_bytes())))
    except FileNotFoundError:
        return {"read": {}, "write": {}}
    except (ValueError, Invalid):
        return None


def _entries(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from found["write"].values()
    for readers in found["read"].values():
        yield from readers


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # the last holder has just released its lock
        return 0.0


def _without_the_dead(found: dict[str, Any], written: float) -> dict[str, Any]:
    def living(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [entry for entry in entries if _is_at_work(entry, written)]

    readers = {path: living(entries) for path, entries in found["read"].items()}
    return {
        "write": {path: entry for path, entry in found["write"].items() if living([entry])},
        "read": {path: entries for path, entries in readers.items() if entries},
    }


def _is_at_work(entry: dict[str, Any], written: float) -> bool:
    """Returns whether the process that made an entry is alive; its PID may since have been reused.

    The command line does not tell: a fork has its parent's.

    Args:
        entry: Its PID and command.
        written: When the list was last written, Unix time in seconds.
    """
    try:
        process = psutil.Process(entry["pid"])
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + _CLOCKS_DIFFER_SECONDS
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
