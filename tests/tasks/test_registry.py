"""Versions in the registry: what they contain, how they answer, and what remains when something goes wrong."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eibert.errors import CorruptArtifactError, RegistryError
from eibert.matching import HeldOut
from eibert.runtime.model import Model
from tasks import mlflow_store, packing, registry
from tasks.registry import SupersededError
from tests import toy

PROJECT = Path(__file__).parents[2]
NAME = "models/w"
FILES = {
    "model/MLmodel", "model/conda.yaml", "model/input_example.json", "model/python_env.yaml", "model/requirements.txt",
    "model/served.py", "model/serving_input_example.json", "seen.txt",
    *(f"model/artifacts/bundle/{name}" for name in ("eibert.json", "model.onnx", "vocab.txt")),
}  # fmt: skip
BLOCKED = ("torch", "transformers", "dvc", "prefect", "great_expectations", "tasks", "flows", "eibert.artifact")
CLIENT = f"""
import json, sys, warnings
for name in {BLOCKED!r}:
    sys.modules[name] = None
warnings.simplefilter("ignore")
import mlflow.pyfunc
import pandas as pd
asked = json.load(sys.stdin)
models = {{name: mlflow.pyfunc.load_model(f"models:/{{name}}@champion") for name in asked}}
print(json.dumps({{name: model.predict(pd.DataFrame(asked[name])).to_dict("list") for name, model in models.items()}}))
"""
TASKS: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "single": ({"wrong": {1}}, {"text": ["w00", "w01 w01", "W05", ""]}),
    "pairs": ({"pair": True}, {"text": ["w00", "w01"], "text_b": ["w03", "w02 w02 w02"]}),
    "numbers": ({"labels": ()}, {"text": ["w07", "w08 w09"]}),
}

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")


def test_looking_makes_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert registry.versions(tmp_path, NAME) == []
    assert registry.champion(tmp_path, NAME) is None
    assert registry.last_run(tmp_path, NAME) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["models/o'brien", "a:b/c", "models/行"])
def test_any_name_of_a_workspace_is_found_again(root: Path, name: str) -> None:
    made = register(root, name=name)
    registry.set_champion(root, name, made.number, before=None)
    assert registry.champion(root, name) == registry.find(root, name, made.number)


@pytest.fixture
def root(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "root").mkdir()
    shutil.copy(database, tmp_path / "root" / "mlflow.db")
    return tmp_path / "root"


def register(root: Path, promotion: str = "p1", name: str = NAME, **bundle: Any) -> registry.Version:
    """Registers a version with a toy bundle."""
    contents = root / f"contents-{promotion}"
    toy.write_bundle(root / promotion / "bundle", **bundle)
    files = packing.pack(root / promotion / "bundle", root / "no-papers", HeldOut.of([("a", None)]), contents)
    tags = {
        registry.BUNDLE_TAG: packing.digest(root / promotion / "bundle"), registry.FILES_TAG: files,
        registry.RECORD_TAG: "r", registry.PROMOTION_TAG: promotion,
    }  # fmt: skip
    return registry.register(root, name, contents, tags)


def aliases(root: Path) -> dict[int, tuple[str, ...]]:
    return {version.number: version.aliases for version in registry.versions(root, NAME)}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_there_is_nothing_before_the_first_version(root: Path) -> None:
    assert registry.champion(root, NAME) is None
    assert registry.versions(root, NAME) == []
    with pytest.raises(RegistryError, match=r"models\.w: no version 1; existing versions: none"):
        registry.find(root, NAME, 1)


def test_version_becomes_champion_by_its_alias_alone(root: Path) -> None:
    first = register(root)
    assert (first.number, first.aliases) == (1, ("challenger",))
    assert registry.champion(root, NAME) is None
    registry.set_champion(root, NAME, 1, before=None)
    second = register(root, "p2", wrong={1})
    assert aliases(root) == {1: ("champion",), 2: ("challenger",)}
    registry.set_champion(root, NAME, second.number, before=1)
    assert aliases(root) == {1: (), 2: ("challenger", "champion")}
    champion = registry.champion(root, NAME)
    assert champion is not None
    assert champion.digest == packing.digest(root / "p2" / "bundle") != first.digest


@pytest.mark.parametrize(("held", "before"), [(None, 1), (1, None), (1, 2), (2, 1)])
def test_version_replaces_only_the_one_expected(root: Path, held: int | None, before: int | None) -> None:
    for number in (1, 2, 3):
        register(root, f"p{number}")
    if held is not None:
        registry.set_champion(root, NAME, held, before=None)
    found = aliases(root)
    said = [f"version {number}" if number else "no version" for number in (held, before)]
    with pytest.raises(SupersededError, match=rf"models\.w: found {said[0]} in service, expected {said[1]}: it was"):
        registry.set_champion(root, NAME, 3, before=before)
    assert aliases(root) == found
    registry.set_champion(root, NAME, 3, before=held)
    assert aliases(root)[3] == ("challenger", "champion")


def test_store_is_named_without_credentials_or_the_repositorys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    own = registry.store(tmp_path)
    assert own == registry.store(tmp_path / "moved") == "sqlite:///REPOSITORY/mlflow.db"
    assert registry.store_here(own, tmp_path) == mlflow_store.store(tmp_path)
    for address in ("http://me:secretsecret@host:5000", "http://me:anothersecret@host:5000"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert registry.store(tmp_path) == "http://***@host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secretsecret@other:5000")
    assert registry.store(tmp_path) == "http://***@other:5000"


def test_version_holds_text_and_the_bundle_only(root: Path) -> None:
    register(root)
    found = files(root / "contents-p1")
    assert set(found) == FILES
    text = b"".join(content for name, content in found.items() if not name.endswith(".onnx"))
    assert str(root).encode() not in text
    assert str(PROJECT).encode() not in text
    text.decode("utf-8")  # pickles are not


def test_versions_answer_as_their_bundles_in_a_process_of_the_run_time_half(root: Path) -> None:
    for name, (task, _) in TASKS.items():
        register(root, name, name, **task)
        registry.set_champion(root, name, 1, before=None)
    environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow_store.store(root), "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], input=json.dumps({name: rows for name, (_, rows) in TASKS.items()}),
        capture_output=True, text=True, env=environment, check=True, timeout=120,
    )  # fmt: skip
    found = json.loads(done.stdout)
    for name, (_, rows) in TASKS.items():
        texts = list(zip(*rows.values(), strict=True)) if len(rows) == 2 else rows["text"]
        expected = Model.load(root / name / "bundle").predict(texts)
        if name == "numbers":
            assert found[name] == {"value": pytest.approx([answer.value for answer in expected])}
        else:
            assert found[name]["label"] == [answer.label for answer in expected]
            assert found[name]["score"] == pytest.approx([answer.score for answer in expected])
    assert found["numbers"]["value"][0] == pytest.approx(7 / 3)  # [CLS] w07 [SEP]
    # Loading in place leaves a metadata file beside the files; it does not count.
    assert list((root / "mlartifacts").rglob("registered_model_meta"))
    (root / "fetched").mkdir()
    registry.fetch(root, "single", 1, root / "fetched")
    assert files(root / "fetched") == files(root / "contents-single")


@pytest.mark.parametrize("change", ["vocab.txt", "served.py", "seen.txt", "gone"])
def test_altered_files_are_not_handed_out(change: str, root: Path) -> None:
    register(root)
    stored = root / "mlartifacts"
    if change == "gone":
        shutil.rmtree(stored)
    else:
        path = next(stored.rglob(change))
        path.write_bytes(path.read_bytes() + b"#")
    (root / "fetched").mkdir()
    with pytest.raises(CorruptArtifactError, match=r"version 1 of models\.w: files missing or altered"):
        registry.fetch(root, NAME, 1, root / "fetched")


def test_rows_learnt_from_are_kept_with_the_version(root: Path) -> None:
    register(root)
    (root / "fetched").mkdir()
    seen = packing.read_seen(registry.fetch(root, NAME, 1, root / "fetched"))
    assert seen.has("A ")
    assert not seen.has("b")


def test_unfinished_registration_leaves_nothing(root: Path) -> None:
    register(root)
    registry.set_champion(root, NAME, 1, before=None)
    register(root, "p2", wrong={1})
    registry.clear(root, NAME, "p2", 1)
    assert aliases(root) == {1: ("challenger", "champion")}
    assert len(list((root / "mlartifacts" / NAME).rglob("MLmodel"))) == 1
    registry.clear(root, NAME, "p2", 1)  # repeating it changes nothing
    assert aliases(root) == {1: ("challenger", "champion")}


def test_first_registration_is_cleared_without_an_alias_to_put_back(root: Path) -> None:
    register(root)
    registry.clear(root, NAME, "p1", None)
    assert registry.versions(root, NAME) == []
    assert register(root, "p2").aliases == ("challenger",)


def test_version_that_an_alias_names_is_never_discarded(root: Path) -> None:
    register(root)
    register(root, "p2")
    registry.set_champion(root, NAME, 2, before=None)
    with pytest.raises(RegistryError, match="is challenger and champion; not deleted"):
        registry.discard(root, NAME, 2)
    registry.discard(root, NAME, 1)
    assert list(aliases(root)) == [2]
    assert len(list((root / "mlartifacts" / NAME).rglob("MLmodel"))) == 1


def test_two_workspaces_of_one_name_are_told_apart(root: Path) -> None:
    register(root)
    with pytest.raises(RegistryError, match=r"belongs to models/w, not to workspace models\.w"):
        registry.champion(root, "models.w")


def test_lost_server_is_told_once_and_soon(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        port = taken.getsockname()[1]
        calls: list[Callable[[], object]] = [
            lambda: registry.champion(root, NAME),
            lambda: registry.set_champion(root, NAME, 1, before=None),
            lambda: registry.clear(root, NAME, "p", None),
        ]
        for scheme in ("http", "postgresql"):
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://me:secretsecret@127.0.0.1:{port}/db")
            for call in calls:
                started = time.monotonic()
                with pytest.raises(RegistryError) as caught:
                    call()
                assert time.monotonic() - started < 30
                assert "did not answer" in str(caught.value)
                assert "secretsecret" not in str(caught.value)
                assert "\n" not in str(caught.value)
