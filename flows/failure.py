"""What an error means to who gave the command: one message, an exit code, and for a defect its traceback in a file."""

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
    """How a command ends that did not succeed.

    Attributes:
        text: The message, without secrets.
        exit_code: EXIT_ERROR for what a user can mend, else EXIT_BROKEN.
    """

    text: str
    exit_code: int


def failure(error: BaseException) -> Failure:
    """Returns what an error comes to; the traceback of a defect goes into a file that the message names."""
    said = str(error) if isinstance(error, EibertError) else refusal(error)
    return Failure(shown(said), EXIT_ERROR) if said else Failure(_defect(error), EXIT_BROKEN)


def tell(error: Exception, arguments: Sequence[str]) -> int:
    """Writes the message to standard error, and with --json among the arguments as an object to standard output.

    Returns:
        The exit code.
    """
    found = failure(error)
    sys.stderr.write(f"{ERROR}{found.text}\n")
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in options:  # every command prints its answer last, so there is none before this one
        with contextlib.suppress(OSError):  # standard output may be the very trouble
            print_json({"error": found.text})
    return found.exit_code


def _defect(error: BaseException) -> str:
    said = f"{type(error).__name__}: {first_line(error)}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="eibert-", suffix=".log", encoding="utf-8", delete=False) as log:
            log.write(shown("".join(traceback.format_exception(error))))
    except OSError as refused:  # of two troubles the defect is the one to tell
        return shown(f"{said}; its traceback could not be written: {refused}")
    return shown(f"{said}; the traceback is in {log.name}")
