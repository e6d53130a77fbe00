"""`eibert verify` reports each problem in one line."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from eibert import artifact
from eibert.errors import RunError
from eibert.runtime.tokenizer import SPECIALS
from flows import verify as module
from flows.findings import Finding
from flows.verify import verify, workspaces
from flows.verify_artifacts import check_inputs
from flows.workspace import Workspace
from tests.flows.conftest import command
from tests.flows.test_cache import cached, runs_of, spoil

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dvc")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle whose files match its configuration, with a graph that is never loaded here."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in SPECIALS))
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": artifact.sha256(path)} for path in sorted(folder.iterdir())
    }
    about = {"format": 1, "name": "toy", "pair": False, "labels": ["a", "b"], "metric": "accuracy", "max_tokens": 8}
    artifact.write_json(folder / "eibert.json", about | {"lowercase": True, "strip_accents": None, "files": files})
    return folder


def said(workspace: Workspace, *, everything: bool = False) -> list[str]:
    """The place of each finding, relative to the workspace or the repository, and its problem."""
    found = verify(workspace.folder, everything=everything).findings
    places = [finding.place.removeprefix(f"{workspace.folder}/") for finding in found]
    return [f"{place.rpartition('cache/files/')[2]}: {f.problem}" for place, f in zip(places, found, strict=True)]


def said_of(bundle: Path) -> list[Finding]:
    """The problems of a bundle, its signature aside."""
    return verify(bundle, everything=False, unsigned=True).findings


def test_what_was_built_is_sound(workspace: Workspace) -> None:
    assert verify(workspace.folder, everything=True).sound


def write(name: str) -> Callable[[Workspace], None]:
    def change(workspace: Workspace) -> None:
        path = workspace.folder / "data" / name
        path.unlink(missing_ok=True)
        path.write_text("{}")

    return change


def link(workspace: Workspace) -> None:
    path = workspace.folder / "data" / "quantize" / "value.json"
    copy = workspace.folder / "copy"
    shutil.move(path, copy)
    path.symlink_to(copy)


LOCK = "not what dvc.lock records"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (write("quantize/value.json"), ["data/quantize/value.json: altered", f"data/quantize: {LOCK}"]),
        (write("quantize/extra"), ["data/quantize/extra: not in the manifest of quantize", f"data/quantize: {LOCK}"]),
        (lambda w: (w.folder / "data/export/value.json").unlink(),
         ["data/export/value.json: missing", f"data/export: {LOCK}"]),
        (link, ["data/quantize/value.json: a link"]),
        (write("quantize/manifest.json"), ["data/quantize/manifest.json: not a manifest", f"data/quantize: {LOCK}"]),
        (lambda w: (w.folder / "dvc.lock").unlink(),
         [f"data/{stage}: dvc.lock does not record it"
          for stage in ("ingest", "finetune", "pretrain", "quantize", "export", "evaluate")]),
        (lambda w: (w.folder / "dvc.lock").write_text("{"), ["dvc.lock: not readable"]),
    ],
)  # fmt: skip
def test_each_fault_has_its_line(
    workspace: Workspace, change: Callable[[Workspace], object], expected: list[str]
) -> None:
    change(workspace)
    found = said(workspace)
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


def test_what_is_not_here_is_not_called_sound(workspace: Workspace) -> None:
    shutil.rmtree(workspace.folder / "data" / "quantize")
    found = [str(one) for one in verify(workspace.folder, everything=False).not_checked]
    place = f"{workspace.folder}/dvc.lock"
    assert found == [
        f"not checked: {place}: quantize recorded there but missing here; `eibert run` restores or rebuilds"
    ]
    shutil.rmtree(workspace.folder / "data")
    (workspace.folder / "dvc.lock").unlink()
    verdict = verify(workspace.folder, everything=False)
    assert f"{workspace.folder}: nothing is built here yet" in str(verdict.not_checked[0])
    assert list(verdict.lines())[-1] == f"sound except for what was not checked: {workspace.folder}"


def test_manifest_and_file_altered_together_disagree_with_what_was_made_of_them(workspace: Workspace) -> None:
    folder = workspace.folder / "data" / "finetune"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["metrics"]["accuracy"] = 0.9
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = said(workspace)
    assert found[0].startswith("data/quantize/manifest.json: was built from a different finetune (SHA-256 ")
    assert found[1:] == [f"data/finetune: {LOCK}"]


def test_source_in_a_folder_named_like_a_stage_is_no_artifact(workspace: Workspace) -> None:
    ingest = workspace.folder / "data" / "ingest" / "manifest.json"
    manifest = json.loads(ingest.read_text())
    manifest["inputs"] = {"export/train.csv": "ab" * 32, "quantize": "cd" * 32}
    ingest.write_text(json.dumps(manifest))
    graph = workspace.folder / "dvc.yaml"
    graph.write_text(
        graph.read_text().replace("ingest\n    params", "ingest\n    deps: [export, quantize]\n    params", 1)
    )
    assert list(check_inputs(workspace)) == []


@pytest.mark.parametrize(
    "dep", ["data/ingest/train.parquet", "data/ingest", "data/ingest/train.parquet: {cache: true}"]
)
def test_input_that_is_an_artifact_is_compared_however_the_graph_names_it(workspace: Workspace, dep: str) -> None:
    graph = workspace.folder / "dvc.yaml"
    graph.write_text(graph.read_text().replace("deps: [data/ingest/train.parquet]", f"deps: [{dep}]"))
    assert list(check_inputs(workspace)) == []
    ingest = workspace.folder / "data" / "ingest" / "manifest.json"
    manifest = json.loads(ingest.read_text())
    manifest["files"]["train.parquet"]["sha256"] = "ab" * 32
    ingest.write_text(json.dumps(manifest))
    expected = [f"{workspace.folder}/data/{stage}/manifest.json" for stage in ("finetune", "pretrain")]
    assert [found.place for found in check_inputs(workspace)] == expected
    assert {found.problem.partition(" (")[0] for found in check_inputs(workspace)} == {
        "was built from a different ingest/train.parquet"
    }


def test_whole_repository_is_looked_at_on_demand(workspace: Workspace, tmp_path: Path) -> None:
    dvc = ["dvc", "--cd", str(workspace.folder)]
    for arguments in (["remote", "add", "-q", "-d", "store", str(tmp_path / "store")], ["push", "-q", "--run-cache"]):
        subprocess.run([*dvc, *arguments], check=True, capture_output=True)
    other = workspace.root / "models" / "v"
    shutil.copytree(workspace.folder, other)
    assert verify(workspace.folder, everything=True).sound
    path = cached(workspace, "quantize", "value.json")
    [entry] = runs_of(workspace, "quantize")
    pushed = [tmp_path / "store" / p.relative_to(workspace.root / ".dvc" / "cache") for p in (path, entry)]
    for place in (path, entry, *pushed):
        spoil(place, writable=False)
    (other / "data" / "export" / "value.json").unlink()
    assert said(workspace) == []
    places = [finding.place for finding in verify(workspace.folder, everything=True).findings]
    expected = [other / "data" / "export" / "value.json", other / "data" / "export", path, entry, *pushed]
    assert places == [str(place) for place in expected]


def test_workspaces_of_a_repository_within_are_its_own(workspace: Workspace) -> None:
    inner = workspace.root / "aside"
    shutil.copytree(workspace.root, inner, ignore=shutil.ignore_patterns("aside", "cache"))
    assert [one.folder for one in workspaces(inner)] == [inner / "models" / "w"]
    assert [one.folder for one in workspaces(workspace.root)] == [workspace.folder]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """The address of an S3 store in memory with the bucket `artifacts`, and a client."""
    for name, value in {"ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "key", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket="artifacts")
    yield address, client
    server.stop()


def test_remote_on_s3_restores_the_cache_and_is_looked_at(workspace: Workspace, bucket: tuple[str, Any]) -> None:
    address, client = bucket
    for arguments in (
        ["remote", "add", "-q", "-d", "store", "s3://artifacts/store"],
        ["remote", "modify", "-q", "store", "endpointurl", address],
        ["push", "-q"],
    ):
        subprocess.run(["dvc", "--cd", str(workspace.folder), *arguments], check=True, capture_output=True)
    cache = workspace.root / ".dvc" / "cache" / "files"
    before = digests(cache)
    shutil.rmtree(cache)
    subprocess.run(["dvc", "--cd", str(workspace.folder), "fetch", "-q"], check=True, capture_output=True)
    assert digests(cache) == before
    assert verify(workspace.folder, everything=True).sound
    key = client.list_objects_v2(Bucket="artifacts")["Contents"][0]["Key"]
    client.put_object(Bucket="artifacts", Key=key, Body=b"other")
    [found] = verify(workspace.folder, everything=True).findings
    assert found.place == f"artifacts/{key}"
    assert found.problem.startswith("altered")


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): artifact.sha256(path) for path in folder.rglob("*") if path.is_file()}


def test_remote_that_cannot_be_reached_is_a_finding(workspace: Workspace) -> None:
    (workspace.root / ".dvc" / "config.local").write_text(
        "[core]\n    remote = far\n['remote \"far\"']\n    url = s3://nowhere/none\n"
    )
    [line] = said(workspace, everything=True)
    assert line.startswith("DVC remote far: cannot be read (")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_remote_that_cannot_be_listed_is_named_as_not_checked(workspace: Workspace, scheme: str) -> None:
    (workspace.root / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = far\n['remote \"far\"']\n    url = {scheme}://localhost/store\n"
    )
    verdict = verify(workspace.folder, everything=True)
    unchecked = {"place": "DVC remote far", "reason": "HTTP remotes cannot be listed"}
    assert verdict.as_object()["not_checked"] == [unchecked]
    assert verdict.as_object()["sound"] is True
    assert list(verdict.lines()) == [
        "not checked: DVC remote far: HTTP remotes cannot be listed",
        f"sound except for what was not checked: {workspace.folder}",
    ]


def test_bundle_is_checked_against_its_description(tmp_path: Path, bundle: Path) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    assert verify(folder, everything=False, unsigned=True).sound
    (folder / "extra.txt").write_text("x")
    (folder / "more").symlink_to(folder / "vocab.txt")
    problems = [(Path(f.place).name, f.problem.partition(",")[0]) for f in said_of(folder)]
    assert problems == [("more", "a link"), ("extra.txt", "not listed in eibert.json")]
    (folder / "vocab.txt").write_text("x")
    assert [f.problem.partition(" ")[0] for f in said_of(folder)] == ["a", "altered"]


def test_further_check_is_one_more_in_a_list(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    more = Finding("trail", "broken", "mend it")
    monkeypatch.setattr(module, "WORKSPACE_CHECKS", [*module.WORKSPACE_CHECKS, lambda _: [more]])
    assert verify(workspace.folder, everything=False).findings == [more]


def test_command_prints_lines_or_an_object_and_ends_with_one(workspace: Workspace) -> None:
    done = command("verify", folder=workspace.folder)
    assert (done.returncode, done.stdout) == (0, f"sound: {workspace.folder}\n")
    path = workspace.folder / "data" / "quantize" / "value.json"
    path.write_text("{}")
    done = command("verify", "--json", workspace.folder, folder=Path("/"))
    found = json.loads(done.stdout)
    assert (done.returncode, found["sound"]) == (1, False)
    assert found["findings"][0]["place"] == str(path)
    done = command("verify", folder=workspace.folder)
    assert done.stdout.startswith(f"{path}: altered (SHA-256 ")
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("name", ["gone", "models/w/data"])
def test_folder_that_is_neither_is_refused(workspace: Workspace, name: str) -> None:
    folder = workspace.root / name
    done = command("verify", folder, folder=workspace.root)
    assert done.returncode == 1
    assert len((done.stdout + done.stderr).splitlines()) == 1


def test_a_workspace_called_data_is_found_and_what_lies_in_ones_data_is_not(workspace: Workspace) -> None:
    other = workspace.root / "data"
    for place in (other, workspace.folder / "data"):
        place.mkdir(exist_ok=True)
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(workspace.folder / name, place / name)
    assert [place.folder for place in module.workspaces(workspace.root)] == [other, workspace.folder]


@pytest.mark.parametrize(("name", "kind"), [("retrain", "workspace with data of its own"), ("collect", "workspace")])
def test_all_of_none_is_said(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / ".dvc").mkdir()
    done = command(name, "--all", folder=tmp_path)
    assert done.returncode == 1
    assert f"no {kind} in it; create one with `eibert new`" in done.stderr


def test_bundle_knows_of_no_repository(bundle: Path) -> None:
    with pytest.raises(RunError, match="--all applies to a repository"):
        verify(bundle, everything=True)
