"""Delivers notes to MLflow, one run per note with one child run per stage, and reads runs back.

Notes that cannot be delivered stay pending until after the next run; no failure here costs a trained model.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eibert.redact import shown
from tasks.mlflow_store import connected, experiment, reason, store

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST_TAG = "eibert.manifest"
STATE_TAG = "eibert.state"
EARLIER_TAG = "eibert.earlier_run"
NOTE_TAG = "eibert.note"
_SHA256_TAG = "sha256"

_BATCH = 100
_DIGEST_CHARS = 36
_TEXT_CHARS = 500
_STATUS = {"Failed": "FAILED", "NotRun": "KILLED"}
_OUTCOMES = {"FINISHED": "finished", "FAILED": "failed"}


def deliver(root: Path, private: Path) -> str:
    """Delivers all pending notes, oldest first; a note that MLflow rejects does not hold up the later ones.

    Args:
        root: Folder of the repository; mlflow.db and mlartifacts/ go there by default.
        private: The workspace's private folder, whose `pending` holds the notes.

    Returns:
        A one-line warning if notes remain, else an empty string.
    """
    pending = sorted((private / "pending").glob("*.json"))
    refused: dict[Path, Exception] = {}
    try:
        with connected(root) as client:
            for path in pending:
                try:
                    _deliver(client, root, json.loads(path.read_text(encoding="utf-8")), path.stem)
                    path.unlink()
                except Exception as error:  # noqa: BLE001 — whatever MLflow raises, the trained model is unaffected
                    client.search_experiments(max_results=1)  # raises if the store, not the note, is at fault
                    refused[path] = error
    except Exception as error:  # noqa: BLE001
        return shown(f"MLflow at {store(root)} did not accept the record; the next run delivers it: {reason(error)}")
    if refused:
        path, first = next(iter(refused.items()))
        return shown(
            f"MLflow at {store(root)} rejected {len(refused)} of {len(pending)} records; the next run will retry; "
            f"delete any broken note; first: {path}: {reason(first)}"
        )
    return ""


def run_of(root: Path, workspace: str, key: str) -> str | None:
    """Returns the id of the run that a note was delivered as; None if MLflow does not know it or does not answer.

    Args:
        root: Folder of the repository.
        workspace: Name of the workspace and of its experiment.
        key: Name of the note's file without its suffix.
    """
    try:
        with connected(root) as client:
            experiment = client.get_experiment_by_name(workspace)
            query = f"tags.`{NOTE_TAG}` = '{key}'"
            found = client.search_runs([experiment.experiment_id], filter_string=query) if experiment else []
            return str(found[0].info.run_id) if found else None
    except Exception:  # noqa: BLE001 — whatever MLflow raises, there is no id
        return None


def _deliver(client: "MlflowClient", root: Path, note: Mapping[str, Any], key: str) -> None:
    place = experiment(client, root, note["workspace"])
    _drop_partial(client, place, key)
    failed = any(stage["error"] for stage in note["stages"].values())
    parent = client.create_run(
        place, start_time=_milliseconds(note["started"]), tags={**note["tags"], NOTE_TAG: key}, run_name="run"
    ).info.run_id
    for name, stage in note["stages"].items():
        _deliver_stage(client, place, parent, name, stage, note)
    _log_datasets(client, parent, note["workspace"], note["stages"].get("ingest", {}).get("datasets", {}))
    metrics = {
        f"{name}.{metric}": value
        for name, stage in note["stages"].items()
        for metric, value in stage.get("metrics", {}).items()
    }
    _log_metrics(client, parent, [metrics])
    client.set_terminated(parent, "FAILED" if failed else "FINISHED", end_time=_milliseconds(note["ended"]))


def _deliver_stage(
    client: "MlflowClient", experiment: str, parent: str, name: str, stage: Mapping[str, Any], note: Mapping[str, Any]
) -> None:
    tags = {
        **note["tags"],
        "mlflow.parentRunId": parent,
        "eibert.stage": name,
        STATE_TAG: stage["state"],
        "eibert.reasons": "; ".join(stage["reasons"])[:_TEXT_CHARS],
        "eibert.error": stage["error"][:_TEXT_CHARS],
    }
    if digest := stage.get("digest"):
        tags[DIGEST_TAG] = digest
        if stage["state"] != "Completed" and (earlier := _earlier(client, experiment, digest)):
            tags[EARLIER_TAG] = earlier
    started = stage["started"] or note["ended"]
    run = client.create_run(
        experiment,
        start_time=_milliseconds(started),
        tags={key: value for key, value in tags.items() if value},
        run_name=name,
    ).info.run_id
    _log_params(client, run, stage.get("params", {}))
    sizes = {"artifact_bytes": float(stage["bytes"])} if "bytes" in stage else {}
    _log_metrics(client, run, [stage.get("metrics", {}) | sizes | {"seconds": stage["seconds"]}])
    _log_metrics(client, run, stage.get("history", []))
    _log_datasets(client, run, note["workspace"], stage.get("datasets", {}))
    status = _STATUS.get(stage["state"], "FINISHED")
    client.set_terminated(run, status, end_time=_milliseconds(started + stage["seconds"]))


def _drop_partial(client: "MlflowClient", experiment: str, key: str) -> None:
    """Deletes the remains of an interrupted delivery of the same note, so that it does not appear twice."""
    for run in client.search_runs([experiment], filter_string=f"tags.`{NOTE_TAG}` = '{key}'"):
        for child in client.search_runs([experiment], filter_string=f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"):
            client.delete_run(child.info.run_id)
        client.delete_run(run.info.run_id)


def _earlier(client: "MlflowClient", experiment: str, digest: str) -> str | None:
    """The latest run that produced an artifact with this manifest: in this workspace, else in another."""
    others = [str(found.experiment_id) for found in client.search_experiments()]
    query = f"tags.`{DIGEST_TAG}` = '{digest}' and tags.`{STATE_TAG}` = 'Completed'"
    for places in ([experiment], others):
        found = client.search_runs(places, filter_string=query, max_results=1, order_by=["start_time DESC"])
        if found:
            return str(found[0].info.run_id)
    return None


def _log_params(client: "MlflowClient", run: str, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    listed = [Param(key, str(value)[:_TEXT_CHARS]) for key, value in params.items()]
    for start in range(0, len(listed), _BATCH):
        client.log_batch(run, params=listed[start : start + _BATCH])


def _log_metrics(client: "MlflowClient", run: str, rows: list[dict[str, float]]) -> None:
    from mlflow.entities import Metric

    listed = [
        Metric(key, value, 0, int(row.get("step", position)))
        for position, row in enumerate(rows)
        for key, value in row.items()
        if key != "step"
    ]
    for start in range(0, len(listed), _BATCH):
        client.log_batch(run, metrics=listed[start : start + _BATCH])


def _log_datasets(client: "MlflowClient", run: str, workspace: str, splits: Mapping[str, str]) -> None:
    if not splits:
        return
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for split, digest in splits.items():
        source = json.dumps({"uri": f"data/ingest/{split}.parquet"})
        dataset = Dataset(f"{workspace}/{split}", digest[:_DIGEST_CHARS], "local", source)
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split), InputTag(_SHA256_TAG, digest)]))
    client.log_inputs(run, inputs)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def last_run(client: "MlflowClient", workspace: str) -> tuple[datetime, str | None] | None:
    """Returns when the latest run of a workspace started, UTC, and whether it `finished` or `failed`.

    None for the latter: it is not completely delivered. None for both: there is no run.
    """
    experiment = client.get_experiment_by_name(workspace)
    if experiment is None:
        return None
    query = f"tags.`{NOTE_TAG}` != ''"
    places, order = [experiment.experiment_id], ["attributes.start_time DESC"]
    found = client.search_runs(places, filter_string=query, max_results=1, order_by=order)
    if not found:
        return None
    info = found[0].info
    return datetime.fromtimestamp(info.start_time / 1000, UTC), _OUTCOMES.get(info.status)


def read_run(root: Path, run: str) -> dict[str, dict[str, Any]] | None:
    """Returns the data of a run and its stages; None: no such run.

    The keys are `params`, `metrics`, `datasets` (split → SHA-256), `tags`, and `manifests` (stage → SHA-256).

    Args:
        root: Folder of the repository.
        run: Id of a pipeline run or of one stage's run.
    """
    with connected(root) as client:
        from mlflow.exceptions import MlflowException

        try:
            found = client.get_run(run)
        except MlflowException:
            return None
        query = f"tags.`mlflow.parentRunId` = '{run}'"
        children = client.search_runs([found.info.experiment_id], filter_string=query)
    datasets = {}
    for entry in found.inputs.dataset_inputs:
        tags = {tag.key: tag.value for tag in entry.tags}
        datasets[entry.dataset.name.rpartition("/")[2]] = tags.get(_SHA256_TAG, entry.dataset.digest)
    stages = [child.data.tags for child in children if DIGEST_TAG in child.data.tags]
    return {
        "params": {key: value for one in (*children, found) for key, value in one.data.params.items()},
        "metrics": dict(found.data.metrics),
        "datasets": datasets,
        "manifests": {tags["eibert.stage"]: tags[DIGEST_TAG] for tags in stages},
        "tags": dict(found.data.tags),
    }
