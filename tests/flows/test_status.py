"""The reasons why a stage would run."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from eibert import artifact
from flows.graph import read_graph
from flows.report import print_status
from flows.status import Cause, causes
from flows.workspace import Workspace, follow_params, set_params
from tasks import code
from tests.flows.conftest import STAGES, command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


def texts(workspace: Workspace) -> dict[str, list[str]]:
    return {stage: [cause.text for cause in found] for stage, found in causes(workspace, read_graph(workspace)).items()}


def test_nothing_changed_has_no_causes(workspace: Workspace) -> None:
    assert texts(workspace) == {stage: [] for stage in STAGES}


def test_stages_that_never_ran_say_so(unbuilt: Workspace) -> None:
    assert texts(unbuilt) == {stage: ["never run"] for stage in STAGES}


def test_parameter_is_named_with_both_values_and_goes_downstream(workspace: Workspace) -> None:
    set_params(workspace.folder, ["quantize.embedding.bits=4"])
    assert texts(workspace) == {stage: [] for stage in STAGES[:3]} | {
        "quantize": ["params quantize.embedding.bits 8 → 4"],
        "export": ["upstream quantize would run"],
        "evaluate": ["upstream export would run"],
    }


def test_missing_output_is_named_and_does_not_go_downstream(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / "data" / "finetune")
    assert texts(workspace) == {stage: [] for stage in STAGES} | {"finetune": ["output missing: data/finetune"]}


def test_altered_file_is_named(workspace: Workspace) -> None:
    (workspace.folder / "data" / "finetune" / "value.json").write_text("{}")
    found = texts(workspace)
    assert len(found["finetune"]) == 1
    assert found["finetune"][0].startswith("output data/finetune/value.json: altered")
    assert found["quantize"] == []


def test_changed_command_is_named(workspace: Workspace) -> None:
    path = workspace.folder / "dvc.yaml"
    path.write_text(path.read_text().replace("stub.py export", "stub.py  export"))
    assert texts(workspace)["export"] == ["command changed"]


def test_new_source_is_named(workspace: Workspace) -> None:
    (workspace.folder / "rows.csv").write_text("text,label\n")
    set_params(workspace.folder, ["ingest.source=rows.csv"])
    assert follow_params(workspace, workspace.params())
    assert texts(workspace)["ingest"] == ["data rows.csv is a new dependency", "params ingest.source sample → rows.csv"]


@pytest.fixture
def with_raw_rows(workspace: Workspace) -> Path:
    """The workspace's source, which lies beside the artifacts and was ingested."""
    path = workspace.folder / "data" / "raw" / "train.csv"
    path.parent.mkdir()
    path.write_text("text,label\n" + "".join(f"row {n},{'ab'[n % 2]}\n" for n in range(20)))
    set_params(workspace.folder, ["ingest.source=data/raw/train.csv", "ingest.unlabelled=[]"])
    assert follow_params(workspace, workspace.params())
    subprocess.run(["dvc", "commit", "-q", "-f"], cwd=workspace.folder, check=True)
    assert texts(workspace)["ingest"] == []
    return path


def test_missing_source_is_named_wherever_it_lies(workspace: Workspace, with_raw_rows: Path) -> None:
    with_raw_rows.unlink()
    assert texts(workspace)["ingest"] == ["data data/raw/train.csv missing"]


def test_rows_of_a_changed_source_are_counted_wherever_it_lies(workspace: Workspace, with_raw_rows: Path) -> None:
    """The stub wrote no rows, so all count as added."""
    with_raw_rows.write_text(with_raw_rows.read_text() + "one more,a\n")
    assert texts(workspace)["ingest"] == [
        "17 rows added to train, 2 rows added to dev, 2 rows added to test (data/raw/train.csv)"
    ]


def test_changed_code_is_named_by_definition_and_library(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {"modules": {"eibert/losses.py": {"": "1", "kl": "1"}}, "data": {}, "libraries": {"torch": "2.12"}}
    later = {"modules": {"eibert/losses.py": {"": "1", "kl": "2"}}, "data": {}, "libraries": {"torch": "2.13"}}
    now = dict.fromkeys(STAGES, digests)
    monkeypatch.setattr(code, "current", lambda _: now)
    _add_code_stage(workspace, digests)
    now |= {"export": later}
    found = texts(workspace)
    expected = ["code eibert/losses.py:kl", "library torch 2.12 → 2.13"]
    assert found["export"] == expected
    assert found["code"] == expected
    assert found["quantize"] == []


def test_command_gives_the_same_as_json(workspace: Workspace) -> None:
    set_params(workspace.folder, ["evaluate.batch_size=3"])
    done = command("status", "--json", folder=workspace.folder)
    stages = json.loads(done.stdout)["stages"]
    assert stages["evaluate"] == {"would_run": True, "why": ["params evaluate.batch_size 64 → 3"]}
    assert stages["export"] == {"would_run": False, "why": []}


def test_every_stage_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_status({"quantize": [], "export": [Cause("never run"), Cause("other")]}, as_json=False)
    assert capsys.readouterr().out == "quantize: up to date\nexport: never run\nexport: other\n"


def _add_code_stage(workspace: Workspace, digests: dict[str, object]) -> None:
    """Makes `export` depend on its code, and records the current state as the one it was built from."""
    path = workspace.folder / "dvc.yaml"
    stage = "stages:\n  code:\n    cmd: 'true'\n    deps: [params.yaml]\n    outs: [data/code]\n"
    graph = path.read_text().replace("stages:\n", stage)
    graph = graph.replace("deps: [data/quantize]", "deps: [data/code/export.json, data/quantize]")
    path.write_text(graph)
    with artifact.writing(workspace.folder, "code", params={}, inputs={}) as part:
        for name in STAGES:
            artifact.write_json(part / f"{name}.json", digests)
    subprocess.run(["dvc", "commit", "-q", "-f"], cwd=workspace.folder, check=True)
