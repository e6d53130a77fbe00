"""Runs `eibert` as a fork of a preloaded process: the same work without ten seconds of imports."""

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.flows.warm import LATER, with_stages_of

_FORKS = multiprocessing.get_context("forkserver")
_IMPORTED = [
    "__main__", "flows.cli", "flows.run", "flows.compress", "flows.retrain_flow", "flows.verify", "tasks.judge",
    "tasks.drift", "mlflow.pyfunc", "model_signing.verifying", *LATER,
]  # fmt: skip


def begin() -> None:
    """Sets the modules to preload; they are imported in the environment at the time of the first fork."""
    _FORKS.set_forkserver_preload(_IMPORTED)


class Command:
    """One `eibert` process, leader of its own session.

    Attributes:
        pid: Its process id.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        commands: Path,
        *,
        variables: Mapping[str, str] | None = None,
        most_bytes: int | None = None,
    ) -> None:
        """Starts it.

        Args:
            arguments: Its command line arguments.
            folder: Its working directory.
            commands: Folder with the stages' command, as yielded by `tests.flows.warm.warm_stages`.
            variables: Added to its environment.
            most_bytes: File size limit; None: unlimited.
        """
        self._said = tempfile.TemporaryDirectory()
        paths = [Path(self._said.name, name) for name in ("out", "err")]
        self._process = _FORKS.Process(
            target=_eibert, args=(list(arguments), folder, commands, paths, dict(variables or {}), most_bytes)
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int:
        """Its exit code; negative if a signal ended it."""
        return self._process.exitcode or 0

    def poll(self) -> int | None:
        """Returns its exit code; None while it runs."""
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits and returns its standard output and standard error; kills its process group after the timeout."""
        self._process.join(timeout)
        if self._process.is_alive():
            os.killpg(self.pid, signal.SIGKILL)
            self._process.join()
        found = [path.read_text() if (path := Path(self._said.name, name)).exists() else "" for name in ("out", "err")]
        self._said.cleanup()
        return found[0], found[1]


def _eibert(
    arguments: list[str],
    folder: Path,
    commands: Path,
    said: Sequence[Path],
    variables: dict[str, str],
    most_bytes: int | None,
) -> None:
    os.setsid()
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(variables)
    os.chdir(folder)
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    sys.argv = ["eibert", *arguments]
    with_stages_of(commands)
    from flows import cli

    cli.main()
