"""How an error is reported to the user: one message, an exit code and, for a bug, a traceback in a file."""

import contextlib
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from eibert.errors import EibertError
from eibert.redact import shown
from flows.adapter import ERROR, EXIT_BROKEN, EXIT_ERROR, first_line
from flows.disk import refusal
from flows.terminal import print_json


@dataclass(frozen=True)
class Failure:
    """How a failed command ends.

    Attributes:
        text: The message, secrets redacted.
        exit_code: EXIT_ERROR if the user can fix it, else EXIT_BROKEN.
    """

    text: str
    exit_code: int


def failure(error: BaseException) -> Failure:
    """Returns how an error is reported; a bug's traceback goes to a file that the message names."""
    said = str(error) if isinstance(error, EibertError) else refusal(error)
    return Failure(shown(said), EXIT_ERROR) if said else Failure(_defect(error), EXIT_BROKEN)


def tell(error: Exception, arguments: Sequence[str]) -> int:
    """Writes the message to standard error and, if --json was given, as an object to standard output.

    Returns:
        The exit code.
    """
    found = failure(error)
    sys.stderr.write(f"{ERROR}{found.text}\n")
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in options:  # every command prints its answer last, so nothing precedes this
        with contextlib.suppress(OSError):  # standard output itself may be the problem
            print_json({"error": found.text})
    return found.exit_code


def _defect(error: BaseException) -> str:
    said = f"{type(error).__name__}: {first_line(error)}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="eibert-", suffix=".log", encoding="utf-8", delete=False) as log:
            log.write(shown("".join(traceback.format_exception(error))))
    except OSError as refused:  # of the two errors, report the bug
        return shown(f"{said}; its traceback could not be written: {refused}")
    return shown(f"{said}; the traceback is in {log.name}")
