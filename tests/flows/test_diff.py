"""`eibert diff` compares two sides."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from eibert import artifact
from eibert.errors import RunError, TrailError
from flows.diff import Difference, compared, diff
from flows.run import Selection, run
from flows.sides import Side
from flows.views import flat_code
from flows.workspace import Workspace
from tasks import mlflow_store, tracking
from tests import toy
from tests.flows.conftest import command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


def commit(workspace: Workspace) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for arguments in (["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], cwd=workspace.root, check=True)


@pytest.fixture
def history(workspace: Workspace) -> Workspace:
    """Two commits between which a parameter and a metric of quantize changed."""
    commit(workspace)
    run(workspace, Selection(), ["quantize.percentile=99.5"])
    figures = workspace.folder / "metrics" / "quantize.json"
    figures.write_text(figures.read_text().replace("0.5", "0.625"))
    commit(workspace)
    return workspace


@pytest.mark.parametrize(("before", "after"), [("HEAD~1", "HEAD"), ("HEAD~1", ".")])
def test_commits_and_a_workspace_are_compared(
    history: Workspace, before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(history.folder)
    found = diff(before, after, history.folder).as_object()
    assert found["params"] == [{"name": "quantize.percentile", "before": 99.99, "after": 99.5}]
    assert found["metrics"] == [{"name": "quantize.accuracy", "before": 0.5, "after": 0.625}]
    assert found["data"] == []
    assert found["code"] is None


def test_table_fits_a_hundred_columns_and_tells_the_change(history: Workspace) -> None:
    lines = list(diff("HEAD~1", "HEAD", history.folder).lines())
    assert max(map(len, lines)) <= 100
    [row] = [line for line in lines if "quantize.accuracy" in line]
    assert row.split() == ["quantize.accuracy", "0.5", "0.625", "+0.125"]
    assert "data: equal" in lines
    assert "code: unknown for HEAD~1 and HEAD" in lines


def test_runs_of_the_record_are_compared(history: Workspace) -> None:
    assert tracking.deliver(history.root, history.private()) == ""
    with mlflow_store.connected(history.root) as client:
        runs = client.search_runs(
            [client.get_experiment_by_name(history.name).experiment_id], filter_string="tags.mlflow.runName = 'run'"
        )
    after, before = [found.info.run_id for found in runs][:2]
    found = diff(before, after, history.folder).as_object()
    assert found["params"] == [{"name": "quantize.percentile", "before": 99.99, "after": 99.5}]
    assert found["data"] == []
    assert found["libraries"] == []


def test_a_run_is_compared_with_a_commit_in_what_both_tell(history: Workspace) -> None:
    assert tracking.deliver(history.root, history.private()) == ""
    with mlflow_store.connected(history.root) as client:
        newest, *_ = client.search_runs(
            [client.get_experiment_by_name(history.name).experiment_id], filter_string="tags.mlflow.runName = 'run'"
        )
    found = diff("HEAD~1", newest.info.run_id, history.folder)
    assert found.parts["params"] == [Difference("quantize.percentile", 99.99, 99.5)]
    assert found.parts["data"] == []
    assert found.not_compared["params"][0].startswith("teacher, validate, prune, distill, judge, bench, retrain, drift")
    assert found.parts["code"] is None
    assert max(map(len, found.lines())) <= 200


def test_runs_without_a_record_are_compared_as_mlflow_knows_them(history: Workspace) -> None:
    shutil.rmtree(history.root / "trail")
    assert tracking.deliver(history.root, history.private()) == ""
    with mlflow_store.connected(history.root) as client:
        runs = client.search_runs(
            [client.get_experiment_by_name(history.name).experiment_id], filter_string="tags.mlflow.runName = 'run'"
        )
    after, before = [found.info.run_id for found in runs][:2]
    found = diff(before, after, history.folder).as_object()
    assert {"name": "quantize.percentile", "before": "99.99", "after": "99.5"} in found["params"]
    assert found["libraries"] is None


@pytest.fixture
def two_bundles(tmp_path: Path) -> tuple[Path, Path]:
    """An earlier bundle, copied out of its repository, and the one now built there."""
    workspace = toy.make_repository(tmp_path / "root")
    toy.build(workspace)
    bundle = workspace.folder / "data" / "export" / "bundle"
    earlier = Path(shutil.copytree(bundle, tmp_path / "away" / "bundle"))
    toy.build(workspace, wrong=[1], train=["w01 w02"], rival={"difference": 0.1, "low": 0.05, "high": 0.2})
    return earlier, bundle


def test_bundles_are_compared_by_all_that_their_records_hold(two_bundles: tuple[Path, Path]) -> None:
    earlier, bundle = two_bundles
    found = diff(str(earlier), str(bundle), bundle).as_object()
    digest = artifact.sha256(bundle.parents[1] / "ingest" / "train.parquet")
    assert [(one["name"], one["after"]) for one in found["data"]] == [("train SHA-256", digest)]
    assert [one["name"] for one in found["params"]] == ["model.onnx SHA-256"]
    assert {"name": "evaluate.differences.tfidf.low", "before": 0.1, "after": 0.05} in found["metrics"]
    assert found["libraries"] == []
    assert found["code"] == []
    assert found["not_compared"] == {}


def test_bundle_that_no_trail_knows_has_its_description_only(two_bundles: tuple[Path, Path], tmp_path: Path) -> None:
    earlier, bundle = two_bundles
    shutil.rmtree(bundle.parents[4] / "trail")
    found = diff(str(earlier), str(bundle), tmp_path)
    for part in ("data", "code", "libraries", "metrics"):
        assert found.parts[part] is None
        assert found.not_compared[part] == [f"unknown for {earlier} and {bundle}"]


def test_altered_trail_is_no_source(two_bundles: tuple[Path, Path]) -> None:
    earlier, bundle = two_bundles
    path = bundle.parents[4] / "trail" / "records.jsonl"
    path.write_text(path.read_text().replace('"name"', '"nome"', 1))
    with pytest.raises(TrailError, match="altered"):
        diff(str(earlier), str(bundle), bundle)


def test_only_views_of_one_kind_are_compared() -> None:
    one = Side("one", data={"rows": {"train rows": 5}, "MD5": {"train MD5": "y"}}, code={"commit": {"commit": "a"}})
    other = Side("other", data={"rows": {"train rows": 6}, "SHA-256": {"train SHA-256": "x"}}, code={"stages": {}})
    found = compared(one, other)
    assert found.parts["data"] == [Difference("train rows", 5, 6)]
    assert found.not_compared["data"] == ["not comparable: MD5 of one, SHA-256 of other"]
    assert found.parts["code"] is None
    assert found.not_compared["code"] == ["not comparable: commit of one, stages of other"]
    assert "code: not comparable: commit of one, stages of other" in list(found.lines())


def test_bundles_are_compared_by_description_digests_and_bytes(tmp_path: Path) -> None:
    for name, content in {"a": b"graph", "b": b"larger graph"}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(content)
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
        files = {p.name: {"bytes": p.stat().st_size, "sha256": artifact.sha256(p)} for p in folder.iterdir()}
        about = {"format": 1, "name": "toy", "pair": False, "labels": [name], "metric": "accuracy", "max_tokens": 8}
        artifact.write_json(folder / "eibert.json", about | {"lowercase": True, "strip_accents": None, "files": files})
    found = diff(str(tmp_path / "a"), str(tmp_path / "b"), tmp_path).as_object()
    assert [one["name"] for one in found["params"]] == ["labels", "model.onnx SHA-256"]
    assert {"name": "model.onnx", "before": 5, "after": 12} in found["bytes"]
    assert found["metrics"] is None
    assert found["not_compared"]["metrics"] == [f"unknown for {tmp_path / 'a'} and {tmp_path / 'b'}"]


def test_names_that_are_nothing_are_refused(workspace: Workspace) -> None:
    commit(workspace)
    for name in ("nothing", "0" * 32):
        with pytest.raises(RunError, match=f"{name}: no bundle, workspace, commit or MLflow run"):
            diff("HEAD", name, workspace.folder)


def test_commit_before_the_workspace_is_named(workspace: Workspace) -> None:
    shutil.move(workspace.folder, workspace.root / "aside")
    commit(workspace)
    shutil.move(workspace.root / "aside", workspace.folder)
    with pytest.raises(RunError, match=r"HEAD: models/w has no params\.yaml there"):
        diff("HEAD", ".", workspace.folder)


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n{}\n", '{"rows": 1', "[]"])
def test_metrics_that_cannot_be_read_are_named(workspace: Workspace, text: str) -> None:
    commit(workspace)
    (workspace.folder / "metrics" / "ingest.json").write_text(text)
    with pytest.raises(RunError, match=r"\.: metrics/ingest\.json is not readable there"):
        diff("HEAD", ".", workspace.folder)


def test_definitions_are_named_by_path() -> None:
    digests = {"modules": {"a.py": {"": "1", "f": "2"}}, "data": {"a.j2": "3"}, "libraries": {}}
    assert flat_code({"prune": digests}) == {"a.py": "1", "a.py:f": "2", "a.j2": "3"}


def test_command_prints_one_object(history: Workspace) -> None:
    done = command("diff", "HEAD~1", ".", "--json", folder=history.folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["params"][0]["name"] == "quantize.percentile"
