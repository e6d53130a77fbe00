"""Measures and backdates what Prefect, MLflow and the retrainings of a repository have written."""

import contextlib
import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from flows import history
from flows.verify import workspaces


def grow_older(root: Path, days: int) -> None:
    """Backdates every date in the databases of Prefect and MLflow and in the histories by a number of days."""
    with contextlib.closing(sqlite3.connect(root / ".prefect" / "prefect.db", timeout=60)) as store, store:
        tables = [name for (name,) in store.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            columns = [row[1] for row in store.execute(f"pragma table_info({table})") if row[2] == "DATETIME"]
            for column in {*columns} - {"total_run_time"}:  # a duration, stored as a date
                moved = f"datetime(substr({column}, 1, 19), '-{days} days') || substr({column}, 20)"
                store.execute(f"update {table} set {column} = {moved} where {column} is not null")
    with contextlib.closing(sqlite3.connect(root / "mlflow.db", timeout=60)) as store, store:
        passed = days * 86_400_000
        for column in ("start_time", "end_time", "deleted_time"):
            store.execute(f"update runs set {column} = {column} - ?", (passed,))
    for place in workspaces(root):
        for one in (found := history.read(place)):
            when = datetime.fromisoformat(one.when) - timedelta(days=days)
            history.add(place, replace(one, when=when.isoformat()), limit=len(found))


def size_bytes(root: Path) -> dict[str, int]:
    """Returns the size of each of the repository's parts in bytes."""
    parts = {
        "cache": ".dvc/cache",
        "versions": "mlartifacts",
        "MLflow": "mlflow.db",
        "Prefect": ".prefect",
        "trail": "trail",
    }
    found = {}
    for name, part in parts.items():
        paths = [root / part] if (root / part).is_file() else (root / part).rglob("*")
        found[name] = sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())
    return found
