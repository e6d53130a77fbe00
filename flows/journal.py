"""The journal of a promotion: written before its first effect, deleted after its last.

A promotion's effects, in order: the version is registered, the alias `champion` moves, the trail gets a record. Moving
the alias is one registry transaction and the commit point: interrupted before it, a promotion is undone; after it,
finished.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.errors import ArtifactError, RunError
from flows.workspace import JOURNAL, Workspace
from tasks import promotions, registry
from tasks.registry import Version


@dataclass(frozen=True)
class Journal:
    """A promotion or rollback about to be carried out.

    Attributes:
        id: Identifies this promotion in the registry and the trail.
        number: Version to go into service; None: the one yet to be registered under `id`.
        challenger: Version that had the alias `challenger` before; None if none had.
        body: Its trail record, without `id` and the version number.
        store: MLflow's store, as in `registry.store`; None, as in journals without it: whichever is in use.
    """

    id: str
    number: int | None
    challenger: int | None
    body: Mapping[str, Any]
    store: str | None = None


def open_journal(workspace: Workspace, journal: Journal) -> None:
    """Writes the journal atomically."""
    artifact.write_json(_path(workspace), asdict(journal))


def is_open(workspace: Workspace) -> bool:
    """Returns whether a promotion or rollback was interrupted and is not settled yet."""
    return _path(workspace).is_file()


def close_journal(workspace: Workspace) -> None:
    """Deletes the journal."""
    _path(workspace).unlink(missing_ok=True)


def finish(workspace: Workspace, journal: Journal, number: int, *, replaced: bool = False) -> None:
    """Carries out what follows the commit point; idempotent.

    Args:
        workspace: Where.
        journal: What was announced.
        number: The version that went into service.
        replaced: Whether another clone has replaced it since, so that the record tells of the past.

    Raises:
        TrailError: the trail is altered.
        SignatureError: the trail's head or the key cannot be used.
    """
    late = {promotions.REPLACED: True} if replaced else {}
    promotions.enter(workspace.root, {**journal.body, "id": journal.id, "version": number, **late})
    close_journal(workspace)


def settle(workspace: Workspace) -> tuple[str, Version | None]:
    """Finishes or undoes an interrupted promotion; the caller holds the workspace's lock (`flows/alone.py`).

    Returns:
        What was done, in one line, and the version that a finished promotion put in service, None if it is not there
        any more; "" and None if nothing was left to do.

    Raises:
        RegistryError: MLflow does not answer; the journal stays.
        TrailError: the trail is altered; the journal stays.
        RunError: the journal cannot be read, or belongs to another MLflow store; it stays.
    """
    journal = _read(workspace)
    if journal is None:
        return "", None
    _check_store(workspace, journal)
    known = registry.versions(workspace.root, workspace.name)
    wanted = next((version for version in known if _is_of(version, journal)), None)
    event = journal.body["event"]
    if wanted and registry.CHAMPION in wanted.aliases:
        finish(workspace, journal, wanted.number)
        return f"finished what was interrupted: version {wanted.number} was {event}", wanted
    if wanted and journal.number is None and registry.REPLACED_TAG in wanted.tags:
        finish(workspace, journal, wanted.number, replaced=True)
        return f"finished what was interrupted: version {wanted.number} was {event}, and was replaced since", None
    undo(workspace, journal)
    return "undid what was interrupted: no version went into service", None


def undo(workspace: Workspace, journal: Journal) -> None:
    """Takes back what precedes the commit point; idempotent.

    Raises:
        RegistryError: MLflow does not answer; the journal stays.
    """
    if journal.number is None:
        registry.clear(workspace.root, workspace.name, journal.id, journal.challenger)
    close_journal(workspace)


def _check_store(workspace: Workspace, journal: Journal) -> None:
    root, used = workspace.root, registry.store(workspace.root)
    if journal.store not in (None, used):
        raise RunError(
            f"{_path(workspace)}: a promotion was interrupted in the MLflow store "
            f"{registry.store_here(journal.store, root)}, found {registry.store_here(used, root)}; "
            "set MLFLOW_TRACKING_URI to that store, and repeat the command: it finishes or undoes the promotion"
        )


def _is_of(version: Version, journal: Journal) -> bool:
    if journal.number is None:
        return version.tags.get(registry.PROMOTION_TAG) == journal.id
    return version.number == journal.number


def _read(workspace: Workspace) -> Journal | None:
    path = _path(workspace)
    if not path.is_file():
        return None
    with contextlib.suppress(ArtifactError, TypeError):
        return Journal(**artifact.read_json(path))
    raise RunError(
        f"{path}: not a promotion journal; if the registry's aliases and the end of the trail are as you want "
        "them, delete it"
    )


def _path(workspace: Workspace) -> Path:
    return workspace.private() / JOURNAL
