"""The adapters refuse inputs they must not build on, and never leave partial output."""

import contextlib
import dataclasses
import json
import multiprocessing
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from eibert import artifact
from eibert.batches import encode
from eibert.corpus import (
    TEXT,
    Pretraining,
    Split,
    read_pretraining,
    read_texts,
    write_held_out,
    write_parquet,
    write_pretraining,
    write_spec,
)  # fmt: skip
from eibert.errors import BudgetError, CorruptArtifactError, GateError, RunError
from eibert.matching import HeldOut
from eibert.params.load import Params
from eibert.params.section import Pooling, Shared, TeacherParams
from tasks import distill, export, finetune, pretrain, prune, quantize
from tasks.beside import Beside


@pytest.fixture
def workspace(tmp_path: Path, teacher_folder: Path, rows: Split) -> Path:
    """Data that has passed the gate, and a tiny teacher."""
    shutil.copytree(teacher_folder, tmp_path / "teacher")
    labels = ["call", "play", "stop"]
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    with artifact.writing(tmp_path, "ingest", params={}, inputs={}) as out:
        columns = {"text": rows.texts, "label": [labels[target] for target in rows.targets]}
        for split in ("train", "dev", "test"):
            write_parquet(out / f"{split}.parquet", columns, schema)
        write_parquet(out / "unlabelled.parquet", {"text": rows.texts}, TEXT)
        write_pretraining(out, Pretraining([(text, None) for text in rows.texts], pairs=False, held_out=HeldOut()))
        write_held_out(out, HeldOut())
        facts = {"name": "toy", "pair": False, "labels": labels, "metric": "accuracy"}
        write_spec(out, facts)
    with artifact.writing(tmp_path, "validate", params={}, inputs={}) as out:
        artifact.write_json(out / "gate.json", {"passed": True})
    return tmp_path


@pytest.fixture
def shared() -> Shared:
    return Shared(seed=3, teacher=TeacherParams(model="teacher", pooling=Pooling.MEAN, sha256=None))


@pytest.fixture
def quick(params: Params) -> Params:
    shape = params.pretrain.student.model_copy(
        update={"layers": 1, "hidden": 12, "heads": 3, "feed_forward": 24, "embedding": 8, "positions": 32}
    )
    changes = {
        "finetune": {"epochs": 1, "max_tokens": 24, "threads": 1},
        "pretrain": {"student": shape, "epochs": 1, "texts_min": 0, "max_tokens": 24, "threads": 1},
        "prune": {"keep": 65, "threads": 1},
        "distill": {"epochs": 1, "max_tokens": 24, "threads": 1, "teacher_rows": 32},
        "quantize": {"threads": 1},
    }
    return params.model_copy(
        update={stage: params.section(stage).model_copy(update=change) for stage, change in changes.items()}
    )


def build(workspace: Path, quick: Params, shared: Shared) -> None:
    finetune.run(workspace, quick.finetune, shared)
    pretrain.run(workspace, quick.pretrain, shared)
    prune.run(workspace, quick.prune, shared)
    distill.run(workspace, quick.distill, shared)
    quantize.run(workspace, quick.quantize, shared)
    export.run(workspace, quick.export, shared)


def test_stages_follow_on_one_another_and_record_their_inputs(workspace: Path, quick: Params, shared: Shared) -> None:
    build(workspace, quick, shared)
    for stage in ("finetune", "pretrain", "prune", "distill", "quantize", "export"):
        assert artifact.problems(workspace, stage) == []
    manifest = artifact.read_manifest(workspace, "prune")
    found = artifact.sha256(workspace / "data" / "pretrain" / "manifest.json")
    assert manifest["inputs"]["pretrain"] == found
    assert manifest["params"]["prune"]["keep"] == 65
    assert len((workspace / "data" / "prune" / "vocab.txt").read_text().splitlines()) == 65
    assert not list((workspace / ".eibert").rglob("*.safetensors"))  # completed runs keep no checkpoints


def test_equal_workspaces_get_equal_bytes(workspace: Path, quick: Params, shared: Shared, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("other") / "elsewhere"
    shutil.copytree(workspace, other)
    for place in (workspace, other):
        build(place, quick, shared)
    for stage in ("finetune", "pretrain", "prune", "distill", "quantize", "export"):
        manifests = [(place / "data" / stage / "manifest.json").read_text() for place in (workspace, other)]
        assert manifests[0] == manifests[1]
        assert str(workspace) not in manifests[0]


def test_nothing_learns_behind_a_closed_gate(workspace: Path, quick: Params, shared: Shared) -> None:
    with artifact.writing(workspace, "validate", params={}, inputs={}) as out:
        artifact.write_json(out / "gate.json", {"passed": False})
    for stage in (finetune, pretrain):
        with pytest.raises(GateError, match="has not passed"):
            stage.run(workspace, quick.section(stage.STAGE), shared)
        assert not (workspace / "data" / stage.STAGE).exists()


def test_altered_data_is_not_learnt_from(workspace: Path, quick: Params, shared: Shared) -> None:
    path = workspace / "data" / "ingest" / "train.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(CorruptArtifactError, match=r"train\.parquet: altered"):
        finetune.run(workspace, quick.finetune, shared)


def test_a_bundle_over_budget_is_not_written(workspace: Path, quick: Params, shared: Shared) -> None:
    build(workspace, quick, shared)
    before = artifact.read_manifest(workspace, "export")
    small = quick.export.model_copy(update={"budget_bytes": 1000})
    with pytest.raises(BudgetError, match=r"export\.budget_bytes: the bundle has"):
        export.run(workspace, small, shared)
    assert artifact.read_manifest(workspace, "export") == before


def test_words_of_dropped_entries_fall_apart(workspace: Path, quick: Params, shared: Shared) -> None:
    build(workspace, quick, shared)
    facts = json.loads((workspace / "data" / "prune" / "coverage.json").read_text())
    assert facts["after"]["unknown"] == facts["before"]["unknown"] == 0.0
    assert facts["after"]["tokens_per_text"] >= facts["before"]["tokens_per_text"]


def test_every_option_of_pruning_and_quantizing_goes_through(workspace: Path, quick: Params, shared: Shared) -> None:
    options = {
        "prune": {"vocabulary_bytes": 600, "keep_characters": False},
        "quantize": {"weight_bytes": 1900, "tune_rows": 64},
    }
    chosen = quick.model_copy(
        update={stage: quick.section(stage).model_copy(update=change) for stage, change in options.items()}
    )
    build(workspace, chosen, shared)
    vocabulary = (workspace / "data" / "prune" / "vocab.txt").read_bytes()
    assert len(vocabulary) + vocabulary.count(b"\n") * (8 + 4) <= 600
    facts = json.loads((workspace / "data" / "prune" / "coverage.json").read_text())
    kept = vocabulary.count(b"\n")
    point = next(p for p in facts["curve"] if p["kept"] == kept and p["importance"] == facts["importance"])
    assert point["covered"] == pytest.approx(facts["covered"])
    modules = json.loads((workspace / "data" / "quantize" / "modules.json").read_text())
    assert {module["bits"] for module in modules} == {4, 8}
    assert sum(module["bytes"] for module in modules) <= 1900


def test_no_text_learnt_from_is_held_out(
    workspace: Path, quick: Params, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = quick.distill.model_copy(update={"variants": 300})
    topped = quick.pretrain.model_copy(update={"texts_min": 400})
    read: list[str] = []

    def listening(tokenizer, texts, texts_b, *, max_tokens):
        read.extend(texts)
        return encode(tokenizer, texts, texts_b, max_tokens=max_tokens)

    monkeypatch.setattr("eibert.pretrain.encode", listening)
    finetune.run(workspace, quick.finetune, shared)
    ingest = workspace / "data" / "ingest"
    texts = set(read_texts(ingest / "train.parquet"))

    def made() -> set[str]:
        read.clear()
        pretrain.run(workspace, topped, shared)
        prune.run(workspace, quick.prune, shared)
        return {*distill._room(workspace, many, shared).lessons.texts, *read} - texts

    held_out = HeldOut.of((text, None) for text in sorted(made())[::2])
    write_held_out(ingest, held_out)
    write_pretraining(ingest, dataclasses.replace(read_pretraining(ingest), held_out=held_out))
    with artifact.writing(workspace, "ingest", params={}, inputs={}) as out:
        shutil.copytree(ingest, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
    again = made()
    assert len(again) > 100
    assert not [text for text in again if held_out.has(text)]


def test_a_control_that_dies_ends_the_student_at_its_next_step(
    workspace: Path, quick: Params, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    class Dead(Beside):
        def check(self) -> None:
            steps.append(len(steps))
            if len(steps) == 3:
                super().check()  # its process has ended by now

    @contextlib.contextmanager
    def beside(*_: object) -> Iterator[Beside]:
        here, there = multiprocessing.Pipe(duplex=False)
        there.close()
        yield Dead("learn_control", here)

    finetune.run(workspace, quick.finetune, shared)
    pretrain.run(workspace, quick.pretrain, shared)
    prune.run(workspace, quick.prune, shared)
    monkeypatch.setattr(distill, "beside", beside)
    with pytest.raises(RunError, match="learn_control: its process died"):
        distill.run(workspace, quick.distill, shared)
    assert len(steps) == 3
    assert not artifact.folder(workspace, "distill").exists()


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "expected"),
    [(100, 100, (5, 5)), (100, 0, (10, 0)), (100, 3, (7, 3)), (3, 100, (3, 7)), (3, 3, (3, 3)), (0, 100, (0, 10))],
)
def test_tokens_are_scored_on_either_kind_of_text(labelled: int, unlabelled: int, expected: tuple[int, int]) -> None:
    drawn = prune._drawn([f"l{n}" for n in range(labelled)], [f"u{n}" for n in range(unlabelled)], 10, 17)
    assert (sum(text[0] == "l" for text in drawn), sum(text[0] == "u" for text in drawn)) == expected
    assert len(set(drawn)) == len(drawn)
