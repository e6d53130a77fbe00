"""Adapter of `validate`: ingested data → the gate's verdict, its findings and an HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eibert import artifact
from eibert.corpus import LEAKED, read_spec
from eibert.errors import GateError
from eibert.params.section import Shared
from eibert.params.validate import ValidateParams
from tasks.gate.check import check
from tasks.gate.findings import Finding
from tasks.gate.page import render
from tasks.gate.rows import SPLITS
from tasks.progress import say

STAGE = "validate"


def run(workspace: Path, params: ValidateParams, shared: Shared) -> Path:  # noqa: ARG001 — one signature for all
    """Writes the gate's artifact and returns its folder; the artifact is complete even if the gate fails.

    Raises:
        GateError: an expectation of severity `fail` does not hold.
        ArtifactError: the output of `ingest` is missing or altered.
    """
    names = (*SPLITS, LEAKED)
    inputs = artifact.verified(workspace, "ingest/task.json", *(f"ingest/{name}.parquet" for name in names))
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    tables = {name: pq.read_table(ingest / f"{name}.parquet") for name in names}
    learnt = tables["train"].to_pandas()
    tables["train"] = pa.concat_tables([tables["train"], tables[LEAKED]])  # judged as delivered, leaked rows included
    frames = {split: tables[split].to_pandas() for split in SPLITS}
    findings = check(frames, learnt, spec, params)
    failed = [finding for finding in findings if finding.stops]
    shaped_by = {STAGE: params.model_dump(mode="json")}
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as target:
        artifact.write_json(target / "result.json", _result(findings))
        artifact.write_json(target / "gate.json", {"passed": not failed})
        artifact.write_json(target / artifact.METRICS, _metrics(findings))
        docs = target / "docs" / "index.html"
        docs.parent.mkdir()
        docs.write_text(render(findings, frames, spec), encoding="utf-8")
    for finding in findings:
        if finding.warns:
            say(STAGE, f"warning: {finding}")
    if failed:
        raise GateError(_refusal(failed, artifact.folder(workspace, STAGE) / "docs" / "index.html"))
    return artifact.folder(workspace, STAGE)


def _metrics(findings: Sequence[Finding]) -> dict[str, int]:
    return {
        "passed": int(not any(finding.stops for finding in findings)),
        "expectations": len(findings),
        "failed": sum(finding.stops for finding in findings),
        "warned": sum(finding.warns for finding in findings),
    }


def _result(findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "passed": not any(finding.stops for finding in findings),
        "expectations": [finding.to_json() for finding in findings],
    }


def _refusal(failed: Sequence[Finding], docs: Path) -> str:
    keys = sorted({f"{STAGE}.{key}" for finding in failed for key in finding.keys})
    bounds = f", or change {', '.join(keys)} in params.yaml" if keys else ""
    return (
        f"{len(failed)} expectation{'' if len(failed) == 1 else 's'} failed:\n"
        + "".join(f"  {finding}\n" for finding in failed)
        + f"See {docs}; fix these rows in the source{bounds}; then run again."
    )
