"""Settings that the orchestrator's libraries read from the environment when they are imported; what is set, stays."""

import os
import re
from pathlib import Path

_TRACKING = "MLFLOW_TRACKING_URI"
_RELATIVE = re.compile(r"(?P<scheme>(?:sqlite(?:\+\w+)?:///|file:)?)(?P<path>[^/:][^:]*)")


def prepare(root: Path) -> None:
    """Sets what keeps the libraries local and silent, where the caller's environment says nothing else.

    A relative path in MLFLOW_TRACKING_URI is made absolute, so that a later change of folder does not move the record.

    Args:
        root: Folder of the repository; Prefect's own files go there.
    """
    own = str(root / ".prefect")
    defaults = {
        "DO_NOT_TRACK": "1",
        "DVC_NO_ANALYTICS": "1",
        "PREFECT_HOME": own,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # A fresh database on a busy machine takes up to 20 s.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        # Its stages tell their story themselves; a trace of Prefect's says nothing about them.
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    if os.environ["PREFECT_HOME"] == own:
        # A flow run goes after 90 days; Prefect's server keeps all of them for ever else, and events for 7 days.
        os.environ.setdefault("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", "events,flow_runs")
    if uri := os.environ.get(_TRACKING):
        os.environ[_TRACKING] = _absolute(uri)


def _absolute(uri: str) -> str:
    match = _RELATIVE.fullmatch(uri)
    if match is None or uri == "databricks":  # the one name without a colon that is no path
        return uri
    return f"{match['scheme']}{Path.cwd() / match['path']}"
