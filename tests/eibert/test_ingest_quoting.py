"""TSV with and without quoting: what csv writers wrote is decoded, literal quotation marks stay."""

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eibert.errors import DataError
from eibert.ingest import ingest
from eibert.ingest.quoting import examine
from eibert.ingest.reading import Table, read
from eibert.ingest.rows import File
from eibert.params.ingest import IngestParams

HEADER = ("text", "label")
PLAIN = [(f"plain {n}", "ab"[n % 2]) for n in range(3)]


def written(rows: list[tuple[str, ...]], quoting: Any = csv.QUOTE_MINIMAL, end: str = "\r\n") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter="\t", quoting=quoting, lineterminator=end).writerows([HEADER, *rows])
    return file.getvalue().encode()


def bare(rows: list[tuple[str, ...]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in [HEADER, *rows]).encode()


def table(folder: Path, data: bytes) -> Table:
    path = folder / "rows.tsv"
    path.write_bytes(data)
    return read(File(path, "rows.tsv", str(path)))


def cells(found: Table) -> list[tuple[str, ...]]:
    return [tuple(row.values.values()) for row in found.rows]


QUOTED = {
    "a mark": 'He said "x"',
    "only marks": '"',
    "a whole quotation": '"whole"',
    "a line end": "two\nlines",
    "a tab": "two\tcolumns",
    "all of them": 'one "two"\tthree\tfour\n\nfive',
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("text", QUOTED.values(), ids=QUOTED)
def test_what_a_csv_writer_quoted_is_decoded_and_told(tmp_path: Path, text: str, end: str) -> None:
    rows = [*PLAIN, (text, "a"), ("last", "b")]
    found = table(tmp_path, written(rows, end=end))
    assert cells(found) == rows
    assert found.refused == []
    assert found.note == (
        f"{tmp_path}/rows.tsv:5: cell in quotation marks, decoded, as csv writers and pandas write them; "
        "if they are part of the text, save the file as .csv or .jsonl"
    )


def test_what_pandas_wrote_is_decoded(tmp_path: Path) -> None:
    rows = [*PLAIN, ('He said ""x"""', "a"), ('say "no"', "b"), ("two\nlines", "a")]
    data = pd.DataFrame(rows, columns=list(HEADER)).to_csv(sep="\t", index=False)
    assert 'He said """"x""""""' in data
    assert cells(table(tmp_path, data.encode("utf-8-sig"))) == rows


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_quoted_header_tells_that_cells_are_quoted(tmp_path: Path, quoting: int) -> None:
    rows = [("plain", "a"), ('"whole"', "b"), ('say "no"', "a"), ("two\nlines", "b")]
    found = table(tmp_path, written(rows, quoting))
    assert (found.columns, cells(found), found.note) == (["text", "label"], rows, "")


def test_row_not_quoted_as_its_header_is_refused(tmp_path: Path) -> None:
    found = table(tmp_path, b'"text"\t"label"\n"plain"\t"a"\n"so" he said\t"b"\n')
    assert cells(found) == [("plain", "a")]
    assert [row.line for row in found.refused] == [3]
    with pytest.raises(DataError, match=r"rows.tsv:2: a quotation mark opened here is never closed"):
        table(tmp_path, b'"text"\t"label"\n"open\ta\n')


LITERAL = {
    "a mark at the beginning": ['"word and more'],
    "marks within": ['he said "x" to her'],
    "a whole quotation, and a mark": ['"whole cell"', 'an inch, 1"'],
    "a quotation at the beginning": ['"so" he said'],
    "three marks": ['"""'],
}


@pytest.mark.parametrize("texts", LITERAL.values(), ids=LITERAL)
def test_marks_of_plain_text_stay_and_nothing_is_said(tmp_path: Path, texts: list[str]) -> None:
    rows = [*PLAIN, *((text, "a") for text in texts), ("last", "b")]
    found = table(tmp_path, bare(rows))
    assert (cells(found), found.note) == (rows, "")


DOUBTFUL = {
    "a whole quotation alone": ['"whole cell"'],
    "two marks": ['""'],
    "marks that open and close in two rows": ['"word and', 'more"'],
    "a doubled mark, and one that is not": ['"He said ""x"""', 'an inch, 1"'],
    "a doubled mark, and a cell quoted without need": ['"He said ""x"""', '"Hello, world"'],
}


@pytest.mark.parametrize("texts", DOUBTFUL.values(), ids=DOUBTFUL)
def test_marks_that_may_be_either_stay_and_are_told(tmp_path: Path, texts: list[str]) -> None:
    rows = [*PLAIN, *((text, "a") for text in texts), ("last", "b")]
    found = table(tmp_path, bare(rows))
    assert cells(found) == rows
    assert found.note == (
        f"{tmp_path}/rows.tsv:5: cell in quotation marks, read as part of the text; if they only quote the cell, "
        "save the file as .csv or .jsonl"
    )


@given(st.lists(st.tuples(st.text('a" \n\t,', min_size=1), st.sampled_from(["x", 'y"', ""])), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_a_csv_writers_file_is_decoded_exactly_or_left_alone(rows: list[tuple[str, str]]) -> None:
    data = written(rows, end="\n")
    found = examine(data)
    if found.decoded:
        assert list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter="\t"))[1:] == [list(r) for r in rows]
    else:
        spans = any("\n" in cell or "\t" in cell for row in rows for cell in row)
        assert spans or b'"' not in data or all('"' not in cell for row in rows for cell in row)


@given(st.lists(st.tuples(st.text('a" ,', min_size=1), st.sampled_from("xy")), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_literal_text_is_altered_only_where_every_mark_is_one_of_a_csv_writer(rows: list[tuple[str, str]]) -> None:
    data = bare(rows)
    if examine(data).decoded:
        decoded = list(csv.reader(io.StringIO(data.decode(), newline=""), delimiter="\t"))[1:]
        assert written([tuple(row) for row in decoded], end="\n") == data


def test_notes_on_quoting_are_told_once(tmp_path: Path) -> None:
    rows = [(f'text {n} "quoted"', "ab"[n % 2]) for n in range(40)]
    (tmp_path / "rows.tsv").write_bytes(written(rows))
    fixed = {
        "source": "rows.tsv", "unlabelled": ["rows.tsv"], "inputs": "auto", "target": "auto", "dev_share": 0.1,
        "columns": {"text": "text", "text_b": "text_b", "label": "label", "id": None, "split": None},
        "test_share": 0.1, "refused_rows_limit": 0, "unlabelled_limit": None, "shared_texts_min": 20_000,
        "sentence_chars": 300,
    }  # fmt: skip
    found = ingest(IngestParams.model_validate(fixed), 1, tmp_path)
    assert sorted(row.text for part in found.splits.values() for row in part) == sorted(text for text, _ in rows)
    assert [note.partition(": ")[0] for note in found.notes] == [f"{tmp_path}/rows.tsv:2"]
