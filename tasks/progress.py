"""Progress reporting: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eibert.progress import Report
from eibert.redact import shown

PLAIN = "EIBERT_PLAIN"
"""Environment variable that selects plain lines instead of bars, for stages that share a terminal."""

_LINE_SECONDS = 10.0


def say(stage: str, text: str) -> None:
    """Prints one line for a stage to standard error, secrets redacted."""
    print(shown(f"{stage:<9} {text}"), file=sys.stderr, flush=True)  # noqa: T201 — the stages' only output


@contextmanager
def reporting(stage: str, what: str) -> Iterator[Report]:
    """Yields a progress callback for part of a stage: a bar on a terminal, else a line every ten seconds."""
    if sys.stderr.isatty() and not os.environ.get(PLAIN):
        with _bar(stage, what) as report:
            yield report
    else:
        yield _lines(stage, what)


@contextmanager
def plain_lines() -> Iterator[None]:
    """Disables bars within the body, in this process and in those started there."""
    before = os.environ.get(PLAIN)
    os.environ[PLAIN] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PLAIN]
        else:
            os.environ[PLAIN] = before


@contextmanager
def _bar(stage: str, what: str) -> Iterator[Report]:
    columns = [
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[values]}"),
    ]  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{stage}: {what}", total=None, values="")

        def report(step: int, total: int, **values: float) -> None:
            progress.update(task, completed=step, total=total, values=_figures(values))

        yield report


def _lines(stage: str, what: str) -> Report:
    last = time.monotonic()

    def report(step: int, total: int, **values: float) -> None:
        nonlocal last
        now = time.monotonic()
        if step >= total or now - last >= _LINE_SECONDS:
            last = now
            say(stage, f"{what} {step}/{total} {_figures(values)}".rstrip())

    return report


def _figures(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in values.items())
