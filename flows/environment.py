"""Settings that the orchestrating libraries read from the environment on import; existing values win."""

import os
import re
from pathlib import Path

_TRACKING = "MLFLOW_TRACKING_URI"
_RELATIVE = re.compile(r"(?P<scheme>(?:sqlite(?:\+\w+)?:///|file:)?)(?P<path>[^/:][^:]*)")


def prepare(root: Path) -> None:
    """Keeps the libraries local and quiet, unless the caller's environment says otherwise.

    Makes a relative path in MLFLOW_TRACKING_URI absolute, so that a later chdir does not change the store.

    Args:
        root: Folder of the repository; Prefect keeps its files there.
    """
    own = str(root / ".prefect")
    defaults = {
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "PREFECT_HOME": own,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # A fresh database on a busy machine takes up to 20 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        # Stages report for themselves; Prefect's tracebacks add nothing.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if os.environ["PREFECT_HOME"] == own:
        # Deletes flow runs after 90 days; by default Prefect's server keeps them for ever, and events for 7 days.
        os.environ.setdefault("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "events,flow_runs")
    if uri := os.environ.get(_TRACKING):
        os.environ[_TRACKING] = _absolute(uri)


def _absolute(uri: str) -> str:
    match = _RELATIVE.fullmatch(uri)
    if match is None or uri == "databricks":  # the only name without a colon that is not a path
        return uri
    return f"{match['scheme']}{Path.cwd() / match['path']}"
