"""`mlflow models serve` on the champion answers real requests with the labels of `eibert predict`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows import predict, promote
from flows.workspace import Workspace
from tasks import facts, mlflow_store
from tests import toy

PROJECT = Path(__file__).parents[2]
SECONDS_TO_START = 900
TEXTS = ["w00", "w01 w01", "w02 w05 w08", "W04!", ""]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning"),
]


@pytest.fixture
def workspace(tmp_path: Path, database: Path) -> Workspace:
    """A workspace whose bundle is in service."""
    found = toy.make_repository(tmp_path / "root")
    shutil.copy(database, tmp_path / "root" / "mlflow.db")
    toy.build(found, wrong={1})
    assert promote.promote(found).promoted
    return found


@pytest.fixture
def address(workspace: Workspace, tmp_path: Path) -> Iterator[str]:
    """The address at which the champion is served."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    command = [mlflow, "models", "serve", "-m", "models:/models.w@champion", "--env-manager", "local", "-p", str(port)]
    environment = {
        **os.environ, "MLFLOW_TRACKING_URI": mlflow_store.store(workspace.root), "PYTHONPATH": str(PROJECT),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait(f"http://127.0.0.1:{port}/ping", server, tmp_path / "log")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Returns once the server answers."""
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def ask(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)["predictions"]
    return found


def test_champion_answers_over_http_as_predict_does(workspace: Workspace, address: str) -> None:
    expected = predict.predictions(facts.bundle_folder(workspace.folder), TEXTS, 1)
    found = ask(address, {"dataframe_records": [{"text": text} for text in TEXTS]})
    assert [answer["label"] for answer in found] == [answer["label"] for answer in expected]
    assert [answer["score"] for answer in found] == pytest.approx([answer["score"] for answer in expected])
    assert ask(address, {"dataframe_split": {"columns": ["text"], "data": [["w01"]]}})[0]["label"] == "positive"
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(address, {"dataframe_records": [{"words": "w00"}]})
    assert refused.value.code == 400
    refused.value.close()
