"""What is judged again the next night, and what is left alone, on toy bundles that a run is said to have built."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import promote
from flows.history import Outcome
from flows.retrain import retrain
from flows.run import Result
from flows.workspace import Workspace, find, set_params
from tasks import registry
from tests import toy

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")

GOOD, BETTER, BAD = {0, 1, 2}, {0}, set(range(20))
"""Words that a bundle takes for the next class."""


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Path]:
    """A repository whose version 1 is good and in service."""
    root = tmp_path_factory.mktemp("repeats") / "root"
    workspace = toy.make_repository(root)
    set_params(workspace.folder, ["retention.collect=false"])
    shutil.copy(database, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")  # no connection outlives a database put back
        patch.setattr(promote, "_profile", lambda *_: None)  # drift is looked for elsewhere
        patch.setattr("flows.retrain.run", lambda *_: Result())  # what a run would build is there
        patch.setattr("flows.retrain.read_graph", lambda *_: None)
        patch.setattr("flows.retrain.causes", lambda *_: {})
        toy.build(workspace, wrong=GOOD)
        assert promote.promote(workspace).promoted
        shutil.copytree(root, root.with_name("backup"))
        yield root


@pytest.fixture
def workspace(_built: Path) -> Workspace:
    """That workspace; MLflow knows its files by their absolute place, so it is put back rather than copied."""
    shutil.rmtree(_built)
    shutil.copytree(_built.with_name("backup"), _built)
    return find(_built / "models" / "w")


def serve(workspace: Workspace, wrong: set[int]) -> None:
    """Builds a bundle and puts it in service, whatever the gates say."""
    toy.build(workspace, wrong=wrong)
    assert promote.promote(workspace, override="for this test").promoted


def test_mended_data_that_makes_an_earlier_bundle_again_comes_into_service(workspace: Workspace) -> None:
    serve(workspace, BAD)
    toy.build(workspace, wrong=GOOD)
    mended = retrain(workspace)
    assert (mended.outcome, mended.version) == (Outcome.PROMOTED, 3)
    one, _, three = registry.versions(workspace.root, workspace.name)
    assert three.digest == one.digest
    assert retrain(workspace).reason == "nothing changed: version 3 is in service"


def test_what_a_person_took_out_stays_out(workspace: Workspace) -> None:
    serve(workspace, GOOD | {3})
    serve(workspace, BETTER)
    promote.rollback(workspace, 2)
    assert retrain(workspace).reason == "nothing changed: version 3, in whose place version 2 was put back"
    promote.rollback(workspace, 1)
    found = retrain(workspace)
    assert (found.outcome, found.version) == (Outcome.UNCHANGED, 1)
    assert found.reason == "nothing changed: version 3, in whose place version 2 was put back"


def test_what_was_taken_out_before_another_promotion_is_judged_again(workspace: Workspace) -> None:
    serve(workspace, BETTER)
    promote.rollback(workspace, 1)
    serve(workspace, BAD)
    toy.build(workspace, wrong=BETTER)
    assert retrain(workspace).outcome is Outcome.PROMOTED


def test_nothing_is_put_back_where_the_trail_is_older_than_the_registry(workspace: Workspace) -> None:
    serve(workspace, BETTER)
    trail = workspace.root / "trail"
    shutil.copytree(trail, trail.with_name("older"))
    promote.rollback(workspace, 1)
    shutil.rmtree(trail)
    trail.with_name("older").rename(trail)
    found = retrain(workspace)
    assert (found.outcome, found.version) == (Outcome.UNCHANGED, 1)
    assert "version 2, and the trail does not tell how version 1 came in its place; get the newest" in found.reason
