"""Old runs of MLflow's record, which the pipeline writes a dozen of each night."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from eibert.errors import RegistryError
from tasks import registry, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import RunInfo

_PAGE = 1000
_WORTH_IT = 100
"""Fewer are left for another day: MLflow's own command, which deletes for good, takes seconds to start."""


def collect(root: Path, name: str, before: datetime) -> int:
    """Deletes a workspace's runs that began before a moment, but those that hold a version; returns how many.

    In a record of its own, a file, they are gone for good; on a server they are marked as deleted, and `mlflow gc` is
    for who runs it.

    Raises:
        RegistryError: MLflow does not answer, or does not delete.
    """
    held = {version.run for version in registry.versions(root, name)}
    with registry.connected(root) as client:
        own = tracking.is_file(root)
        old = [info for info in _begun(client, name, before, marked=own) if info.run_id not in held]
        if len(old) < _WORTH_IT:
            return 0
        for info in old:
            if info.lifecycle_stage == "active":
                client.delete_run(info.run_id)
        if own:
            _delete_for_good(tracking.store(root), [info.run_id for info in old])
    return len(old)


def _begun(client: "MlflowClient", name: str, before: datetime, *, marked: bool) -> list["RunInfo"]:
    """Returns the ended runs of a workspace that began before a moment; with `marked` also those marked as deleted."""
    from mlflow.entities import ViewType

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []
    query = f"attributes.start_time < {int(before.timestamp() * 1000)}"
    view = ViewType.ALL if marked else ViewType.ACTIVE_ONLY
    found = client.search_runs([experiment.experiment_id], query, view, max_results=_PAGE)
    return [run.info for run in found if run.info.status != "RUNNING"]


def _delete_for_good(uri: str, runs: list[str]) -> None:
    where = ["--backend-store-uri", uri, "--tracking-uri", uri]
    command = [sys.executable, "-m", "mlflow", "gc", *where, "--run-ids", ",".join(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RegistryError(f"{tracking.masked(uri)}: `mlflow gc` failed: {tracking.masked(said)}; repeat the command")
