"""Removes what is old and unused: registry versions, MLflow runs and objects in DVC's cache, nothing else.

A version is kept while an alias names it, while it is among the newest `retention.versions`, and for `retention.days`;
an MLflow run for `retention.runs_days`, and while it holds a version's files. A cache object is kept while a
workspace, branch, tag or commit of the last `retention.days` references it, and that long after it was written; a
run-cache entry as long, and while all its outputs are cached. The cache is left alone during any run in the
repository, if it lies outside the repository, and while DVC cannot read all that may reference its objects. Versions
are removed only under their workspace's lock: a rollback might be about to put one in service.
"""

import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from eibert.errors import RunError
from eibert.params.retention import RetentionParams
from eibert.redact import shown
from flows.alone import alone, at_work
from flows.cache import DIRECTORY, entry_problem
from flows.graph import opened
from flows.healing import LOCK_FILE, refuse_torn
from flows.journal import settle
from flows.rows import listed
from flows.verify import workspaces
from flows.workspace import Workspace
from tasks import registry, runs
from tasks.progress import say
from tasks.registry import Version

NOT_COLLECTED = "not collected"
"""Begins the line about what could not be collected."""

_SECONDS_PER_DAY = 86400.0
_DATE = "%Y-%m-%d"


def collect(workspace: Workspace, *, running: bool = False) -> list[str]:
    """Removes what is old and unused; returns what was removed, and why the cache could not be collected, a line each.

    Takes the workspace's lock (`flows/alone.py`), so it must not be called while holding it.

    Args:
        workspace: Whose versions and MLflow runs to collect; the cache is the repository's.
        running: Whether the caller is a retraining of the workspace that does nothing else meanwhile. It does not wait
            for another run: versions then stay until the next time.

    Raises:
        EibertError: the registry does not answer, params.yaml is not valid, or an interrupted promotion cannot be
            settled.
    """
    params = workspace.params().retention
    removed = []
    if not (running and at_work(workspace, retrainings=False)):
        removed += _collect_versions(workspace, params)
    if count := runs.collect(workspace.root, workspace.name, params.runs_days):
        removed.append(f"{count} MLflow runs")
    places = workspaces(workspace.root)
    busy = any(at_work(one, retrainings=not (running and one.folder == workspace.folder)) for one in places)
    said = [f"collected {line}" for line in removed]
    try:
        freed = "" if busy else _collect_cache(workspace, params.days)
    except RunError as error:
        return [*said, f"{NOT_COLLECTED}: {shown(str(error))}"]
    return [*said, f"collected {freed}"] if freed else said


def _collect_versions(workspace: Workspace, params: RetentionParams) -> list[str]:
    """Removes superfluous versions; returns which."""
    removed = []
    with alone(workspace, wait=True):
        if done := settle(workspace)[0]:  # undoing a promotion may restore an alias
            say("collect", done)
        found = registry.versions(workspace.root, workspace.name)
        for version in superfluous(found, params, now=datetime.now(UTC)):
            registry.discard(workspace.root, workspace.name, version.number)
            removed.append(f"version {version.number} of {version.created:{_DATE}}")
    return removed


def superfluous(versions: Sequence[Version], params: RetentionParams, *, now: datetime) -> list[Version]:
    """Returns the versions to remove: without an alias, and beyond both bounds."""
    newest = {version.number for version in sorted(versions, key=lambda one: one.number)[-params.versions :]}
    oldest = now - timedelta(days=params.days)
    return [one for one in versions if not one.aliases and one.number not in newest and one.created < oldest]


def _collect_cache(workspace: Workspace, days: float) -> str:
    """Removes unused objects and run-cache entries; returns how many and how large, or "".

    Raises:
        RunError: DVC cannot open the repository, or read what may reference objects; nothing is removed.
    """
    oldest = time.time() - days * _SECONDS_PER_DAY
    with opened(workspace) as repo, repo.lock:
        logging.getLogger("dvc").setLevel(logging.ERROR)  # silences warnings about commits where a stage has not run
        cache = repo.cache.local
        if not Path(cache.path).resolve().is_relative_to(Path(repo.root_dir).resolve()):
            return ""  # others may share it, and their needs are unknown here
        needed = _with_contents(repo, _needed(repo, oldest) | _recorded(workspaces(workspace.root)))
        removed = size_bytes = 0
        for name in list(cache.all()):
            path = Path(cache.oid_to_path(name))
            stat = path.stat()
            if name not in needed and stat.st_mtime < oldest:
                path.unlink()
                removed, size_bytes = removed + 1, size_bytes + stat.st_size
        forgotten = _forget_runs(repo, oldest)
    said = [f"{removed} objects from DVC's cache, {size_bytes:,} bytes"] if removed else []
    return ", and ".join([*said, f"{forgotten} entries from its run cache"] if forgotten else said)


def _forget_runs(repo: Any, oldest: float) -> int:
    """Removes old run-cache entries whose outputs are gone; returns how many."""
    forgotten = 0
    for path in Path(repo.stage_cache.cache_dir).glob("*/*/*"):
        if path.stat().st_mtime < oldest and not _restores(repo, path):
            path.unlink()
            forgotten += 1
            with contextlib.suppress(OSError):  # other entries for the same inputs remain
                path.parent.rmdir()
    return forgotten


def _restores(repo: Any, entry: Path) -> bool:
    """Returns whether all outputs of a run-cache entry are cached; an invalid entry counts as such."""
    if entry_problem(entry):
        return True  # `eibert verify` reports it
    outs = yaml.safe_load(entry.read_bytes())["outs"]
    return all(Path(repo.cache.local.oid_to_path(out["md5"])).is_file() for out in outs if "md5" in out)


def _needed(repo: Any, oldest: float) -> set[str]:
    """Names of the objects that a workspace, branch, tag or recent commit uses.

    Raises:
        RunError: DVC cannot read one of these.
    """
    date = time.strftime(_DATE, time.gmtime(oldest - _SECONDS_PER_DAY))  # a day earlier: git is asked in whole days
    git = {"all_branches": True, "all_tags": True, "commit_date": date} if _in_git(repo) else {}
    try:
        used = repo.used_objs(force=True, **git)
    except Exception as error:  # errors of several libraries behind DVC become one message
        raise RunError(f"DVC's cache: {_unreadable(error)}") from error
    return {info.value for infos in used.values() for info in infos if info.value}


def _recorded(places: Iterable[Workspace]) -> set[str]:
    """Names of the objects in dvc.lock of each workspace; DVC itself overlooks those that git ignores.

    Raises:
        RunError: one of them is torn.
    """
    found = set()
    for place in places:
        refuse_torn(path := place.folder / LOCK_FILE)
        stages = yaml.safe_load(path.read_bytes())["stages"] if path.is_file() else {}
        found |= {out["md5"] for stage in stages.values() for out in stage.get("outs", []) if "md5" in out}
    return found


def _with_contents(repo: Any, names: set[str]) -> set[str]:
    """Names of these objects, and of the files in those that are folders."""
    lists = [Path(repo.cache.local.oid_to_path(name)) for name in names if name.endswith(DIRECTORY)]
    return names | {entry["md5"] for path in lists if path.is_file() for entry in listed(path)}


def _unreadable(error: Exception) -> str:
    """Returns what DVC could not read, where and why, and the remedy, in one line."""
    revision = getattr(error, "rev", None)
    cause = error.__cause__ if revision and error.__cause__ else error
    what = " ".join(str(cause).split()) or type(cause).__name__
    if revision in (None, "workspace"):
        return f"{what}; mend it (`eibert run` there repairs a dvc.lock), then repeat the command"
    return f"{what}, in {revision}; mend or delete that branch or tag, a mere commit counts only for `retention.days`"


def _in_git(repo: Any) -> bool:
    try:
        return bool(repo.scm.get_rev())
    except Exception:  # noqa: BLE001 — errors of several libraries behind DVC: no commit yet, or no git
        return False
