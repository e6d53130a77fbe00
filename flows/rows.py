"""Describes which rows changed, as a human-readable cause of a run."""

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
"""Larger sources are not read again just to count rows."""

Rows = Counter[tuple[Any, ...]]


def rows_of(path: Path) -> Rows:
    """Returns how often each row occurs in a Parquet file; empty if it cannot be read."""
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException):
        return Counter()
    return Counter(zip(*(table.column(name).to_pylist() for name in sorted(table.column_names)), strict=True))


def row_changes(name: str, before: Rows, after: Rows) -> list[str]:
    """Returns what changed in one split: rows changed, added or removed; [] if none."""
    gone, come = (before - after).total(), (after - before).total()
    changed = min(gone, come)
    counts = ((changed, "changed in"), (come - changed, "added to"), (gone - changed, "removed from"))
    return [f"{count:,} {'row' if count == 1 else 'rows'} {verb} {name}" for count, verb in counts if count]


def files_changed(before: Mapping[str, Path], after: Path) -> list[str]:
    """Returns the changes in the Parquet files of an input.

    Args:
        before: Name of each file within the input → path of its earlier content; "" if the input is one file.
        after: The input's current path.
    """
    found = []
    for name, earlier in before.items():
        path = after / name if name else after
        if path.suffix == ".parquet" and path.is_file() and earlier.is_file():
            found += row_changes(path.stem, rows_of(earlier), rows_of(path))
    return found


def listed(listing: Path) -> list[dict[str, str]]:
    """Returns a folder's files as listed in DVC's cache; [] if the listing cannot be read."""
    try:
        return list(json.loads(listing.read_bytes()))
    except (OSError, ValueError):
        return []


def source_changes(workspace: Workspace, paths: Iterable[str]) -> list[str]:
    """Returns how each split would change if `ingest` ran again; [] if unknown.

    Args:
        workspace: Holds the artifact built from the earlier sources.
        paths: The changed sources; if they are too large, none is read.
    """
    from eibert.ingest import ingest  # slow import; needed only if a source changed

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
