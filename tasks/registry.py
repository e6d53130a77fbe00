"""The MLflow registry: one registered model per workspace, one version per challenger that passed, two aliases.

`champion` is in service; `challenger` is the newest version put up for service. What a version holds is a pyfunc model
made from code (`tasks/served.py`), which carries the bundle, and the bundle's papers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    Attributes:
        number: 1 for the first.
        digest: SHA-256 of the bundle as a whole.
        created: When it was registered, UTC.
        run: Id of the MLflow run that holds its files.
        tags: Digests and figures by name.
        aliases: Those that name it now.
    """

    number: int
    digest: str
    created: datetime
    run: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...] = ()


def model_name(name: str) -> str:
    """Returns the name of a workspace's registered model; MLflow takes no slash."""
    return name.replace("/", ".")


def champion(root: Path, name: str) -> Version | None:
    """Returns the version in service; None where there is none yet.

    Args:
        root: Folder of the repository.
        name: Name of the workspace.

    Raises:
        RunError: MLflow does not answer.
    """
    raise NotImplementedError


def versions(root: Path, name: str) -> list[Version]:
    """Returns all versions, the oldest first; raises as `champion` does."""
    raise NotImplementedError


def register(root: Path, name: str, contents: Path, tags: Mapping[str, str]) -> Version:
    """Registers a new version and gives it the alias `challenger`; raises as `champion` does."""
    raise NotImplementedError


def set_champion(root: Path, name: str, number: int) -> None:
    """Puts a version in service: one transaction of the registry; raises as `champion` does."""
    raise NotImplementedError


def fetch(root: Path, name: str, number: int, into: Path) -> Path:
    """Returns the folder `bundle` of a version, brought into a folder and checked against the version's tags.

    Raises:
        RunError: MLflow does not answer.
        CorruptArtifactError: files are missing or altered.
    """
    raise NotImplementedError


def discard(root: Path, name: str, number: int) -> None:
    """Deletes a version and its files; never one that an alias names.

    Raises:
        RunError: MLflow does not answer, or an alias names the version.
    """
    raise NotImplementedError
