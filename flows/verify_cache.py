"""Checks of what a repository's workspaces share: DVC's cache, run cache and remote."""

from collections.abc import Iterator
from pathlib import Path

from flows.cache import entry_problem, object_problem, remote_problems, unlistable_remote
from flows.findings import Finding, Found, Unchecked
from flows.graph import opened
from flows.workspace import Workspace

_DELETE = "delete it and run `eibert run`, which restores it from a valid output or rebuilds it"


def check_cache(workspace: Workspace) -> Iterator[Finding]:
    """Yields each cache object that does not match its name; reads them all."""
    with opened(workspace) as repo:
        folder = Path(repo.cache.local.path)
    for path in _files(folder):
        if problem := object_problem(path, path.parent.name + path.name):
            yield Finding(str(path), problem, _DELETE)


def check_run_cache(workspace: Workspace) -> Iterator[Finding]:
    """Yields each run-cache entry that does not match its name."""
    with opened(workspace) as repo:
        folder = Path(repo.stage_cache.cache_dir)
    for path in _files(folder):
        if problem := entry_problem(path):
            yield Finding(str(path), problem, "delete it; the stage runs again when needed")


def check_remote(workspace: Workspace) -> Found:
    """Yields each object or run-cache entry on DVC's default remote, if any, that does not match its name."""
    with opened(workspace) as repo:
        if name := unlistable_remote(repo):
            yield Unchecked(f"DVC remote {name}", "HTTP remotes cannot be listed")
            return
        for place, problem in remote_problems(repo):
            yield Finding(place, problem, "delete it there and run `dvc push`")


def _files(folder: Path) -> list[Path]:
    # DVC's temporary files end in .tmp.
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(".tmp")]
