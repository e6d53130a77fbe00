"""Which rows changed, in words: causes of a run that a person can check."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eibert import artifact
from eibert.errors import EibertError
from flows.workspace import Workspace

_SOURCE_BYTES = 50_000_000
"""Sources above that are not read again only to count their rows."""

Rows = Counter[tuple[Any, ...]]


def rows_of(path: Path) -> Rows:
    """Returns how often each row stands in a Parquet file; empty where it is none."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return Counter()
    return Counter(zip(*(table.column(name).to_pylist() for name in sorted(table.column_names)), strict=True))


def row_changes(name: str, before: Rows, after: Rows) -> list[str]:
    """Returns what changed in one split: rows in place of others, rows more, rows fewer; [] for the same rows."""
    gone, come = (before - after).total(), (after - before).total()
    changed = min(gone, come)
    counts = ((changed, "changed in"), (come - changed, "added to"), (gone - changed, "removed from"))
    return [f"{count:,} {'row' if count == 1 else 'rows'} {verb} {name}" for count, verb in counts if count]


def files_changed(before: Mapping[str, Path], after: Path) -> list[str]:
    """Returns the changes in the Parquet files of an input.

    Args:
        before: Name of each file within the input → where its earlier content is; "" where the input is one file.
        after: The input as it is now.
    """
    found = []
    for name, earlier in before.items():
        path = after / name if name else after
        if path.suffix == ".parquet" and path.is_file() and earlier.is_file():
            found += row_changes(path.stem, rows_of(earlier), rows_of(path))
    return found


def listed(listing: Path) -> list[dict[str, str]]:
    """Returns the files of a folder as DVC's cache lists them; [] where the list is not there."""
    try:
        return list(json.loads(listing.read_bytes()))
    except (OSError, ValueError):
        return []


def source_changes(workspace: Workspace, paths: Iterable[str]) -> list[str]:
    """Returns the rows of each split that `ingest` would make otherwise than it did; [] where that cannot be told.

    Args:
        workspace: Holds the artifact of the earlier sources.
        paths: Sources that changed, for their size.
    """
    from eibert.ingest import ingest  # reads tables; needed where a source changed only

    if sum(map(_size, (workspace.folder / path for path in paths))) > _SOURCE_BYTES:
        return []
    folder = artifact.folder(workspace.folder, "ingest")
    try:
        params = workspace.params()
        now = ingest(params.ingest, params.seed, workspace.folder)
        artifact.verified(workspace.folder, "ingest")
    except EibertError:
        return []  # the run says what is wrong
    found = []
    for split, rows in now.splits.items():
        columns = ("label", "text", "text_b") if now.dataset["pair"] else ("label", "text")
        after = Counter(tuple(getattr(row, column) for column in columns) for row in rows)
        found += row_changes(split, rows_of(folder / f"{split}.parquet"), after)
    texts = Counter((text,) for text in now.unlabelled)
    return found + row_changes("unlabelled", rows_of(folder / "unlabelled.parquet"), texts)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
