"""What every stage that learns asks first: has the data gate let this data through?"""

from pathlib import Path

from eibert import artifact
from eibert.errors import GateError

GATE = "validate/gate.json"


def passed(workspace: Path) -> str:
    """Returns the name of the gate's verdict as an input, having checked that it is good.

    Raises:
        GateError: the gate stopped this data.
        MissingArtifactError: the gate has not run.
    """
    if not artifact.read_json(artifact.folder(workspace, "validate") / "gate.json")["passed"]:
        raise GateError(
            f"{artifact.folder(workspace, 'validate')}: the data gate has not passed; "
            "look at docs/index.html there, mend the data and run `eibert run`"
        )
    return GATE
