"""A function in a process of its own beside the caller's work, which ends with it whatever happens."""

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
    """A function at work in another process, seen from the caller's.

    Args:
        name: The function's, for messages.
        connection: Where its result or its error arrives; at its end where it died.
    """

    def __init__(self, name: str, connection: Connection) -> None:
        self._name, self._connection = name, connection
        self._results: list[Any] = []

    def result(self) -> Any:
        """Waits for the result and returns it; raises what `beside` says."""
        if not self._results:
            self._results.append(self._received())
        return self._results[0]

    def check(self) -> None:
        """Raises at once what `result` would raise in the end; waits for nothing."""
        if not self._results and self._connection.poll():
            self.result()

    def _received(self) -> Any:
        try:
            error, result = self._connection.recv()
        except EOFError as lost:
            raise RunError(f"{self._name}: its process died; is memory short? Run `eibert run` again") from lost
        if error is not None:
            raise error
        return result


@contextmanager
def beside(function: Callable[..., Any], *arguments: Any) -> Iterator[Beside]:
    """Starts function(*arguments) in another process; yields what tells how it goes there and waits for its result.

    Both write plain lines meanwhile, since they share a terminal. The process is stopped where the body ends early, and
    ends by itself where its parent is killed.

    Args:
        function: Of a module's top level.
        arguments: Picklable, as is the result.

    Raises:
        EibertError: what the function raised, on checking or waiting.
        RunError: it failed otherwise or was killed; its traceback stands on standard error.
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
    """What starts within the body ignores Ctrl-C from its first moment: its parent is interrupted too, and stops it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only it is interrupted
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
