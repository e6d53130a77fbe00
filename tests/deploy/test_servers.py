"""A scheduled retraining through real servers: PostgreSQL, an S3 store, MLflow, Prefect, and a worker."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import learner
from tests.flows.warm import warm_stages

PROJECT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def free_ports(count: int) -> list[int]:
    opened = [socket.socket() for _ in range(count)]
    for one in opened:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in opened]
    for one in opened:
        one.close()
    return found


@pytest.fixture(scope="module")
def servers(place: Path, tools: None) -> Iterator[dict[str, str]]:
    """The environment through which clients find the servers of deploy/servers.py."""
    ports = [
        part
        for name, port in zip(("s3", "mlflow", "prefect"), free_ports(3), strict=True)
        for part in (f"--{name}-port", str(port))
    ]
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_", "AWS_"))
    }
    environment = inherited | {"PYTHONPATH": str(PROJECT), "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, PROJECT / "deploy/servers.py", "--folder", place / "servers", *ports],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    exported: dict[str, str] = {}
    while "PREFECT_API_AUTH_STRING" not in exported and (line := process.stdout.readline()):
        name, _, value = line.strip().removeprefix("export ").partition("=")
        exported[name] = value
    yield environment | exported
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()
    left = subprocess.run(["pgrep", "-af", str(place)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def ask(servers: dict[str, str], path: str, **body: Any) -> Any:
    password = base64.b64encode(servers["PREFECT_API_AUTH_STRING"].encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {password}"}
    request = urllib.request.Request(f"{servers['PREFECT_API_URL']}/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def pages(servers: dict[str, str]) -> dict[str, str]:
    """The pages of all runs, by key."""
    return {page["key"]: page["data"] for page in ask(servers, "artifacts/filter")}


def scheduled(servers: dict[str, str], *states: str, seconds: float) -> dict[str, Any]:
    """Waits, up to a limit, until the first scheduled run is in one of these states; returns it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        flow, state = {"name": {"any_": ["retrain-all"]}}, {"type": {"any_": states}}
        found = ask(servers, "flow_runs/filter", flows=flow, flow_runs={"state": state}, sort="EXPECTED_START_TIME_ASC")
        # A run that starts late, when the next is due, gives way to it.
        if begun := [run for run in found if run["auto_scheduled"] and run["state"]["name"] != "Skipped"]:
            return dict(begun[0])
        time.sleep(1)
    raise AssertionError(f"no run of the schedule came to {' or '.join(states)} in {seconds} s")


def test_scheduled_retraining_goes_through_the_servers(
    servers: dict[str, str], place: Path, teacher_folder: Path
) -> None:
    api = servers["PREFECT_API_URL"]
    [workspace] = learner.make_repository(place / "root", teacher_folder, "models/w")
    texts = learner.texts(learner.WORDS, 400, seed=1, words=2)
    rows = learner.labelled(texts)
    learner.write_rows(workspace.folder / "rows", train=rows[:240], dev=rows[240:300], test=rows[300:])
    stages = place / "stages"
    stages.mkdir()
    with warm_stages(stages, PROJECT, "tests.learner") as commands:
        graph = workspace.folder / "dvc.yaml"
        graph.write_text(graph.read_text().replace("cmd: eibert", f"cmd: {commands}/eibert"))

        def prefect(*arguments: str) -> None:
            command = [str(PROGRAMS / "prefect"), "--no-prompt", *arguments]
            done = subprocess.run(command, cwd=PROJECT, env=servers, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr + json.dumps(pages(servers))

        folders = json.dumps([str(workspace.folder)])
        prefect("deploy", "--name", "nightly", "--cron", "* * * * *", "--param", f"folders={folders}")
        ended = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        begun = scheduled(servers, "RUNNING", *ended, seconds=180)
        ask(servers, f"deployments/{begun['deployment_id']}/pause_deployment")  # once is enough
        run = scheduled(servers, *ended, seconds=600)
    assert run["id"] == begun["id"]
    assert run["state"]["type"] == "COMPLETED", json.dumps(pages(servers))

    runs = ask(servers, "flow_runs/filter", flow_runs={"state": {"type": {"any_": ["COMPLETED"]}}})
    assert {run["state"]["name"] for run in runs} >= {"Completed", "Promoted"}
    assert "| bytes |" in pages(servers)["retraining-models-w"]
    with urllib.request.urlopen(api.removesuffix("/api") + "/ui-settings", timeout=30) as answer:
        assert json.load(answer)["api_url"] == api  # the URL that Prefect's page queries
    registry = f"{servers['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/alias?name=models.w&alias=champion"
    with urllib.request.urlopen(registry, timeout=30) as response:
        version = json.load(response)["model_version"]
    assert (version["version"], version["status"]) == ("1", "READY")
    # The version in service survived the store intact: its labels are correct.
    fetched = subprocess.run(
        [sys.executable, "-c", _ANSWER, *texts[300:310]],
        env=servers, capture_output=True, text=True, check=True, cwd=place,
    )  # fmt: skip
    assert json.loads(fetched.stdout.splitlines()[-1]) == [label for _, label in rows[300:310]]


_ANSWER = """
import json, sys
import mlflow, pandas
texts = pandas.DataFrame({"text": sys.argv[1:]})
answers = mlflow.pyfunc.load_model("models:/models.w@champion").predict(texts)
print(json.dumps(list(answers["label"])))
"""
