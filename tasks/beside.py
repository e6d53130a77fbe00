"""Runs a function in a child process alongside the caller's work; the child never outlives the caller."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from eibert.errors import EibertError, RunError
from tasks.progress import plain_lines


class Beside:
    """Handle to a function running in another process.

    Args:
        name: Name of the function, for messages.
        connection: Delivers its result or its error; closed if the process died.
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self._name, self._connection = name, connection
        self._results: list[Any] = []

    def result(self) -> Any:
        """Waits for the result and returns it; raises as documented for `beside`."""
        if not self._results:
            self._results.append(self._received())
        return self._results[0]

    def check(self) -> None:
        """Raises the error that `result` would raise, if it has already arrived; never blocks."""
        if not self._results and self._connection.poll():
            self.result()

    def _received(self) -> Any:
        try:
            error, result = self._connection.recv()
        except EOFError as lost:
            raise RunError(f"{self._name}: its process died, perhaps out of memory; run `eibert run` again") from lost
        if error is not None:
            raise error
        return result


@contextmanager
def beside(function: Callable[..., Any], *arguments: Any) -> Iterator[Beside]:
    """Starts function(*arguments) in another process and yields a handle to it.

    Both print plain lines meanwhile, because they share a terminal. The process is terminated when the body exits, and
    exits by itself if its parent is killed.

    Args:
        function: Defined at the top level of a module.
        arguments: Picklable, as is the result.

    Raises:
        EibertError: the function raised it; surfaces in `check` or `result`.
        RunError: the function failed otherwise or was killed; its traceback is on standard error.
    """
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe(duplex=False)
    with plain_lines():
        process = context.Process(target=_answer, args=(other, function, arguments), daemon=True)
        with _interrupts_ignored():
            process.start()
        other.close()
        try:
            yield Beside(function.__name__, mine)
        finally:
            process.terminate()
            process.join()
            mine.close()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Makes a process started in the body ignore Ctrl-C from the outset: its parent gets it too, and terminates it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _answer(connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        connection.send((None, function(*arguments)))
    except EibertError as error:
        connection.send((error, None))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
