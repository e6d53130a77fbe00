"""PostgreSQL's programs, and a folder for a cluster."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tools() -> None:
    """PostgreSQL's programs are installed."""
    with FileLock(Path(tempfile.gettempdir()) / "eibert-tools.lock"):
        done = subprocess.run(["sh", PROJECT / "deploy/tools.sh"], capture_output=True, text=True, check=False)
    if done.returncode:
        missing = done.stderr.strip().splitlines()[-1]
        pytest.fail(missing) if "EIBERT_CI" in os.environ else pytest.skip(missing)  # .ci/run skips nothing


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder with a short path that PostgreSQL's own user can access."""
    folder = Path(tempfile.mkdtemp(prefix="eibert-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
