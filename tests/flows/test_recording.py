"""A run ends with a record and a signature, once per state; without them it has failed."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert import trail
from flows.report import print_result
from flows.run import Selection, run
from flows.workspace import Workspace
from tasks import facts, keys, signing
from tests.flows.conftest import STAGES
from tests.recorded import commit

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


def records(workspace: Workspace) -> list[trail.Record]:
    return trail.read(workspace.root / keys.TRAIL)


def check(workspace: Workspace) -> list[str]:
    provenance = workspace.folder / "data" / "provenance"
    key = keys.public_key(workspace.root / keys.TRAIL, signing.signer_of(provenance))
    signed = signing.check_signature(facts.bundle_folder(workspace.folder), provenance, key)
    return signed + keys.check_trail(workspace.root)


def test_first_run_is_recorded_and_signed(workspace: Workspace) -> None:
    [found] = records(workspace)
    assert found.body["workspace"] == "models/w"
    assert {name: stage["state"] for name, stage in found.body["stages"].items()} == dict.fromkeys(STAGES, "Completed")
    assert found.body["mlflow"]["note"]
    assert len(found.body["mlflow"]["run"]) == 32
    assert check(workspace) == []
    assert not list((workspace.root / "trail").rglob("signing.pem"))


def test_nothing_to_do_adds_and_writes_nothing(workspace: Workspace) -> None:
    files = [*(workspace.root / "trail").rglob("*"), *(workspace.folder / "data").rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in files if path.is_file()}
    assert run(workspace, Selection()).warning == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_change_adds_a_record_and_signs_anew(workspace: Workspace) -> None:
    assert run(workspace, Selection(), ["quantize.percentile=99.5"]).warning == ""
    first, second = records(workspace)
    assert second.body["parent"]["digest"] == first.digest
    assert second.body["stages"]["quantize"]["params"]["quantize"]["percentile"] == 99.5
    assert check(workspace) == []
    statement = signing.read_statement(
        workspace.folder / "data" / "provenance",
        keys.public_key(
            workspace.root / keys.TRAIL, signing.signer_of(workspace.folder / "data" / "provenance")
        ).read_bytes(),
    )
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"] == second.digest


def test_a_source_below_data_that_no_commit_holds_is_told(workspace: Workspace) -> None:
    source = workspace.folder / "data" / "raw" / "train.csv"
    source.parent.mkdir()
    source.write_text("rows")
    run(workspace, Selection(), ["ingest.source=data/raw/train.csv"])
    subprocess.run(["git", "add", "-f", str(source)], cwd=workspace.root, check=True)
    commit(workspace.root)
    run(workspace, Selection())
    assert records(workspace)[-1].body["git"]["dirty"] is False
    source.write_text("other rows")
    run(workspace, Selection(), ["quantize.percentile=99.5"])
    changed = records(workspace)[-1].body["git"]["changed"]
    assert changed == ["models/w/data/raw/train.csv", "models/w/params.yaml"]


def test_what_dvc_built_alone_is_recorded_by_the_next_run(workspace: Workspace) -> None:
    path = workspace.folder / "params.yaml"
    path.write_text(path.read_text().replace("percentile: 99.99", "percentile: 99.5"))
    subprocess.run(["dvc", "--cd", str(workspace.folder), "repro", "-q"], check=True, capture_output=True)
    assert len(records(workspace)) == 1
    result = run(workspace, Selection())
    assert (result.outcomes, result.warning) == ({}, "")
    second = records(workspace)[1]
    assert {stage["state"] for stage in second.body["stages"].values()} == {"Cached"}
    assert second.body["mlflow"] == {"note": None, "run": None}
    assert check(workspace) == []


def test_evaluation_left_behind_is_not_recorded(workspace: Workspace) -> None:
    run(workspace, Selection(until="export"), ["quantize.percentile=99.5"])
    assert set(records(workspace)[1].body["stages"]) == set(STAGES) - {"evaluate"}
    run(workspace, Selection())
    assert set(records(workspace)[2].body["stages"]) == set(STAGES)


def test_bundle_that_is_not_up_to_date_is_not_recorded(workspace: Workspace) -> None:
    run(workspace, Selection(only="quantize"), ["quantize.percentile=99.5"])
    assert len(records(workspace)) == 1


def test_lost_signature_is_made_again(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / "data" / "provenance")
    run(workspace, Selection())
    assert check(workspace) == []
    assert len(records(workspace)) == 1


@pytest.mark.parametrize("fault", ["altered trail", "bad key"])
def test_fault_is_no_success_and_the_next_run_mends_it_without_training(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = workspace.root / "trail" / trail.RECORDS
    good = path.read_bytes()
    if fault == "altered trail":
        path.write_bytes(good.replace(b"models/w", b"models/x", 1))
    else:
        monkeypatch.setenv(keys.KEY_VARIABLE, str(tmp_path / "none.pem"))
    result = run(workspace, Selection(), ["quantize.percentile=99.5"])
    assert result.exit_code == 1
    assert result.states["quantize"] == "Completed"
    assert "built, but recording or signing it failed" in result.error
    assert "\n" not in result.error
    path.write_bytes(good)
    monkeypatch.delenv(keys.KEY_VARIABLE, raising=False)
    again = run(workspace, Selection())
    assert (again.outcomes, again.error, again.warning) == ({}, "", "")
    assert len(records(workspace)) == 2
    assert check(workspace) == []


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device", "records.jsonl")


@pytest.mark.parametrize(
    ("what", "does", "code", "told"),
    [
        ("eibert.trail.append", full, 1, "records.jsonl: No space left on device; free some space"),
        ("tasks.signing.sign", full, 1, "records.jsonl: No space left on device; free some space"),
        ("tasks.signing.sign", lambda *_: {}["gone"], 70, "KeyError: 'gone'; the traceback is in "),
        ("tasks.tracking._deliver", full, 1, "No space left on device"),
    ],
)
def test_what_cannot_be_recorded_is_told_in_one_line_and_recorded_later(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, what: str, does: Callable[..., object], code: int, told: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(what, does)
        result = run(workspace, Selection(), ["quantize.percentile=99.5"])
    assert (result.exit_code, result.warning) == (code, "")
    assert told in result.error
    assert "\n" not in result.error
    again = run(workspace, Selection())
    assert (again.outcomes, again.exit_code, again.warning) == ({}, 0, "")
    assert len(records(workspace)) == 2
    assert check(workspace) == []


def test_server_that_does_not_answer_is_a_warning_also_in_json(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    result = run(workspace, Selection(), ["quantize.percentile=99.5"])
    assert (result.exit_code, result.error) == (0, "")
    print_result(workspace, result, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert "the next run delivers it" in told["warning"]
    assert "error" not in told
