"""How a command ends that raised: one message, and for a defect its traceback in a file."""

import sys
import tempfile
import traceback
from collections.abc import Sequence

from eibert.errors import EibertError
from eibert.redact import shown
from flows.adapter import ERROR, EXIT_BROKEN, EXIT_ERROR, first_line
from flows.disk import refusal
from flows.terminal import print_json


def tell(error: Exception, arguments: Sequence[str]) -> int:
    """Writes the message to standard error, and with --json among the arguments as an object to standard output.

    Returns:
        The exit code: EXIT_ERROR for what a user can mend, else EXIT_BROKEN.
    """
    said = str(error) if isinstance(error, EibertError) else refusal(error)
    text = shown(said) if said else _defect(error)
    sys.stderr.write(f"{ERROR}{text}\n")
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in options:  # every command prints its answer last, so there is none before this one
        print_json({"error": text})
    return EXIT_ERROR if said else EXIT_BROKEN


def _defect(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="eibert-", suffix=".log", encoding="utf-8", delete=False) as log:
        log.write(shown("".join(traceback.format_exception(error))))
    return shown(f"{type(error).__name__}: {first_line(error)}; the traceback is in {log.name}")
