"""Locates MLflow's tracking store, a database file or a server, and connects to it."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from eibert.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_FILE = "sqlite:///"
_ARTIFACTS = "mlartifacts"
_STORE_LOGGER = "mlflow.store.db.utils"
_REASON_CHARS = 200
_SECONDS_TO_CONNECT = 5
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def store(root: Path) -> str:
    """Returns the store's address: MLFLOW_TRACKING_URI, else a file in the repository's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_FILE}{root / 'mlflow.db'}"


def is_file(root: Path) -> bool:
    """Returns whether the store is a database file rather than a server."""
    return store(root).startswith(_FILE)


def is_absent(root: Path) -> bool:
    """Returns whether the store is a file that does not exist yet, as in a fresh clone."""
    return is_file(root) and not path(root).exists()


def path(root: Path) -> Path:
    """Returns the path of the store, which must be a file."""
    return Path(store(root).removeprefix(_FILE))


def reason(error: Exception) -> str:
    """Returns the first line of an error's message, or the name of its type."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:_REASON_CHARS]


@contextmanager
def connected(root: Path) -> Iterator["MlflowClient"]:
    """Yields a client of the store; must not be nested, because a database file is locked while in use.

    Raises:
        OSError: the server does not accept connections; MLflow itself would retry for minutes.
    """
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)
    logging.getLogger(_STORE_LOGGER).setLevel(logging.CRITICAL)  # it logs tracebacks of errors that it also raises
    from mlflow import MlflowClient

    uri = store(root)
    if not is_file(root):
        _reach(uri)
        yield MlflowClient(tracking_uri=uri)
        return
    # Processes that create the same database concurrently corrupt each other's schema.
    with FileLock(f"{path(root)}.lock", timeout=60):
        yield MlflowClient(tracking_uri=uri)


def check_place(root: Path, location: str) -> None:
    """Refuses files of the repository's own registry that lie in another: MLflow keeps their absolute paths.

    Args:
        root: Folder of the repository.
        location: Artifact location of an experiment or a run, a URI.

    Raises:
        RegistryError: the repository was moved or copied together with its database file.
    """
    held, own = Path(unquote(urlsplit(location).path)), root / _ARTIFACTS
    if not _is_own(root) or _ARTIFACTS not in held.parts or held.is_relative_to(own):
        return
    other = Path(*held.parts[: held.parts.index(_ARTIFACTS)])
    if not (other.exists() and other.samefile(root)):
        raise RegistryError(
            f"{root} was moved or copied from {other}, where MLflow keeps its files; move it back, or set "
            f"{path(root).name} aside to start anew"
        )


def _is_own(root: Path) -> bool:
    return is_file(root) and "MLFLOW_TRACKING_URI" not in os.environ


def _reach(uri: str) -> None:
    """Opens and closes a connection to the server in an address, if it names one."""
    parts = urlsplit(uri)
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), timeout=_SECONDS_TO_CONNECT).close()


def experiment(client: "MlflowClient", root: Path, name: str) -> str:
    """Returns the id of a workspace's experiment, created if missing."""
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    location = (root / _ARTIFACTS / name).as_uri() if _is_own(root) else None
    return str(client.create_experiment(name, artifact_location=location))
