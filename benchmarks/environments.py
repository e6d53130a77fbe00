"""Isolated environments for benchmarks and tests with versions other than the pinned ones, kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

DONE = ".complete"


class UnavailableError(Exception):
    """An environment cannot be created here; the message gives the reason in one line."""


def python(requirements: Sequence[str], *, first: Sequence[str] = (), seconds: float = 600) -> Path:
    """Returns the interpreter of an environment with only these packages, created if missing.

    Args:
        requirements: Arguments of `pip install`; dependencies are included unless one is `--no-deps`.
        first: Installed beforehand, without dependencies.
        seconds: Timeout of each pip call.

    Raises:
        UnavailableError: pip cannot install them, or not in time.
    """
    key = (*first, "then", *requirements, sys.version.split()[0])

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
        for arguments in filter(None, ([*first, "--no-deps"] if first else [], requirements)):
            command = [*pip, "install", "--quiet", *arguments]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds)

    return _made("python", key, make) / "bin" / "python"


def node(packages: Sequence[str], *, seconds: float = 600) -> Path:
    """Returns a folder whose `node_modules` has these packages; their install scripts are not run.

    Raises:
        UnavailableError: npm is missing or cannot install them.
    """

    def make(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", *packages]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=seconds)

    return _made("node", packages, make)


def _made(kind: str, key: Sequence[str], make: Callable[[Path], None]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eibert" / "environments"
    target = cache / f"{kind}-{hashlib.sha256(' '.join(key).encode()).hexdigest()[:12]}"
    if (target / DONE).exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        make(target)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise UnavailableError(f"{' '.join(key)}: {_reason(error)}") from error
    (target / DONE).touch()
    return target


def _reason(error: Exception) -> str:
    """The last line of pip's or npm's standard error that is not a warning, else the exception itself."""
    told = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    lines = [line for line in str(told or "").splitlines() if line.strip() and not line.startswith("WARNING")]
    return (lines[-1] if lines else str(error)).strip()[:300]
