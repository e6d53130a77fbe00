"""Checks of the trail, of bundle signatures, and for interrupted promotions."""

from collections.abc import Iterator
from pathlib import Path

from eibert import artifact, trail
from eibert.errors import EibertError
from eibert.runtime.bundle import CONFIGURATION
from flows.findings import Finding, Found, Shipped, Unchecked
from flows.workspace import JOURNAL, PRIVATE, Workspace
from tasks import facts, keys, lookup, promotions, signing
from tasks.promotions import builds

_FROM_GIT = "get it from git, or from a copy you trust"


def check_trail(workspace: Workspace) -> Iterator[Finding]:
    """Yields what is wrong with the chain of records, or with the signature of its head."""
    for line in keys.check_trail(workspace.root):
        yield _finding(line, "restore trail/ from git, or from a copy you trust")


def check_papers(workspace: Workspace) -> Iterator[Finding]:
    """Yields what is wrong with the signature of a workspace's bundle.

    Without papers, as in a clone, a record in the trail is enough.
    """
    bundle = facts.bundle_folder(workspace.folder)
    if not bundle.is_dir():
        return
    papers = artifact.folder(workspace.folder, signing.PAPERS)
    if papers.is_dir():
        yield from _check(bundle, papers, workspace.root)
    elif not _is_recorded(workspace, bundle):
        yield Finding(str(bundle), "neither signed nor in the trail", "run `eibert run`, which records and signs it")


def check_promotion(workspace: Workspace) -> Iterator[Finding]:
    """Yields a promotion or rollback that was interrupted and is not settled yet."""
    path = workspace.folder / PRIVATE / JOURNAL
    if path.is_file():
        yield Finding(str(path), "a promotion was interrupted", "run `eibert run`, which finishes or undoes it")


def check_signature(bundle: Shipped) -> Found:
    """Yields what is wrong with the signature of a bundle given by its folder.

    The papers beside it are checked with the trusted repository's keys. Without papers, that repository's trail must
    know the bundle, byte for byte.
    """
    if not (bundle.folder / CONFIGURATION).is_file():
        return  # not a bundle, which the other check reports
    papers = next(iter(signing.papers_beside(bundle.folder)), None)
    if bundle.root is None:
        problem = "its signature cannot be checked: no repository is known with the keys and trail to vouch for it"
        remedy = "name one with -C, or accept the bundle as it is with --unsigned"
        yield _accepted(Finding(str(bundle.folder), problem, remedy), bundle)
    elif papers:
        yield from _check(bundle.folder, papers, bundle.root)
    else:
        yield from _check_record(bundle, bundle.root)


def _check_record(bundle: Shipped, root: Path) -> Found:
    try:
        records = promotions.read(root)
    except EibertError as error:
        yield _finding(str(error), _FROM_GIT)
        return
    try:
        lookup.find(records, str(bundle.folder))
    except EibertError as error:
        yield _accepted(_finding(str(error), "copy the bundle and its papers again"), bundle)


def _accepted(found: Finding, bundle: Shipped) -> Finding | Unchecked:
    """Returns the finding that nothing vouches for the bundle; as unchecked if the user accepts that."""
    return Unchecked(found.place, found.problem) if bundle.unsigned else found


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
        yield _finding(line, "copy the bundle and its papers again, or run `eibert run`, which signs what it built")


def _is_recorded(workspace: Workspace, bundle: Path) -> bool:
    digest = lookup.digest_of_folder(bundle)
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
