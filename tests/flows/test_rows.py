"""Descriptions of changed rows."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.rows import files_changed, listed, row_changes, rows_of


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("abc", "abc", []),
        ("abc", "cba", []),
        ("abc", "abd", ["1 row changed in train"]),
        ("abc", "abcd", ["1 row added to train"]),
        ("abcc", "abc", ["1 row removed from train"]),
        ("abc", "xyzw", ["3 rows changed in train", "1 row added to train"]),
        ("abcd", "xy", ["2 rows changed in train", "2 rows removed from train"]),
        ("", "a" * 1200, ["1,200 rows added to train"]),
    ],
)
def test_rows_are_counted_as_a_multiset(before: str, after: str, expected: list[str]) -> None:
    assert row_changes("train", Counter((x,) for x in before), Counter((x,) for x in after)) == expected


def test_files_of_an_input_are_compared_whatever_the_order_of_their_columns(tmp_path: Path) -> None:
    earlier, now = tmp_path / "object", tmp_path / "train.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": ["x", "y"]}), earlier)
    pq.write_table(pa.table({"label": ["x", "z"], "text": ["a", "b"]}), now)
    assert files_changed({"": earlier}, now) == ["1 row changed in train"]
    assert files_changed({"train.parquet": earlier, "manifest.json": earlier}, tmp_path) == ["1 row changed in train"]
    assert files_changed({"": tmp_path / "gone"}, now) == []


def test_what_cannot_be_read_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no table")
    assert rows_of(tmp_path / "x.parquet") == Counter()
    assert listed(tmp_path / "x.parquet") == listed(tmp_path / "gone") == []
