"""The judge: champion and challenger answer the same test rows now; every gate is measured anew."""

from dataclasses import dataclass
from pathlib import Path

from eibert.judge import Verdict
from eibert.params.judge import JudgeParams
from eibert.params.section import Shared


@dataclass(frozen=True)
class Champion:
    """The version in service.

    Attributes:
        number: Its number in the registry.
        folder: Its files: `bundle`, and `seen.txt` (rows it has learnt from, by digest).
        problem: Why its files cannot be used; empty: they can.
    """

    number: int
    folder: Path
    problem: str = ""


def judge(workspace: Path, champion: Champion | None, params: JudgeParams, shared: Shared, *, root: Path) -> Verdict:
    """Returns what the gates say of the bundle in a workspace.

    Args:
        workspace: Folder of params.yaml.
        champion: The version in service; None: there is none, and gates that need one are not applicable.
        params: Section `judge`.
        shared: Holds the seed of the bootstrap.
        root: Folder of the repository, which has the trail.

    Raises:
        ArtifactError: the bundle or its evaluation is missing, altered or not up to date.
    """
    raise NotImplementedError
