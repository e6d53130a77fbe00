"""How the retrainings of a workspace ended, the newest last: one JSON line each in its private folder."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from eibert import atomic
from eibert.redact import redacted
from flows.workspace import PRIVATE, Workspace

_FILE = "retrainings.jsonl"


class Outcome(StrEnum):
    """How a retraining ended."""

    PROMOTED = "promoted"  # another version is in service
    KEPT = "kept"  # a gate kept the challenger out
    UNCHANGED = "unchanged"  # there was nothing new
    STOPPED = "stopped"  # the data gate or drift, before anything learnt
    FAILED = "failed"


@dataclass(frozen=True)
class Retraining:
    """One retraining.

    Attributes:
        workspace: Name of the workspace.
        outcome: How it ended.
        reason: Why, in one line.
        drifted: Whether the new data is beyond a bound of drift.
        version: Number of the version in service afterwards; None: there is none.
        key: Digest of what was judged, by whom and against what; empty where that need not be the verdict next time.
        when: When it began, UTC.
        seconds: How long it took.
        drift: What the drift check found; None: it was not made.
        verdict: What the gates found; None: they were not asked.
        notes: What else is to be known, one line each.
    """

    workspace: str
    outcome: Outcome
    reason: str
    drifted: bool = False
    version: int | None = None
    key: str = ""
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    drift: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    notes: Sequence[str] = ()

    def as_object(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {**asdict(self), "notes": list(self.notes)}


def read(workspace: Workspace) -> list[Retraining]:
    """Returns the retrainings of a workspace, the oldest first; a line that is none is left out."""
    try:
        lines = (workspace.folder / PRIVATE / _FILE).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    return [found for line in lines if (found := _parsed(line)) is not None]


def add(workspace: Workspace, found: Retraining, *, limit: int | None) -> None:
    """Adds a retraining, complete or not at all, and forgets the oldest beyond the limit; None: forgets none."""
    kept = [*read(workspace), found]
    if limit is not None:
        kept = kept[-limit:]
    lines = [json.dumps(redacted(one.as_object(), os.environ), ensure_ascii=False, sort_keys=True) for one in kept]
    atomic.write(workspace.private() / _FILE, "".join(f"{line}\n" for line in lines).encode())


def _parsed(line: str) -> Retraining | None:
    try:
        values = json.loads(line)
        return Retraining(**{**values, "outcome": Outcome(values["outcome"])})
    except (ValueError, KeyError, TypeError):
        return None
