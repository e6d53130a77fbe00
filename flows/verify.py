"""Is everything what it claims to be? Lists of checks, each yielding findings; read-only.

To add a check, add its name to a list.
"""

import os
from pathlib import Path

from eibert.errors import RunError
from eibert.runtime.bundle import CONFIGURATION
from flows.findings import BundleCheck, Finding, Found, RepositoryCheck, Shipped, Unchecked, Verdict, WorkspaceCheck
from flows.verify_artifacts import check_artifacts, check_inputs, check_lock_file, check_presence
from flows.verify_bundle import check_bundle
from flows.verify_cache import check_cache, check_remote, check_run_cache
from flows.verify_service import check_service
from flows.verify_trail import check_papers, check_promotion, check_signature, check_trail
from flows.workspace import GRAPH, PARAMS, Workspace, find, repository

WORKSPACE_CHECKS: list[WorkspaceCheck] = [
    check_presence, check_artifacts, check_inputs, check_lock_file, check_papers, check_promotion, check_service,
]  # fmt: skip
TRAIL_CHECKS: list[RepositoryCheck] = [check_trail]
STORE_CHECKS: list[RepositoryCheck] = [check_cache, check_run_cache, check_remote]
BUNDLE_CHECKS: list[BundleCheck] = [check_bundle, check_signature]

_NOT_OURS = {"data", "node_modules", "__pycache__"}


def verify(path: Path, *, everything: bool, trusted: Path | None = None, unsigned: bool = False) -> Verdict:
    """Returns what is wrong with a workspace or a bundle.

    Args:
        path: A workspace, or a bundle's folder, which need not be in a repository.
        everything: For a workspace: also check all others in its repository, DVC's cache, run cache and remote.
        trusted: For a bundle: a folder in the repository whose keys and trail vouch for it; None: the repository the
            bundle is in, else that of the current folder.
        unsigned: For a bundle: accept one that nothing vouches for.

    Raises:
        RunError: `path` is neither, an option does not apply to it, or `trusted` is not in a repository.
    """
    if not path.is_dir():
        raise RunError(f"{path}: no such folder; name a workspace or a bundle")
    if not (path / PARAMS).is_file() and ((path / CONFIGURATION).exists() or not (path / GRAPH).is_file()):
        return _verify_bundle(path, everything=everything, trusted=trusted, unsigned=unsigned)
    if trusted or unsigned:
        raise RunError(f"{path}: a workspace; -C DIR beside it and --unsigned apply to bundles only, leave them out")
    here = find(path)
    places = workspaces(here.root) if everything else [here]
    found = [one for place in places for check in WORKSPACE_CHECKS for one in check(place)]
    for check in TRAIL_CHECKS + (STORE_CHECKS if everything else []):
        found += check(here)
    return _verdict([place.folder for place in places], found)


def workspaces(root: Path) -> list[Workspace]:
    """Returns all workspaces of a repository, the root's own first; those of repositories within it are not its own."""
    found = []
    for folder, names, files in os.walk(root):
        if is_one := PARAMS in files and GRAPH in files:
            found.append(Workspace(Path(folder), root))
        left_out = _NOT_OURS if is_one else _NOT_OURS - {"data"}
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in left_out)
        names[:] = [name for name in names if not Path(folder, name, ".dvc").is_dir()]
    return found


def _verify_bundle(folder: Path, *, everything: bool, trusted: Path | None, unsigned: bool) -> Verdict:
    if everything:
        raise RunError(f"{folder}: --all applies to a repository, and this is not a workspace; leave it out")
    bundle = Shipped(folder, repository(trusted) if trusted else _around(folder) or _around(Path()), unsigned)
    return _verdict([folder], [one for check in BUNDLE_CHECKS for one in check(bundle)], bundle.root)


def _around(folder: Path) -> Path | None:
    try:
        return repository(folder)
    except RunError:
        return None


def _verdict(places: list[Path], found: Found, trusted: Path | None = None) -> Verdict:
    ones = list(found)
    findings = [one for one in ones if isinstance(one, Finding)]
    not_checked = [one for one in ones if isinstance(one, Unchecked)]
    return Verdict([str(place) for place in places], findings, not_checked, str(trusted) if trusted else None)
