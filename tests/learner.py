"""A learner that trains in a moment, from its data alone: each word votes for the class it occurred with most often.

Its stages `finetune`, `export` and `evaluate` stand in for the real ones; `ingest` and `validate` are the real ones.
"""

import hashlib
import json
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from eibert import artifact
from eibert.corpus import read_spec, read_split, write_parquet
from eibert.runtime.model import Model
from flows.workspace import Workspace, find
from tests.toy import SPECIALS, graph

PROJECT = Path(__file__).parents[1]
LABELS = ("negative", "neutral", "positive")
WORDS = tuple(f"{first}{vowel}{last}" for first in "bdfgk" for vowel in "aeiou" for last in "lmn")[:60]
"""Word i belongs to class i mod 3."""

CRASH = "crash"
"""File in a workspace that makes `export` crash with an unexpected error."""
STAGES = ("ingest", "validate", "finetune", "export", "evaluate")
GRAPH = """
stages:
  ingest:
    cmd: eibert stage ingest
    params: [seed, ingest]
    outs: [data/ingest]
  validate:
    cmd: eibert stage validate
    deps: [data/ingest]
    params: [validate]
    outs: [data/validate]
  finetune:
    cmd: eibert stage finetune
    deps: [data/ingest/train.parquet, data/validate/gate.json]
    params: [seed, teacher, finetune]
    outs: [data/finetune]
  export:
    cmd: eibert stage export
    deps: [data/ingest, data/finetune]
    params: [export]
    outs: [data/export]
  evaluate:
    cmd: eibert stage evaluate
    deps: [data/ingest, data/export]
    params: [seed, evaluate]
    outs: [data/evaluate]
"""
SETTINGS = {
    "teacher": {"model": "../../teacher", "sha256": None},
    "ingest": {"source": "rows", "unlabelled": []},
    "judge": {"bootstrap_samples": 200, "latency_rows": 5, "warmup_rows": 1, "max_latency_ratio": 1000.0},
    "drift": {"sample_rows": 200, "max_tokens": 16},
}


def class_of(word: str) -> str:
    """The class a word belongs to."""
    return LABELS[WORDS.index(word) % 3]


def texts(known: Sequence[str], count: int, *, seed: int, words: int, without: Collection[str] = ()) -> list[str]:
    """Distinct texts, each made of words of one class; the classes alternate."""
    generator = np.random.default_rng(seed)
    by_class = [[word for word in known if class_of(word) == label] for label in LABELS]
    found: dict[str, None] = {}
    while len(found) < count:
        text = " ".join(generator.choice(by_class[len(found) % 3], words))
        if text not in without:
            found[text] = None
    return list(found)


def label_of(text: str) -> str:
    """The true label of such a text."""
    return class_of(text.split()[0])


def write_rows(folder: Path, **splits: Iterable[tuple[str, str]]) -> None:
    """Writes the (text, label) rows of splits as CSV; other splits are kept."""
    folder.mkdir(exist_ok=True)
    for split, rows in splits.items():
        lines = "".join(f"{text},{label}\n" for text, label in rows)
        (folder / f"{split}.csv").write_text(f"text,label\n{lines}")


def labelled(listed: Iterable[str]) -> list[tuple[str, str]]:
    """Texts with their true labels."""
    return [(text, label_of(text)) for text in listed]


def make_repository(root: Path, teacher: Path, *names: str) -> list[Workspace]:
    """Workspaces of a repository in which nothing has run yet; their rows are still to be written."""
    (root / ".dvc").mkdir(parents=True)
    shutil.copyfile(PROJECT / ".dvc" / "config", root / ".dvc" / "config")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / ".gitignore").write_text("data/\n.eibert/\n.prefect/\nmlflow.db*\nmlartifacts/\nlogs/\n")
    shutil.copytree(teacher, root / "teacher")
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for section, values in SETTINGS.items():
        params[section] |= values
    for name in names:
        folder = root / name
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        (folder / "dvc.yaml").write_text(GRAPH)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "."]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return [find(root / name) for name in names]


def bundle(folder: Path, votes: Mapping[str, str]) -> None:
    """Writes a bundle that answers with the class that most of a text's words vote for."""
    tokens = (*SPECIALS, *WORDS)
    rows = {word: [6.0 * (label == one) for one in LABELS] for word, label in votes.items()}
    content = {
        "model.onnx": graph(tokens, rows, len(LABELS), second=0.0),
        "vocab.txt": "".join(f"{token}\n" for token in tokens).encode(),
    }
    files = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in content.items()}
    about = {
        "format": 1, "name": "toy", "pair": False, "labels": list(LABELS), "metric": "accuracy", "max_tokens": 64,
        "lowercase": True, "strip_accents": None, "files": files,
    }  # fmt: skip
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    (folder / "eibert.json").write_text(json.dumps(about), encoding="utf-8")


def _finetune(workspace: Path, params: Any, shared: Any) -> None:
    inputs = artifact.verified(workspace, "ingest/train.parquet", "validate/gate.json")
    shaped = {"teacher": {"model": "hf:toy/teacher@0"}}
    with artifact.writing(workspace, "finetune", params=shaped, inputs=inputs) as part:
        (part / "model.safetensors").write_bytes(b"weights")


def _export(workspace: Path, params: Any, shared: Any) -> None:
    inputs = artifact.verified(workspace, "ingest", "finetune")
    if (workspace / CRASH).exists():
        raise ValueError("the learner was told to break")
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    train = read_split(ingest, "train", spec)
    beside: dict[str, Counter[str]] = defaultdict(Counter)
    for text, target in zip(train.texts, train.targets, strict=True):
        for word in text.split():
            beside[word][spec.labels[target]] += 1
    with artifact.writing(workspace, "export", params={}, inputs=inputs) as part:
        bundle(part / "bundle", {word: max(sorted(found), key=found.__getitem__) for word, found in beside.items()})
        size = sum(path.stat().st_size for path in (part / "bundle").iterdir())
        artifact.write_json(part / "metrics.json", {"bytes": size, "budget_bytes": 1_910_000, "agreement": 1.0})


def _evaluate(workspace: Path, params: Any, shared: Any) -> None:
    inputs = artifact.verified(workspace, "ingest", "export")
    ingest = artifact.folder(workspace, "ingest")
    spec = read_spec(ingest)
    test = read_split(ingest, "test", spec)
    found = [answer.label for answer in Model.load(artifact.folder(workspace, "export") / "bundle").predict(test.texts)]
    right = float(np.mean([spec.labels[target] == label for target, label in zip(test.targets, found, strict=True)]))
    bundle_bytes = artifact.read_manifest(workspace, "export")["metrics"]["bytes"]
    figures = {
        "metric": "accuracy", "test": {"bundle": right, "teacher": 1.0, "tfidf": right - 0.2},
        "bytes": {"bundle": bundle_bytes, "teacher": 90_000_000, "tfidf": bundle_bytes},
        "differences": {"tfidf": {"difference": 0.2, "low": 0.1, "high": 0.3}},
    }  # fmt: skip
    with artifact.writing(workspace, "evaluate", params={}, inputs=inputs) as part:
        write_parquet(part / "predictions.parquet", {"student": found}, pa.schema([("student", pa.string())]))
        artifact.write_json(part / "metrics.json", figures)


ADAPTERS = {
    "finetune": SimpleNamespace(run=_finetune),
    "export": SimpleNamespace(run=_export),
    "evaluate": SimpleNamespace(run=_evaluate),
}
