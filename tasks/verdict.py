"""The check that every training stage makes first: has this data passed the data gate?"""

from pathlib import Path

from eibert import artifact
from eibert.errors import GateError

GATE = "validate/gate.json"


def passed(workspace: Path) -> str:
    """Checks that the data gate has passed; returns the verdict's file, to be listed as an input.

    Raises:
        GateError: the gate rejected this data.
        MissingArtifactError: the gate has not run.
    """
    if not artifact.read_json(artifact.folder(workspace, "validate") / "gate.json")["passed"]:
        raise GateError(
            f"{artifact.folder(workspace, 'validate')}: the data gate has not passed; "
            "see docs/index.html there, fix the data and run `eibert run`"
        )
    return GATE
