"""Writes the page of a model's history: its versions in the registry, and how its retrainings ended."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eibert import atomic
from flows import history
from flows.workspace import Workspace
from tasks import registry
from tasks.history import Point, render
from tasks.registry import CHAMPION, Version

PAGE = "history.html"

_METRIC, _SCORE, _BYTES = "eibert.metric", "eibert.score", "eibert.bytes"


def write(workspace: Workspace) -> Path:
    """Writes the page into the workspace's private folder and returns its path.

    Raises:
        EibertError: the registry does not answer.
    """
    found = registry.versions(workspace.root, workspace.name)
    points = [point(version) for version in found]
    metric = next((version.tags[_METRIC] for version in found if _METRIC in version.tags), "score")
    retrainings = [one.as_object() for one in history.read(workspace)]
    folder = shlex.quote(workspace.folder.relative_to(workspace.root).as_posix())
    path = workspace.private() / PAGE
    atomic.write(path, render(workspace.name, folder, metric, points, retrainings).encode())
    return path


def point(version: Version) -> Point:
    """Returns what the page shows for a version."""
    tags = version.tags
    size = _number(tags, _BYTES)
    return Point(
        number=version.number,
        created=f"{version.created:%Y-%m-%d %H:%M}",
        in_service=CHAMPION in version.aliases,
        score=_number(tags, _SCORE),
        size_bytes=None if size is None else int(size),
        digest=version.digest,
    )


def _number(tags: Mapping[str, str], name: str) -> float | None:
    try:
        found: Any = tags[name]
        return float(found)
    except (KeyError, ValueError):
        return None
