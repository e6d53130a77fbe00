"""Promotion, override and rollback on toy bundles: what is in service, and what the trail records about it."""

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eibert.errors import CorruptArtifactError, RegistryError, RunError, TrailError
from flows import alone, cli, history, promote, service, trace
from flows.history import Outcome, Retraining
from flows.promote import recover, rollback
from flows.verify_service import check_service
from flows.verify_trail import check_papers, check_trail
from flows.workspace import Workspace
from tasks import facts, packing, promotions, registry
from tasks.registry import SupersededError
from tests import toy

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")


@pytest.fixture(scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Iterator[Path]:
    """A repository with version 1 in service, wrong on three words, and a better bundle in its workspace."""
    root = tmp_path_factory.mktemp("promoted") / "root"
    with toy.recorded_repository(root, database) as (workspace, _):
        toy.build(workspace, wrong={0, 1, 2})
        assert promote.promote(workspace).promoted
        toy.build(workspace)
        toy.keep(root)
        yield root


@pytest.fixture
def workspace(_built: Path) -> Workspace:
    """That workspace in its initial state."""
    return toy.put_back(_built)


def in_service(workspace: Workspace) -> int | None:
    found = registry.champion(workspace.root, workspace.name)
    return found.number if found else None


def served(workspace: Workspace, folder: Path) -> dict[str, bytes]:
    """The bundle that is in service."""
    folder.mkdir()
    number = in_service(workspace)
    assert number is not None
    bundle = registry.fetch(workspace.root, workspace.name, number, folder) / packing.BUNDLE
    return {path.name: path.read_bytes() for path in bundle.iterdir()}


def built(workspace: Workspace) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in facts.bundle_folder(workspace.folder).iterdir()}


def entered(workspace: Workspace) -> list[dict[str, Any]]:
    """The promotions and rollbacks in the trail."""
    return [record.body for record in promotions.promotions(promotions.read(workspace.root))]


def eibert(workspace: Workspace, command: str, *arguments: str, code: int = 0) -> str:
    """Runs a command and returns what it prints."""
    done = CliRunner().invoke(cli.app, [command, "-C", str(workspace.folder), *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def test_better_bundle_comes_into_service(workspace: Workspace, tmp_path: Path) -> None:
    found = promote.promote(workspace)
    assert (found.promoted, found.before, found.warning, found.kept_out) == (True, 1, "", False)
    assert found.version is not None
    assert (found.version.number, found.version.aliases) == (2, ("challenger", "champion"))
    assert in_service(workspace) == 2
    assert served(workspace, tmp_path / "f") == built(workspace)
    assert not (workspace.private() / "promotion.json").exists()
    first, second = entered(workspace)
    assert (first["event"], first["version"], first["before"]) == ("promoted", 1, None)
    assert (second["event"], second["version"], second["before"]) == ("promoted", 2, 1)
    assert second["verdict"]["passed"] is True
    assert {gate["name"] for gate in second["verdict"]["gates"]} >= {"metric", "classes", "latency", "signature"}
    assert second["bundle"]["sha256"] == found.version.digest == packing.digest(facts.bundle_folder(workspace.folder))
    [build] = [record for record in promotions.read(workspace.root) if record.digest == second["build"]["digest"]]
    assert build.body["bundle"]["sha256"] == second["bundle"]["sha256"]
    assert found.version.tags[registry.RECORD_TAG] == build.digest
    for stage, held in build.body["stages"].items():
        assert found.version.tags[f"eibert.manifest.{stage}"] == held["manifest_sha256"]


def test_bundle_in_service_is_not_promoted_again(workspace: Workspace) -> None:
    promote.promote(workspace)
    found = promote.promote(workspace)
    assert (found.promoted, found.kept_out) == (False, False)
    assert len(entered(workspace)) == 2
    assert "nothing to do: this bundle is version 2" in eibert(workspace, "promote")


def test_worse_bundle_is_kept_out(workspace: Workspace) -> None:
    toy.build(workspace, wrong=set(range(20)))
    said = eibert(workspace, "promote", code=1)
    assert "metric" in said
    assert "FAILED" in said
    assert "version 1 stays in service" in said
    told = json.loads(eibert(workspace, "promote", "--json", code=1))
    assert (told["promoted"], told["version"]) == (False, 1)
    assert "metric: accuracy" in told["verdict"]["reason"]
    assert in_service(workspace) == 1
    assert [version.number for version in registry.versions(workspace.root, workspace.name)] == [1]
    assert len(entered(workspace)) == 1


def test_override_is_in_the_trail_with_its_reason_and_without_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "swordfish-swordfish")
    toy.build(workspace, wrong=set(range(20)))
    reason = "agreed with the app, password=hunter2hunter2, swordfish-swordfish"
    told = json.loads(eibert(workspace, "promote", "--override", reason, "--json"))
    assert (told["promoted"], told["version"], told["verdict"]["passed"]) == (True, 2, False)
    body = entered(workspace)[-1]
    assert body["event"] == "overridden"
    assert body["verdict"]["override"] == "agreed with the app, password=***, ***"
    text = (workspace.root / "trail" / "records.jsonl").read_text() + json.dumps(told)
    assert "hunter2" not in text
    assert "swordfish" not in text
    assert in_service(workspace) == 2


def test_override_that_was_not_needed_is_not_one(workspace: Workspace) -> None:
    found = promote.promote(workspace, override="to be sure")
    assert found.verdict is not None
    assert found.verdict.override is None
    assert entered(workspace)[-1]["event"] == "promoted"


def test_override_needs_a_reason(workspace: Workspace) -> None:
    with pytest.raises(RunError, match="--override: found no reason"):
        promote.promote(workspace, override="  ")


def test_what_the_trail_does_not_know_is_not_promoted_by_any_reason(workspace: Workspace) -> None:
    toy.build(workspace, wrong={5}, record=False)
    with pytest.raises(RunError, match="not recorded in the trail"):
        promote.promote(workspace, override="never mind")
    assert in_service(workspace) == 1


def test_judging_changes_nothing(workspace: Workspace) -> None:
    before = promotions.read(workspace.root)
    verdict = promote.judge(workspace)
    assert (verdict.passed, verdict.champion) == (True, 1)
    assert promotions.read(workspace.root) == before
    assert in_service(workspace) == 1
    assert eibert(workspace, "promote", "--dry-run").endswith("would be promoted\n")
    told = json.loads(eibert(workspace, "promote", "--dry-run", "--json"))
    assert {gate["name"]: gate["passed"] for gate in told["gates"]} == {one.name: one.passed for one in verdict.gates}
    eibert(workspace, "promote", "--dry-run", "--override", "now", code=2)
    toy.build(workspace, wrong={1, 2, 3, 4, 5})
    assert eibert(workspace, "promote", "--dry-run", code=1).endswith("would be kept out\n")
    assert in_service(workspace) == 1


def test_judging_the_version_in_service_has_nothing_to_do(workspace: Workspace) -> None:
    promote.promote(workspace)
    said = "nothing to do: this bundle is version 2, already in service\n"
    assert eibert(workspace, "promote", "--dry-run") == eibert(workspace, "promote") == said
    assert not promote.judge(workspace).judged


def test_rollback_serves_the_earlier_bytes_again(workspace: Workspace, tmp_path: Path) -> None:
    before = served(workspace, tmp_path / "before")
    promote.promote(workspace)
    assert served(workspace, tmp_path / "between") != before
    found = rollback(workspace)
    assert (found.promoted, found.before, found.verdict) == (True, 2, None)
    assert served(workspace, tmp_path / "after") == before
    body = entered(workspace)[-1]
    assert (body["event"], body["version"], body["before"]) == ("rolled back", 1, 2)
    assert "version 2 is in service now, in place of version 1" in eibert(workspace, "rollback", "2")


def test_rollback_names_what_it_cannot_do(workspace: Workspace) -> None:
    for number, reason in ((None, "nothing was in service before version 1"), (1, "already in service")):
        with pytest.raises(RunError, match=reason):
            rollback(workspace, number)
    with pytest.raises(RegistryError, match="no version 7; existing versions: 1"):
        rollback(workspace, 7)
    assert len(entered(workspace)) == 1


def test_rollback_after_rollback_goes_where_the_version_came_from(workspace: Workspace) -> None:
    promote.promote(workspace)
    rollback(workspace)
    promote.promote(workspace)
    assert in_service(workspace) == 3  # the same bundle as version 2, promoted in place of version 1
    assert rollback(workspace).version.number == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("altered", ["artifacts/bundle/vocab.txt", "served.py"])
def test_altered_version_is_neither_rolled_back_to_nor_judged_against(altered: str, workspace: Workspace) -> None:
    path = next((workspace.root / "mlartifacts").rglob(Path(altered).name))
    path.write_bytes(path.read_bytes() + b"#")
    verdict = promote.judge(workspace)
    assert [gate.name for gate in verdict.gates if gate.passed is False] == ["champion"]
    promote.promote(workspace, override="the old one is broken")
    with pytest.raises(CorruptArtifactError, match=r"version 1 .* altered"):
        rollback(workspace)
    assert in_service(workspace) == 2


def test_version_with_matching_tags_is_held_against_the_trail(workspace: Workspace) -> None:
    """Anyone who can write to the registry can also change its tags, but the trail is signed."""
    from mlflow import MlflowClient

    promote.promote(workspace)
    version = registry.find(workspace.root, workspace.name, 1)
    stored = next((workspace.root / "mlartifacts").rglob(f"{version.run}/artifacts"))
    (stored / "model" / "served.py").write_text("raise SystemExit\n")
    client = MlflowClient(f"sqlite:///{workspace.root / 'mlflow.db'}")
    client.set_model_version_tag("models.w", "1", registry.FILES_TAG, _digest_as_fetched(stored))
    with pytest.raises(CorruptArtifactError, match=r"files altered .* record 2 of the trail says"):
        rollback(workspace)


def _digest_as_fetched(stored: Path) -> str:
    packing.clean(stored)
    return packing.digest(stored)


def test_what_is_in_service_is_verified_against_the_trail(workspace: Workspace) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace.root / 'mlflow.db'}")
    promote.promote(workspace)
    assert list(check_service(workspace)) == []
    client.set_registered_model_alias("models.w", "champion", "1")  # bypassing the trail
    [moved] = check_service(workspace)
    assert moved.place == "models.w"
    assert "version 1 is in service" in moved.problem
    assert "the trail says version 2" in moved.problem
    rollback(workspace, 2)  # the remedy in the message
    assert list(check_service(workspace)) == []
    stored = next((workspace.root / "mlartifacts").rglob(f"{registry.find(workspace.root, workspace.name, 2).run}/*"))
    path = next(stored.rglob("model.onnx"))
    path.write_bytes(path.read_bytes() + b"#")
    [altered] = check_service(workspace)
    assert "version 2 of models.w: files missing or altered" in altered.problem
    assert not eibert(workspace, "verify", code=1).startswith("all")
    client.delete_registered_model_alias("models.w", "champion")
    [lost] = check_service(workspace)
    assert "no version is in service, the trail says version 2" in lost.problem
    (workspace.root / "mlflow.db").unlink()
    assert list(check_service(workspace)) == []  # a clone


def test_new_registry_counts_from_one_and_its_versions_are_not_taken_for_the_old(
    workspace: Workspace, database: Path, tmp_path: Path
) -> None:
    shutil.copy(database, workspace.root / "mlflow.db")
    assert promote.promote(workspace).kept_out  # the trail names a champion that is missing from this registry
    promote.promote(workspace, override="MLflow moved to a server")
    assert (in_service(workspace), len(entered(workspace))) == (1, 2)
    assert list(check_service(workspace)) == []
    record = service.checked(workspace, registry.find(workspace.root, workspace.name, 1), tmp_path)
    assert record.body == entered(workspace)[-1]


def test_registry_that_forgot_its_champion_opens_no_gate(workspace: Workspace) -> None:
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{workspace.root / 'mlflow.db'}").delete_registered_model_alias("models.w", "champion")
    found = promote.promote(workspace)
    assert found.kept_out
    assert found.verdict is not None
    assert "the trail says that version 1 is in service, but the registry has none" in found.verdict.reason


def test_lost_registry_is_told_and_nothing_is_promoted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, monkeypatch.context() as patch:
        taken.bind(("127.0.0.1", 0))
        patch.setenv("MLFLOW_TRACKING_URI", f"http://me:secretsecret@127.0.0.1:{taken.getsockname()[1]}")
        for call in (promote.promote, rollback, promote.judge):
            with pytest.raises(RegistryError, match="did not answer") as caught:
                call(workspace)
            assert "secretsecret" not in str(caught.value)
        assert recover(workspace) == ""  # nothing to settle, nothing asked
    assert in_service(workspace) == 1
    assert promote.promote(workspace).promoted


@pytest.mark.parametrize("effect", ["register", "set_champion"])
def test_registry_lost_on_the_way_promotes_nothing(
    effect: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise RegistryError("MLflow is gone")

    with monkeypatch.context() as patch:
        patch.setattr(registry, effect, lost)
        with pytest.raises(RegistryError, match="MLflow is gone"):
            promote.promote(workspace)
    assert in_service(workspace) == 1
    assert not (workspace.private() / "promotion.json").exists()
    assert [version.number for version in registry.versions(workspace.root, workspace.name)] == [1]


def promoted_elsewhere(workspace: Workspace) -> None:
    """Puts a version in service as another clone would, to which this one's lock and journal mean nothing."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace.root / 'mlflow.db'}")
    first = client.get_model_version("models.w", "1")
    made = client.create_model_version("models.w", first.source, first.run_id, tags={registry.BUNDLE_TAG: "another"})
    client.set_registered_model_alias("models.w", registry.CHALLENGER, made.version)
    before = registry.champion(workspace.root, workspace.name)
    registry.set_champion(workspace.root, workspace.name, int(made.version), before=before.number if before else None)


def aliases(workspace: Workspace) -> dict[int, tuple[str, ...]]:
    return {version.number: version.aliases for version in registry.versions(workspace.root, workspace.name)}


def meanwhile(patch: pytest.MonkeyPatch, owner: object, name: str, effect: Callable[[], object]) -> None:
    """Lets something happen right after a function."""
    function = getattr(owner, name)

    def followed(*given: Any, **named: Any) -> Any:
        found = function(*given, **named)
        effect()
        return found

    patch.setattr(owner, name, followed)


def promote_killed_at(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, workspace: Workspace) -> None:
    """Promotes until a function is called."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            promote.promote(workspace)


@pytest.mark.parametrize(("owner", "name", "number"), [(promote, "_judged", 2), (registry, "register", 3)])
def test_version_that_another_clone_put_in_service_meanwhile_stays(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, number: int
) -> None:
    stored = len(list((workspace.root / "mlartifacts").rglob("MLmodel")))
    with monkeypatch.context() as patch:
        meanwhile(patch, owner, name, lambda: promoted_elsewhere(workspace))
        with pytest.raises(SupersededError, match=f"found version {number} in service, expected version 1: .* repeat"):
            promote.promote(workspace)
    assert aliases(workspace) == {1: (), number: ("challenger", "champion")}
    assert len(list((workspace.root / "mlartifacts").rglob("MLmodel"))) == stored
    assert [body["version"] for body in entered(workspace)] == [1]
    assert not (workspace.private() / "promotion.json").exists()


@pytest.mark.parametrize("elsewhere", ["promoted", "rolled back"])
def test_rollback_leaves_what_another_clone_did_meanwhile(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    promote.promote(workspace)

    def act() -> None:
        if elsewhere == "promoted":
            promoted_elsewhere(workspace)
        else:
            registry.set_champion(workspace.root, workspace.name, 1, before=2)

    number = 3 if elsewhere == "promoted" else 1
    with monkeypatch.context() as patch:
        meanwhile(patch, service, "checked", act)
        with pytest.raises(SupersededError, match=f"found version {number} in service, expected version 2"):
            rollback(workspace, 1)
    assert in_service(workspace) == number
    assert [body["version"] for body in entered(workspace)] == [1, 2]
    assert not (workspace.private() / "promotion.json").exists()
    assert recover(workspace) == ""


def test_superseded_promotion_that_cannot_be_undone_yet_is_undone_later(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise RegistryError("MLflow is gone")

    with monkeypatch.context() as patch:
        meanwhile(patch, promote, "_judged", lambda: promoted_elsewhere(workspace))
        patch.setattr(registry, "clear", lost)
        with pytest.raises(SupersededError):
            promote.promote(workspace)
    assert list(aliases(workspace)) == [1, 2, 3]
    assert recover(workspace) == "undid what was interrupted: no version went into service"
    assert aliases(workspace) == {1: (), 2: ("challenger", "champion")}


def test_answer_lost_after_the_alias_moved_is_a_promotion(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = registry.set_champion

    def lost(root: Path, name: str, number: int, *, before: int | None) -> None:
        move(root, name, number, before=before)
        raise RegistryError("no answer")

    monkeypatch.setattr(registry, "set_champion", lost)
    found = promote.promote(workspace)
    assert (found.promoted, in_service(workspace)) == (True, 2)
    assert entered(workspace)[-1]["version"] == 2


def test_promotion_that_another_clone_replaced_before_it_was_settled_is_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_killed_at(monkeypatch, promotions, "enter", workspace)
    promoted_elsewhere(workspace)
    theirs = {**entered(workspace)[0], "id": "theirs", "version": 3, "before": 2, "bundle": {"sha256": "another"}}
    promotions.enter(workspace.root, theirs)  # as pulled from git
    assert recover(workspace) == "finished what was interrupted: version 2 was promoted, and was replaced since"
    assert [body["version"] for body in entered(workspace)] == [1, 3, 2]
    assert [record.body["version"] for record in service.in_effect(service.history(workspace))] == [1, 3]
    assert not [finding for finding in check_service(workspace) if "the trail says version" in finding.problem]
    assert aliases(workspace) == {1: (), 2: (), 3: ("challenger", "champion")}
    assert recover(workspace) == ""


def test_full_disk_under_the_trail_is_a_warning_and_is_finished_later(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(promotions, "enter", full)
        found = promote.promote(workspace)
    assert found.promoted
    assert "not in the trail until the next command here" in found.warning
    assert len(entered(workspace)) == 1
    assert recover(workspace) == "finished what was interrupted: version 2 was promoted"
    assert entered(workspace)[-1]["version"] == 2
    assert recover(workspace) == ""


def test_unreadable_journal_is_told(workspace: Workspace) -> None:
    (workspace.private() / "promotion.json").write_text("{}")
    with pytest.raises(RunError, match="not a promotion journal"):
        recover(workspace)


def test_a_run_settles_what_a_kill_left(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import run

    promote_killed_at(monkeypatch, registry, "set_champion", workspace)
    before = registry.versions(workspace.root, workspace.name)
    with pytest.raises(RunError, match=r"--dry-run changes nothing; `eibert run` finishes or undoes it"):
        promote.judge(workspace)
    assert (workspace.private() / "promotion.json").exists()
    assert registry.versions(workspace.root, workspace.name) == before
    assert run._settle(workspace) == ""
    assert not (workspace.private() / "promotion.json").exists()
    assert [version.number for version in registry.versions(workspace.root, workspace.name)] == [1]


@pytest.mark.parametrize("used", ["own", "other"])
def test_interrupted_promotion_is_settled_only_in_its_own_store(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: str
) -> None:
    from flows import run

    own = f"sqlite:///{workspace.root / 'mlflow.db'}"
    other = f"sqlite:///{shutil.copy(workspace.root / 'mlflow.db', tmp_path / 'other.db')}"
    first, second = (own, other) if used == "own" else (other, own)

    def use(store: str) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
        if store == own:
            monkeypatch.delenv("MLFLOW_TRACKING_URI")

    use(first)
    promote_killed_at(monkeypatch, promotions, "enter", workspace)
    use(second)
    journal = (workspace.private() / "promotion.json").read_bytes()
    said = f"interrupted in the MLflow store {first}, found {second}; set MLFLOW_TRACKING_URI to that store"
    assert said in run._settle(workspace)
    for call in (promote.promote, rollback, recover):
        with pytest.raises(RunError, match=re.escape(said)):
            call(workspace)
    assert (workspace.private() / "promotion.json").read_bytes() == journal
    assert (in_service(workspace), len(entered(workspace))) == (1, 1)
    use(first)
    assert recover(workspace) == "finished what was interrupted: version 2 was promoted"
    assert (in_service(workspace), entered(workspace)[-1]["version"]) == (2, 2)


def test_journal_of_an_earlier_release_is_settled_in_the_store_in_use(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_killed_at(monkeypatch, promotions, "enter", workspace)
    path = workspace.private() / "promotion.json"
    journal = json.loads(path.read_text())
    assert journal.pop("store") == "sqlite:///REPOSITORY/mlflow.db"
    path.write_text(json.dumps(journal))
    assert recover(workspace) == "finished what was interrupted: version 2 was promoted"


def test_trace_finds_builds_between_promotions_and_says_what_was_in_service(workspace: Workspace) -> None:
    bundle = str(facts.bundle_folder(workspace.folder))
    promote.promote(workspace)
    rollback(workspace)
    rollback(workspace, 2)
    found = trace.trace(workspace.folder, bundle)
    assert found.found.record.body.get("kind") is None
    assert [(record.body["event"], record.body["version"]) for record in found.found.service] == [
        ("promoted", 2),
        ("rolled back", 2),
    ]
    lines = "\n".join(trace.lines(found))
    assert "version 2 promoted in place of version 1" in lines
    assert "rolled back to version 2 in place of version 1" in lines
    assert found.bundle.state == found.trail.state == "sound"
    promoted = found.found.service[0]
    assert trace.trace(workspace.folder, promoted.digest).found.record == found.found.record
    assert json.loads(json.dumps(found.to_json()))["service"][0]["version"] == 2


def test_builds_after_promotions_have_the_build_before_as_parent(workspace: Workspace) -> None:
    promote.promote(workspace)
    toy.build(workspace, wrong={9})
    *_, last = promotions.builds(promotions.read(workspace.root))
    parent = next(
        record for record in promotions.read(workspace.root) if record.digest == last.body["parent"]["digest"]
    )
    assert parent.body.get("kind") is None
    assert list(check_trail(workspace)) == list(check_papers(workspace)) == []


def test_altered_promotion_is_found(workspace: Workspace) -> None:
    path = workspace.root / "trail" / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    [at] = [number for number, line in enumerate(lines) if '"kind":"promotion"' in line]
    lines[at] = lines[at].replace('"event":"promoted"', '"event":"overridden"')
    path.write_text("".join(lines))
    [finding] = check_trail(workspace)
    assert finding.place == f"{path}:{at + 1}"
    assert "altered" in finding.problem
    with pytest.raises(TrailError):
        rollback(workspace, 1) if promote.promote(workspace, override="x").promoted else None


def test_models_are_a_table(workspace: Workspace) -> None:
    [told] = json.loads(eibert(workspace, "models", "--json"))["models"]
    size = sum(len(content) for content in built(workspace).values())
    assert {key: told[key] for key in ("name", "version", "metric", "score", "bytes", "last_run", "drift")} == {
        "name": "models/w", "version": 1, "metric": "accuracy", "score": 0.9, "bytes": size, "last_run": None,
        "drift": None,
    }  # fmt: skip
    header, row = eibert(workspace, "models").splitlines()
    assert header.split() == ["model", "version", "age", "metric", "score", "bytes", "last", "run", "drift"]
    assert row.split()[:2] == ["models/w", "1"]
    assert "never" in row


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours)


@pytest.mark.parametrize(
    ("noted", "status", "said", "outcome"),
    [
        (None, None, "2 h ago, unchanged", "unchanged"),
        (720.0, "finished", "2 h ago, unchanged", "unchanged"),  # a night with nothing new leaves no note for MLflow
        (1.9, "failed", "2 h ago, unchanged", "unchanged"),  # of the run that was part of the retraining
        (1.0, "finished", "1 h ago, finished", "finished"),  # by hand
        (1.0, "failed", "1 h ago, failed", "failed"),
        (1.0, None, "1 h ago ", None),  # of which MLflow has only the beginning
    ],
)
def test_models_tell_of_the_last_run_or_retraining(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch,
    noted: float | None, status: str | None, said: str, outcome: str | None,
) -> None:  # fmt: skip
    monkeypatch.setattr(registry, "last_run", lambda *_: None if noted is None else (hours_ago(noted), status))
    earlier = Retraining("models/w", Outcome.KEPT, "a gate", when=hours_ago(26).isoformat(), seconds=720)
    latest = Retraining("models/w", Outcome.UNCHANGED, "", when=hours_ago(2).isoformat(), seconds=720)
    for one in (earlier, latest):
        history.add(workspace, one, limit=None)
    [told] = json.loads(eibert(workspace, "models", "--json"))["models"]
    assert told["last_outcome"] == outcome
    assert said in eibert(workspace, "models").splitlines()[1]
    assert ("unchanged" in eibert(workspace, "models")) is (outcome == "unchanged")


def sign_lock(workspace: Workspace, began: datetime, command: str = "eibert run") -> None:
    """Leaves the signature of a run in the workspace's lock."""
    since = f"{began.astimezone():%Y-%m-%d %H:%M:%S}"
    text = json.dumps({"pid": 1, "command": f"{command} -C models/w", "since": since})
    (workspace.private() / "lock").write_text(text)


def last_run_of(workspace: Workspace) -> tuple[str, str]:
    """When the last run of a workspace began and how it ended, as `eibert models --json` tells."""
    [told] = json.loads(eibert(workspace, "models", "--json"))["models"]
    return told["last_run"], told["last_outcome"]


def test_models_tell_of_a_run_that_was_interrupted_or_still_runs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "last_run", lambda *_: (hours_ago(3), "finished"))
    began = hours_ago(2)
    sign_lock(workspace, began, "eibert promote")
    assert last_run_of(workspace)[1] == "finished"
    sign_lock(workspace, began)
    assert last_run_of(workspace) == (began.isoformat(), "interrupted")
    assert "2 h ago, interrupted" in eibert(workspace, "models")
    with (workspace.private() / "lock").open("a+") as held:
        assert alone.taken(held)
        assert last_run_of(workspace)[1] == "running"
    history.add(
        workspace, Retraining("models/w", Outcome.KEPT, "", when=hours_ago(2.1).isoformat(), seconds=720), limit=1
    )
    assert last_run_of(workspace)[1] == "kept"  # of which the run was part
    sign_lock(workspace, hours_ago(1), "eibert retrain")
    assert last_run_of(workspace)[1] == "interrupted"
    with alone.alone(workspace, wait=False):  # the next command
        pass
    assert last_run_of(workspace)[1] == "kept"
