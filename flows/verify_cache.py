"""Checks of what the workspaces of a repository share: DVC's cache, its run cache, its remote."""

from collections.abc import Iterator
from pathlib import Path

from flows.cache import entry_problem, object_problem, remote_problems, unlistable_remote
from flows.findings import Finding, Found, Unchecked
from flows.graph import opened
from flows.workspace import Workspace

_DELETE = "delete it and run `eibert run`, which puts it back from a sound output or rebuilds it"


def check_cache(workspace: Workspace) -> Iterator[Finding]:
    """Yields each object that is not what its name says; all are read."""
    with opened(workspace) as repo:
        folder = Path(repo.cache.local.path)
    for path in _files(folder):
        if problem := object_problem(path, path.parent.name + path.name):
            yield Finding(str(path), problem, _DELETE)


def check_run_cache(workspace: Workspace) -> Iterator[Finding]:
    """Yields each entry that is not what its name says."""
    with opened(workspace) as repo:
        folder = Path(repo.stage_cache.cache_dir)
    for path in _files(folder):
        if problem := entry_problem(path):
            yield Finding(str(path), problem, "delete it; the stage runs again when it is asked for")


def check_remote(workspace: Workspace) -> Found:
    """Yields each object of DVC's default remote that is not what its name says; nothing without a remote."""
    with opened(workspace) as repo:
        if name := unlistable_remote(repo):
            yield Unchecked(f"DVC remote {name}", "nothing can be listed over HTTP")
            return
        for place, problem in remote_problems(repo):
            yield Finding(place, problem, "delete it there and run `dvc push`")


def _files(folder: Path) -> list[Path]:
    # A name that DVC gives while it writes has a dot or more digits.
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(".tmp")]
