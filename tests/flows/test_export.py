"""`eibert export`: the bundle in another place, complete or not at all, with a card that matches its record."""

import json
import subprocess
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from eibert import artifact
from eibert.corpus import Split, TaskSpec
from eibert.errors import BundleError, RunError
from eibert.export import write_bundle
from eibert.params.load import Params
from eibert.quantize.post_training import quantize
from eibert.runtime.model import Model
from eibert.student import Student
from eibert.trail import Record
from flows.export import Layout, write
from tasks import card
from tasks.facts import bundle_folder
from tests.flows.conftest import command
from tests.recorded import record

METRICS = {
    "test": {"teacher": 0.95, "bundle": 0.9125}, "bytes": {"teacher": 91_000_000, "bundle": 20_000},
    "details": ["The bundle is better than <b>one</b> constant | answer."],
}  # fmt: skip


@pytest.fixture
def bundle(student: Student, spec: TaskSpec, rows: Split, params: Params, signed: Path) -> Path:
    """A real bundle, recorded in the workspace `w` of a repository."""
    model = deepcopy(student)
    model.fold()
    with artifact.writing(signed / "w", "export", params={}, inputs={}) as part:
        (part / "bundle").mkdir()
        write_bundle(model, quantize(model, spec, rows, params.quantize)[1], spec, params.export, part / "bundle")
    with artifact.writing(signed / "w", "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", METRICS)
    record(signed)
    return bundle_folder(signed / "w")


def front(folder: Path) -> dict[str, object]:
    """The front matter of a card, as a hub reads it."""
    text = (folder / "README.md").read_text()
    assert text.startswith("---\n")
    found: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_hub_layout_has_a_card_from_the_record(bundle: Path, signed: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in signed.rglob("*") if path.is_file()}
    done = command("export", "-C", signed / "w", "--layout", "hub", "-o", tmp_path / "hub", "--json", folder=signed)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    digest = subprocess.check_output("sha256sum * | sha256sum", shell=True, cwd=bundle, text=True).split()[0]
    card = (tmp_path / "hub" / "README.md").read_text()
    assert said["record"] in card
    assert f"| bundle, SHA-256 | {digest} |" in card
    assert "| teacher's model.safetensors, SHA-256 | " + "cd" * 32 in card
    assert "| labelled rows.csv, SHA-256 | " + "ab" * 32 in card
    assert "| Bundle, INT8 | 0.9125 | 20,000 |" in card
    assert r"\<b\>one\</b\> constant \| answer" in card
    results = front(tmp_path / "hub")["model-index"][0]["results"][0]  # type: ignore[index]
    assert results["metrics"] == [{"type": "accuracy", "value": 0.9125}]
    assert front(tmp_path / "hub")["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert front(tmp_path / "hub")["license"] == "apache-2.0"
    assert {path: path.read_bytes() for path in signed.rglob("*") if path.is_file()} == before


def test_bundle_layout_is_a_copy_that_answers(bundle: Path, signed: Path, tmp_path: Path, rows: Split) -> None:
    (bundle / "stranger.txt").write_text("not named")
    found = write(bundle, Layout.BUNDLE, tmp_path / "a" / "copy", signed)
    names = {"eibert.json", "model.onnx", "vocab.txt"}
    assert {path.name for path in (tmp_path / "a" / "copy").iterdir()} == names
    assert found["bytes"] == sum((bundle / name).stat().st_size for name in names)
    expected = Model.load(bundle).predict(rows.texts[:9])
    assert Model.load(tmp_path / "a" / "copy").predict(rows.texts[:9]) == expected


def test_bundle_without_a_record_says_so(bundle: Path, tmp_path: Path) -> None:
    found = write(bundle, Layout.HUB, tmp_path / "hub", tmp_path)
    assert found["record"] is None
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "Unknown: no trail record" in card
    assert "| trail record | not available |" in card
    assert not {"model-index", "base_model", "license"} & front(tmp_path / "hub").keys()


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        ({"model": "hf:owner/name@abc", "licence": None}, {"base_model": "owner/name"}),
        ({"model": "../teacher", "licence": "mit"}, {"license": "mit"}),
        ({"model": "../teacher", "licence": None}, {}),
    ],
    ids=["of a hub", "a folder with its card", "a folder"],
)
def test_card_names_what_is_known_of_the_teacher(
    bundle: Path, tmp_path: Path, teacher: dict[str, object], expected: dict[str, str]
) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"graph")
    body = {
        "teacher": teacher | {"files": {}}, "data": {}, "metrics": {}, "when": "now", "git": {"commit": None},
    }  # fmt: skip
    found = Record(1, "ab" * 32, body)
    card.write(tmp_path, Model.load(bundle).bundle, "cd" * 32, found, name="hub")
    told = front(tmp_path)
    assert {key: told[key] for key in ("base_model", "license") if key in told} == expected


@pytest.mark.parametrize("taken", ["full", "file", "link"])
def test_a_taken_place_is_left_alone(bundle: Path, tmp_path: Path, taken: str) -> None:
    out = tmp_path / "out"
    match taken:
        case "full":
            out.mkdir()
            (out / "kept").write_text("kept")
        case "file":
            out.write_text("kept")
        case _:
            out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunError, match="already exists; name a new folder"):
        write(bundle, Layout.HUB, out, tmp_path)
    assert taken != "full" or (out / "kept").read_text() == "kept"


@pytest.mark.parametrize("name", ["file/x", "x" * 300])
def test_a_place_that_cannot_be_is_told(bundle: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(RunError, match=r"cannot be written .*name another folder with -o"):
        write(bundle, Layout.BUNDLE, tmp_path / name, tmp_path)


def test_nothing_is_written_among_artifacts(bundle: Path, signed: Path) -> None:
    with pytest.raises(RunError, match="which must not change"):
        write(bundle, Layout.HUB, bundle.parent / "hub", signed)
    assert artifact.problems(signed / "w", "export") == []


def test_altered_bundle_leaves_nothing_behind(bundle: Path, tmp_path: Path) -> None:
    (bundle / "vocab.txt").write_text("altered")
    with pytest.raises(BundleError, match="altered"):
        write(bundle, Layout.HUB, tmp_path / "out" / "hub", tmp_path)
    assert list((tmp_path / "out").iterdir()) == []


def test_unknown_layout_and_missing_bundle_are_told(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    wrong = command("export", "--layout", "zip", "-o", "x", folder=tmp_path)
    assert (wrong.returncode, "'zip': expected one of bundle, hub" in wrong.stderr) == (2, True)
    absent = command("export", "-o", "x", folder=tmp_path)
    assert (absent.returncode, "no bundle there; run `eibert run`" in absent.stderr) == (1, True)
    assert not (tmp_path / "x").exists()
