"""Promotions and rollbacks in the trail: records of their own kind, in the same chain as build records.

A record without `kind` is of a build, once the only kind.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eibert import trail
from eibert.redact import identity, redacted
from eibert.trail import Record
from tasks import keys

FORMAT = 1
PROMOTION = "promotion"
PROMOTED, OVERRIDDEN, ROLLED_BACK = "promoted", "overridden", "rolled back"
"""Values of `event` in such a record."""
REPLACED = "replaced"
"""Key of a promotion entered only after another clone had replaced its version, perhaps after that clone's record."""


def builds(records: Iterable[Record]) -> list[Record]:
    """Returns the records of builds, in order."""
    return [record for record in records if record.body.get("kind") is None]


def promotions(records: Iterable[Record], folder: str | None = None) -> list[Record]:
    """Returns the records of promotions and rollbacks in order, optionally of one workspace only, by its folder."""
    found = [record for record in records if record.body.get("kind") == PROMOTION]
    return [record for record in found if folder in (None, record.body["folder"])]


def about(records: Iterable[Record], build: Record) -> list[Record]:
    """Returns, in order, the promotions and rollbacks that put a build's bundle in service."""
    bundle, folder = build.body["bundle"]["sha256"], build.body["folder"]
    return [record for record in promotions(records, folder) if record.body["bundle"]["sha256"] == bundle]


def place(root: Path, workspace: Path) -> str:
    """Returns the name of a workspace's folder in the trail: its path from the root.

    Raises:
        RunError: it would be redacted there, and not found again.
    """
    return identity(workspace.relative_to(root).as_posix())


def read(root: Path) -> list[Record]:
    """Returns all records of a repository's trail.

    Raises:
        TrailError: records are altered or missing.
        SignatureError: the trail's head is invalid.
    """
    folder = root / keys.TRAIL
    return trail.complete(folder, keys.head_opener(folder))


def enter(root: Path, body: Mapping[str, Any]) -> Record:
    """Appends a promotion or rollback, redacted, to the trail unless one with the same `id` exists; returns the record.

    Raises:
        TrailError: the trail is altered.
        SignatureError: the trail's head or the key cannot be used.
        RunError: the workspace's folder would be redacted in the record.
    """
    folder = root / keys.TRAIL
    known = (record for record in promotions(read(root)) if record.body["id"] == body["id"])
    if found := next(known, None):
        return found
    identity(body["folder"])
    key = keys.private_key(root)
    return trail.append(
        folder, redacted(dict(body) | {"format": FORMAT, "kind": PROMOTION}, os.environ),
        seal=lambda line: keys.seal_head(line, key), unseal=keys.head_opener(folder),
        lock=root / keys.PRIVATE / "trail.lock",
    )  # fmt: skip
