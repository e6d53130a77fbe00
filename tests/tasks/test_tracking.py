"""Notes on runs, and their delivery to MLflow."""

import json
import shutil
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eibert import artifact
from tasks import mlflow_store, notes, registry, tracking

OUTCOME = {"state": "Completed", "started": 1000.0, "seconds": 2.5, "reasons": ("never run",), "error": ""}


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(database, tmp_path / "mlflow.db")
    return tmp_path


def build(root: Path) -> None:
    with artifact.writing(root, "ingest", params={"seed": 1, "ingest": {"source": "sample"}}, inputs={}) as part:
        (part / "train.parquet").write_text("rows")
        artifact.write_json(part / "metrics.json", {"rows": {"train": 4}, "name": "x"})
    with artifact.writing(root, "finetune", params={"seed": 1}, inputs={}) as part:
        artifact.write_json(part / "history.json", [{"step": 5, "loss": 1.5}, {"step": 10, "loss": 0.5}])


def note(root: Path, **stages: dict[str, Any]) -> Path:
    return notes.write(root, "models/w", {name: OUTCOME | given for name, given in stages.items()}, started=1000.0)


def deliver(root: Path) -> str:
    return tracking.deliver(root, root / ".eibert")


def runs(root: Path) -> dict[str, Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_store.store(root))
    experiment = client.get_experiment_by_name("models/w")
    latest_first = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in reversed(latest_first)}


def test_last_run_is_told_with_its_end(root: Path) -> None:
    assert registry.last_run(root, "models/w") is None
    note(root, ingest={}, prune={"state": "Failed", "error": "prune: no"})
    notes.write(root, "models/w", {"ingest": OUTCOME}, started=900.0)
    deliver(root)
    assert registry.last_run(root, "models/w") == (datetime.fromtimestamp(1000, UTC), "failed")
    notes.write(root, "models/w", {"ingest": OUTCOME}, started=1100.0)
    deliver(root)
    assert registry.last_run(root, "models/w") == (datetime.fromtimestamp(1100, UTC), "finished")


def test_run_and_its_stages_are_recorded(root: Path) -> None:
    build(root)
    note(root, ingest={}, finetune={}, prune={"state": "Failed", "error": "prune: no"}, distill={"state": "NotRun"})
    assert deliver(root) == ""
    found = runs(root)
    assert found.keys() == {"run", "ingest", "finetune", "prune", "distill"}
    parent, ingest = found["run"], found["ingest"]
    assert parent.info.status == "FAILED"
    assert ingest.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert ingest.data.params == {"seed": "1", "ingest.source": "sample"}
    size = sum(path.stat().st_size for path in (root / "data" / "ingest").iterdir() if path.name != "manifest.json")
    assert ingest.data.metrics == {"rows.train": 4, "artifact_bytes": size, "seconds": 2.5}
    digest = artifact.sha256(root / "data" / "ingest" / "manifest.json")
    assert ingest.data.tags[tracking.DIGEST_TAG] == digest
    [dataset] = ingest.inputs.dataset_inputs
    assert dataset.dataset.digest == artifact.sha256(root / "data" / "ingest" / "train.parquet")[:36]
    assert found["prune"].info.status == "FAILED"
    assert found["prune"].data.tags["eibert.error"] == "prune: no"
    assert not list((root / ".eibert" / "pending").iterdir())


def test_history_is_recorded_by_step(root: Path) -> None:
    from mlflow import MlflowClient

    build(root)
    note(root, finetune={})
    deliver(root)
    history = MlflowClient(tracking_uri=mlflow_store.store(root)).get_metric_history(
        runs(root)["finetune"].info.run_id, "loss"
    )
    assert [(metric.step, metric.value) for metric in history] == [(5, 1.5), (10, 0.5)]


def test_cached_stage_is_linked_to_the_run_that_made_it(root: Path) -> None:
    build(root)
    note(root, finetune={})
    deliver(root)
    made = runs(root)["finetune"].info.run_id
    note(root, finetune={"state": "Cached", "started": 2000.0})
    deliver(root)
    tags = runs(root)["finetune"].data.tags
    assert tags[tracking.STATE_TAG] == "Cached"
    assert tags[tracking.EARLIER_TAG] == made


def test_lost_server_costs_a_warning_and_the_next_run_delivers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(root)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{taken.getsockname()[1]}")
        note(root, finetune={})
        started = time.monotonic()
        warning = deliver(root)
        assert time.monotonic() - started < 30
    assert "the next run delivers it" in warning
    assert "\n" not in warning
    assert "secret" not in warning
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert deliver(root) == ""
    assert "finetune" in runs(root)


def test_broken_note_does_not_keep_the_later_ones(root: Path) -> None:
    build(root)
    pending = root / ".eibert" / "pending"
    pending.mkdir(parents=True)
    (pending / "0-broken.json").write_text("{")
    note(root, finetune={})
    warning = deliver(root)
    assert "rejected 1 of 2 records" in warning
    assert "0-broken.json" in warning
    assert "finetune" in runs(root)
    assert [path.name for path in pending.iterdir()] == ["0-broken.json"]


def test_note_half_delivered_is_delivered_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(root)
    path = note(root, finetune={})
    content = path.read_text()
    deliver(root)
    path.write_text(content)  # as after a crash before the note was deleted
    deliver(root)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_store.store(root))
    experiment = client.get_experiment_by_name("models/w")
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_note_names_the_commit_and_whether_files_differ(root: Path) -> None:
    import subprocess

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (root / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "one")
    tags = json.loads(note(root).read_text())["tags"]
    assert tags == {"mlflow.source.git.commit": git("rev-parse", "HEAD"), "git.dirty": "false"}
    (root / "file").write_text("2")
    assert json.loads(note(root).read_text())["tags"]["git.dirty"] == "true"


def test_numbers_are_found_at_any_depth() -> None:
    assert notes.numbers({"a": 1, "b": {"c": 0.5, "d": "text"}, "e": True, "f": [1]}) == {"a": 1, "b.c": 0.5, "e": 1}


def test_failed_stage_is_not_described_by_an_earlier_artifact(root: Path) -> None:
    build(root)
    found = json.loads(note(root, ingest={"state": "Failed", "error": "no"}).read_text())
    assert "digest" not in found["stages"]["ingest"]
