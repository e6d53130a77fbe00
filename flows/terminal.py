"""Reserves standard output for answers, and formats them."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_FILE_COLUMNS = 1000
"""Width of a table written to a file or pipe, so that no line is cut."""


@contextlib.contextmanager
def stdout_reserved() -> Iterator[None]:
    """Redirects standard output of this process and its children to standard error meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def print_json(value: object) -> None:
    """Prints one JSON object."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_json_lines(values: Sequence[object]) -> None:
    """Prints one JSON value per line."""
    sys.stdout.writelines(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values)


def print_lines(lines: Sequence[str]) -> None:
    """Prints lines as they are."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table without borders."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _FILE_COLUMNS
    console.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Prints names and values, one pair per line; skips None."""
    shown = {name: value for name, value in facts.items() if value is not None}
    width = max(map(len, shown), default=0)
    print_lines([f"{name:<{width}}  {value}" for name, value in shown.items()])
