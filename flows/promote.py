"""Promotion: a challenger is judged, registered, put in service; or an earlier version is put back.

The move of the alias `champion` is the commit point. A journal in the workspace's private folder is written before the
first effect; what a kill leaves is finished or undone by whoever comes next (`recover`).
"""

from dataclasses import dataclass
from typing import Any

from eibert.judge import Verdict
from flows.workspace import Workspace
from tasks.registry import Version


@dataclass(frozen=True)
class Promotion:
    """What came of a promotion or a rollback.

    Attributes:
        promoted: Whether another version is in service now.
        version: The version in service; None: there is none.
        before: Number of the version that was in service before; None: there was none.
        verdict: What the gates said; None for a rollback.
        warning: What is left to be finished by the next call, in one line; else empty.
    """

    promoted: bool
    version: Version | None
    before: int | None
    verdict: Verdict | None
    warning: str = ""

    def as_object(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        raise NotImplementedError


def judge(workspace: Workspace) -> Verdict:
    """Returns what the gates say of the bundle that a workspace holds, against the version now in service.

    Takes the workspace's lock (`flows/alone.py`), so it must not be called while holding it.

    Raises:
        RunError: MLflow does not answer.
        ArtifactError: the bundle or its evaluation is missing, altered or not up to date.
    """
    raise NotImplementedError


def promote(workspace: Workspace, *, override: str | None = None) -> Promotion:
    """Judges the bundle that a workspace holds, and puts it in service where the gates let it pass.

    Takes the workspace's lock, as `judge` does.

    Args:
        workspace: Where.
        override: Why it is put in service although a gate keeps it out; it stands in the trail for ever.

    Raises:
        RunError: the reason is empty, or MLflow does not answer.
        ArtifactError: the bundle or its evaluation is missing, altered or not up to date.
        TrailError: the trail is altered.
    """
    raise NotImplementedError


def rollback(workspace: Workspace, number: int | None = None) -> Promotion:
    """Puts an earlier version back in service, its files checked first; None: the one in service before.

    Takes the workspace's lock, as `judge` does.

    Raises:
        RunError: there is no such version, or MLflow does not answer.
        CorruptArtifactError: the version's files are not what its tags and the trail say.
        TrailError: the trail is altered, or knows no such version.
    """
    raise NotImplementedError


def recover(workspace: Workspace) -> str:
    """Finishes or undoes what a killed promotion or rollback left; returns what it did in one line, or "".

    Takes the workspace's lock, as `judge` does. Does nothing where there is nothing to do, without asking MLflow.

    Raises:
        RunError: MLflow does not answer.
    """
    raise NotImplementedError
