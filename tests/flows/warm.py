"""Stages for tests: forks of one preloaded process instead of a new interpreter for each.

DVC runs `eibert stage NAME` as usual; the command on its PATH is a client that asks the server to fork.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

STAGES = ("ingest", "validate", "finetune", "pretrain", "prune", "distill", "quantize", "export", "evaluate")
INSTALLED = "EIBERT_TEST_INSTALLED"
"""Environment variable naming a folder whose packages come first in a stage's process."""
LATER = ("scipy.stats", "sklearn.metrics", "torch._dynamo", "transformers.models.bert.modeling_bert")
"""Modules that stages import lazily, at run time."""
CLIENT = """#!{python} -SE
import json, os, signal, socket, sys
signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # without a traceback, as the real one
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendall(json.dumps([sys.argv[2], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    code = server.recv(16)
sys.exit(int(code or b"70"))
"""


def with_stages_of(commands: Path | str) -> None:
    """Makes this process's runs take their stages from the server of `warm_stages`."""
    from flows import stage

    before = stage._environment

    def environment(mark: Path, *, share_terminal: bool) -> dict[str, str]:
        found = before(mark, share_terminal=share_terminal)
        return found | {"PATH": os.pathsep.join([str(commands), found["PATH"]])}

    stage._environment = environment  # type: ignore[assignment]


@contextlib.contextmanager
def warm_stages(folder: Path, root: Path, adapters: str = "") -> Iterator[Path]:
    """Yields a folder to prepend to PATH, whose `eibert` answers `eibert stage NAME`.

    Args:
        folder: For the command and the socket; its path must be short.
        root: Folder of the sources to run.
        adapters: Module whose STAGES are served, some by its ADAPTERS; "": all stages, by the real adapters.
    """
    address = folder / "socket"
    command = folder / "eibert"
    command.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    command.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(Path(__file__).parents[2])])}
    server = Popen([sys.executable, __file__, str(address), adapters], env=environment, stdin=PIPE)
    try:
        while not address.exists():
            assert server.poll() is None
            time.sleep(0.1)
        yield folder
    finally:
        server.communicate()  # end of standard input is the signal to stop


def serve(address: str, adapters: str) -> None:
    """Serves clients one after the other, each in a fork, until standard input ends."""
    import importlib
    import threading

    module: Any = importlib.import_module(adapters) if adapters else None
    instead = module.ADAPTERS if module else {}
    for stage in module.STAGES if module else STAGES:
        if stage not in instead:
            importlib.import_module(f"tasks.{stage}")
    for name in () if module else LATER:
        importlib.import_module(name)
    sys.modules.update({f"tasks.{stage}": adapter for stage, adapter in instead.items()})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                try:
                    answer(client)
                except Exception:  # noqa: BLE001 — the fork must not continue as its parent would
                    traceback.print_exc()
                os._exit(1)  # a regular exit would wait for the lock of the reading thread


def answer(client: socket.socket) -> None:
    """Runs one stage in this process, reports its exit code, and exits."""
    request = b"".join(iter(lambda: client.recv(1 << 16), b""))
    stage, folder, environment = json.loads(request)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, [environment.get(INSTALLED)])
    os.chdir(folder)
    from flows import steady
    from flows.adapter import run_stage
    from tasks import code

    here = Path(folder)
    root = next(place for place in (here, *here.parents) if (place / ".dvc").is_dir())
    code.project_root = steady.project_root = lambda: root  # type: ignore[assignment]
    found = run_stage(Path(folder), stage)
    with contextlib.suppress(OSError):  # the client may be gone
        client.sendall(str(found).encode())
    os._exit(0)


if __name__ == "__main__":
    sys.path.pop(0)
    serve(*sys.argv[1:])
