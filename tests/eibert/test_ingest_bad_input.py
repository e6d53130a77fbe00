"""Every kind of bad input: the message names the place, the problem and the remedy."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eibert.errors import DataError
from eibert.ingest import RefusedRowsError, ingest
from eibert.params.ingest import IngestParams

PARAMS: dict[str, Any] = {
    "source": "data",
    "unlabelled": [],
    "columns": {"text": "text", "text_b": "text_b", "label": "label", "id": None, "split": None},
    "inputs": "auto",
    "target": "auto",
    "dev_share": 0.1,
    "test_share": 0.1,
    "refused_rows_limit": 0,
    "unlabelled_limit": None,
    "shared_texts_min": 20_000,
    "sentence_chars": 300,
}
SOUND = b"text,label\n" + b"".join(b"row %d,%s\n" % (n, b"no" if n % 2 else b"yes") for n in range(40))


def params(**changes: Any) -> IngestParams:
    columns = {**PARAMS["columns"], **changes.pop("columns", {})}
    return IngestParams.model_validate({**PARAMS, **changes, "columns": columns})


def put(workspace: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


REFUSED_ROWS = {
    "broken encoding in CSV": (
        "train.csv",
        SOUND + b"caf\xe9,no\n",
        42,
        ["not UTF-8", "0xE9", "'caf'", "save the file as UTF-8"],
    ),
    "broken encoding in JSONL": (
        "train.jsonl",
        b'{"text": "caf\xe9", "label": "no"}\n',
        1,
        ["not UTF-8", "0xE9", "byte 14"],
    ),
    "NUL byte in CSV": ("train.csv", SOUND + b"a\0b,no\n", 42, ["NUL byte after 'a'", "remove it"]),
    "NUL byte in TSV": ("train.tsv", b"text\tlabel\na\0b\tno\n", 2, ["NUL byte"]),
    "raw NUL byte in JSONL": (
        "train.jsonl",
        b'{"text": "a\0b", "label": "no"}\n',
        1,
        ["not a JSON object", "control character"],
    ),
    "escaped NUL in JSONL": ("train.jsonl", b'{"text": "a\\u0000b", "label": "no"}\n', 1, ["NUL byte at character 2"]),
    "half a surrogate pair": (
        "train.jsonl",
        b'{"text": "a\\ud800", "label": "no"}\n',
        1,
        ["half a surrogate pair at character 2"],
    ),
    "row too short": ("train.csv", SOUND + b"alone\n", 42, ["1 cells, expected 2 (text, label)", "quote cells"]),
    "row too long": ("train.csv", SOUND + b"one, two,no\n", 42, ["3 cells, expected 2"]),
    "ragged TSV": ("train.tsv", b"text\tlabel\na\tno\textra\n", 2, ["3 cells, expected 2", "use CSV"]),
    "stray quotation mark": (
        "train.csv",
        SOUND + b'"so" he said,no\n',
        42,
        ["not valid CSV", "double every quotation mark"],
    ),
    "line after a cell of two lines": ("train.csv", SOUND + b'"two\nlines",no\nalone\n', 44, ["1 cells"]),
    "bad JSON": ("train.jsonl", b'{"text": "a", "label": "no"\n', 1, ["not a JSON object", "fix the line"]),
    "JSON that is no object": ("train.jsonl", b'["a", "no"]\n', 1, ["list, expected an object"]),
    "JSON key twice": ("train.jsonl", b'{"text": "a", "text": "b", "label": "no"}\n', 1, ["duplicate key 'text'"]),
    "deep JSON": ("train.jsonl", b"[" * 100000 + b"\n", 1, ["not a JSON object"]),
    "key missing in JSON": ("train.jsonl", b'{"text": "a"}\n', 1, ["no `label`, found text"]),
    "label missing": ("train.csv", SOUND + b"a,\n", 42, ["`label` is empty", "fill it in"]),
    "label null": ("train.jsonl", b'{"text": "a", "label": null}\n', 1, ["`label` is missing"]),
    "label is a float": (
        "train.jsonl",
        b'{"text": "a", "label": 1.5}\n',
        1,
        ["1.5, expected a class name", "ingest.target"],
    ),
    "label is a list": ("train.jsonl", b'{"text": "a", "label": []}\n', 1, ["expected a class name"]),
    "text empty": ("train.csv", SOUND + b" ,no\n", 42, ["`text` is empty"]),
    "text is a number": ("train.jsonl", b'{"text": 5, "label": "no"}\n', 1, ["`text` is int, expected text"]),
}


@pytest.mark.parametrize(("name", "content", "line", "expected"), REFUSED_ROWS.values(), ids=REFUSED_ROWS)
def test_bad_row_is_refused_with_its_place_and_remedy(
    tmp_path: Path, name: str, content: bytes, line: int, expected: list[str]
) -> None:
    if name.endswith(".jsonl"):
        rows = [json.dumps({"text": f"row {n}", "label": "no" if n % 2 else "yes"}) for n in range(40)]
        content, line = "\n".join(rows).encode() + b"\n" + content, line + 40
    if name.endswith(".tsv"):
        rows = [f"row {n}\t{'no' if n % 2 else 'yes'}" for n in range(40)]
        head, _, tail = content.partition(b"\n")
        content, line = b"\n".join([head, *(row.encode() for row in rows), tail]), line + 40
    put(tmp_path, {f"data/{name}": content})
    with pytest.raises(RefusedRowsError) as caught:
        ingest(params(), 1, tmp_path)
    message = str(caught.value)
    assert f"data/{name}:{line}: " in message
    assert "1 row(s) refused, allowed: 0" in message
    assert "--set ingest.refused_rows_limit=1" in message
    for part in expected:
        assert part.lower() in message.lower()
    assert [row.line for row in caught.value.refused] == [line]

    allowed = ingest(params(refused_rows_limit=1), 1, tmp_path)
    assert allowed.metrics["rows"]["train"]["refused"] == 1
    assert len(allowed.refused) == 1


UNUSABLE = {
    "empty file": ({"data/train.csv": b""}, {}, "data/train.csv:1: the file is empty"),
    "blank file": ({"data/train.jsonl": b"\n \n"}, {}, "data/train.jsonl:1: the file is empty"),
    "header alone": ({"data/train.csv": b"text,label\n"}, {}, "data/train.csv:1: no rows below the header"),
    "UTF-16": (
        {"data/train.csv": "text,label\na,b\n".encode("utf-16")},
        {},
        "data/train.csv:1: UTF-16 text, expected UTF-8",
    ),
    "unknown label column": (
        {"data/train.csv": SOUND},
        {"columns": {"label": "intent"}},
        "data/train.csv:1: no column 'intent', found 'text', 'label'; set ingest.columns.label to one of them",
    ),
    "unknown text column in JSONL": (
        {"data/train.jsonl": b'{"a": "x", "label": "no"}\n'},
        {},
        "no column 'text', found 'a', 'label'; set ingest.columns.text",
    ),
    "column missing in dev": (
        {"data/train.csv": SOUND, "data/dev.csv": b"text,y\na,no\n"},
        {},
        "data/dev.csv:1: no column 'label'",
    ),
    "second text missing": ({"data/train.csv": SOUND}, {"inputs": "pair"}, "no column 'text_b'"),
    "id column missing": ({"data/train.csv": SOUND}, {"columns": {"id": "key"}}, "no column 'key'"),
    "column twice": (
        {"data/train.csv": b"text,label,text\na,b,c\n"},
        {},
        "data/train.csv:1: duplicate column 'text' in the header",
    ),
    "column twice but for white space": (
        {"data/train.csv": b"text,label, text\na,b,c\n"},
        {},
        "data/train.csv:1: duplicate column 'text' in the header",
    ),
    "header in another encoding": ({"data/train.csv": b"t\xe9xt,label\na,b\n"}, {}, "data/train.csv:1: not UTF-8"),
    "unclosed quotation mark": (
        {"data/train.csv": SOUND + b'"open,no\nmore,yes\n'},
        {},
        "data/train.csv:42: a quotation mark opened here",
    ),
    "one class": (
        {"data/train.csv": b"text,label\na,no\nb,no\n"},
        {},
        "data/train.csv:2: all 2 training rows have the label 'no', expected two or more",
    ),
    "one number": ({"data/train.csv": b"text,label\na,1\nb,1.0\n"}, {"target": "number"}, "have the label 1.0"),
    "no row left": (
        {"data/train.csv": b"text,label\na,\n"},
        {},
        "data/train.csv:2: `label` is empty",
    ),
    "no row of test left": (
        {"data/train.csv": SOUND, "data/test.csv": b"text,label\na,maybe\n"},
        {"refused_rows_limit": 9},
        "all 1 rows of test are refused",
    ),
    "not gzip": ({"data/train.csv.gz": SOUND}, {}, "data/train.csv.gz: not a valid gzip file"),
    "gzip cut off": ({"data/train.csv.gz": gzip.compress(SOUND)[:-20]}, {}, "data/train.csv.gz: not a valid gzip file"),
    "gzip damaged": (
        {"data/train.csv.gz": gzip.compress(SOUND)[:12] + b"\0" * 30},
        {},
        "data/train.csv.gz: not a valid gzip file",
    ),
    "not Parquet": ({"data/train.parquet": b"PAR1 no"}, {}, "data/train.parquet: not a valid Parquet file"),
    "missing path": ({}, {"source": "nowhere"}, "ingest.source: nowhere: no such file or folder"),
    "missing unlabelled path": (
        {"data/train.csv": SOUND},
        {"unlabelled": ["nowhere"]},
        "ingest.unlabelled: nowhere: no such file",
    ),
    "unknown suffix": (
        {"data.xlsx": b"x"},
        {"source": "data.xlsx"},
        "data.xlsx: unknown suffix '.xlsx', expected .csv, .tsv, .jsonl, .parquet",
    ),
    "empty folder": ({"data/readme.md": b"x"}, {}, "data: no data files in it"),
    "no train": ({"data/test.csv": SOUND}, {}, "data: no train file, found /"),
    "two files without split names": (
        {"data/a.csv": SOUND, "data/b.csv": SOUND},
        {},
        "data/a.csv, ",
    ),
    "two files for dev": (
        {"data/train.csv": SOUND, "data/dev.csv": SOUND, "data/val.csv": SOUND},
        {},
        "more than one file for dev",
    ),
    "plain and gzip": (
        {"data/train.csv": SOUND, "data/train.csv.gz": gzip.compress(SOUND)},
        {},
        "more than one file for train",
    ),
    "plain text as source": ({"train.txt": b"a\n"}, {"source": "train.txt"}, "plain text has no labels"),
    "too few rows to carve": (
        {"data/train.csv": b"text,label\na,no\nb,yes\n"},
        {},
        "2 training rows are too few to carve 10% out for dev",
    ),
    "dataset.json broken": (
        {"data/train.csv": SOUND, "data/dataset.json": b'{\n"name": }'},
        {},
        "data/dataset.json:2: not valid JSON",
    ),
    "dataset.json a list": (
        {"data/train.csv": SOUND, "data/dataset.json": b"[]"},
        {},
        "data/dataset.json:1: list, expected an object",
    ),
    "dataset.json wrong type": (
        {"data/train.csv": SOUND, "data/dataset.json": b'{"metric": 3}'},
        {},
        "`metric` is 3, expected text",
    ),
    "dataset.json not UTF-8": (
        {"data/train.csv": SOUND, "data/dataset.json": b'{"name": "\xe9"}'},
        {},
        "data/dataset.json: cannot be read",
    ),
    "unlabelled as source": (
        {"data/train.csv": SOUND, "data/dataset.json": b'{"task": "unlabelled text"}'},
        {},
        "expected a labelled one",
    ),
    "test file as unlabelled": (
        {"data/train.csv": SOUND, "u/test.txt": b"a\n"},
        {"unlabelled": ["u/test.txt"]},
        "u/test.txt: dev and test are never read as unlabelled text",
    ),
    "unlabelled without text": (
        {"data/train.csv": SOUND, "u.csv": b"a,b\n1,2\n"},
        {"unlabelled": ["u.csv"]},
        "u.csv:1: no column 'text' or 'text', found 'a', 'b'",
    ),
}


@pytest.mark.parametrize(("files", "changes", "expected"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_source_is_an_error_that_names_the_place(
    tmp_path: Path, files: dict[str, bytes], changes: dict[str, Any], expected: str
) -> None:
    put(tmp_path, files)
    with pytest.raises(DataError) as caught:
        ingest(params(**changes), 1, tmp_path)
    assert expected in str(caught.value)


SEPARATED = {
    "semicolons": (".csv", "text;label", "its columns seem to be separated by semicolons: save the file with commas"),
    "bars": (".csv", "text|label", "its columns seem to be separated by vertical bars: save the file with commas"),
    "tabs": (
        ".csv", "text\tlabel",
        "its columns seem to be separated by tabs: name the file .tsv, or save the file with commas",
    ),
    "commas": (
        ".tsv", "text,label",
        "its columns seem to be separated by commas: name the file .csv, or save the file with tabs",
    ),
    "other names": (".csv", "a sentence; its intent", "separated by semicolons: save the file with commas"),
    "a bar within": (".csv", "text;label;yes|no", "separated by semicolons: save the file with commas"),
}  # fmt: skip


@pytest.mark.parametrize("rest", ["short", "one, two", "a, b, c"])
@pytest.mark.parametrize(("suffix", "header", "expected"), SEPARATED.values(), ids=SEPARATED)
def test_file_with_another_separator_is_refused_with_what_to_do(
    tmp_path: Path, suffix: str, header: str, expected: str, rest: str
) -> None:
    separator = next(character for character in ";|\t," if character in header)
    rows = "".join(f"{rest} {n}{separator}{'ab'[n % 2]}\n" for n in range(40))
    put(tmp_path, {f"data/train{suffix}": f"{header}\n{rows}".encode()})
    with pytest.raises(DataError) as caught:
        ingest(params(), 1, tmp_path)
    start = f"{tmp_path}/data/train{suffix}:1: one column, {header!r}, expected 'text', 'label'; "
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(expected)


def test_quoted_header_with_another_separator_is_refused_with_what_to_do(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": b'"text";"label"\n' + b'"a";"x"\nb;y\n' * 20})
    with pytest.raises(DataError) as caught:
        ingest(params(), 1, tmp_path)
    assert str(caught.value) == (
        f'{tmp_path}/data/train.csv:1: the header is \'"text";"label"\'; its columns seem to be separated by '
        "semicolons: save the file with commas"
    )


def test_header_that_is_no_csv_is_refused_instead_of_passed_over(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": b'"the" text,label\n' + SOUND})
    with pytest.raises(DataError, match=r"data/train\.csv:1: not valid CSV .* double every quotation mark"):
        ingest(params(), 1, tmp_path)


def test_unlabelled_text_with_another_separator_is_refused_but_one_column_with_any_name_is_not(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": SOUND, "u.csv": b"id;text\n1;hello\n", "v.csv": b"my texts; all\nhello; you\n"})
    with pytest.raises(DataError, match=r"u\.csv:1: one column, 'id;text', expected 'text'; .* by semicolons: save"):
        ingest(params(unlabelled=["u.csv"]), 1, tmp_path)
    assert ingest(params(unlabelled=["v.csv"]), 1, tmp_path).unlabelled == ["hello; you"]


@pytest.mark.parametrize("name", ["validierung.csv", "dev.xlsx"])
def test_file_that_may_be_the_missing_split_is_not_passed_over(tmp_path: Path, name: str) -> None:
    rows = b"text,label\na,x\nb,y\n"
    put(tmp_path, {f"data/{file}": rows for file in ("train.csv", "test.csv", name)})
    with pytest.raises(
        DataError, match=rf"/data: no dev file, but /.*/data/{name} would not be read.*rename or convert"
    ):
        ingest(params(source="data"), 1, tmp_path)


MEASURED = b"text,label\n" + b"".join(b"row %d,%d.%d\n" % (n, n % 6, n % 10) for n in range(300))


def test_measurements_are_not_taken_for_names_of_classes(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": MEASURED})
    with pytest.raises(DataError, match=r"data: the labels are 30 distinct numbers.*set ingest.target to number"):
        ingest(params(), 1, tmp_path)
    assert len(ingest(params(target="class"), 1, tmp_path).dataset["labels"]) == 30
    assert ingest(params(target="number"), 1, tmp_path).dataset["labels"] == []


@pytest.mark.parametrize("label", ["%d", "%d.5 stars", "v1.%d"])
def test_numbers_without_decimals_and_other_names_are_classes(tmp_path: Path, label: str) -> None:
    rows = "".join(f"row {n},{label % (n % 30)}\n" for n in range(300))
    put(tmp_path, {"data/train.csv": f"text,label\n{rows}".encode()})
    assert len(ingest(params(), 1, tmp_path).dataset["labels"]) == 30


def test_halves_of_stars_are_classes(tmp_path: Path) -> None:
    rows = "".join(f"row {n},{n % 10 / 2}\n" for n in range(300))
    put(tmp_path, {"data/train.csv": f"text,label\n{rows}".encode()})
    assert len(ingest(params(), 1, tmp_path).dataset["labels"]) == 10


@pytest.mark.parametrize("target", ["abc", "nan", "inf", "-Infinity", "1_000", "1e999", ""])
def test_target_that_is_no_finite_number_is_refused(tmp_path: Path, target: str) -> None:
    rows = "".join(f"row {n},{n / 2}\n" for n in range(40))
    put(tmp_path, {"data/train.csv": f"text,label\n{rows}bad,{target}\n".encode()})
    with pytest.raises(RefusedRowsError, match=r"data/train.csv:42: `label` is .*expected a (finite )?number"):
        ingest(params(target="number"), 1, tmp_path)


@pytest.mark.parametrize(
    ("numbers", "at"),
    [
        ([2**24, 2**24 + 1], "3: the label 16777217.0 is 16777216.0"),  # the first integer that float32 lacks
        ([1_700_000_000 + n for n in range(40)], r"3: the label 1700000001.0 is 1700000000.0"),  # seconds since 1970
        ([1.0, 1e39], "3: the label 1e\\+39 is inf"),
        ([1e-300, 2e-300], "2: the label 1e-300 is 0.0"),
    ],
)
def test_numbers_too_fine_or_too_large_for_single_precision_are_refused(
    tmp_path: Path, numbers: list[float], at: str
) -> None:
    rows = "".join(f"row {n},{number}\n" for n, number in enumerate(numbers))
    put(tmp_path, {"data/train.csv": f"text,label\n{rows}".encode()})
    with pytest.raises(DataError, match=rf"data/train.csv:{at} in float32.*subtract a constant"):
        ingest(params(target="number"), 1, tmp_path)


def test_large_numbers_that_vary_as_much_are_targets(tmp_path: Path) -> None:
    rows = "".join(f"row {n},{1_700_000_000 + 86_400 * n}\n" for n in range(40))  # days: float32 errs by a minute
    put(tmp_path, {"data/train.csv": f"text,label\n{rows}".encode()})
    assert ingest(params(target="number"), 1, tmp_path).dataset["labels"] == []


def test_true_is_no_number(tmp_path: Path) -> None:
    rows = b"".join(b'{"text": "row %d", "label": %d}\n' % (n, n) for n in range(40))
    put(tmp_path, {"data/train.jsonl": rows + b'{"text": "bad", "label": true}\n'})
    with pytest.raises(RefusedRowsError, match="`label` is True, expected a number"):
        ingest(params(target="number"), 1, tmp_path)


def test_label_that_train_never_has_is_refused_in_dev_and_test(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": SOUND, "data/dev.csv": b"text,label\na,no\nb,maybe\n", "data/test.csv": SOUND})
    with pytest.raises(RefusedRowsError, match=r"data/dev\.csv:3: label 'maybe' never occurs in train"):
        ingest(params(), 1, tmp_path)
    allowed = ingest(params(refused_rows_limit=1), 1, tmp_path)
    assert [row.text for row in allowed.splits["dev"]] == ["a"]
    assert allowed.metrics["rows"]["dev"] == {"read": 2, "refused": 1, "kept": 1}


def test_id_that_stands_twice_in_a_split_is_refused(tmp_path: Path) -> None:
    numbered = b"id,text,label\n" + b"".join(b"%d,row %d,%s\n" % (n, n, b"no" if n % 2 else b"yes") for n in range(40))
    put(tmp_path, {"data/train.csv": numbered + b"7,again,no\n,none,no\n", "data/test.csv": numbered})
    with pytest.raises(RefusedRowsError) as caught:
        ingest(params(columns={"id": "id"}), 1, tmp_path)
    first, second = caught.value.refused
    assert str(first).startswith(f"{tmp_path}/data/train.csv:42: `id` '7' already occurs in line 9; give")
    assert str(second).startswith(f"{tmp_path}/data/train.csv:43: `id` is missing")


def test_id_that_stands_in_another_shard_is_refused_with_the_shard(tmp_path: Path) -> None:
    rows = [
        b"id,text,label\n" + b"".join(b"%d,row %d,%s\n" % (n, n, b"yes" if n % 2 else b"no") for n in part)
        for part in (range(20), [*range(20, 40), 0])
    ]
    shards = {f"data/train-0000{n}-of-00002.csv": content for n, content in enumerate(rows)}
    put(tmp_path, shards)
    with pytest.raises(RefusedRowsError) as caught:
        ingest(params(columns={"id": "id"}), 1, tmp_path)
    reasons = [(row.line, row.reason.partition(";")[0]) for row in caught.value.refused]
    assert reasons == [(22, "`id` '0' already occurs in line 2 of train-00000-of-00002.csv")]


def test_only_the_first_five_refused_rows_are_listed(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": SOUND + b"a,\n" * 8})
    with pytest.raises(RefusedRowsError) as caught:
        ingest(params(), 1, tmp_path)
    assert str(caught.value).count("data/train.csv:") == 5
    assert "and 3 more" in str(caught.value)
    assert len(caught.value.refused) == 8


def test_unreadable_lines_of_unlabelled_text_count_as_refused(tmp_path: Path) -> None:
    put(tmp_path, {"data/train.csv": SOUND, "u.txt": b"good line\nbad \xff line\n"})
    with pytest.raises(RefusedRowsError, match=r"u\.txt:2: not UTF-8: byte 0xFF at byte 5"):
        ingest(params(unlabelled=["u.txt"]), 1, tmp_path)


def test_parquet_rows_are_counted_from_one(tmp_path: Path) -> None:
    texts = pa.table({"text": [*(f"row {n}" for n in range(40)), None], "label": [n % 2 for n in range(41)]})
    (tmp_path / "data").mkdir()
    pq.write_table(texts, tmp_path / "data" / "train.parquet")
    with pytest.raises(RefusedRowsError, match=r"data/train\.parquet:41: `text` is missing"):
        ingest(params(), 1, tmp_path)
