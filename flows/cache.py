"""Makes DVC verify its cache: content that does not match its name is quarantined before DVC uses it.

By itself DVC checks only writable objects against their names, deleting those that differ, and never checks the run
cache. This module corrects both for one `Repo`.
"""

import copy
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from dvc.schema import COMPILED_LOCK_FILE_STAGE_SCHEMA
from dvc.stage.cache import StageCache, _get_cache_hash
from dvc_objects.errors import ObjectFormatError
from voluptuous import Invalid

from flows.quarantine import set_aside

_BLOCK_BYTES = 1 << 20
DIRECTORY = ".dir"
"""Suffix of the name of an object that lists a folder."""


def guard(repo: Any, *, thorough: bool, mending: bool) -> None:
    """Makes a repository verify what its cache holds.

    Args:
        repo: DVC's repository, just opened.
        thorough: Also read and check write-protected objects, which DVC trusts otherwise.
        mending: Quarantine altered objects; otherwise they count as missing and stay.
    """
    repo.cache.local.check = _ObjectCheck(repo, thorough=thorough, mending=mending)
    repo.stage_cache = _CheckedRuns(repo)


def object_problem(path: Path, name: str) -> str | None:
    """Returns what is wrong with a cache object, or None; `name` is its MD5, plus the suffix if it lists a folder."""
    with path.open("rb") as file:
        return _object_problem(file, name)


def entry_problem(path: Path) -> str | None:
    """Returns what is wrong with a run-cache entry, or None; its folder and name are digests of its content."""
    return _entry_problem(path.read_bytes(), path.parent.name, path.name)


def folder_digest(folder: Path) -> str:
    """Returns the name DVC gives to a folder's content; reads every file."""
    files = sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*") if path.is_file())
    listed = []
    for name, path in files:
        with path.open("rb") as file:
            listed.append({"md5": _md5(file), "relpath": name})
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + DIRECTORY


def unlistable_remote(repo: Any) -> str | None:
    """Returns the name of the default remote if it uses HTTP, which cannot list objects; otherwise None."""
    name = repo.config["core"].get("remote")
    try:
        return str(name) if name and repo.cloud.get_remote().fs.protocol in {"http", "https"} else None
    except Exception:  # noqa: BLE001 — each kind of remote has its own errors; `remote_problems` reports them
        return None


def remote_problems(repo: Any) -> Iterator[tuple[str, str]]:
    """Yields the path and problem of each bad object or run-cache entry on the default remote, if there is one."""
    name = repo.config["core"].get("remote")
    if not name:
        return
    try:
        remote = repo.cloud.get_remote(command="verify")
        fs = remote.fs
        for path in _listed(fs, remote.odb.path):
            with fs.open(path, "rb") as file:
                problem = _object_problem(file, "".join(path.split("/")[-2:]))
            if problem:
                yield path, problem
        for path in _listed(fs, f"{remote.legacy_odb.path}/runs"):
            if problem := _entry_problem(fs.cat_file(path), *path.split("/")[-2:]):
                yield path, problem
    except Exception as error:  # noqa: BLE001 — each kind of remote has its own errors
        yield f"DVC remote {name}", f"cannot be read ({' '.join(str(error).split())})"


def _listed(fs: Any, folder: str) -> list[str]:
    return sorted(path for path in fs.find(folder) if not path.endswith(".tmp")) if fs.exists(folder) else []


def _object_problem(file: BinaryIO, name: str) -> str | None:
    found = _md5(file)
    return None if found == name.removesuffix(DIRECTORY) else f"altered (MD5 {found})"


def _md5(file: BinaryIO) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while block := file.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _entry_problem(content: bytes, key: str, value: str) -> str | None:
    try:
        entry = COMPILED_LOCK_FILE_STAGE_SCHEMA(yaml.safe_load(content))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid, TypeError):
        return "not a run-cache entry"
    found = _get_cache_hash(copy.deepcopy(entry), key=True), _get_cache_hash(entry)
    return None if found == (key, value) else "altered"


class _ObjectCheck:
    """Replaces `LocalHashFileDB.check`."""

    def __init__(self, repo: Any, *, thorough: bool, mending: bool) -> None:
        self._root = Path(repo.root_dir)
        self._cache = repo.cache.local
        self._check = self._cache.check
        self._thorough = thorough
        self._mending = mending
        self._sound: set[tuple[str, int, int]] = set()

    def __call__(self, oid: str, check_hash: bool = True, _info: dict[str, Any] | None = None) -> Any:
        path = self._cache.oid_to_path(oid)
        if check_hash and (self._thorough or not self._cache.is_protected(path)) and os.path.exists(path):  # noqa: PTH110
            self._compare(Path(path), oid)
        return self._check(oid, check_hash, _info)

    def _compare(self, path: Path, oid: str) -> None:
        status = path.stat()
        identity = (oid, status.st_mtime_ns, status.st_size)
        if identity in self._sound:
            return
        if problem := object_problem(path, oid):
            if self._mending:
                set_aside(self._root, path, problem)
            raise ObjectFormatError(f"{path} is {problem}")
        self._sound.add(identity)


class _CheckedRuns(StageCache):  # type: ignore[misc]
    """A run cache that checks its entries against their names."""

    def _load_cache(self, key: str, value: str) -> Any:
        path = Path(self._get_cache_path(key, value))
        if not path.is_file():
            return None
        if problem := entry_problem(path):
            set_aside(Path(self.repo.root_dir), path, problem)
            return None
        entry = super()._load_cache(key, value)
        for out in entry["outs"]:  # DVC reads a folder's listing without checking it
            check_list(self.repo, out.get("md5"))
        return entry


def check_list(repo: Any, oid: str | None) -> None:
    """Quarantines a folder's listing if it does not match its name."""
    path = Path(repo.cache.local.oid_to_path(oid)) if oid and oid.endswith(DIRECTORY) else None
    if oid and path and path.is_file() and (problem := object_problem(path, oid)):
        set_aside(Path(repo.root_dir), path, problem)
