"""Why a stage's command failed: its own message, else what its exit status or the disk tells."""

from pathlib import Path

from dvc.stage.exceptions import StageCmdFailedError

from eibert.errors import EibertError, GateError, RunError
from eibert.redact import shown
from flows.adapter import ERROR, EXIT_BROKEN, EXIT_REFUSED
from flows.disk import refusal
from flows.workspace import Workspace

_PROBE_BYTES = 1 << 14


class BrokenStageError(RunError):
    """A stage's command ended with a bug."""


_KINDS: dict[int | None, type[EibertError]] = {EXIT_BROKEN: BrokenStageError, EXIT_REFUSED: GateError}
"""Exit status of a stage's command → what it means."""


def failure(workspace: Workspace, stage: str, cause: BaseException, started: float) -> EibertError:
    """Returns the error of a stage whose command failed, with the stage's own message if it left one.

    Args:
        workspace: Where.
        stage: Which.
        cause: What DVC raised.
        started: When the command began, Unix time in seconds; an older log is from another run.
    """
    kind = _KINDS.get(_exit_status(cause), RunError)
    return kind(shown(_message(workspace, stage, cause, started)))


def _message(workspace: Workspace, stage: str, cause: BaseException, started: float) -> str:
    log = workspace.folder / "logs" / f"{stage}.log"
    if log.is_file() and log.stat().st_mtime >= started - 1:
        _, marker, message = ("\n" + log.read_text(encoding="utf-8", errors="replace")).rpartition(f"\n{ERROR}")
        if marker:
            return message.strip()
    status = _exit_status(cause)
    if status is not None and (status < 0 or status in {137, 143}):
        return f"{stage}: its process was killed (exit status {status}), perhaps for lack of memory; see {log}"
    return refusal(cause) or _log_refusal(log) or f"{stage}: {cause}"


def _log_refusal(log: Path) -> str:
    """Returns the disk error on writing a small file beside the log, or ""; for a stage that left no message."""
    probe = log.with_name(f".{log.name}.part")
    try:
        probe.parent.mkdir(exist_ok=True)
        probe.write_bytes(bytes(_PROBE_BYTES))
        probe.unlink()
    except OSError as error:
        return refusal(error)
    return ""


def _exit_status(cause: BaseException) -> int | None:
    found = str(cause).rpartition("exited with ")[2]
    return int(found) if isinstance(cause, StageCmdFailedError) and found.lstrip("-").isdigit() else None
