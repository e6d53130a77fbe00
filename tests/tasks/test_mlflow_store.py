"""The place that MLflow's database file remembers, on a real one."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eibert.errors import RegistryError
from tasks import mlflow_store, registry, runs

NAME = "models/a b"  # percent-encoded in a URI


def register(root: Path) -> registry.Version:
    contents = root / "contents"
    contents.mkdir(exist_ok=True)
    (contents / "a.json").write_text("{}")
    return registry.register(root, NAME, contents, {registry.PROMOTION_TAG: "0", registry.FILES_TAG: "1"})


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one version, without an alias."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")  # no connection outlives a moved database
    found = tmp_path / "a repository"
    found.mkdir()
    shutil.copy(database, found / "mlflow.db")
    register(found)
    with mlflow_store.connected(found) as client:
        client.delete_registered_model_alias(registry.model_name(NAME), registry.CHALLENGER)
    assert len(list((found / "mlartifacts" / NAME).rglob("a.json"))) == 1
    return found


@pytest.mark.parametrize("how", [shutil.copytree, shutil.move])
@pytest.mark.parametrize(
    "use",
    [
        register,
        lambda root: registry.fetch(root, NAME, 1, root / "into"),
        lambda root: registry.discard(root, NAME, 1),
        lambda root: registry.clear(root, NAME, "0", None),
    ],
    ids=["register", "fetch", "discard", "clear"],
)
def test_moved_or_copied_repository_leaves_the_files_of_the_other_alone(
    use: Callable[[Path], Any], how: Callable[..., Any], root: Path
) -> None:
    other = root.with_name("other")
    how(root, other)
    (other / "into").mkdir()
    before = sorted(root.rglob("*"))
    with pytest.raises(RegistryError) as caught:
        use(other)
    said = f"{other} was moved or copied from {root}, where MLflow keeps its files"
    assert str(caught.value) == f"{said}; move it back, or set mlflow.db aside to start anew"
    assert sorted(root.rglob("*")) == before
    assert list((other / "into").iterdir()) == []


def test_registry_begins_anew_once_the_database_is_set_aside(root: Path) -> None:
    other = root.with_name("other")
    shutil.copytree(root, other)
    (other / "mlflow.db").rename(other / "aside.db")
    assert registry.versions(other, NAME) == []
    assert register(other).number == 1
    assert len(list((other / "mlartifacts").rglob("a.json"))) == 2  # one was copied


@pytest.mark.parametrize("place", ["moved back", "linked"])
def test_repository_that_was_moved_back_or_is_linked_is_its_own(place: str, root: Path) -> None:
    used = root.with_name(place)
    if place == "linked":
        used.symlink_to(root)
    else:
        root.rename(used)
        used.rename(root)
        used = root
    assert register(used).number == 2
    registry.discard(used, NAME, 1)
    assert [version.number for version in registry.versions(used, NAME)] == [2]


def test_store_chosen_by_its_address_may_keep_its_files_anywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = root.with_name("copied")
    shutil.copytree(root, copied)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copied / 'mlflow.db'}")
    assert register(copied).number == 2


def test_looking_for_old_runs_creates_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert runs.collect(tmp_path, NAME, 30.0) == 0
    assert list(tmp_path.iterdir()) == []
