"""Ends a run and its stages at once.

While a flow runs, Prefect handles SIGTERM by raising an exception that waits for the stages; so the flow installs
these handlers again.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import psutil

from eibert.errors import INTERRUPTED
from flows.adapter import RAN_MARK

_SECONDS_TO_END = 10


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM end the stages' processes and this one at once; main thread only.

    An exception would not do: the flow waits for its threads, these for the processes, and Prefect for its server.
    """

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the signal module's signature
        end_at_once(INTERRUPTED, "\ninterrupted; finished stages are kept, the same command resumes from there")

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once(code: int, message: str) -> None:
    """Ends this process and all its descendants, the stages gracefully; callable from any thread.

    Args:
        code: The exit code.
        message: Written to standard error.
    """
    children = psutil.Process().children(recursive=True)
    stages = [child for child in children if _is_stage(child)]
    for child in stages:
        with contextlib.suppress(psutil.Error):
            child.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(stages, timeout=_SECONDS_TO_END)
    for child in [*alive, *(child for child in children if child not in stages)]:
        with contextlib.suppress(psutil.Error):
            child.kill()
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    os._exit(code)


def _is_stage(process: psutil.Process) -> bool:
    try:
        return RAN_MARK in process.environ()
    except psutil.Error:
        return False
