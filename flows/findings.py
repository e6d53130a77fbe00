"""The findings of `eibert verify`, and the signatures of its checks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """One problem.

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


@dataclass(frozen=True)
class Unchecked:
    """One thing that was asked for but not checked.

    Attributes:
        place: File, folder or entry.
        reason: Why it was not checked.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        return f"not checked: {self.place}: {self.reason}"


@dataclass(frozen=True)
class Shipped:
    """A bundle given by its folder, and what can vouch for it.

    Attributes:
        folder: Its folder.
        root: Folder of the repository whose keys and trail are trusted; None if there is none.
        unsigned: Whether a bundle that nothing vouches for is accepted.
    """

    folder: Path
    root: Path | None
    unsigned: bool


Found = Iterable[Finding | Unchecked]

WorkspaceCheck = Callable[[Workspace], Found]
"""Checks one workspace; changes nothing."""

RepositoryCheck = Callable[[Workspace], Found]
"""Checks what all workspaces of a repository share; any of them identifies the repository."""

BundleCheck = Callable[[Shipped], Found]
"""Checks the folder of one bundle."""


@dataclass(frozen=True)
class Verdict:
    """What was checked, and what was found.

    Attributes:
        places: The folders checked, in order.
        findings: In the order of the checks.
        not_checked: What could not be checked.
        trusted: Folder of the repository whose keys and trail vouch for a bundle; None if there is none, or no bundle.
    """

    places: list[str]
    findings: list[Finding]
    not_checked: list[Unchecked] = field(default_factory=list)
    trusted: str | None = None

    @property
    def sound(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def as_object(self) -> dict[str, Any]:
        """Returns the verdict as JSON values."""
        return {
            "sound": self.sound,
            "places": self.places,
            "trusted": self.trusted,
            "findings": [asdict(finding) for finding in self.findings],
            "not_checked": [asdict(one) for one in self.not_checked],
        }

    def lines(self) -> Iterator[str]:
        """Yields one line per finding and unchecked item, and one that says all is sound if there are no findings."""
        yield from map(str, self.findings)
        yield from map(str, self.not_checked)
        if self.sound:
            limits = " except for what was not checked" if self.not_checked else ""
            by = f", per the keys and trail of {self.trusted}" if self.trusted else ""
            yield f"sound{limits}: {', '.join(self.places)}{by}"
