"""Checks of the trail, of the signatures beside bundles, and for a promotion that was cut off."""

from collections.abc import Iterator
from pathlib import Path

from eibert import artifact, trail
from eibert.errors import EibertError
from flows.findings import Finding
from flows.workspace import JOURNAL, PRIVATE, Workspace, repository
from tasks import facts, keys, signing
from tasks.promotions import builds

_PAPERS = "provenance"
_FROM_GIT = "get it from git, or from a copy you trust"


def check_trail(workspace: Workspace) -> Iterator[Finding]:
    """Yields what is wrong with the chain of records, or with the seal on its end."""
    for line in keys.check_trail(workspace.root):
        yield _finding(line, "restore trail/ from git, or from a copy you trust")


def check_papers(workspace: Workspace) -> Iterator[Finding]:
    """Yields what is wrong with the signature of the bundle that a workspace holds.

    A bundle without papers at hand, as in a clone, is covered where the trail has a record of it.
    """
    bundle = facts.bundle_folder(workspace.folder)
    if not bundle.is_dir():
        return
    papers = artifact.folder(workspace.folder, _PAPERS)
    if papers.is_dir():
        yield from _check(bundle, papers, workspace.root)
    elif not _is_recorded(workspace, bundle):
        yield Finding(str(bundle), "neither signed nor in the trail", "run `eibert run`, which records and signs it")


def check_promotion(workspace: Workspace) -> Iterator[Finding]:
    """Yields a promotion or a rollback that was cut off and is not settled yet."""
    path = workspace.folder / PRIVATE / JOURNAL
    if path.is_file():
        yield Finding(str(path), "a promotion was cut off", "run `eibert run`, which finishes or undoes it")


def check_signature(folder: Path) -> Iterator[Finding]:
    """Yields what is wrong with the signature of a bundle given by its folder, where its papers lie beside it.

    The public key is that of the repository around the papers.
    """
    place = folder.resolve()
    for papers in (place.parent / _PAPERS, place.parent.parent / _PAPERS):
        if papers.is_dir():
            try:
                root = repository(papers)
            except EibertError:
                problem = "no repository around it has the public key"
                yield Finding(
                    str(papers), problem, "put both into the repository's folder, or use `model_signing verify`"
                )
            else:
                yield from _check(folder, papers, root)
            return


def _check(bundle: Path, papers: Path, root: Path) -> Iterator[Finding]:
    try:
        key = keys.public_key(root / keys.TRAIL, signing.signer_of(papers))
    except EibertError as error:
        yield _finding(str(error), "run `eibert run`, which signs it again")
        return
    if not key.is_file():
        yield Finding(str(papers), f"signed with a key that is not there ({key})", _FROM_GIT)
        return
    for line in signing.check_signature(bundle, papers, key):
        yield _finding(line, "copy bundle and papers again, or run `eibert run`, which signs what it built")


def _is_recorded(workspace: Workspace, bundle: Path) -> bool:
    digest = facts.digest_of({path.name: artifact.sha256(path) for path in bundle.iterdir() if path.is_file()})
    place = workspace.root / keys.TRAIL
    try:
        records = trail.complete(place, keys.head_opener(place))
    except EibertError:
        return False  # check_trail says why
    return any(record.body["bundle"]["sha256"] == digest for record in builds(records))


def _finding(line: str, remedy: str) -> Finding:
    place, _, rest = line.partition(": ")
    problem, mark, own = rest.rpartition("; ")
    return Finding(place, problem, own) if mark else Finding(place, rest or "not sound", remedy)
