"""Which of MLflow's runs go, against a real database."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks import registry, runs, tracking

OLD, YOUNG = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(runs, "_WORTH_IT", 2)
    shutil.copy(database, tmp_path / "mlflow.db")
    return tmp_path


def made(root: Path) -> dict[str, str]:
    """Runs of a workspace by name, and one of another's."""
    found = {}
    with tracking.connected(root) as client:
        place, other = (tracking.experiment(client, root, name) for name in ("models/w", "models/x"))
        for name, began, where in (
            ("old", OLD, place), ("stage of old", OLD, place), ("version", OLD, place), ("at work", OLD, place),
            ("young", YOUNG, place), ("another's", OLD, other),
        ):  # fmt: skip
            run = client.create_run(where, start_time=int(began.timestamp() * 1000), run_name=name).info.run_id
            client.log_metric(run, "loss", 0.5)
            if name != "at work":
                client.set_terminated(run)
            found[name] = run
    return found


def left(root: Path) -> set[str]:
    """All runs in the database, those marked as deleted among them."""
    from mlflow.entities import ViewType

    with tracking.connected(root) as client:
        places = [found.experiment_id for found in client.search_experiments()]
        return {run.info.run_name for run in client.search_runs(places, run_view_type=ViewType.ALL)}


def test_old_runs_go_for_good_but_for_those_of_versions(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [SimpleNamespace(run=known["version"])])
    assert runs.collect(root, "models/w", BEFORE) == 2
    assert left(root) == {"version", "at work", "young", "another's"}
    assert runs.collect(root, "models/w", BEFORE) == 0


def test_on_a_server_runs_are_marked_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    monkeypatch.setattr(tracking, "is_file", lambda _: False)
    assert runs.collect(root, "models/w", BEFORE) == 3
    assert len(left(root)) == 6
    assert runs.collect(root, "models/w", BEFORE) == 0  # what is marked is not counted again


def test_few_runs_wait_for_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(root)
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    monkeypatch.setattr(runs, "_WORTH_IT", 9)
    assert runs.collect(root, "models/w", BEFORE) == 0
    assert len(left(root)) == 6


def test_workspace_that_never_ran_has_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "versions", lambda *_: [])
    assert runs.collect(root, "models/new", BEFORE) == 0
