"""A small workspace with artifacts like those of a real run, recorded and signed."""

import subprocess
from pathlib import Path

from eibert import artifact, trail
from eibert.trail import Record
from tasks import bom, facts, keys, provenance, signing
from tasks.record import Built, keep

STAGES = {
    "ingest": "Restored",
    "validate": "Cached",
    "finetune": "Completed",
    "export": "Completed",
    "evaluate": "Cached",
}
GRAPH = """
stages:
  ingest: {cmd: x, deps: [../rows.csv, eibert], outs: [data/ingest]}
  export: {cmd: x, deps: [data/ingest], outs: [data/export]}
"""


def make(folder: Path) -> None:
    """Writes the artifacts of a workspace."""
    sources = [
        {"source": "../rows.csv", "use": "labelled", "files": {"../rows.csv": "ab" * 32}, "licence": "cc-by-4.0"},
    ]
    dataset = {"name": "toy", "pair": False, "labels": ["call", "play"], "metric": "accuracy", "sources": sources}
    rows = {split: {"read": 5, "refused": 0, "kept": 5} for split in ("train", "dev", "test")}
    params = {"seed": 17, "ingest": {"source": "../rows.csv"}}
    with artifact.writing(folder, "ingest", params=params, inputs={"../rows.csv": "ab" * 32}) as part:
        (part / "train.parquet").write_bytes(b"rows")
        artifact.write_json(part / "dataset.json", dataset)
        artifact.write_json(part / "metrics.json", {"rows": rows, "unlabelled": {"kept": 0}, "pretraining": 5})
    with artifact.writing(folder, "validate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"passed": 1, "expectations": 57, "failed": 0, "warned": 1})
        found = {"name": "lengths", "split": "train", "severity": "warn", "observed": "9000", "passed": False}
        artifact.write_json(part / "result.json", {"passed": True, "expectations": [found]})
    teacher = {"model": "bundled", "pooling": "mean", "sha256": None}
    inputs = {"teacher/model.safetensors": "cd" * 32}
    with artifact.writing(folder, "finetune", params={"seed": 17, "teacher": teacher}, inputs=inputs) as part:
        (part / "model.safetensors").write_bytes(b"weights")
    with artifact.writing(folder, "export", params={"export": {"min_agreement": 0.99}}, inputs={}) as part:
        (part / "bundle").mkdir()
        (part / "bundle" / "model.onnx").write_bytes(bytes(range(256)) * 8)
        (part / "bundle" / "vocab.txt").write_text("[PAD]\n[UNK]\n")
        artifact.write_json(part / "bundle" / "eibert.json", {"format": 1, "labels": ["call", "play"]})
        artifact.write_json(part / "metrics.json", {"bytes": 2100, "budget_bytes": 1_910_000, "agreement": 1.0})
    with artifact.writing(folder, "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"test": {"bundle": 0.9}, "headline": "Ship the bundle."})


def commit(root: Path) -> None:
    """Commits everything that git does not ignore."""
    for command in (["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=root, check=True)


def record(root: Path, *, by_this_code: bool = True, run: str | None = "r", note: str | None = "n") -> Record:
    """Records the build; without `run` and `note`, one for which nothing had to run."""
    built = Built(root / "w", root, "w", STAGES, ["../rows.csv"], lambda: by_this_code)
    return keep(built, lambda: {"note": note, "run": run})


def sign(root: Path, found: Record) -> None:
    """Signs it."""
    text = bom.bill(found)
    entry = {"name": signing.BOM, "sha256": trail.sha256(text.encode())}
    bundle, target = facts.bundle_folder(root / "w"), root / "w" / "data" / "provenance"
    signing.sign(bundle, target, keys.private_key(root), text, provenance.statement(found, entry))


def key_of(root: Path) -> Path:
    """The public key in the trail."""
    [found] = (root / "trail" / "keys").iterdir()
    return found


def make_repository(root: Path) -> Path:
    """Returns the root of a repository with one recorded and signed bundle."""
    (root / "w").mkdir(parents=True)
    (root / ".dvc").mkdir()
    (root / ".gitignore").write_text("data/\n.eibert/\n")
    (root / "rows.csv").write_text("text,label\n")
    (root / "w" / "params.yaml").write_text("seed: 17\n")
    (root / "w" / "dvc.yaml").write_text(GRAPH)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    commit(root)
    make(root / "w")
    sign(root, record(root))
    return root
