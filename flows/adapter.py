"""Runs one stage's adapter in this process, with a log; this is what DVC calls."""

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from eibert.errors import INTERRUPTED, EibertError, GateError, RunError
from eibert.redact import shown
from flows.disk import refusal
from flows.steady import CODE, steady

ERROR = "error: "
"""Prefix of a failed stage's last message, on standard error and in its log."""

RAN_MARK = "EIBERT_RAN_MARK"
"""Environment variable naming a file that a stage touches to show that it ran rather than was restored."""

EXIT_ERROR = 1
EXIT_REFUSED = 3
"""The data gate refuses the rows: the data is at fault, not a full disk or a missing file."""
EXIT_BROKEN = 70


def run_stage(workspace: Path, stage: str) -> int:
    """Runs one stage's adapter and returns the exit code; messages go to standard error and to logs/<stage>.log.

    Returns:
        0; EXIT_REFUSED if the data gate refuses the rows; EXIT_ERROR for any other error the user can fix; EXIT_BROKEN
        for a bug; INTERRUPTED after Ctrl-C.
    """
    try:
        return _run_logged(workspace, stage, workspace / "logs" / f"{stage}.log")
    except OSError as error:  # the log itself cannot be written
        if said := refusal(error):
            sys.stderr.write(f"{ERROR}{said}\n")
            return EXIT_ERROR
        raise


def _run_logged(workspace: Path, stage: str, log_path: Path) -> int:
    with _logged(log_path) as log:
        try:
            _mark()
            _run(workspace, stage)
        except EibertError as error:
            sys.stderr.write(f"{ERROR}{error}\n")
            return EXIT_REFUSED if isinstance(error, GateError) else EXIT_ERROR
        except KeyboardInterrupt:
            sys.stderr.write(f"{ERROR}{stage} was interrupted\n")
            return INTERRUPTED
        except Exception as error:  # noqa: BLE001 — the last chance to keep the traceback
            if said := refusal(error):
                sys.stderr.write(f"{ERROR}{said}\n")
                return EXIT_ERROR
            log.write(shown(traceback.format_exc()))
            kind = type(error).__name__
            sys.stderr.write(f"{ERROR}{stage} crashed: {kind}: {first_line(error)}; the traceback is in {log_path}\n")
            return EXIT_BROKEN
    return 0


def _run(workspace: Path, stage: str) -> None:
    if not stage.isidentifier():
        raise RunError(f"{stage}: no such stage; dvc.yaml lists them")
    try:
        adapter = importlib.import_module(f"tasks.{stage}")
    except ModuleNotFoundError as error:
        if error.name != f"tasks.{stage}":
            raise
        raise RunError(f"{stage}: no such stage; dvc.yaml lists them") from error
    if not hasattr(adapter, "run"):
        raise RunError(f"{stage}: no such stage; dvc.yaml lists them")
    if stage == CODE:
        adapter.run(workspace)
    else:
        with steady(workspace, stage) as params:
            adapter.run(workspace, params.section(stage), params.shared)


def _mark() -> None:
    if mark := os.environ.get(RAN_MARK):
        Path(mark).touch()


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message."""
    return next(iter(str(error).splitlines()), "no message")


class _Tee:
    """Writes to a stream and a log, secrets redacted; the log omits terminal control such as progress bar frames."""

    def __init__(self, stream: TextIO, log: TextIO) -> None:
        self._stream = stream
        self._log = log

    def write(self, text: str) -> int:
        text = shown(text)
        if "\x1b" not in text:
            self._log.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()
        self._log.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[TextIO]:
    """Yields a new log that copies standard error; standard output is redirected there meanwhile."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", buffering=1) as log:
        tee = _Tee(sys.stderr, log)
        with contextlib.redirect_stderr(tee), contextlib.redirect_stdout(tee):
            yield log
