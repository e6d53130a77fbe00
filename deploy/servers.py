"""The servers that a team shares, on loopback: PostgreSQL, an S3 store, MLflow, Prefect, and a worker for its runs.

    python deploy/servers.py --folder /srv/eibert

Prints what to export so that `eibert` and `prefect` use them, and runs until Ctrl-C. What PostgreSQL holds stays in the
folder. The S3 store is moto's, in memory, for trying things out; name a real one with --s3 (its credentials come from
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY). docs/deploy.md says what a machine of its own needs instead.
"""

import argparse
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from postgres import Cluster, postgres
from processes import Server, ServerError, answers, program, serving

HOST = "127.0.0.1"
POOL = "eibert"
BUCKET = "eibert"
_QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


@dataclass
class Stack:
    """The running servers, and the environment in which clients find them."""

    folder: Path
    servers: list[Server] = field(default_factory=list)
    client: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        """Returns an environment for a process that uses the servers."""
        return {**os.environ, **_QUIET, **self.client, **more}

    def check(self) -> None:
        """Raises ServerError where a server has ended."""
        for server in self.servers:
            server.check()


@contextlib.contextmanager
def stack(folder: Path, *, ports: Mapping[str, int] | None = None, s3: str | None = None) -> Iterator[Stack]:
    """Starts all servers and a worker, yields them, and ends them in the opposite order.

    Args:
        folder: For the database, the logs and Prefect's files.
        ports: Server → port, for `s3`, `mlflow` and `prefect`; None: any that are free.
        s3: Address of an S3 store; None: one in memory.

    Raises:
        ServerError: a port is taken, or one of them does not start.
    """
    chosen = dict(ports or {name: _free_port() for name in ("s3", "mlflow", "prefect")})
    _check_free({name: port for name, port in chosen.items() if name != "s3" or not s3})
    found = Stack(folder)
    with contextlib.ExitStack() as opened:
        cluster = opened.enter_context(postgres(folder / "postgres", folder / "logs" / "postgres.log"))
        found.servers.append(cluster.server)
        store = s3 or opened.enter_context(_s3(found, chosen["s3"]))
        opened.enter_context(_mlflow(found, cluster, store, chosen["mlflow"]))
        opened.enter_context(_prefect(found, cluster, chosen["prefect"]))
        opened.enter_context(_worker(found))
        yield found


@contextlib.contextmanager
def _started(found: Stack, name: str, command: list[str], url: str | None, **more: str) -> Iterator[None]:
    log = found.folder / "logs" / f"{name}.log"
    ready = answers(url) if url else lambda: True
    with serving(name, command, log=log, ready=ready, environment=found.environment(**more)) as server:
        found.servers.append(server)
        yield


@contextlib.contextmanager
def _s3(found: Stack, port: int) -> Iterator[str]:
    url = f"http://{HOST}:{port}"
    with _started(found, "s3", [program("moto_server"), "-H", HOST, "-p", str(port)], f"{url}/moto-api/data.json"):
        yield url


@contextlib.contextmanager
def _mlflow(found: Stack, cluster: Cluster, store: str, port: int) -> Iterator[None]:
    """Clients give artifacts to the server, which has the store's credentials; they need none themselves."""
    cluster.create("mlflow")
    keys = {name: os.environ.get(name, "loopback") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    _create_bucket(store, keys)
    url = f"http://{HOST}:{port}"
    command = [program("mlflow"), "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
    more = {"MLFLOW_BACKEND_STORE_URI": cluster.url("mlflow", "psycopg2"), "MLFLOW_S3_ENDPOINT_URL": store, **keys}
    with _started(found, "mlflow", command, f"{url}/health", **more):
        found.client["MLFLOW_TRACKING_URI"] = url
        yield


def _create_bucket(store: str, keys: Mapping[str, str]) -> None:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3", endpoint_url=store, region_name="us-east-1",
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    try:
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
    except (BotoCoreError, ClientError) as error:
        raise ServerError(f"{store}: the S3 store does not take the bucket {BUCKET}: {error}") from error


@contextlib.contextmanager
def _prefect(found: Stack, cluster: Cluster, port: int) -> Iterator[None]:
    cluster.create("prefect")
    url, password = f"http://{HOST}:{port}", f"{POOL}:{secrets.token_urlsafe(18)}"
    home = {"PREFECT_HOME": str(found.folder / "prefect")}
    settings = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": cluster.url("prefect", "asyncpg"),
        "PREFECT_SERVER_UI_API_URL": f"{url}/api",  # else its page asks at port 4200
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url,
        "PREFECT_SERVER_API_AUTH_STRING": password,  # the worker does what it is told here, as our user
    }
    command = [program("prefect"), "server", "start", "--host", HOST, "--port", str(port)]
    with _started(found, "prefect", command, f"{url}/api/health", **home, **settings):
        found.client.update({"PREFECT_API_URL": f"{url}/api", "PREFECT_API_AUTH_STRING": password})
        made = subprocess.run(
            [program("prefect"), "work-pool", "create", POOL, "--type", "process", "--overwrite"],
            env=found.environment(**home), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise ServerError(f"Prefect makes no work pool {POOL}: {made.stderr.strip() or made.stdout.strip()}")
        yield


@contextlib.contextmanager
def _worker(found: Stack) -> Iterator[None]:
    command = [program("prefect"), "worker", "start", "--pool", POOL, "--name", "loopback"]
    home = {"PREFECT_HOME": str(found.folder / "prefect"), "PREFECT_WORKER_QUERY_SECONDS": "2"}
    with _started(found, "worker", command, None, **home):
        yield


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _check_free(ports: Mapping[str, int]) -> None:
    """Raises ServerError where somebody listens on a port: it might answer in the place of our server."""
    for name, port in ports.items():
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                raise ServerError(f"--{name}-port {port}: in use; choose another, or end what listens there")


def main() -> None:
    """Starts the servers and keeps them until Ctrl-C or SIGTERM, or until one of them ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".servers"), help="for database and logs")
    parser.add_argument("--s3", metavar="URL", help="a real S3 store, in place of one in memory")
    for name, port in (("s3", 9000), ("mlflow", 5000), ("prefect", 4200)):
        parser.add_argument(f"--{name}-port", type=int, default=port, metavar="N")
    arguments = parser.parse_args()
    ports = {"s3": arguments.s3_port, "mlflow": arguments.mlflow_port, "prefect": arguments.prefect_port}
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with stack(arguments.folder.resolve(), ports=ports, s3=arguments.s3) as found:
            print("\n".join(f"export {name}={value}" for name, value in found.client.items()), flush=True)
            while True:
                found.check()
                time.sleep(1)
    except KeyboardInterrupt:
        print("ended", file=sys.stderr)
    except ServerError as error:
        sys.exit(f"error: {error}")
    except PermissionError as error:
        sys.exit(f"error: {error.filename}: no right to write there; give a folder of yours with --folder")


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 — the signal module's signature
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
