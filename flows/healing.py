"""What a kill leaves of the files that DVC writes in place, put right before DVC reads them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml
from dvc.lock import make_lock
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK, SCHEMA
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from flows.quarantine import set_aside

LOCK_FILE = "dvc.lock"
_TORN = "torn, perhaps by a kill; results come back from the cache"


def heal(repo: Any, folder: Path) -> None:
    """Removes what is torn or left by the dead: DVC's list of readers and writers, and the dvc.lock of a workspace.

    Args:
        repo: DVC's repository, not locked.
        folder: The workspace.
    """
    _heal_list(repo)
    if torn_lock_file(folder / LOCK_FILE):
        with repo.lock:  # else it may merely be being written
            if torn_lock_file(folder / LOCK_FILE):
                set_aside(Path(repo.root_dir), folder / LOCK_FILE, _TORN)


def torn_lock_file(path: Path) -> bool:
    """Returns whether a dvc.lock is there and is none."""
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(path.read_bytes()))
    except FileNotFoundError:
        return False
    except (yaml.YAMLError, UnicodeDecodeError, Invalid, TypeError):
        return True
    return False


def _heal_list(repo: Any) -> None:
    """Removes DVC's list where it is torn, and from a sound one those whose process number is another's by now."""
    path = Path(repo.tmp_dir, RWLOCK_FILE)
    if not _unsound(path):
        return
    guard = str(path.with_name(RWLOCK_LOCK))
    hardlink = repo.config["core"].get("hardlink_lock", False)
    with make_lock(guard, tmp_dir=repo.tmp_dir, hardlink_lock=hardlink, wait=True):
        if not _unsound(path):  # merely being written before, by a process that held the guard
            return
        found = _read_list(path)
        if found is None:
            path.unlink()
        else:
            path.write_text(json.dumps(_without_the_dead(found)), encoding="utf-8")


def _unsound(path: Path) -> bool:
    if not path.exists():
        return False
    found = _read_list(path)
    return found is None or any(not _is_at_work(entry) for entry in _entries(found))


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


def _without_the_dead(found: dict[str, Any]) -> dict[str, Any]:
    readers = {path: [entry for entry in entries if _is_at_work(entry)] for path, entries in found["read"].items()}
    return {
        "write": {path: entry for path, entry in found["write"].items() if _is_at_work(entry)},
        "read": {path: entries for path, entries in readers.items() if entries},
    }


def _is_at_work(entry: dict[str, Any]) -> bool:
    """Returns whether the process that made an entry lives; a number alone may have gone to another process."""
    try:
        process = psutil.Process(entry["pid"])
        arguments = entry["cmd"].partition(" ")[2]
        return process.status() != psutil.STATUS_ZOMBIE and " ".join(process.cmdline()).endswith(arguments)
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False
