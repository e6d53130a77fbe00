"""Adapter of `export`: quantized weights → the bundle that ships, checked against the torch model."""

from pathlib import Path

from eibert import artifact, optimize
from eibert.batches import predict
from eibert.corpus import read_spec, read_split
from eibert.errors import ArtifactError
from eibert.export import bundle_logits, write_bundle
from eibert.params.export import ExportParams
from eibert.params.section import Shared
from eibert.quantize.modules import load_quantized
from eibert.scores import agreement
from tasks.progress import say

STAGE = "export"
BUNDLE = "bundle"


def run(workspace: Path, params: ExportParams, shared: Shared) -> Path:  # noqa: ARG001 — one signature for all
    """Writes the artifact `export` and returns its folder.

    Raises:
        BudgetError: the bundle is too large.
        ArtifactError: the bundle does not reproduce the quantized torch model.
    """
    inputs = artifact.verified(workspace, "ingest/task.json", "ingest/dev.parquet", "quantize")
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    dev = read_split(ingest, "dev", spec)
    optimize.prepare(threads=1)  # fixes the order of summation on every host
    student, quantized = load_quantized(artifact.folder(workspace, "quantize"))
    shaped_by = {STAGE: params.model_dump(mode="json")}
    with artifact.writing(workspace, STAGE, params=shaped_by, inputs=inputs) as out:
        bundle = out / BUNDLE
        bundle.mkdir()
        size = write_bundle(student, quantized, spec, params, bundle, lineage=inputs["quantize"])
        expected, found = predict(student, dev, batch_size=64), bundle_logits(bundle, dev)
        agreed = agreement(expected, found, regression=spec.regression)
        difference = float(abs(expected - found).max())
        if agreed < params.min_agreement:
            raise ArtifactError(
                f"export.min_agreement: bundle and torch model agree on {agreed:.2%} of dev rows, expected at least "
                f"{params.min_agreement:.2%} (largest logit difference {difference:.3g}); "
                "set quantize.*.activations to float, or lower export.min_agreement"
            )
        figures = {"bytes": size, "budget_bytes": params.budget_bytes, "agreement": agreed, "logits_error": difference}
        files = {path.name: path.stat().st_size for path in sorted(bundle.iterdir())}
        artifact.write_json(out / artifact.METRICS, figures | {"files": files})
    say(STAGE, f"{size:,} of {params.budget_bytes:,} bytes; largest logit difference {difference:.2g}")
    return artifact.folder(workspace, STAGE)
