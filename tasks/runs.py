"""Deletes old MLflow runs, of which the pipeline writes a dozen each night."""

import contextlib
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from eibert.errors import RegistryError
from eibert.redact import shown
from tasks import mlflow_store, registry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import RunInfo

_PAGE = 1000
_WORTH_IT = 100
"""Fewer old runs are left for another day: `mlflow gc`, which deletes permanently, takes seconds to start."""

_SECONDS_TO_WAIT = 60
"""Time to wait for other writers to the store."""


def collect(root: Path, name: str, days: float) -> int:
    """Marks a workspace's runs older than `days` as deleted, except those that hold a version; returns how many.

    In a database file, runs that have been marked for another `days` are deleted permanently, whoever marked them;
    until then `mlflow runs restore` brings them back. On a server, `mlflow gc` is up to its operator.

    Raises:
        RegistryError: MLflow does not answer, or fails to delete.
    """
    if mlflow_store.is_absent(root):
        return 0
    held = {version.run for version in registry.versions(root, name)}
    with registry.connected(root) as client:
        before = datetime.now(UTC) - timedelta(days=days)
        old = [info for info in _begun(client, name, before) if info.run_id not in held]
        if len(old) < _WORTH_IT:
            return 0
        for info in old:
            client.delete_run(info.run_id)
        if mlflow_store.is_file(root):
            _delete_for_good(mlflow_store.store(root), days)
            _delete_inputs(mlflow_store.path(root))
    return len(old)


def _begun(client: "MlflowClient", name: str, before: datetime) -> list["RunInfo"]:
    """Returns a workspace's finished runs that started before a given time and are not marked as deleted."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []
    query = f"attributes.start_time < {int(before.timestamp() * 1000)}"
    found = client.search_runs([experiment.experiment_id], query, max_results=_PAGE)
    return [run.info for run in found if run.info.status != "RUNNING"]


def _delete_for_good(uri: str, days: float) -> None:
    where = ["--backend-store-uri", uri, "--tracking-uri", uri]
    command = [sys.executable, "-m", "mlflow", "gc", *where, "--older-than", f"{days:f}d"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RegistryError(shown(f"{uri}: `mlflow gc` failed: {said}; repeat the command"))


def _delete_inputs(database: Path) -> None:
    """Deletes what `mlflow gc` leaves behind: the inputs of deleted runs, and data sets that no run reads any more."""
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_SECONDS_TO_WAIT)) as store, store:
            store.execute(
                "delete from inputs where destination_type = 'RUN'"
                " and destination_id not in (select run_uuid from runs)"
            )
            store.execute("delete from input_tags where input_uuid not in (select input_uuid from inputs)")
            store.execute("delete from datasets where dataset_uuid not in (select source_id from inputs)")
    except sqlite3.Error as error:
        raise RegistryError(
            f"{database}: cannot delete the inputs of deleted runs: {error}; repeat the command"
        ) from error
