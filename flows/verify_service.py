"""Checks that the version in service is the one the trail last put there, with unaltered files."""

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from eibert.errors import EibertError, RegistryError, SignatureError, TrailError
from eibert.trail import Record
from flows import service
from flows.findings import Finding, Found, Unchecked
from flows.workspace import JOURNAL, PRIVATE, Workspace
from tasks import mlflow_store, registry


def check_service(workspace: Workspace) -> Found:
    """Yields how registry and trail disagree about what is in service.

    Skipped if a promotion is yet to be settled, and without MLflow's store, as in a clone.
    """
    if (workspace.folder / PRIVATE / JOURNAL).is_file() or mlflow_store.is_absent(workspace.root):
        return
    try:
        promoted = service.in_effect(service.history(workspace))
    except (TrailError, SignatureError):
        return  # check_trail says why
    except EibertError as error:
        place, _, line = str(error).partition(": ")
        yield _finding(place, line)
        return
    yield from _held_against(promoted[-1], workspace) if promoted else _unheard_of(workspace)


def _held_against(last: Record, workspace: Workspace) -> Iterator[Finding]:
    """Yields how what is in service differs from what the trail last put there."""
    place, said = registry.model_name(workspace.name), f"the trail says version {last.body['version']}"
    try:
        champion = registry.champion(workspace.root, workspace.name)
        if champion is None:
            yield Finding(place, f"no version is in service, {said}", "restore MLflow's record, or promote a bundle")
        elif (champion.number, champion.digest) != (last.body["version"], last.body["bundle"]["sha256"]):
            what = f"version {champion.number} is in service (bundle {champion.digest[:12]}…), {said}"
            yield Finding(place, what, f"run `eibert rollback {last.body['version']}`, which checks its files first")
        else:
            with tempfile.TemporaryDirectory() as folder:
                service.checked(workspace, champion, Path(folder))
    except EibertError as error:
        yield _finding(place, str(error))


def _unheard_of(workspace: Workspace) -> Found:
    """Yields the version in service if there is one, though the trail never put any there."""
    place = registry.model_name(workspace.name)
    try:
        champion = registry.champion(workspace.root, workspace.name) if _may_serve(workspace.root, place) else None
    except RegistryError as error:
        yield Unchecked(place, str(error).partition("; ")[0])
        return
    if champion:
        what = f"version {champion.number} is in service (bundle {champion.digest[:12]}…), the trail says none ever was"
        yield Finding(place, what, "get the newest trail from git, or delete the alias `champion` in MLflow")


def _may_serve(root: Path, model: str) -> bool:
    """Returns whether a registered model may have a version in service.

    A database file is asked without MLflow, which takes seconds to import.
    """
    if not mlflow_store.is_file(root):
        return True
    query = "select count(*) from registered_model_aliases where name = ? and alias = ?"
    database = f"{mlflow_store.path(root).absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(database, uri=True)) as store:
            return bool(store.execute(query, (model, registry.CHAMPION)).fetchone()[0])
    except sqlite3.Error:
        return True  # MLflow says why


def _finding(place: str, line: str) -> Finding:
    problem, _, remedy = line.partition("; ")
    return Finding(place, problem, remedy or "restore MLflow's record")
