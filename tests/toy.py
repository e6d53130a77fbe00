"""Bundles small enough for hand arithmetic, and a workspace with one as if built by the pipeline."""

import contextlib
import hashlib
import json
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from eibert import artifact
from eibert.corpus import read_spec, write_parquet, write_spec
from eibert.runtime.model import Model
from eibert.trail import Record
from flows import recording
from flows.workspace import Workspace, find
from tasks.ingest import _schema

PROJECT = Path(__file__).parents[1]
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LABELS = ("negative", "neutral", "positive")
FOLDER = "models/w"
"""Folder of the workspace in a repository."""
WORDS = tuple(f"w{index:02}" for index in range(60))
"""Word i belongs to class i mod 3."""

STAGES = ("ingest", "validate", "finetune", "export", "evaluate")
GRAPH = "stages:\n" + "".join(f"  {stage}: {{cmd: x, outs: [data/{stage}]}}\n" for stage in STAGES)


def graph(tokens: Sequence[str], rows: Mapping[str, Sequence[float]], width: int, second: float = 1.0) -> bytes:
    """ONNX: the mean row of the real tokens, plus a term on the last logit for the share of tokens in a second text."""
    table = np.zeros((len(tokens), width), np.float32)
    for at, token in enumerate(tokens):
        values = rows.get(token, ())[:width]
        table[at, : len(values)] = values
    shift = np.zeros((1, width), np.float32)
    shift[0, -1] = second if width > 2 else 0.0
    constants = {"table": table, "second": shift, "one": np.array([1]), "two": np.array([2])}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "two"], ["wide"]),
        helper.make_node("Mul", ["rows", "wide"], ["real"]),
        helper.make_node("ReduceSum", ["real", "one"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "one"], ["count"]),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["types", "mask"], ["later"]),
        helper.make_node("ReduceSum", ["later", "one"], ["later_count"]),
        helper.make_node("Div", ["later_count", "count"], ["share"]),
        helper.make_node("MatMul", ["share", "second"], ["shift"]),
        helper.make_node("Add", ["mean", "shift"], ["logits"]),
    ]
    names = ("input_ids", "attention_mask", "token_type_ids")
    made = helper.make_graph(
        nodes, "toy", [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", "T"]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", width])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_bundle(
    folder: Path,
    *,
    wrong: Collection[int] = (),
    labels: Sequence[str] = LABELS,
    pair: bool = False,
    metric: str = "accuracy",
) -> Path:
    """Writes a bundle that knows the class of each word, except for some that it assigns to the next class.

    Without labels it answers with the mean of its words' numbers, where each wrong word counts 100 more.
    """  # fmt: skip
    tokens = (*SPECIALS, *WORDS)
    if labels:
        classes = {word: (index + (index in wrong)) % 3 % len(labels) for index, word in enumerate(WORDS)}
        rows = {word: [6.0 * (at == found) for at in range(len(labels))] for word, found in classes.items()}
    else:
        rows = {word: [index + 100.0 * (index in wrong)] for index, word in enumerate(WORDS)}
    files = {
        "model.onnx": graph(tokens, rows, len(labels) or 1, second=0.0),
        "vocab.txt": "".join(f"{token}\n" for token in tokens).encode(),
    }
    about = {
        "format": 1, "name": "toy", "pair": pair, "labels": list(labels), "metric": metric, "max_tokens": 16,
        "lowercase": True, "strip_accents": None,
        "files": {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()},
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "eibert.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def rows_of(split: str, *, labels: Sequence[str], pair: bool) -> dict[str, list[Any]]:
    """Rows whose words determine the answer: 60 train, 60 dev, 180 test, without repetition."""
    repeats = {"train": (4,), "dev": (5,), "test": (1, 2, 3)}[split]
    texts = [" ".join([word] * repeat) for repeat in repeats for word in WORDS]
    answers: list[Any] = [labels[index % 3 % len(labels)] if labels else float(index) for index in range(60)]
    columns: dict[str, list[Any]] = {"text": texts}
    if pair:
        columns["text_b"] = [f"{text} again" for text in texts]
    return columns | {"label": answers * len(repeats)}


def make_repository(root: Path, name: str = FOLDER) -> Workspace:
    """Returns a workspace without artifacts in its own repository."""
    folder = root / name
    folder.mkdir(parents=True)
    (root / ".dvc").mkdir()
    (root / ".gitignore").write_text("data/\n.eibert/\nmlflow.db*\nmlartifacts/\n")
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params["judge"] |= {"bootstrap_samples": 200, "latency_rows": 20, "warmup_rows": 2, "max_latency_ratio": 1000.0}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "dvc.yaml").write_text(GRAPH)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "."]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return find(folder)


def build(
    workspace: Workspace,
    *,
    wrong: Collection[int] = (),
    labels: Sequence[str] = LABELS,
    pair: bool = False,
    metric: str = "accuracy",
    rival: Mapping[str, float] | None = None,
    budget: int = 1_910_000,
    student_wrong: Collection[int] | None = None,
    train: Sequence[str] = (),
    record: bool = True,
) -> None:
    """Builds, records and signs a bundle as a run would.

    Args:
        workspace: Where to build it.
        wrong: Words that the bundle assigns to the next class.
        labels: Labels of the task; none: a regression.
        pair: Whether its rows are pairs.
        metric: The task's metric.
        rival: `difference`, `low`, `high` of the bundle against TF-IDF.
        budget: Largest size in bytes.
        student_wrong: Words that the student before quantization assigned to the next class; None: the same ones.
        train: Additional training texts.
        record: Whether to record and sign it.
    """  # fmt: skip
    folder = workspace.folder
    dataset = {"name": "toy", "pair": pair, "labels": list(labels), "metric": metric, "sources": []}
    with artifact.writing(folder, "ingest", params={"seed": 17}, inputs={}) as part:
        for split in ("train", "dev", "test"):
            columns = rows_of(split, labels=labels, pair=pair)
            for text in train if split == "train" else ():
                columns["text"].append(text)
                columns["label"].append(labels[0] if labels else 0.0)
            write_parquet(part / f"{split}.parquet", columns, _schema(dataset))
        artifact.write_json(part / "dataset.json", dataset)
        write_spec(part, dataset)
        artifact.write_json(part / "metrics.json", {"rows": {}})
    with artifact.writing(folder, "validate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"passed": 1, "expectations": 1})
    with artifact.writing(folder, "finetune", params={"teacher": {"model": "hf:a/b@c"}}, inputs={}) as part:
        (part / "model.safetensors").write_bytes(b"weights")
    with artifact.writing(folder, "export", params={}, inputs={}) as part:
        write_bundle(part / "bundle", wrong=wrong, labels=labels, pair=pair, metric=metric)
        size = sum(path.stat().st_size for path in (part / "bundle").iterdir())
        artifact.write_json(part / "metrics.json", {"bytes": size, "budget_bytes": budget, "agreement": 1.0})
    _evaluate(workspace, wrong if student_wrong is None else student_wrong, metric, rival)
    if record:
        shutil.rmtree(folder / "data" / "provenance", ignore_errors=True)
        assert isinstance(recording.record(workspace, dict.fromkeys(STAGES, "Completed"), None), Record)


def _evaluate(workspace: Workspace, wrong: Collection[int], metric: str, rival: Mapping[str, float] | None) -> None:
    folder = workspace.folder
    spec = read_spec(artifact.folder(folder, "ingest"))
    student = write_bundle(
        folder / "student", wrong=wrong, labels=spec.labels, pair=spec.pair, metric=spec.metric
    )  # fmt: skip
    columns = rows_of("test", labels=spec.labels, pair=spec.pair)
    texts = list(zip(columns["text"], columns["text_b"], strict=True)) if spec.pair else columns["text"]
    said = [answer.label or answer.value for answer in Model.load(student).predict(texts)]
    shutil.rmtree(student)
    inputs = artifact.verified(folder, "ingest", "export")
    figures = {
        "metric": metric, "test": {"bundle": 0.9},
        "differences": {"tfidf": rival or {"difference": 0.2, "low": 0.1, "high": 0.3}},
    }  # fmt: skip
    import pyarrow as pa

    kind = pa.float64() if spec.regression else pa.string()
    with artifact.writing(folder, "evaluate", params={}, inputs=inputs) as part:
        write_parquet(part / "predictions.parquet", {"student": said}, pa.schema([("student", kind)]))
        artifact.write_json(part / "metrics.json", figures)


@contextlib.contextmanager
def recorded_repository(root: Path, database: Path) -> Iterator[tuple[Workspace, pytest.MonkeyPatch]]:
    """Yields a repository's workspace whose MLflow store is a copy of a database, and a monkeypatch."""
    workspace = make_repository(root)
    shutil.copy(database, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")  # no connection outlives a restored database
        yield workspace, patch


def keep(root: Path) -> None:
    """Saves a repository's state for `put_back`."""
    shutil.copytree(root, root.with_name("kept"))


def put_back(root: Path) -> Workspace:
    """Restores a repository's saved state at the same path, as MLflow expects, and returns its workspace."""
    shutil.rmtree(root)
    shutil.copytree(root.with_name("kept"), root)
    return find(root / FOLDER)


def letters_and(words: Sequence[str] = ()) -> tuple[str, ...]:
    """A vocabulary that can spell every word of lowercase letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return (*SPECIALS, "[unused0]", *letters, *(f"##{letter}" for letter in letters), *words)


def random_teacher(folder: Path, tokens: Sequence[str]) -> Path:
    """Saves a random BERT of two layers of width 16 in transformers' format, with vocab.txt; returns its folder."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.2,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return folder
