"""Checks the environment for what would stop or slow down a run."""

import base64
import http.client
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from eibert.code import project_root
from eibert.errors import EibertError, RunError
from eibert.redact import shown
from flows import environment, workspace
from tasks.mlflow_store import store

_GIB = 2**30
_MEMORY_GIB = 4
_DISK_GIB = 5
_SECONDS = 3.0
# The project's direct imports, in pipeline order; the other constraints follow from these.
_LIBRARIES = (
    "prefect", "dvc", "mlflow", "great_expectations", "torch", "transformers", "tokenizers", "safetensors", "onnx",
    "onnxruntime", "numpy", "pyarrow", "pandas", "scikit-learn", "pydantic", "fastapi", "SQLAlchemy", "typer", "rich",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One fact about the environment.

    Attributes:
        what: What was checked.
        found: What was found.
        stops: Whether it would stop a run.
        remedy: What to do about it; empty if nothing is wrong.
    """

    what: str
    found: str
    stops: bool = False
    remedy: str = ""


def examine(folder: Path) -> list[Finding]:
    """Returns the findings; changes nothing.

    Args:
        folder: The workspace.

    Raises:
        RunError: the folder does not exist.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; name a workspace with -C")
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (
        _python, _libraries, _machine, _torch, _repository, _workspace, _record,
    )  # fmt: skip
    return [finding for check in checks for finding in check(folder)]


def _python(folder: Path) -> Iterator[Finding]:  # noqa: ARG001 — all checks share one signature
    wrong = sys.version_info[:2] != (3, 11)
    yield Finding("python", platform.python_version(), wrong, "use Python 3.11" if wrong else "")


def _libraries(folder: Path) -> Iterator[Finding]:  # noqa: ARG001
    wanted = _constraints(project_root() / "constraints.txt")
    for name in _LIBRARIES:
        expected = wanted.get(_key(name))
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "missing", stops=True, remedy="install with `make setup`")
            continue
        differs = expected is not None and found.partition("+")[0] != expected
        yield Finding(name, found, remedy=f"tested with {expected}; `make setup` installs it" if differs else "")


def _machine(folder: Path) -> Iterator[Finding]:
    yield Finding("cores", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()))
    memory = psutil.virtual_memory().available / _GIB
    low = memory < _MEMORY_GIB
    yield Finding("memory free", f"{memory:.1f} GiB", remedy=f"{_MEMORY_GIB} GiB is enough" if low else "")
    disk = shutil.disk_usage(folder).free / _GIB
    full = disk < _DISK_GIB
    yield Finding("disk free", f"{disk:.1f} GiB", remedy=f"free {_DISK_GIB} GiB" if full else "", stops=disk < 1)


def _torch(folder: Path) -> Iterator[Finding]:  # noqa: ARG001
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", f"cannot be imported: {error}", stops=True, remedy="install with `make setup`")
        return
    features = torch.cpu.get_capabilities()
    bf16 = [name for name in ("avx512_bf16", "amx_bf16") if features.get(name)]
    yield Finding("bf16 on this processor", ", ".join(bf16) or "no; training uses fp32")
    yield Finding("CUDA", torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no; training uses the CPU")


def _repository(folder: Path) -> Iterator[Finding]:
    try:
        root = workspace.repository(folder)
    except EibertError as error:
        yield Finding("DVC repository", str(error), stops=True, remedy="git init && dvc init")
        return
    yield Finding("DVC repository", str(root))
    git = shutil.which("git")
    if git is None:
        yield Finding("git", "missing", stops=True, remedy="install git")
        return
    inside = subprocess.run(  # noqa: S603 — fixed arguments
        [git, "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    found = f"at {inside.stdout.strip()}" if inside.returncode == 0 else "no commit yet"
    yield Finding("git", found, remedy="" if inside.returncode == 0 else "commit, so that records can name their code")


def _workspace(folder: Path) -> Iterator[Finding]:
    try:
        place = workspace.find(folder)
        params = place.params()
        from eibert.teacher_files import locate

        yield Finding("workspace", str(place.folder))
        with tempfile.TemporaryFile(dir=place.folder):
            pass
        where = locate(params.teacher, place.folder)
    except EibertError as error:
        yield Finding("workspace", str(error), stops=True, remedy="follow this message")
    except OSError as error:
        yield Finding("write access", str(error), stops=True, remedy="make the folder writable")
    else:
        checked = "digest as expected" if params.teacher.sha256 else "digest not checked"
        yield Finding("teacher", f"{params.teacher.model} in {where}, {checked}")


def _record(folder: Path) -> Iterator[Finding]:
    try:
        root = workspace.repository(folder)
    except EibertError:
        return
    environment.prepare(root)
    uri = store(root)
    if not uri.startswith(("http://", "https://")):
        yield Finding("MLflow", shown(uri))
        return
    place, wait = shown(uri), "runs work; their records wait until it is healthy"
    try:
        with urllib.request.urlopen(_health(uri), timeout=_SECONDS):  # noqa: S310 — http only, see above
            yield Finding("MLflow", place)
    except urllib.error.HTTPError as error:
        yield Finding("MLflow", f"{place} answers {error.code}", remedy=wait)
    except (OSError, ValueError, http.client.HTTPException) as error:
        yield Finding("MLflow", f"{place}: {error}", remedy=wait)


def _health(uri: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(uri)
    user, at, host = parts.netloc.rpartition("@")
    address = parts._replace(netloc=host, path=f"{parts.path.rstrip('/')}/health").geturl()
    token = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
    return urllib.request.Request(address, headers={"Authorization": f"Basic {token}"} if at else {})  # noqa: S310


def _constraints(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.split("#")[0].strip().split("==") for line in path.read_text(encoding="utf-8").splitlines())
    return {_key(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def _key(name: str) -> str:
    return name.lower().replace("_", "-")
