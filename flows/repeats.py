"""What a retraining must not repeat: promoting what a person rolled back, judging what was already kept out."""

import hashlib
import json
from itertools import takewhile

from eibert import artifact
from eibert.errors import ArtifactError, EibertError
from eibert.judge import Verdict
from flows import history, service
from flows.history import Outcome
from flows.workspace import Workspace
from tasks import facts, promotions, registry
from tasks.registry import Version

LASTING = frozenset({"rows", "task", "metric", "classes", "agreement", "rivals", "bytes"})
"""Gates whose verdict depends on the files alone; the others depend on the trail, the papers or the machine."""


def known(workspace: Workspace, champion: Version | None) -> str:
    """Returns which version a workspace's bundle already is, if it needs no judgement, or "".

    It is the one in service, or one that a person rolled back since the last promotion. An earlier version also counts
    if the trail does not show how the version in service got there.

    Raises:
        RegistryError: MLflow does not answer.
    """
    if champion is None:
        return ""
    digest = _bundle(workspace)
    if champion.digest == digest:
        return f"version {champion.number} is in service"
    versions = registry.versions(workspace.root, workspace.name)
    same = [version.number for version in versions if version.digest == digest]
    if not same:
        return ""
    try:
        bodies = [record.body for record in service.in_effect(service.history(workspace))]
    except EibertError:
        return ""  # the gate `trail` says why
    if not bodies or bodies[-1]["version"] != champion.number:
        return (
            f"version {same[-1]}, and the trail does not show how version {champion.number} replaced it; "
            "get the newest trail from git, or run `eibert promote`"
        )
    rollbacks = takewhile(lambda body: body["event"] == promotions.ROLLED_BACK, reversed(bodies))
    taken = (body for body in rollbacks if body["before"] in same)
    return next((f"version {body['before']}, which was rolled back to version {body['version']}" for body in taken), "")


def kept_out(workspace: Workspace, champion: Version | None) -> str:
    """Returns when and why the same challenger was kept out before, if that verdict lasts, or "".

    Raises:
        ArtifactError: what would be judged is missing or altered.
    """
    wanted = key(workspace, champion)
    same = [one for one in history.read(workspace) if one.key == wanted and one.outcome is Outcome.KEPT]
    return f"this challenger was rejected on {same[-1].when}: {same[-1].reason}" if same else ""


def key(workspace: Workspace, champion: Version | None) -> str:
    """Returns the identity of a judgement: a digest of bundle, rows, evaluation, champion, bounds and seed.

    Raises:
        ArtifactError: what would be judged is missing or altered.
    """
    params = workspace.params()
    manifests = artifact.verified(workspace.folder, "ingest", "export", "evaluate")
    against = champion.number if champion else None
    values = [manifests, against, params.judge.model_dump(mode="json"), params.seed]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def lasts(verdict: Verdict, champion: Version | None) -> bool:
    """Returns whether a challenger was kept out by that champion for reasons that will hold next time, too."""
    failed = {gate.name for gate in verdict.gates if gate.passed is False}
    return bool(failed) and failed <= LASTING and verdict.champion == (champion.number if champion else None)


def _bundle(workspace: Workspace) -> str:
    try:
        return str(facts.bundle_facts(artifact.read_manifest(workspace.folder, facts.EXPORT))["sha256"])
    except ArtifactError:
        return ""
