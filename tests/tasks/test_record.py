"""What the trail records, when it adds a record, and what it never contains."""

import shutil
import subprocess
from pathlib import Path

import pytest

from eibert import artifact, trail
from eibert.errors import ArtifactError, RunError
from tasks import facts, git, judge
from tasks.record import Built, keep
from tests.recorded import STAGES, commit, make, record


def records(root: Path) -> list[trail.Record]:
    return trail.read(root / "trail")


def test_record_holds_what_an_auditor_asks(signed: Path) -> None:
    [found] = records(signed)
    body = found.body
    assert body["format"] == 1
    assert body["workspace"] == "w"
    assert body["parent"] is None
    assert body["git"]["dirty"] is False
    assert len(body["git"]["commit"]) == 40
    assert {name: stage["state"] for name, stage in body["stages"].items()} == STAGES
    assert body["stages"]["ingest"]["files"]["train.parquet"]["bytes"] == 4
    assert body["data"]["rows"]["train"] == {"read": 5, "refused": 0, "kept": 5}
    assert body["data"]["sources"][0]["files"] == {"../rows.csv": "ab" * 32}
    assert body["data"]["gate"]["passed"] == 1
    assert body["data"]["gate"]["not_held"][0]["name"] == "lengths"
    assert body["teacher"]["files"] == {"model.safetensors": "cd" * 32}
    assert body["teacher"]["licence"] == "apache-2.0"
    assert body["mlflow"] == {"note": "n", "run": "r"}
    assert body["metrics"]["test"] == {"bundle": 0.9}
    assert all(gate["passed"] for gate in body["gates"].values())
    assert body["machine"]["python"].startswith("3.")
    assert "mlflow" in body["libraries"]


@pytest.mark.parametrize(("card", "licence"), [("---\nlicense: mit\n---\nA model.", "mit"), (None, None)])
def test_licence_of_a_hub_teacher_is_that_of_its_cached_card(
    card: str | None, licence: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--some--model" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    if card:
        (snapshot / "README.md").write_text(card)
    manifests = {"finetune": {"params": {"teacher": {"model": f"hf:some/model@{'a' * 40}"}}}}
    found = facts.teacher_facts(tmp_path, manifests)
    assert (found["revision"], found["licence"]) == ("a" * 40, licence)


def test_digest_of_the_bundle_is_that_of_sha256sum(signed: Path) -> None:
    bundle = facts.bundle_folder(signed / "w")
    said = subprocess.run("sha256sum * | sha256sum", shell=True, cwd=bundle, capture_output=True, text=True, check=True)
    assert records(signed)[0].body["bundle"]["sha256"] == said.stdout.split()[0]


def test_same_state_adds_nothing(signed: Path) -> None:
    before = records(signed)
    assert record(signed) == before[0]
    (signed / "unrelated.txt").write_text("x")
    commit(signed)
    assert record(signed) == before[0]
    assert records(signed) == before


def test_new_state_names_its_parent(signed: Path) -> None:
    with artifact.writing(signed / "w", "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"test": {"bundle": 0.8}})
    second = record(signed)
    assert second.sequence == 2
    assert second.body["parent"] == {"sequence": 1, "digest": records(signed)[0].digest}
    make(signed / "w")  # back to the first state, which is already recorded
    assert record(signed).sequence == 1
    assert len(records(signed)) == 2


@pytest.mark.parametrize("kept_bytes", [0, 100])
def test_record_that_a_kill_cut_off_is_completed_and_not_doubled(signed: Path, kept_bytes: int) -> None:
    with artifact.writing(signed / "w", "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"test": {"bundle": 0.8}})
    second = record(signed)
    path = signed / "trail" / "records.jsonl"
    first, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + last[:kept_bytes])
    assert record(signed) == second
    assert path.read_bytes() == first + last
    path.write_bytes(first + last[:kept_bytes])
    with artifact.writing(signed / "w", "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"test": {"bundle": 0.7}})
    assert record(signed).body["parent"] == {"sequence": 2, "digest": second.digest}
    assert [found.sequence for found in records(signed)] == [1, 2, 3]


def test_uncommitted_change_of_what_shapes_the_bundle_is_recorded(signed: Path) -> None:
    (signed / "trail").rename(signed / "elsewhere")
    (signed / "w" / "params.yaml").write_text("seed: 18\n")
    (signed / "unrelated.txt").write_text("x")
    first = record(signed)
    git = first.body["git"]
    assert git["dirty"] is True
    assert git["changed"] == ["w/params.yaml"]
    assert len(git["diff_sha256"]) == 64
    assert record(signed) == first
    (signed / "rows.csv").write_text("text,label\nmore,call\n")
    assert record(signed).body["git"]["changed"] == ["rows.csv", "w/params.yaml"]
    commit(signed)
    clean = record(signed)
    assert clean.body["git"]["dirty"] is False
    assert clean.sequence == 3
    assert record(signed) == clean


def test_before_the_first_commit_all_is_uncommitted(signed: Path) -> None:
    subprocess.run(["git", "update-ref", "-d", "HEAD"], cwd=signed, check=True)
    (signed / "trail").rename(signed / "elsewhere")
    assert record(signed).body["git"] == {"commit": None, "dirty": True}


def test_bundle_of_other_code_than_the_commits_is_not_called_clean(signed: Path) -> None:
    (signed / "trail").rename(signed / "elsewhere")
    commit(signed)
    found = record(signed, by_this_code=False).body["git"]
    assert found == {"commit": git.answer(signed, "rev-parse", "HEAD"), "dirty": True}
    assert not record(signed).body["git"]["dirty"]


def test_altered_bundle_is_not_recorded(signed: Path) -> None:
    (facts.bundle_folder(signed / "w") / "vocab.txt").write_text("x")
    with pytest.raises(ArtifactError, match=r"vocab\.txt: altered"):
        record(signed)


def test_teachers_package_is_the_one_that_is_loaded() -> None:
    from eibert.teacher_files import BUNDLED_PACKAGE

    assert facts.TEACHER_PACKAGE == BUNDLED_PACKAGE


def test_hub_teacher_has_its_revision(signed: Path) -> None:
    teacher = {"model": "hf:owner/name@abc123", "pooling": "mean", "sha256": None}
    with artifact.writing(signed / "w", "finetune", params={"teacher": teacher}, inputs={}) as part:
        (part / "model.safetensors").write_bytes(b"weights")
    built = Built(signed / "w", signed, "w", STAGES, [], lambda: True)
    assert keep(built, dict).body["teacher"]["revision"] == "abc123"


NAMES = ("hf_banking77_intents", "sk-news-topics-2024", "npm_support_tickets")


def record_at(root: Path, name: str) -> trail.Record:
    """Records the build of a workspace in its models/."""
    return keep(Built(root / "models" / name, root, f"models/{name}", STAGES, [], lambda: True), dict)


def test_workspaces_named_like_tokens_are_told_apart_and_found_again(signed: Path) -> None:
    for name in NAMES:
        shutil.copytree(signed / "w", signed / "models" / name)
    made = [record_at(signed, name) for name in NAMES]
    assert [found.sequence for found in made] == [2, 3, 4]
    assert [found.body["folder"] for found in made] == [f"models/{name}" for name in NAMES]
    assert [found.body["workspace"] for found in made] == [f"models/{name}" for name in NAMES]
    assert [found.body["parent"] for found in made] == [None, None, None]
    assert [record_at(signed, name) for name in NAMES] == made
    assert len(records(signed)) == 4
    for name, expected in zip(NAMES, made, strict=True):
        workspace = signed / "models" / name
        assert judge.build_of(signed, workspace, facts.bundle_folder(workspace)) == expected


@pytest.mark.parametrize("name", ["hf_canary21ABCDEFGHIJ", "canary06-plain"])
def test_workspace_whose_name_would_be_redacted_is_refused_and_nothing_is_recorded(
    name: str, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_API_KEY", "canary06-plain")
    shutil.copytree(signed / "w", signed / "models" / name)
    before = records(signed)
    with pytest.raises(RunError, match=r"^models/\*\*\*: this name contains .* choose another name"):
        record_at(signed, name)
    with pytest.raises(RunError, match=r"^models/\*\*\*: this name contains"):
        judge.build_of(signed, signed / "models" / name, facts.bundle_folder(signed / "models" / name))
    assert records(signed) == before
