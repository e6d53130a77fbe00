"""What `eibert verify` found, and what a check of it looks like."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        place: File, folder or entry.
        problem: What is wrong with it.
        remedy: What to do about it.
    """

    place: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


WorkspaceCheck = Callable[[Workspace], Iterable[Finding]]
"""Looks at one workspace and changes nothing there."""

RepositoryCheck = Callable[[Workspace], Iterable[Finding]]
"""Looks at what all workspaces of a repository share; any one of them stands for the repository."""

BundleCheck = Callable[[Path], Iterable[Finding]]
"""Looks at the folder of one bundle."""


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and what was found.

    Attributes:
        places: Folders, in order.
        findings: In the order of the checks.
    """

    places: list[str]
    findings: list[Finding]

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def as_object(self) -> dict[str, Any]:
        """Returns the verdict as JSON values."""
        return {"sound": self.sound, "places": self.places, "findings": [asdict(finding) for finding in self.findings]}

    def lines(self) -> Iterator[str]:
        """Yields one line for each finding, or one that says that all is sound."""
        yield from map(str, self.findings)
        if self.sound:
            yield f"sound: {', '.join(self.places)}"
