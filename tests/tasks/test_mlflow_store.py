"""The place that MLflow's database file remembers, on a real one."""

import shutil
from pathlib import Path

import pytest

from eibert.errors import RegistryError
from tasks import mlflow_store, registry, runs

NAME = "models/a b"  # percent-encoded in a URI


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = tmp_path / "a repository"
    found.mkdir()
    shutil.copy(database, found / "mlflow.db")
    with mlflow_store.connected(found) as client:
        run = client.create_run(mlflow_store.experiment(client, found, NAME)).info.run_id
        client.log_dict(run, {"a": 1}, "a.json")
    assert len(list((found / "mlartifacts" / NAME).rglob("a.json"))) == 1
    return found


@pytest.mark.parametrize("how", [shutil.copytree, shutil.move])
def test_moved_or_copied_repository_is_refused_and_writes_nothing_elsewhere(how: object, root: Path) -> None:
    other = root.parent / "other"
    how(root, other)  # type: ignore[operator]
    before = sorted(root.rglob("*"))
    with pytest.raises(RegistryError, match="was moved or copied from") as caught:
        registry.versions(other, NAME)
    said = f"{other} was moved or copied from {root}, where MLflow keeps its files"
    assert str(caught.value) == f"{said}; move it back, or set mlflow.db aside to start anew"
    assert sorted(root.rglob("*")) == before
    (other / "mlflow.db").rename(other / "aside.db")
    assert registry.versions(other, NAME) == []


def test_repository_that_was_moved_back_or_is_linked_is_its_own(root: Path) -> None:
    moved, linked = root.with_name("moved"), root.with_name("linked")
    root.rename(moved)
    moved.rename(root)
    linked.symlink_to(root)
    for place in (root, linked):
        assert registry.versions(place, NAME) == []


def test_store_chosen_by_its_address_may_keep_its_files_anywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = root.with_name("copied")
    shutil.copytree(root, copied)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copied / 'mlflow.db'}")
    assert registry.versions(copied, NAME) == []


def test_looking_for_old_runs_creates_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert runs.collect(tmp_path, NAME, 30.0) == 0
    assert list(tmp_path.iterdir()) == []
