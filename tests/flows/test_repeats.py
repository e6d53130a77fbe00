"""What is judged again the next night, and what is left alone, on toy bundles in place of built ones."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from eibert.judge import Gate, Verdict
from flows import promote, repeats
from flows.history import Outcome
from flows.retrain import retrain
from flows.run import Result
from flows.workspace import Workspace, set_params
from tasks import registry
from tests import toy

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")

GOOD, BETTER, BAD = {0, 1, 2}, {0}, set(range(20))
"""Words that a bundle assigns to the next class."""


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Path]:
    """A repository with a good version 1 in service."""
    root = tmp_path_factory.mktemp("repeats") / "root"
    with toy.recorded_repository(root, database) as (workspace, patch):
        set_params(workspace.folder, ["retention.collect=false"])
        patch.setattr(promote, "_profile", lambda *_: None)  # drift is tested elsewhere
        patch.setattr("flows.retrain.run", lambda *_: Result())  # the bundle a run would build is already there
        patch.setattr("flows.retrain.read_graph", lambda *_, **__: None)
        patch.setattr("flows.retrain.causes", lambda *_: {})
        toy.build(workspace, wrong=GOOD)
        assert promote.promote(workspace).promoted
        toy.keep(root)
        yield root


@pytest.fixture
def workspace(_built: Path) -> Workspace:
    """That workspace in its initial state."""
    return toy.put_back(_built)


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
    assert retrain(workspace).reason == "nothing changed: version 3, which was rolled back to version 2"
    promote.rollback(workspace, 1)
    found = retrain(workspace)
    assert (found.outcome, found.version) == (Outcome.UNCHANGED, 1)
    assert found.reason == "nothing changed: version 3, which was rolled back to version 2"


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
    assert "version 2, and the trail does not show how version 1 replaced it; get the newest" in found.reason


@pytest.mark.parametrize("change", ["nothing", "test rows", "evaluation", "seed", "bound", "champion"])
def test_a_challenger_that_was_kept_out_is_judged_again_where_the_verdict_may_be_another(
    change: str, workspace: Workspace
) -> None:
    toy.build(workspace, wrong=BAD)
    assert retrain(workspace).reason.startswith("metric: accuracy -0.")
    match change:
        case "test rows":
            toy.build(workspace, wrong=BAD, train=["w00 w03"])  # test rows it was trained on do not count
        case "evaluation":
            toy.build(workspace, wrong=BAD, rival={"difference": 0.3, "low": 0.2, "high": 0.4})
        case "seed":
            set_params(workspace.folder, ["seed=18"])
        case "bound":
            set_params(workspace.folder, ["judge.margin=0.03"])
        case "champion":
            serve(workspace, BETTER)
            toy.build(workspace, wrong=BAD)
    again = retrain(workspace)
    assert again.outcome is (Outcome.UNCHANGED if change == "nothing" else Outcome.KEPT)
    assert ("this challenger was rejected on" in again.reason) is (change == "nothing")


def test_a_challenger_kept_out_by_a_busy_machine_is_judged_the_next_night(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.build(workspace, wrong=BETTER)
    with monkeypatch.context() as patch:
        patch.setattr("eibert.judge.latency", lambda *_: Gate("latency", 3.0, 1.1, passed=False, note="busy"))
        assert retrain(workspace).reason == "latency: busy"
        assert retrain(workspace).outcome is Outcome.KEPT
    assert retrain(workspace).outcome is Outcome.PROMOTED


def test_a_challenger_kept_out_by_a_trail_not_pulled_is_judged_the_next_night(workspace: Workspace) -> None:
    """In this clone the trail ends before the version in service."""
    trail = workspace.root / "trail"
    shutil.copytree(trail, trail.with_name("older"))
    serve(workspace, GOOD | {3})
    newest = shutil.move(trail, trail.with_name("newest"))
    trail.with_name("older").rename(trail)
    toy.build(workspace, wrong=BETTER)
    kept = retrain(workspace)
    assert kept.reason.startswith("champion: cannot be used: version 2")
    assert retrain(workspace).outcome is Outcome.KEPT
    shutil.rmtree(trail)
    Path(newest).rename(trail)
    toy.build(workspace, wrong=BETTER)  # its record is in the trail that was pulled
    assert retrain(workspace).outcome is Outcome.PROMOTED


def test_every_gate_of_the_judge_either_lasts_or_passes_with_its_cause(workspace: Workspace) -> None:
    toy.build(workspace, wrong=BETTER)
    names = {gate.name for gate in promote.judge(workspace).gates}
    assert names - repeats.LASTING == {"trail", "signature", "champion", "latency"}
    assert names >= repeats.LASTING


@pytest.mark.parametrize(
    ("failed", "held_against", "lasts"),
    [({"metric"}, 1, True), ({"metric", "latency"}, 1, False), (set(), 1, False), ({"metric"}, 2, False)],
)
def test_a_verdict_lasts_where_all_that_failed_does(
    failed: set[str], held_against: int, lasts: bool, workspace: Workspace
) -> None:
    gates = tuple(Gate(name, None, None, passed=name not in failed) for name in ("metric", "latency"))
    champion = registry.champion(workspace.root, workspace.name)
    assert repeats.lasts(Verdict(gates, held_against), champion) is lasts
