"""`ingest`: sources → data/ingest."""

import json
from pathlib import Path
from posixpath import normpath
from typing import Any

import pyarrow as pa
import yaml

from eibert.artifact import METRICS, folder, write_json, writing
from eibert.corpus import LEAKED, TEXT, write_held_out, write_parquet, write_pretraining, write_spec
from eibert.errors import DataError
from eibert.ingest import Ingested, Refused, RefusedRowsError, ingest, local_sources
from eibert.params.ingest import IngestParams
from eibert.params.section import Shared
from tasks.progress import say

_STAGE = "ingest"
_SHOWN = 5


def run(workspace: Path, params: IngestParams, shared: Shared) -> Path:
    """Reads the sources and returns the folder of the artifact.

    Raises:
        DataError: a source is missing from dvc.yaml, is unreadable or does not form a task, or too many rows were
            refused; in that case logs/refused.jsonl lists them.
    """
    _in_step(workspace, params)
    log = workspace / "logs" / "refused.jsonl"
    try:
        ingested = ingest(params, shared.seed, workspace)
    except RefusedRowsError as error:
        log.parent.mkdir(exist_ok=True)
        _write_refused(log, error.refused)
        raise DataError(f"{error}\nfull list with reasons: {log.absolute()}") from error
    log.unlink(missing_ok=True)
    section = {"seed": shared.seed, _STAGE: params.model_dump(mode="json")}
    with writing(workspace, _STAGE, params=section, inputs=ingested.inputs) as part:
        _write(part, ingested)
    _tell(ingested)
    return folder(workspace, _STAGE)


def _in_step(workspace: Path, params: IngestParams) -> None:
    """Checks that DVC tracks every local source; otherwise a changed file would go unnoticed."""
    path = workspace / "dvc.yaml"
    if not path.exists():
        return
    try:
        graph = yaml.safe_load(path.read_text(encoding="utf-8"))
        deps = graph["stages"][_STAGE].get("deps", [])
        watched = {normpath(dep if isinstance(dep, str) else next(iter(dep))) for dep in deps}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no readable stages.{_STAGE}; restore the file from git") from error
    for source in local_sources(params):
        if normpath(source) not in watched:
            raise DataError(
                f"{path}: stages.{_STAGE}.deps lacks {source}, which params.yaml names as a source; "
                "run `eibert run` to update it"
            )


def _write(part: Path, ingested: Ingested) -> None:
    for split, rows in (*ingested.splits.items(), (LEAKED, ingested.leaked)):
        columns: dict[str, list[Any]] = {"text": [row.text for row in rows]}
        if ingested.dataset["pair"]:
            columns["text_b"] = [row.text_b for row in rows]
        columns["label"] = [row.label for row in rows]
        write_parquet(part / f"{split}.parquet", columns, _schema(ingested.dataset))
    write_parquet(part / "unlabelled.parquet", {"text": ingested.unlabelled}, TEXT)
    write_pretraining(part, ingested.pretraining)
    write_held_out(part, ingested.held_out)
    _write_refused(part / "refused.jsonl", ingested.refused)
    write_json(part / "dataset.json", ingested.dataset)
    write_spec(part, ingested.dataset)
    write_json(part / METRICS, ingested.metrics)


def _schema(dataset: dict[str, Any]) -> pa.Schema:
    label = pa.string() if dataset["labels"] else pa.float64()
    types = {"text": pa.string(), **({"text_b": pa.string()} if dataset["pair"] else {}), "label": label}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def _write_refused(path: Path, refused: list[Refused]) -> None:
    # ASCII, because a refused row may contain lone surrogates, which UTF-8 cannot encode.
    lines = [json.dumps({**vars(row), "file": row.file.name}, sort_keys=True, default=repr) for row in refused]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


def _scarce(dataset: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Returns the classes that are missing from a carved split, with those splits."""
    found = {
        label: [split for split in dataset["carved"] if label not in dataset["counts"][split]]
        for label in dataset["labels"]
    }
    return [(label, splits) for label, splits in found.items() if splits]


def _tell(ingested: Ingested) -> None:
    rows = ingested.metrics["rows"]
    for split, count in ingested.dataset["carved"].items():
        say(_STAGE, f"no {split} split in the source: took {count} of {rows['train']['read']} training rows for it")
    if scarce := _scarce(ingested.dataset):
        shown = ", ".join(f"{label!r} (none in {' and '.join(splits)})" for label, splits in scarce[:_SHOWN])
        more = f" and {len(scarce) - _SHOWN} more" if len(scarce) > _SHOWN else ""
        say(
            _STAGE,
            f"too few texts to be in each split that is taken from train: {shown}{more}; add rows to these classes",
        )
    for note in ingested.notes:
        say(_STAGE, note)
    if leaked := rows["train"]["in_dev_or_test"]:
        say(_STAGE, f"excluded {leaked} training rows that also occur in dev or test: nothing is trained on them")
    kept = ", ".join(f"{split} {counts['kept']}" for split, counts in rows.items())
    say(_STAGE, f"{ingested.dataset['name']}: {kept}; refused {len(ingested.refused)}")
    texts = ingested.metrics["unlabelled"]
    if texts["read"]:
        say(
            _STAGE,
            f"unlabelled: read {texts['read']} texts; split {texts['split']} long ones into {texts['split_into']} "
            f"sentences; removed {texts['duplicates']} duplicates and {texts['in_dev_or_test']} that also occur in "
            f"dev or test; kept {texts['kept']}",
        )
