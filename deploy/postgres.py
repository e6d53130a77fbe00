"""A PostgreSQL cluster in a folder, reached through a socket that only its owner can open: no port and no password."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from processes import Server, ServerError, serving

OWNER = "eibert"
_SYSTEM_USER = "postgres"
_SOCKET_CHARS = 90
"""The system's limit of a socket's path is 107 bytes; its name takes 17 of them."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster: the folder of its socket, the folder of its programs, and its postmaster."""

    socket: Path
    programs: Path
    server: Server

    def url(self, database: str, driver: str) -> str:
        """Returns the address of a database for SQLAlchemy."""
        return f"postgresql+{driver}://{OWNER}@/{database}?host={self.socket}"

    def create(self, database: str) -> None:
        """Creates a database where there is none of that name.

        Raises:
            ServerError: the cluster refuses.
        """
        query = f"SELECT 1 FROM pg_database WHERE datname = '{database}'"
        if not self._psql(query):
            self._psql(f'CREATE DATABASE "{database}"')

    def _psql(self, statement: str) -> str:
        command = [f"{self.programs}/psql", "-h", str(self.socket), "-U", OWNER, "-d", "postgres", "-Atc", statement]
        done: subprocess.CompletedProcess[str] = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"PostgreSQL refuses `{statement}`: {done.stderr.strip()}")
        return done.stdout.strip()


@contextlib.contextmanager
def postgres(folder: Path, log: Path) -> Iterator[Cluster]:
    """Starts the cluster of a folder, made where there is none, and ends it afterwards.

    As root it runs as the user `postgres`, since PostgreSQL refuses root; that user must be able to reach the folder.

    Raises:
        ServerError: PostgreSQL is not installed, does not start, runs in the folder already, or cannot run there.
    """
    programs = _programs()
    data, socket = folder / "data", folder / "socket"
    if len(str(socket)) > _SOCKET_CHARS:
        raise ServerError(f"{socket}: a socket's path has at most {_SOCKET_CHARS} characters; give a shorter folder")
    user = _SYSTEM_USER if os.geteuid() == 0 else None
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        raise ServerError(f"PostgreSQL refuses root, and there is no user `{user}` here; start this as somebody else")
    for place in (folder, socket):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user:
            os.chown(place, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    if not (data / "PG_VERSION").exists():
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--no-instructions"],
            capture_output=True, text=True, check=False, user=user, cwd="/", env=environment,
        )  # fmt: skip
        if made.returncode:
            raise ServerError(f"{data}: PostgreSQL makes no cluster here: {made.stderr.strip()}")
    command = [f"{programs}/postgres", "-D", str(data), "-k", str(socket), "-c", "listen_addresses="]
    asking = [f"{programs}/pg_isready", "-q", "-h", str(socket), "-U", OWNER, "-d", "postgres"]

    def ready() -> bool:
        return subprocess.run(asking, check=False).returncode == 0

    if ready():
        raise ServerError(f"{data}: PostgreSQL runs here already; end it: kill -INT $(head -1 {data}/postmaster.pid)")
    with serving(
        "PostgreSQL", command, log=log, ready=ready, environment=environment, user=user, stop=signal.SIGINT
    ) as server:
        yield Cluster(socket, programs, server)


def _programs() -> Path:
    """The folder of the newest installed PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    path = found[-1] if found else shutil.which("initdb")
    if path is None:
        raise ServerError("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    return Path(path).parent
