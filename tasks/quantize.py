"""Adapter of `quantize`: distilled student → integer weights with scales."""

import shutil
from pathlib import Path

from eibert import artifact, optimize
from eibert.batches import predict
from eibert.corpus import read_spec, read_split
from eibert.params.quantize import QuantizeParams
from eibert.params.section import Shared
from eibert.quantize.modules import save_quantized, simulate
from eibert.quantize.post_training import measure, quantize
from eibert.quantize.search import spend
from eibert.scores import agreement, score
from eibert.student import SHAPE, VOCABULARY, load_student
from tasks.adapter import recorded
from tasks.progress import reporting, say

STAGE = "quantize"


def run(workspace: Path, params: QuantizeParams, shared: Shared) -> Path:
    """Writes the artifact `quantize` and returns its folder."""
    inputs = artifact.verified(workspace, "ingest/task.json", "ingest/train.parquet", "ingest/dev.parquet", "distill")
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    train, dev = read_split(ingest, "train", spec), read_split(ingest, "dev", spec)
    student = load_student(artifact.folder(workspace, "distill"))
    optimize.prepare(params.threads)
    with reporting(STAGE, "search") as report:
        bits, harms = spend(student, train, params, report)
    with reporting(STAGE, "tuning") as report:
        tuned, quantized = quantize(student, spec, train, params, bits=bits, seed=shared.seed, report=report)
    with reporting(STAGE, "modules") as report:
        errors = measure(tuned, quantized, spec, dev, batch_size=params.batch_size, report=report)
    before = predict(student, dev, batch_size=params.batch_size)
    after = predict(simulate(tuned, quantized), dev, batch_size=params.batch_size)
    figures = {
        "dev_score": score(spec.metric, after, dev.targets),
        "dev_score_float": score(spec.metric, before, dev.targets),
        "agreement": agreement(before, after, regression=spec.regression),
        "weight_bytes": sum(entry["bytes"] for entry in errors),
    }
    say(STAGE, f"dev {spec.metric} {figures['dev_score_float']:.4f} → {figures['dev_score']:.4f}, "
               f"agreement {figures['agreement']:.4f}")  # fmt: skip
    with artifact.writing(workspace, STAGE, params=recorded(STAGE, params, shared), inputs=inputs) as out:
        save_quantized(quantized, out)
        for name in (SHAPE, VOCABULARY):
            shutil.copyfile(artifact.folder(workspace, "distill") / name, out / name)
        artifact.write_json(out / "modules.json", errors)
        artifact.write_json(out / "search.json", harms)
        artifact.write_json(out / artifact.METRICS, figures)
    return artifact.folder(workspace, STAGE)
