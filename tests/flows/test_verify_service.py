"""What `eibert verify` says about the version in service, and that a workspace's name does not hide its records."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from eibert.errors import RunError
from flows import promote
from flows.findings import Unchecked
from flows.verify_service import check_service
from flows.workspace import Workspace
from tasks import registry
from tests import toy

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")


@pytest.fixture
def workspace(tmp_path: Path, database: Path) -> Iterator[Workspace]:
    """A workspace whose bundle is in service."""
    with toy.recorded_repository(tmp_path / "root", database) as (found, _):
        toy.build(found)
        assert promote.promote(found).promoted
        yield found


def test_version_in_service_that_the_trail_never_heard_of_is_told(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    digest = registry.find(workspace.root, workspace.name, 1).digest
    shutil.rmtree(workspace.root / "trail")
    assert [str(found) for found in check_service(workspace)] == [
        f"models.w: version 1 is in service (bundle {digest[:12]}…), the trail says none ever was; "
        "get the newest trail from git, or delete the alias `champion` in MLflow"
    ]
    with socket.socket() as taken, monkeypatch.context() as patch:
        taken.bind(("127.0.0.1", 0))
        patch.setenv("MLFLOW_TRACKING_URI", f"http://me:secretsecret@127.0.0.1:{taken.getsockname()[1]}")
        [lost] = check_service(workspace)
    assert isinstance(lost, Unchecked)
    assert str(lost).startswith("not checked: models.w: MLflow at http://***@127.0.0.1:")
    MlflowClient(f"sqlite:///{workspace.root / 'mlflow.db'}").delete_registered_model_alias("models.w", "champion")
    assert list(check_service(workspace)) == []  # the remedy in the message


def test_registry_without_a_version_in_service_is_asked_without_mlflow(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(registry, "champion", lambda *places: asked.append(places))
    workspace = toy.make_repository(tmp_path / "root")
    assert list(check_service(workspace)) == []
    assert not (workspace.root / "mlflow.db").exists()
    shutil.copy(database, workspace.root / "mlflow.db")
    assert list(check_service(workspace)) == []
    assert asked == []
    (workspace.root / "mlflow.db").write_bytes(b"no database" * 100)
    assert list(check_service(workspace)) == []
    assert asked == [(workspace.root, "models/w")]  # MLflow says what is wrong with it


def test_folder_that_became_a_secret_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.build(workspace, wrong={0})  # the one in service is not judged
    monkeypatch.setenv("SOME_TOKEN", workspace.name)
    [found] = check_service(workspace)
    assert found.place == "***"
    assert found.problem.startswith("this name contains what looks like a token")
    with pytest.raises(RunError, match=r"^\*\*\*: this name contains"):
        promote.judge(workspace)


def test_workspace_named_like_a_token_passes_the_gate_trail(tmp_path: Path) -> None:
    for name in ("models/hf_banking77_intents", "models/sk-news-topics-2024"):
        workspace = toy.make_repository(tmp_path / name.rpartition("/")[2], name)
        toy.build(workspace)
        gates = {gate.name: gate for gate in promote.judge(workspace).gates}
        assert (gates["trail"].passed, gates["trail"].note) == (True, "sound; record 1 covers it")
        assert gates["signature"].passed
