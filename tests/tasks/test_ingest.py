"""The adapter of `ingest`: the artifact, its determinism, and what is left behind when it fails."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from eibert.artifact import problems, read_json, read_manifest
from eibert.corpus import read_held_out, read_pretraining, read_spec, read_split, read_texts
from eibert.errors import DataError
from eibert.params.ingest import IngestParams
from eibert.params.section import Shared
from tasks.ingest import run

SHARED = Shared.model_validate(
    {"seed": 3, "teacher": {"model": "bundled", "pooling": "mean", "sha256": None}}, strict=False
)
DATASETS = Path(__file__).resolve().parents[3] / "shared" / "datasets"


def params(source: str, **changes: Any) -> IngestParams:
    fixed = {
        "source": source, "unlabelled": [], "inputs": "auto", "target": "auto", "dev_share": 0.1, "test_share": 0.1,
        "columns": {"text": "text", "text_b": "text_b", "label": "label", "id": None, "split": None},
        "refused_rows_limit": 0, "unlabelled_limit": None, "shared_texts_min": 20_000, "sentence_chars": 300,
    }  # fmt: skip
    return IngestParams.model_validate({**fixed, **changes})


def write_pairs(workspace: Path, *more: dict[str, Any]) -> None:
    rows = [{"text": f"é{n}", "text_b": f"b{n}", "label": n / 4} for n in range(40)]
    (workspace / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *more]))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_artifact_is_complete_and_what_later_stages_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pairs(tmp_path, {"text": "", "text_b": "b", "label": 1.0})
    folder = run(tmp_path, params("pairs.jsonl", target="number", refused_rows_limit=1), SHARED)
    assert folder == tmp_path / "data" / "ingest"
    assert problems(tmp_path, "ingest") == []
    spec = read_spec(folder)
    assert (spec.name, spec.pair, spec.regression, spec.metric) == ("pairs", True, True, "spearman")
    train, dev = read_split(folder, "train", spec), read_split(folder, "dev", spec)
    assert (len(train), len(dev), train.targets.dtype) == (32, 4, np.float32)
    assert train.texts_b is not None
    assert [text.replace("é", "b") for text in train.texts] == train.texts_b
    pretraining = read_pretraining(folder)
    assert pretraining.pairs
    assert pretraining.texts == list(zip(train.texts, train.texts_b, strict=True))
    assert pretraining.held_out == read_held_out(folder)
    assert len(read_held_out(folder).digests) == 8
    assert read_held_out(folder).has(dev.texts_b[0], dev.texts[0])  # type: ignore[index]
    assert read_texts(folder / "unlabelled.parquet") == []
    assert pq.read_schema(folder / "test.parquet").names == ["text", "text_b", "label"]
    refused = [json.loads(line) for line in (folder / "refused.jsonl").read_text().splitlines()]
    assert refused == [
        {
            "file": "pairs.jsonl",
            "line": 41,
            "reason": "`text` is empty; fill it in or delete the row",
            "row": {"text": "", "text_b": "b", "label": 1.0},
        }
    ]
    manifest = read_manifest(tmp_path, "ingest")
    assert manifest["metrics"]["rows"]["train"] == {
        "read": 41, "refused": 1, "kept": 32, "in_dev_or_test": 0,
    }  # fmt: skip
    assert manifest["inputs"].keys() == {"pairs.jsonl"}
    assert manifest["params"]["seed"] == 3
    told = capsys.readouterr()
    assert "no dev split in the source: took 4 of 41 training rows for it" in told.err
    assert told.out == ""


def test_equal_inputs_give_equal_bytes_in_any_workspace(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folders.append(run(tmp_path / name, params("sample", unlabelled=["sample"], unlabelled_limit=500), SHARED))
    assert files_of(folders[0]) == files_of(folders[1])
    spec = read_spec(folders[0])
    assert len(read_split(folders[0], "test", spec)) == 1000
    assert spec.outputs >= 20


def test_too_many_refused_rows_leave_a_log_and_nothing_half_written(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    chosen = params("pairs.jsonl", target="number")
    earlier = files_of(run(tmp_path, chosen, SHARED))
    write_pairs(tmp_path, {"text": "a\ud800", "text_b": "b", "label": 1.0}, {"text": "a", "text_b": "b", "label": "x"})
    with pytest.raises(DataError, match=r"2 row\(s\) refused(.|\n)*full list with reasons: /.*/logs/refused.jsonl"):
        run(tmp_path, chosen, SHARED)
    log = tmp_path / "logs" / "refused.jsonl"
    assert [json.loads(line)["line"] for line in log.read_text().splitlines()] == [41, 42]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["ingest"]
    assert files_of(tmp_path / "data" / "ingest") == earlier

    write_pairs(tmp_path)
    run(tmp_path, chosen, SHARED)
    assert not log.exists()


def test_files_that_are_not_read_are_told_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(4))
    for folder, names in {"task": ["train", "dev", "test", "extra"], "more": ["train", "test"]}.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.csv").write_text(rows)
    for name in ("README.md", "LICENSE", "license-data.txt", ".hidden.csv", "table.xlsx"):
        (tmp_path / "task" / name).write_text("x")
    (tmp_path / "task" / "dataset.json").write_text("{}")
    folder = run(tmp_path, params("task", unlabelled=["more"]), SHARED)
    task, more = read_json(folder / "dataset.json")["sources"]
    assert task["ignored"] == ["task/extra.csv", "task/table.xlsx"]
    assert more["ignored"] == ["more/test.csv"]
    told = capsys.readouterr().err
    assert (
        f"{tmp_path}/task: not read as labelled data: {tmp_path}/task/extra.csv, {tmp_path}/task/table.xlsx\n" in told
    )
    assert f"{tmp_path}/more: not read as unlabelled data: {tmp_path}/more/test.csv\n" in told


def test_classes_missing_from_a_carved_split_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"many": 60, "four": 4, "two": 2, **{f"one {n}": 1 for n in range(6)}}
    texts = [f"text {label} {n},{label}" for label, size in sizes.items() for n in range(size)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *texts]))
    folder = run(tmp_path, params("rows.csv"), SHARED)
    counts = read_json(folder / "dataset.json")["counts"]
    assert [set(counts[split]) for split in ("dev", "test")] == [{"many", "four"}] * 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "too few" in line]
    ones = ", ".join(f"'one {n}' (none in dev and test)" for n in range(5))
    start = "ingest    too few texts to be in each split that is taken from train"
    assert lines == [f"{start}: {ones} and 2 more; add rows to these classes"]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *texts[:64]]))
    run(tmp_path, params("rows.csv"), SHARED)
    assert "too few" not in capsys.readouterr().err


PLACE = re.compile(r"/[^\s:,]+")


def test_messages_name_places_that_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = tmp_path / "repository" / "models" / "mine"
    workspace.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "train.csv").write_text("text,label\n" + "".join(f"t{n},{n % 2}\n" for n in range(40)) + "x\n")
    with pytest.raises(DataError) as caught:
        run(workspace, params("../../../rows"), SHARED)
    assert PLACE.findall(str(caught.value)) == [f"{tmp_path}/rows/train.csv", f"{workspace}/logs/refused.jsonl"]
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError) as caught:
        run(workspace, params("../../../empty.csv"), SHARED)
    assert str(caught.value).startswith(f"{tmp_path}/empty.csv:1: the file is empty")


def test_no_place_of_the_machine_is_in_the_artifact(tmp_path: Path) -> None:
    rows = "id,text,label\n" + "".join(f"{n},text {n},{'ab'[n % 2]}\n" for n in range(40)) + "7,again,a\n,none,b\n"
    found = []
    for clone in ("one", "two"):
        workspace = tmp_path / clone / "models" / "mine"
        workspace.mkdir(parents=True)
        (tmp_path / clone / "rows").mkdir()
        for name in ("train", "extra", "test"):
            (tmp_path / clone / "rows" / f"{name}.csv").write_text(rows if name == "train" else rows[:800])
        (tmp_path / clone / "rows" / "dev.csv").write_text(rows[:100])
        columns = {"text": "text", "text_b": "text_b", "label": "label", "id": "id", "split": None}
        chosen = params("../../rows", columns=columns, refused_rows_limit=9)
        found.append(files_of(run(workspace, chosen, SHARED)))
    assert found[0] == found[1]
    assert not any(str(tmp_path).encode() in content for content in found[0].values())
    refused = [json.loads(line) for line in found[0]["refused.jsonl"].splitlines()]
    assert [(row["file"], row["line"]) for row in refused[:2]] == [
        ("../../rows/train.csv", 42),
        ("../../rows/train.csv", 43),
    ]
    assert refused[0]["reason"] == "`id` '7' already occurs in line 9; give each row its own id"


@pytest.mark.parametrize("deps", ["[code.json, pairs.jsonl]", "[./pairs.jsonl]", "[{pairs.jsonl: {cache: false}}]"])
def test_source_among_the_deps_of_dvc_is_accepted(tmp_path: Path, deps: str) -> None:
    write_pairs(tmp_path)
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  ingest:\n    cmd: x\n    deps: {deps}\n")
    assert run(tmp_path, params("pairs.jsonl", target="number"), SHARED).is_dir()


def test_source_that_dvc_does_not_watch_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages:\n  ingest:\n    cmd: x\n    deps: [data/code/ingest.json]\n")
    with pytest.raises(DataError, match=r"deps lacks pairs.jsonl.*run `eibert run` to update it"):
        run(tmp_path, params("pairs.jsonl", target="number"), SHARED)
    with pytest.raises(DataError, match=r"deps lacks more.txt"):
        run(tmp_path, params("sample", unlabelled=["more.txt"]), SHARED)


@pytest.mark.parametrize("content", ["stages: {}", "{", "stages: [1]", ""])
def test_dvc_file_without_the_stage_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "dvc.yaml").write_text(content)
    with pytest.raises(DataError, match=r"no readable stages.ingest; restore the file"):
        run(tmp_path, params("sample"), SHARED)


def _real(*names: str) -> None:
    if missing := [name for name in names if not (DATASETS / name).is_dir()]:
        pytest.skip(f"no {', '.join(missing)} in {DATASETS.parent.name}/{DATASETS.name} beside the project")


def _lines(name: str, split: str) -> list[dict[str, Any]]:
    with gzip.open(DATASETS / name / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _key(row: dict[str, Any]) -> frozenset[str]:
    """Equal for equal rows, including pairs in reverse order."""
    return frozenset(" ".join(row[column].casefold().split()) for column in ("text", "text_b") if column in row)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "metric", "outputs"),
    [
        ("trec6", "accuracy", 6),
        ("sst2", "accuracy", 2),
        ("mrpc", "accuracy", 2),
        ("stsb", "spearman", 1),
        ("cola", "matthews", 2),
    ],
)
def test_real_data_set_is_read_whole(tmp_path: Path, name: str, metric: str, outputs: int) -> None:
    _real(name)
    folder = run(tmp_path, params(str(DATASETS / name)), SHARED)
    spec = read_spec(folder)
    assert (spec.name, spec.metric, spec.outputs) == (name, metric, outputs)
    about = read_json(DATASETS / name / "dataset.json")
    held = {_key(row) for split in ("dev", "test") for row in _lines(name, split)}
    for split in ("train", "dev", "test"):
        expected = _lines(name, split)
        assert len(expected) == about["counts"][split]
        if split == "train":
            expected = [row for row in expected if _key(row) not in held]
        found = read_split(folder, split, spec)  # type: ignore[arg-type]
        assert found.texts == [row["text"] for row in expected]
        assert found.texts_b == ([row["text_b"] for row in expected] if spec.pair else None)
        if spec.labels:
            assert [spec.labels[target] for target in found.targets] == [row["label"] for row in expected]
        else:
            assert found.targets == pytest.approx([float(row["label"]) for row in expected])


@pytest.mark.realdata
def test_real_labels_that_train_never_has_stop_ingest_unless_allowed(tmp_path: Path) -> None:
    _real("atis")
    with pytest.raises(DataError, match=r"6 row\(s\) refused(.|\n)*'atis_day_name' never occurs in train"):
        run(tmp_path, params(str(DATASETS / "atis")), SHARED)
    folder = run(tmp_path, params(str(DATASETS / "atis"), refused_rows_limit=6), SHARED)
    metrics = read_json(folder / "metrics.json")
    assert [metrics["rows"][split]["refused"] for split in ("train", "dev", "test")] == [0, 1, 5]


@pytest.mark.realdata
def test_real_unlabelled_text_is_split_and_free_of_the_task(tmp_path: Path) -> None:
    _real("trec6", "text-en-mix")
    sources = [str(DATASETS / "text-en-mix"), str(DATASETS / "trec6" / "train.jsonl.gz")]
    folder = run(tmp_path, params(str(DATASETS / "trec6"), unlabelled=sources), SHARED)
    texts = read_texts(folder / "unlabelled.parquet")
    spec = read_spec(folder)
    held_out = {
        " ".join(text.casefold().split())
        for split in ("dev", "test")
        for text in read_split(folder, split, spec).texts  # type: ignore[arg-type]
    }
    assert not held_out & {" ".join(text.casefold().split()) for text in texts}
    assert max(map(len, texts)) <= 300
    assert read_json(folder / "metrics.json")["unlabelled"]["in_dev_or_test"] >= 11  # shared by train and test


@pytest.mark.realdata
def test_real_unlabelled_set_is_no_labelled_source(tmp_path: Path) -> None:
    _real("text-en-mix")
    with pytest.raises(DataError, match="expected a labelled one"):
        run(tmp_path, params(str(DATASETS / "text-en-mix")), SHARED)
