"""A repository with a small pipeline of stub stages under the real names and parameters."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import environment
from flows import stage as stages
from flows.run import Result, Selection, run
from flows.workspace import Workspace, find
from tasks import notes

PROJECT = Path(__file__).parents[2]

STUB = """
import json, os, pathlib, sys, time
import yaml
from eibert import artifact

stage, *inputs = sys.argv[1:]
pathlib.Path(os.environ.get("EIBERT_RAN_MARK", os.devnull)).touch()
print("chatter on standard output")
with open("ran.txt", "a") as ran:
    ran.write(stage + "\\n")
if pathlib.Path(f"break-{stage}").exists():
    pathlib.Path("logs").mkdir(exist_ok=True)
    message = pathlib.Path(f"break-{stage}").read_text()
    if message == "kill":
        os.kill(os.getpid(), 9)
    pathlib.Path(f"logs/{stage}.log").write_text("some line\\nerror: " + message + "\\n")
    sys.exit(70 if "crashed" in message else 1)
if pathlib.Path(f"tear-{stage}").exists():
    pathlib.Path("../../.dvc/tmp/rwlock").write_text("")
if pathlib.Path(f"forget-{stage}").exists():
    pathlib.Path("../../.dvc/tmp/rwlock").unlink()
time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
params = {"seed": 17, stage: yaml.safe_load(open("params.yaml"))[stage]}
digests = artifact.verified(pathlib.Path(), *inputs)
with artifact.writing(pathlib.Path(), stage, params=params, inputs=digests) as part:
    artifact.write_json(part / "value.json", params)
    artifact.write_json(part / "metrics.json", {"accuracy": 0.5, "detail": {"loss": 2}})
    if stage == "ingest":
        (part / "train.parquet").write_text("rows")
    if stage == "finetune":
        artifact.write_json(part / "history.json", [{"step": 5, "loss": 1.5}, {"step": 10, "loss": 0.5}])
    if stage == "export":
        (part / "bundle").mkdir()
        (part / "bundle" / "model.onnx").write_bytes(b"12345")
    if stage == "evaluate":
        (part / "report.html").write_text("<p>report</p>")
"""

GRAPH = """
# A comment that stays.
stages:
  ingest:
    cmd: python ../stub.py ingest
    params: [seed, ingest]
    outs: [data/ingest]
  finetune:
    cmd: python ../stub.py finetune ingest/train.parquet
    deps: [data/ingest/train.parquet]
    params: [seed, finetune]
    outs: [data/finetune]
  pretrain:
    cmd: python ../stub.py pretrain ingest/train.parquet
    deps: [data/ingest/train.parquet]
    params: [seed, pretrain]
    outs: [data/pretrain]
  quantize:
    cmd: python ../stub.py quantize finetune pretrain
    deps: [data/finetune, data/pretrain]
    params: [seed, quantize]
    outs: [data/quantize]
  export:
    cmd: python ../stub.py export quantize
    deps: [data/quantize]
    params: [export]
    outs: [data/export]
  evaluate:
    cmd: python ../stub.py evaluate export
    deps: [data/export]
    params: [seed, evaluate]
    outs: [data/evaluate]
"""

STAGES = ["ingest", "finetune", "pretrain", "quantize", "export", "evaluate"]


def command(*arguments: object, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs `eibert` as a user would; without PREFECT_API_URL it would start its own server."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, timeout=300, env=inherited | environment,
    )  # fmt: skip


def heed_interrupts() -> None:
    """Lets a new process be interrupted by Ctrl-C even if the tests run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def server_address() -> dict[str, str]:
    """Environment with the address of the tests' Prefect server; starting another takes seconds."""
    from prefect.settings import get_current_settings

    return {"PREFECT_API_URL": str(get_current_settings().api.url)}


def ran(workspace: Workspace) -> list[str]:
    """Returns the stages whose commands ran since the last call, in graph order."""
    path = workspace.folder / "ran.txt"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return sorted(found, key=STAGES.index)


def break_stage(workspace: Workspace, stage: str, message: str) -> None:
    """Makes a stub stage fail with a message, or be killed if the message is `kill`."""
    (workspace.folder / f"break-{stage}").write_text(message)


def make_repository(root: Path) -> Workspace:
    (root / "models" / "w").mkdir(parents=True)
    (root / "models" / "stub.py").write_text(STUB)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".dvc").mkdir()
    shutil.copy(PROJECT / ".dvc" / "config", root / ".dvc" / "config")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / ".gitignore").write_text(".prefect/\n.eibert/\nran.txt\nmlflow.db*\nmlartifacts/\nlogs/\n")
    folder = root / "models" / "w"
    shutil.copy(PROJECT / "params.yaml", folder / "params.yaml")
    (folder / "dvc.yaml").write_text(GRAPH)
    return find(folder)


@pytest.fixture(scope="session", autouse=True)
def _surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Redirects what the tools write outside a repository to a folder of this test session."""
    folder = tmp_path_factory.mktemp("surroundings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "dvc"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Prefect server for all tests that run flows in this process."""
    folder = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(folder))
        patch.setenv("PREFECT_RESULTS_LOCAL_STORAGE_PATH", str(folder / "results"))
        environment.prepare(folder)
        from prefect.testing.utilities import prefect_test_harness

        with prefect_test_harness(server_startup_timeout=180):
            yield


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory, server: None, database: Path) -> Path:
    """A repository in which all stages have run."""
    root = tmp_path_factory.mktemp("built") / "root"
    root.mkdir()
    workspace = make_repository(root)
    shutil.copy(database, root / "mlflow.db")
    assert run(workspace, Selection()).states == dict.fromkeys(STAGES, "Completed")
    ran(workspace)
    return root


@pytest.fixture
def workspace(_built: Path, tmp_path: Path) -> Workspace:
    """A fresh workspace in which all stages have run."""
    shutil.copytree(_built, tmp_path / "root")
    return find(tmp_path / "root" / "models" / "w")


@pytest.fixture
def unbuilt(tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run."""
    (tmp_path / "root").mkdir()
    return make_repository(tmp_path / "root")


@pytest.fixture
def sequential(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brings stages up to date one after the other; Prefect's part is tested elsewhere."""

    def run_flow(workspace: Workspace, chosen: list[str], selection: Selection) -> tuple[Result, Path]:
        from flows.compress import NOT_RUN, Outcome, failed

        outcomes: dict[str, Outcome] = {}
        for stage in chosen:
            if any(found.error for found in outcomes.values()):
                outcomes[stage] = Outcome(NOT_RUN)
                continue
            try:
                state = stages.bring(workspace, stage, force=selection.force, share_terminal=True)
                outcomes[stage] = Outcome(state, started=1.0)
            except Exception as error:  # noqa: BLE001 — as a task's
                outcomes[stage] = failed(error)
        stages_of_note = {name: vars(found) for name, found in outcomes.items()}
        return Result(outcomes), notes.write(workspace.folder, workspace.name, stages_of_note, started=1.0)

    monkeypatch.setattr("flows.run._run_flow", run_flow)
