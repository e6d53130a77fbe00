"""The journal of a promotion: written before its first effect, gone after its last one.

Effects of a promotion, in order: the version is registered, the alias `champion` moves, the trail gets its record. The
move is one transaction of the registry, and the commit point: what a kill left before it is undone, after it finished.
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
    """What is about to be done.

    Attributes:
        id: Names this promotion in the registry and in the trail.
        number: Version that goes in service; None: the one that is yet to be registered under `id`.
        challenger: Version that had the alias `challenger` before; None: none had.
        body: What the trail is to hold of it, but for the number of the version.
    """

    id: str
    number: int | None
    challenger: int | None
    body: Mapping[str, Any]


def open_journal(workspace: Workspace, journal: Journal) -> None:
    """Writes the journal, whole or not at all."""
    artifact.write_json(_path(workspace), asdict(journal))


def close_journal(workspace: Workspace) -> None:
    """Removes the journal."""
    _path(workspace).unlink(missing_ok=True)


def finish(workspace: Workspace, journal: Journal, number: int) -> None:
    """Does what follows the commit point; all of it may be done again.

    Raises:
        TrailError: the trail is altered.
        SignatureError: the trail's head or the key cannot be used.
    """
    promotions.enter(workspace.root, {**journal.body, "id": journal.id, "version": number})
    close_journal(workspace)


def settle(workspace: Workspace) -> tuple[str, Version | None]:
    """Finishes or undoes what a killed promotion left; the caller is alone in the workspace (`flows/alone.py`).

    Returns:
        What was done in one line, and the version that the finished promotion put in service; "" and None where
        nothing was left.

    Raises:
        RegistryError: MLflow does not answer; the journal stays.
        TrailError: the trail is altered; the journal stays.
        RunError: the journal cannot be read.
    """
    journal = _read(workspace)
    if journal is None:
        return "", None
    known = registry.versions(workspace.root, workspace.name)
    wanted = next((version for version in known if _is_of(version, journal)), None)
    event = journal.body["event"]
    if wanted and registry.CHAMPION in wanted.aliases:
        finish(workspace, journal, wanted.number)
        return f"finished what was cut off: version {wanted.number} was {event}", wanted
    if journal.number is None:
        registry.clear(workspace.root, workspace.name, journal.id, journal.challenger)
    close_journal(workspace)
    return "undid what was cut off: no version came into service", None


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
        f"{path}: not the journal of a promotion; if the registry's aliases and the end of the trail are as you want "
        "them, delete it"
    )


def _path(workspace: Workspace) -> Path:
    return workspace.private() / JOURNAL
