"""The real pipeline on a real data set in a clone of the project, tiny but complete: a user's first steps."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest

from eibert.batches import predict
from eibert.corpus import read_spec, read_split
from eibert.export import bundle_logits
from eibert.student import load_student

PROJECT = Path(__file__).parents[2]
DATA = PROJECT.parent / "shared" / "datasets" / "trec6"
STAGES = ["code", "ingest", "validate", "finetune", "pretrain", "prune", "distill", "quantize", "export", "evaluate"]
TINY = {
    "finetune.rows_limit": 1600, "finetune.epochs": 1, "pretrain.texts_min": 0, "pretrain.texts_limit": 1500,
    "pretrain.epochs": 2, "prune.texts_limit": 500, "distill.rows_limit": 10000, "distill.epochs": 2,
    "distill.teacher_rows": 160, "distill.variants": 0, "evaluate.bootstrap_samples": 100,
    "evaluate.rival_regularizations": "[10.0]", "evaluate.static_dimensions": "[64]",
    "evaluate.static_regularizations": "[10.0]",
}  # fmt: skip

pytestmark = [pytest.mark.realdata, pytest.mark.timeout(1200)]


class Clone:
    """A clone of the project with one model in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = root / "models" / "trec6"

    def eibert(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs the command with the clone's own code."""
        environment = {**os.environ, "PYTHONPATH": str(self.root)}
        command = [str(Path(sys.executable).with_name("eibert")), *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def run(self, *arguments: str) -> dict[str, Any]:
        """Returns the answer of `eibert run --json`."""
        found: dict[str, Any] = json.loads(self.eibert("run", "-C", "models/trec6", "--json", *arguments).stdout)
        return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose model has been run once."""
    if not DATA.is_dir():
        pytest.skip(f"the real data sets are not beside the project ({DATA})")
    root = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, root / name)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    made = Clone(root)
    values = [f"{key}={value}" for key, value in TINY.items()]
    options = [option for value in values for option in ("--set", value)]
    made.eibert("new", "models/trec6", "--data", str(DATA), *options)
    return made


@pytest.fixture(scope="module")
def first(clone: Clone) -> dict[str, Any]:
    """The answer of the first run."""
    return clone.run()


def test_every_stage_completes_within_the_budget(clone: Clone, first: dict[str, Any]) -> None:
    assert first["stages"] == dict.fromkeys(STAGES, "Completed")
    bundle = Path(first["bundle"])
    assert first["bytes"] == sum(path.stat().st_size for path in bundle.iterdir()) <= 1_910_000
    assert sorted(path.name for path in bundle.iterdir()) == ["eibert.json", "model.onnx", "vocab.txt"]
    assert Path(first["report"]).is_file()


def test_the_bundle_has_learnt_the_task(first: dict[str, Any]) -> None:
    scores = first["metrics"]["test"]
    assert scores["bundle"] > scores["majority"] + 0.3
    assert scores["teacher"] > 0.8


def test_bundle_agrees_with_the_student_before_quantization(clone: Clone, first: dict[str, Any]) -> None:
    ingest = clone.model / "data" / "ingest"
    spec = read_spec(ingest)
    test = read_split(ingest, "test", spec)
    student = predict(load_student(clone.model / "data" / "distill"), test, batch_size=64).argmax(1)
    bundle = bundle_logits(Path(first["bundle"]), test).argmax(1)
    assert np.mean(student == bundle) >= 0.99
    assert np.mean(bundle == test.targets) == pytest.approx(first["metrics"]["test"]["bundle"])


def test_predict_answers_with_the_labels_of_plain_onnxruntime(clone: Clone, first: dict[str, Any]) -> None:
    text = "Who invented the telephone ?"
    said = json.loads(clone.eibert("predict", "-C", "models/trec6", "--json", text).stdout)["predictions"][0]
    session = onnxruntime.InferenceSession(Path(first["bundle"]) / "model.onnx")
    tokenizer = load_student(clone.model / "data" / "distill").tokenizer
    ids = np.array([tokenizer.encode(text).ids])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    logits = session.run(None, feeds)[0][0]
    labels = json.loads((Path(first["bundle"]) / "eibert.json").read_text())["labels"]
    assert said["label"] == labels[logits.argmax()]
    assert said["score"] == pytest.approx(
        np.exp(logits - logits.max()).max() / np.exp(logits - logits.max()).sum(), rel=1e-4
    )


def test_a_second_run_does_nothing_and_dvc_agrees(clone: Clone, first: dict[str, Any]) -> None:
    assert clone.run()["stages"] == dict.fromkeys(STAGES, "Cached")
    dvc = str(Path(sys.executable).with_name("dvc"))
    command = [dvc, "status", "--json", "dvc.yaml"]  # without a name, dvc checks every workspace of the repository
    said = subprocess.run(command, cwd=clone.model, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == {"code": ["always changed"]}


def test_one_key_of_quantize_reruns_three_stages_and_back_restores_them(clone: Clone, first: dict[str, Any]) -> None:
    bundle = (Path(first["bundle"]) / "model.onnx").read_bytes()
    later = ["quantize", "export", "evaluate"]
    expected = {stage: "Completed" if stage in later else "Cached" for stage in STAGES}
    assert clone.run("--set", "quantize.attention.bits=7")["stages"] == expected
    assert (Path(first["bundle"]) / "model.onnx").read_bytes() != bundle
    said = clone.eibert("status", "-C", "models/trec6").stdout
    assert "quantize: up to date" in said
    restored = clone.run("--set", "quantize.attention.bits=8")
    assert restored["stages"] == {stage: "Restored" if stage in later else "Cached" for stage in STAGES}
    assert (Path(first["bundle"]) / "model.onnx").read_bytes() == bundle


def test_a_stage_run_again_gives_the_same_bytes(clone: Clone, first: dict[str, Any]) -> None:
    folders = [clone.model / "data" / stage / "manifest.json" for stage in ("prune", "quantize", "export")]
    before = [path.read_bytes() for path in folders]
    for stage in ("prune", "quantize", "export"):
        clone.eibert("stage", stage, "-C", "models/trec6")
    assert [path.read_bytes() for path in folders] == before


def test_another_model_with_the_same_text_restores_its_pretraining(clone: Clone, first: dict[str, Any]) -> None:
    options = [option for key, value in TINY.items() for option in ("--set", f"{key}={value}")]
    clone.eibert("new", "models/twin", "--data", str(DATA), *options, "--set", "finetune.learning_rate=2.0e-4")
    arguments = ("run", "-C", "models/twin", "--json", "--until", "pretrain")
    found = json.loads(clone.eibert(*arguments).stdout)["stages"]
    assert found["pretrain"] == "Restored"


def test_an_altered_stage_output_is_never_served(clone: Clone, first: dict[str, Any]) -> None:
    path = clone.model / "data" / "prune" / "vocab.txt"
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(good.replace(b"the\n", b"eht\n", 1))
    assert clone.run()["stages"]["prune"] == "Restored"
    assert path.read_bytes() == good


def test_bad_data_stops_before_anything_learns(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = pq.read_table(clone.model / "data" / "ingest" / "test.parquet").to_pylist()
    for split in ("train", "dev", "test"):
        lines = [json.dumps({"text": row["text"], "label": row["label"]}) for row in rows]
        (tmp_path / "data" / f"{split}.jsonl").write_text("\n".join(lines))
    clone.eibert("new", "models/leaky", "--data", str(tmp_path / "data"))
    done = clone.eibert("run", "-C", "models/leaky", "--json", expect=1)
    stages = json.loads(done.stdout)["stages"]
    assert stages["validate"] == "Failed"
    assert stages["finetune"] == stages["pretrain"] == "NotRun"
    assert "leak" in done.stderr
    assert "Traceback" not in done.stderr
    assert (clone.root / "models" / "leaky" / "data" / "validate" / "docs" / "index.html").is_file()
