"""`eibert predict --file`: any format that ingest reads, row by row, with a score if the file has labels."""

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr
from typer.testing import CliRunner, Result

from eibert.errors import BundleError, DataError, ParamsError
from flows.cli import app
from flows.predict_file import predict_file
from tests import toy

ROWS = {
    "text": ["w00 w00", 'w01,\nw01 "w01"', "w02\tw02\r\nw02", "w03"],
    "label": ["negative", "neutral", "positive", "neutral"],
}
ANSWERS = ["negative", "neutral", "positive", "negative"]
"""What the bundle answers: three of four labels."""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return toy.write_bundle(tmp_path / "bundle")


def write(path: Path, columns: dict[str, Sequence[Any]]) -> Path:
    """Writes a table in the format that the file's name tells."""
    name = path.name.removesuffix(".gz")
    rows = list(zip(*columns.values(), strict=True))
    plain = path.with_name(name)
    if name.endswith(".parquet"):
        pq.write_table(pa.table(columns), plain)
    elif name.endswith(".jsonl"):
        lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
        plain.write_text("".join(f"{line}\n" for line in lines))
    elif name.endswith(".csv"):
        with plain.open("w", newline="") as file:
            csv.writer(file).writerows([list(columns), *rows])
    else:
        plain.write_text("".join("\t".join(row) + "\n" for row in [list(columns), *rows]))
    if path != plain:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


def eibert(bundle: Path, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", "--bundle", str(bundle), *map(str, arguments)])


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz", "r.jsonl", "r.jsonl.gz", "r.parquet", "r.parquet.gz"])
def test_each_row_is_one_line_in_order_and_the_score_comes_last(bundle: Path, tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, ROWS)
    done = eibert(bundle, "--file", file, "--top-k", 2)
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert [row["text"] for row in found] == ROWS["text"]
    assert [row["label"] for row in found] == ANSWERS
    stdin = CliRunner().invoke(app, ["predict", "--bundle", str(bundle), "--json", "--top-k", "2"], input="w00 w00\n")
    assert found[0] == json.loads(stdin.stdout)["predictions"][0]
    assert done.stderr == f"{file}: accuracy 0.7500 on 4 rows\n"


def test_tsv_and_plain_text_have_one_row_per_line(bundle: Path, tmp_path: Path) -> None:
    tsv = write(tmp_path / "r.tsv", {"id": ["a", "b"], "text": ["w00", 'w01 "w01'], "label": ["neutral", "neutral"]})
    done = eibert(bundle, "--file", tsv)
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["negative", "neutral"]
    assert done.stderr == f"{tsv}: accuracy 0.5000 on 2 rows\n"
    (tmp_path / "r.txt").write_text("w02\nw01\n")
    done = eibert(bundle, "--file", tmp_path / "r.txt")
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["positive", "neutral"]
    assert done.stderr == ""


def test_json_is_one_object(bundle: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", ROWS)
    told = json.loads(eibert(bundle, "--file", file, "--json").stdout)
    assert [row["label"] for row in told["predictions"]] == ANSWERS
    assert (told["metric"], told["value"]) == ("accuracy", 0.75)
    file = write(tmp_path / "bare.csv", {"text": ROWS["text"], "label": [""] * 4})  # a column to be filled in
    told = json.loads(eibert(bundle, "--file", file, "--json").stdout)
    assert (told["metric"], told["value"], len(told["predictions"])) == (None, None, 4)


@pytest.mark.parametrize(("metric", "expected"), [("macro_f1", (2 / 3 + 2 / 3 + 1) / 3), ("accuracy", 0.75)])
def test_score_is_the_bundles_metric(tmp_path: Path, metric: str, expected: float) -> None:
    bundle = toy.write_bundle(tmp_path / "bundle", metric=metric)
    found = predict_file(bundle, write(tmp_path / "r.csv", ROWS), tmp_path, 1)
    assert (found.metric, found.score) == (metric, pytest.approx(expected))


def test_numbers_are_correlated(tmp_path: Path) -> None:
    bundle = toy.write_bundle(tmp_path / "bundle", labels=(), metric="spearman")
    texts, targets = ["w05", "w09", "w07", "w30"], [1.5, 2.5, 9.0, 4.0]
    file = write(tmp_path / "r.jsonl", {"text": texts, "label": targets})
    found = predict_file(bundle, file, tmp_path, 1)
    assert found.rows[1] == {"text": "w09", "value": 3.0}  # the mean with [CLS] and [SEP]
    assert found.score == pytest.approx(spearmanr([5, 9, 7, 30], targets).statistic)
    assert found.told(file) == [f"{file}: Spearman correlation {found.score:.4f} on 4 rows"]


def test_pairs_are_two_columns(tmp_path: Path) -> None:
    bundle = toy.write_bundle(tmp_path / "bundle", pair=True)
    columns = {"text": ["w00\tw00", "w01"], "text_b": ["w00", "w01\nw01"]}
    found = predict_file(bundle, write(tmp_path / "r.csv", columns), tmp_path, 1)
    assert [(row["text"], row["text_b"], row["label"]) for row in found.rows] == [
        ("w00\tw00", "w00", "negative"), ("w01", "w01\nw01", "neutral"),
    ]  # fmt: skip
    assert found.metric is None
    with pytest.raises(DataError, match=r"r\.csv:1: no column 'text_b', found 'text', 'label'; rename one, or set"):
        predict_file(bundle, write(tmp_path / "r.csv", ROWS), tmp_path, 1)


def test_names_of_columns_are_the_workspaces_or_the_usual_ones(bundle: Path, tmp_path: Path) -> None:
    workspace = toy.make_repository(tmp_path / "root").folder
    params = (workspace / "params.yaml").read_text()
    assert params.count("    text: text\n") == params.count("    label: label\n") == 1
    params = params.replace("    text: text\n", "    text: utterance\n").replace(
        "    label: label\n", "    label: intent\n"
    )
    (workspace / "params.yaml").write_text(params)
    named = write(tmp_path / "r.csv", {"utterance": ROWS["text"], "intent": ROWS["label"], "label": ["x"] * 4})
    found = predict_file(bundle, named, workspace, 1)
    assert ([row["label"] for row in found.rows], found.score) == (ANSWERS, 0.75)
    assert predict_file(bundle, write(tmp_path / "u.csv", ROWS), workspace, 1).score == 0.75
    with pytest.raises(DataError, match="no column 'text', found 'utterance', 'intent', 'label'"):
        predict_file(bundle, named, tmp_path, 1)
    with pytest.raises(DataError, match="no column 'utterance' or 'text', found 'sentence'"):
        predict_file(bundle, write(tmp_path / "s.csv", {"sentence": ["w00"]}), workspace, 1)
    (workspace / "params.yaml").write_text(params.replace("utterance", "''"))
    with pytest.raises(ParamsError, match=r"ingest\.columns\.text"):
        predict_file(bundle, named, workspace, 1)


def test_one_bad_row_and_nothing_is_written(bundle: Path, tmp_path: Path) -> None:
    lines = ['{"text": "w00", "label": "negative"}', '{"text": ""}', "[]", '{"text": "w01", "label": "spam"}']
    lines += ['{"text": 1, "label": "neutral"}', '{"text": "w", "label": null}', '{"text": "\\ud800"}', '{"text": "x"']
    file = tmp_path / "r.jsonl"
    file.write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "predict", "--bundle", bundle, "--file", "r.jsonl"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: r.jsonl: 7 of 8 rows cannot be used, so none was predicted",
        "  r.jsonl:2: `text` is empty; fill it in or delete the row",
        '  r.jsonl:3: not a JSON object (list, expected an object like {"text": …}); fix the line',
        "  r.jsonl:4: `label` is 'spam', none of the model's classes (negative, neutral, positive); "
        "correct it, or remove the column to predict without a score",
        "  r.jsonl:5: `text` is int, expected text; write it as text",
        "  r.jsonl:6: `label` is missing; fill it in or delete the row",
        "  and 2 more",
    ]


def test_unusable_files_are_told(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "broken.csv.gz").write_bytes(b"text\nw00\n")
    for name, message in {
        "none.csv": "none.csv: cannot be read (No such file", "rows.xlsx": "unknown suffix '.xlsx', expected .csv",
        "empty.csv": "empty.csv:1: the file is empty", "broken.parquet": "not a valid Parquet file",
        "broken.csv.gz": "not a valid gzip file",
    }.items():  # fmt: skip
        with pytest.raises(DataError) as caught:
            predict_file(bundle, tmp_path / name, tmp_path, 1)
        assert message in str(caught.value)
    with pytest.raises(BundleError, match="no bundle there"):
        predict_file(tmp_path / "none", tmp_path / "empty.csv", tmp_path, 1)


def test_another_separator_is_told_in_place_of_a_missing_column(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "semicolons.csv"
    path.write_text("text;label\nw00;negative\n")
    with pytest.raises(DataError) as caught:
        predict_file(bundle, path, tmp_path, 1)
    assert str(caught.value) == (
        f"{path}:1: one column, 'text;label', expected 'text'; its columns seem to be separated by semicolons: "
        "save the file with commas"
    )


def test_how_a_quoted_file_is_read_is_told_before_the_score(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "quoted.tsv"
    path.write_text('text\tlabel\n"w00"\tneutral\nw01\tneutral\n')
    found = eibert(bundle, "--file", path)
    note, told = found.stderr.splitlines()
    assert note == (
        f"{path}:2: cell in quotation marks, read as part of the text; if they only quote the cell, save the file as "
        ".csv or .jsonl"
    )
    assert told.startswith(f"{path}: accuracy ")


def test_texts_and_a_file_are_wrong_use(bundle: Path, tmp_path: Path) -> None:
    done = eibert(bundle, "--file", tmp_path / "r.csv", "some text")
    assert (done.exit_code, "give either texts or --file" in done.stderr) == (2, True)


def test_score_of_a_long_file_is_that_of_all_its_rows(bundle: Path, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(3, size=1000)
    texts = [toy.WORDS[index % 60] for index in range(1000)]
    file = write(tmp_path / "r.parquet", {"text": texts, "label": [toy.LABELS[label] for label in labels]})
    found = predict_file(bundle, file, tmp_path, 1)
    right = sum(index % 60 % 3 == label for index, label in enumerate(labels))
    assert found.told(file) == [f"{file}: accuracy {right / 1000:.4f} on 1,000 rows"]
