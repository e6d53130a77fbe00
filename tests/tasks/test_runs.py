"""Which MLflow runs are deleted, on a real database."""

import contextlib
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks import mlflow_store, registry, runs

DAYS = 30.0
OLD, YOUNG = (datetime.now(UTC) - timedelta(days=days) for days in (31, 29))


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(runs, "_WORTH_IT", 2)
    shutil.copy(database, tmp_path / "mlflow.db")
    return tmp_path


def read(name: str) -> Any:
    """A data set that a run has read."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(Dataset(name, "0" * 12, "local", "{}"), [InputTag("mlflow.data.context", "train")])


def kept(root: Path, table: str) -> int:
    """Rows of a table."""
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as store:
        [(count,)] = store.execute(f"select count(*) from {table}").fetchall()
    return int(count)


def made(root: Path) -> dict[str, str]:
    """Runs of a workspace by name, and one of another's."""
    found = {}
    with mlflow_store.connected(root) as client:
        place, other = (mlflow_store.experiment(client, root, name) for name in ("models/w", "models/x"))
        for name, began, where in (
            ("old", OLD, place), ("stage of old", OLD, place), ("version", OLD, place), ("at work", OLD, place),
            ("young", YOUNG, place), ("another's", OLD, other),
        ):  # fmt: skip
            run = client.create_run(where, start_time=int(began.timestamp() * 1000), run_name=name).info.run_id
            client.log_metric(run, "loss", 0.5)
            client.log_inputs(run, [read(name), read("rows of all")])
            if name != "at work":
                client.set_terminated(run)
            found[name] = run
    return found


def left(root: Path, *, marked: bool) -> set[str]:
    """The names of all runs in the database, either those marked as deleted or the others."""
    from mlflow.entities import ViewType

    view = ViewType.DELETED_ONLY if marked else ViewType.ACTIVE_ONLY
    with mlflow_store.connected(root) as client:
        places = [found.experiment_id for found in client.search_experiments(ViewType.ALL)]
        return {run.info.run_name for run in client.search_runs(places, run_view_type=view)}


def grow_older(root: Path, table: str, column: str, days: float) -> None:
    """Backdates a column."""
    with contextlib.closing(sqlite3.connect(root / "mlflow.db")) as store, store:
        store.execute(f"update {table} set {column} = {column} - ?", (int(days * 86_400_000),))


def test_old_runs_are_marked_but_for_those_of_versions(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [SimpleNamespace(run=known["version"])])
    assert runs.collect(root, "models/w", DAYS) == 2
    assert left(root, marked=True) == {"old", "stage of old"}
    assert left(root, marked=False) == {"version", "at work", "young", "another's"}
    assert runs.collect(root, "models/w", DAYS) == 0


def test_what_was_marked_long_ago_goes_for_good(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    assert runs.collect(root, "models/w", DAYS) == 3
    grow_older(root, "runs", "deleted_time", DAYS + 1)
    made(root)
    with mlflow_store.connected(root) as client:
        client.delete_experiment(client.get_experiment_by_name("models/x").experiment_id)  # a minute ago, by mistake
    assert runs.collect(root, "models/w", DAYS) == 3
    assert left(root, marked=True) == {"old", "stage of old", "version", "another's"}  # of the second time
    assert left(root, marked=False) == {"at work", "young"}


def test_what_the_runs_had_read_goes_with_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    assert (kept(root, "inputs"), kept(root, "input_tags"), kept(root, "datasets")) == (
        12,
        12,
        8,
    )  # "of all": in two places
    assert runs.collect(root, "models/w", DAYS) == 3
    assert kept(root, "inputs") == 12  # `mlflow runs restore` can bring them back
    grow_older(root, "runs", "deleted_time", DAYS + 1)
    grow_older(root, "runs", "start_time", DAYS)  # "young" and "another's" are old now
    with mlflow_store.connected(root) as client:
        client.set_terminated(known["at work"])
    assert runs.collect(root, "models/w", DAYS) == 2
    with mlflow_store.connected(root) as client:
        kinds = {name: client.get_run(known[name]).inputs.dataset_inputs for name in ("at work", "young", "another's")}
    assert {name: sorted(one.dataset.name for one in found) for name, found in kinds.items()} == {
        name: sorted([name, "rows of all"]) for name in kinds
    }
    assert (kept(root, "inputs"), kept(root, "input_tags"), kept(root, "datasets")) == (6, 6, 5)


def test_on_a_server_runs_are_marked_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    monkeypatch.setattr(mlflow_store, "is_file", lambda _: False)
    monkeypatch.setattr(runs, "_delete_for_good", None)
    assert runs.collect(root, "models/w", DAYS) == 3
    assert runs.collect(root, "models/w", DAYS) == 0  # marked runs are not counted again


def test_few_runs_wait_for_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    monkeypatch.setattr(runs, "_WORTH_IT", 9)
    assert runs.collect(root, "models/w", DAYS) == 0
    assert not left(root, marked=True)


def test_workspace_that_never_ran_has_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    assert runs.collect(root, "models/new", DAYS) == 0
