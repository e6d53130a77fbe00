"""How a workspace's retrainings ended, newest last: one JSON line each in its private folder."""

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
    UNCHANGED = "unchanged"  # nothing was new
    STOPPED = "stopped"  # by the data gate or drift, before training or judging
    FAILED = "failed"


@dataclass(frozen=True)
class Retraining:
    """One retraining and its result.

    Attributes:
        workspace: Name of the workspace.
        outcome: How it ended.
        reason: Why, in one line.
        drifted: Whether the new data exceeds a drift bound.
        version: Number of the version in service afterwards; None if there is none.
        key: Identity of the judgement (`flows/repeats.py`); empty if the verdict may differ next time.
        when: Start time, UTC.
        seconds: Duration.
        drift: Result of the drift check; None if it was not run.
        verdict: Result of the gates; None if they were not run.
        notes: Anything else worth knowing, one line each.
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
    """Returns a workspace's retrainings, oldest first; invalid lines are skipped."""
    try:
        lines = (workspace.folder / PRIVATE / _FILE).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return []
    return [found for line in lines if (found := _parsed(line)) is not None]


def add(workspace: Workspace, found: Retraining, *, limit: int | None) -> None:
    """Adds a retraining atomically, and drops the oldest beyond `limit`; None keeps all."""
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
