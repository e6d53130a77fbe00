"""Thirty canaries in variables, URLs, parameters and messages leak into nothing that is stored or shown."""

import json
import sys
from pathlib import Path

import pytest

from eibert.errors import DataError
from flows.adapter import run_stage
from flows.failure import tell
from flows.run import Selection, run
from flows.workspace import Workspace, set_params
from tests.canaries import FORMS, VARIABLES
from tests.flows.conftest import PROJECT, break_stage, command, server_address

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")
MESSAGE = "; ".join(["no luck", *FORMS, *VARIABLES.values()])
KEPT = ("trail", "mlflow.db*", "mlartifacts", "models/w/logs", "models/w/metrics", "models/w/.eibert",
        "models/w/data/provenance", "models/w/data/export/bundle", ".prefect", ".eibert")  # fmt: skip


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def leaks(root: Path) -> list[str]:
    """Stored files that contain a canary, manifests included; params.yaml and dvc.lock are the user's own."""
    paths = [path for pattern in KEPT for place in root.glob(pattern) for path in [place, *place.rglob("*")]]
    paths += root.rglob("manifest.json")
    return [str(path) for path in paths if path.is_file() and b"canary" in path.read_bytes().lower()]


def test_thirty_canaries() -> None:
    assert len(FORMS) + len(VARIABLES) == 30


def test_log_and_terminal_of_a_stage_hold_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from types import ModuleType

    (tmp_path / "params.yaml").write_bytes((PROJECT / "params.yaml").read_bytes())
    stub = ModuleType("tasks.prune")
    errors = iter([DataError(MESSAGE), KeyError(MESSAGE)])

    def fail(*_: object) -> None:
        sys.stdout.write(f"{MESSAGE}\n")
        raise next(errors)

    stub.run = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tasks.prune", stub)
    for _ in range(2):
        run_stage(tmp_path, "prune")
        written = (tmp_path / "logs" / "prune.log").read_text()
        assert "no luck" in written
        assert "canary" not in written.lower()
    out, err = capsys.readouterr()
    assert "canary" not in (out + err).lower()


def test_message_and_traceback_of_a_command_hold_none(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (DataError(MESSAGE), KeyError(MESSAGE)):
        tell(error, ["--json"])
        out, err = capsys.readouterr()
        assert "canary" not in (out + err).lower()
    log = Path(json.loads(out)["error"].rpartition(" ")[2])
    assert "canary" not in log.read_text().lower()
    log.unlink()


def test_run_keeps_none(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    assignments = [
        f"ingest.columns.{name}={json.dumps(text)}"
        for name, text in zip(("text", "text_b", "label", "id", "split"), FORMS[10:], strict=False)
    ]
    assignments += [f"teacher.model={json.dumps('hf:owner/' + FORMS[3])}", f"ingest.source={json.dumps(FORMS[3])}"]
    assignments += [f"ingest.unlabelled={json.dumps(['hf:' + text for text in FORMS])}"]
    result = run(workspace, Selection(), assignments)
    assert (result.error, result.warning) == ("", "")
    break_stage(workspace, "quantize", MESSAGE)
    result = run(workspace, Selection(), ["quantize.percentile=99.5"])
    assert "no luck" in result.error
    assert "canary" not in f"{result}{capfd.readouterr()}".lower()
    (workspace.folder / "logs" / "quantize.log").unlink()  # the stub wrote it bypassing the adapter
    assert (workspace.root / "trail" / "records.jsonl").read_text().count("\n") == 2
    assert leaks(workspace.root) == []


def test_password_of_the_record_is_not_told(workspace: Workspace) -> None:
    set_params(workspace.folder, ["quantize.percentile=99.5"])
    uri = "http://me:canary31@127.0.0.1:9/mlflow"
    done = command("run", folder=workspace.folder, MLFLOW_TRACKING_URI=uri, **server_address())
    assert done.returncode == 0, done.stderr
    assert "did not accept the record" in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert leaks(workspace.root) == []
