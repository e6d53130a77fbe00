"""Checks that the version in service is the one the trail last put there, with unaltered files."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from eibert.errors import EibertError
from flows import service
from flows.findings import Finding
from flows.workspace import JOURNAL, PRIVATE, Workspace
from tasks import mlflow_store, registry


def check_service(workspace: Workspace) -> Iterator[Finding]:
    """Yields how registry and trail disagree about what is in service.

    Skipped if nothing was ever promoted, if a promotion is yet to be settled, and in a clone without MLflow's store.
    """
    try:
        promoted = service.history(workspace)
    except EibertError:
        return  # check_trail says why
    if not promoted or (workspace.folder / PRIVATE / JOURNAL).is_file() or mlflow_store.is_absent(workspace.root):
        return
    last, place = promoted[-1].body, registry.model_name(workspace.name)
    said = f"the trail says version {last['version']}"
    try:
        champion = registry.champion(workspace.root, workspace.name)
        if champion is None:
            yield Finding(place, f"no version is in service, {said}", "restore MLflow's record, or promote a bundle")
        elif (champion.number, champion.digest) != (last["version"], last["bundle"]["sha256"]):
            what = f"version {champion.number} is in service (bundle {champion.digest[:12]}…), {said}"
            yield Finding(place, what, f"run `eibert rollback {last['version']}`, which checks its files first")
        else:
            with tempfile.TemporaryDirectory() as folder:
                service.checked(workspace, champion, Path(folder))
    except EibertError as error:
        problem, _, remedy = str(error).partition("; ")
        yield Finding(place, problem, remedy or "restore MLflow's record")
