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
from tasks import card, licences
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
    assert "| Bundle | 0.9125 | 20,000 |" in card
    assert r"\<b\>one\</b\> constant \| answer" in card
    results = front(tmp_path / "hub")["model-index"][0]["results"][0]  # type: ignore[index]
    assert results["metrics"] == [{"type": "accuracy", "value": 0.9125}]
    assert front(tmp_path / "hub")["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert front(tmp_path / "hub")["license"] == "other"  # the data's is another
    assert "- teacher bundled: apache-2.0\n- labelled data ../rows.csv: cc-by-4.0\n" in card
    assert {path: path.read_bytes() for path in signed.rglob("*") if path.is_file()} == before


def test_bundle_layout_is_a_copy_that_answers(bundle: Path, signed: Path, tmp_path: Path, rows: Split) -> None:
    (bundle / "stranger.txt").write_text("not named")
    found = write(bundle, Layout.BUNDLE, tmp_path / "a" / "copy", signed)
    names = {"eibert.json", "model.onnx", "vocab.txt"}
    assert {path.name for path in (tmp_path / "a" / "copy").iterdir()} == names
    assert found["bytes"] == sum((bundle / name).stat().st_size for name in names)
    expected = Model.load(bundle).predict(rows.texts[:9])
    assert Model.load(tmp_path / "a" / "copy").predict(rows.texts[:9]) == expected


def test_manifest_of_another_program_makes_no_artifact(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"manifest_version": 3}')  # a browser extension's
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "manifest.json").write_text('{"stage": "x", "params": {}, "inputs": {}, "files": {}}')
    assert write(bundle, Layout.BUNDLE, tmp_path / "model", tmp_path)["bytes"] == sum(
        path.stat().st_size for path in bundle.iterdir()
    )
    with pytest.raises(RunError, match="is inside the artifact"):
        write(bundle, Layout.BUNDLE, tmp_path / "made" / "model", tmp_path)


def test_current_folder_is_not_replaced(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in (".", "../here"):
        with pytest.raises(RunError, match=r"is the current folder; name a new one with -o"):
            write(bundle, Layout.BUNDLE, Path(name), tmp_path)
    assert list((tmp_path / "here").iterdir()) == []


def test_bundle_without_a_record_says_so(bundle: Path, tmp_path: Path) -> None:
    found = write(bundle, Layout.HUB, tmp_path / "hub", tmp_path)
    assert found["record"] is None
    card = (tmp_path / "hub" / "README.md").read_text()
    assert "Unknown: no trail record" in card
    assert "| trail record | not available |" in card
    assert "Unknown: no trail record of this bundle is available." in card
    assert not {"model-index", "base_model", "license", "license_name"} & front(tmp_path / "hub").keys()


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        ({"model": "hf:owner/name@abc", "licence": None}, {"base_model": "owner/name"}),
        ({"model": "../teacher", "licence": None}, {}),
    ],
    ids=["of a hub", "a folder"],
)
def test_card_names_what_is_known_of_the_teacher(
    bundle: Path, tmp_path: Path, teacher: dict[str, object], expected: dict[str, str]
) -> None:
    told, _ = card_of(bundle, tmp_path, teacher, None)
    assert {key: told[key] for key in ("base_model",) if key in told} == expected


def card_of(
    bundle: Path, folder: Path, teacher: dict[str, object], sources: list[dict[str, object]] | None
) -> tuple[dict[str, object], str]:
    """The front matter and the text of the card of a bundle made from these."""
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"graph")
    body = {
        "teacher": teacher | {"files": {}}, "data": {"sources": sources}, "metrics": {}, "when": "now",
        "git": {"commit": None},
    }  # fmt: skip
    card.write(folder, Model.load(bundle).bundle, "cd" * 32, Record(1, "ab" * 32, body), name="hub")
    return front(folder), (folder / "README.md").read_text()


NOT_ALL = "They do not all state the same one, so none is declared for the whole"


@pytest.mark.parametrize(
    ("teacher", "data", "declared", "said"),
    [
        ("apache-2.0", {"rows": "Apache-2.0", "sample": None}, {"license": "apache-2.0"}, "the same one: apache-2.0."),
        ("'cc-by-4.0'", {"rows": "CC BY 4.0"}, {"license": "cc-by-4.0"}, "the same one: cc-by-4.0."),
        ("acme-1", {"rows": "ACME 1"}, {"license": "other", "license_name": "acme-1"}, "the same one: acme-1."),
        ("apache-2.0", {"rows": "CC BY-NC-SA 4.0"}, {"license": "other", "license_name": "see-model-card"}, NOT_ALL),
        ("mit", {"rows": "mit", "sample": None}, {"license": "other", "license_name": "see-model-card"}, NOT_ALL),
        ("apache-2.0", {"rows": None}, {"license": "other", "license_name": "see-model-card"}, NOT_ALL),
        ("other", {"rows": "other"}, {"license": "other", "license_name": "see-model-card"}, NOT_ALL),
        (None, {"rows": "mit"}, {"license": "other", "license_name": "see-model-card"}, NOT_ALL),
        ("mit", {}, {"license": "other", "license_name": "see-model-card"}, NOT_ALL),
    ],
    ids=["sample", "spelling", "no hub's", "forbids", "two", "data silent", "both other", "teacher silent", "no data"],
)
def test_card_declares_a_licence_only_if_all_parts_state_the_same(
    bundle: Path, tmp_path: Path, teacher: str | None, data: dict[str, str | None], declared: object, said: str
) -> None:
    sources = [
        {"source": name, "use": "labelled", "files": {}} | ({"licence": licence} if licence else {})
        for name, licence in data.items()
    ]
    told, text = card_of(bundle, tmp_path, {"model": "../teacher", "licence": teacher}, sources)
    assert {key: told[key] for key in told if key.startswith("license")} == declared
    assert said in text
    stated = {f"labelled data {name}": "apache-2.0" if name == "sample" else licence for name, licence in data.items()}
    stated = {"teacher ../teacher": teacher} | (stated or {"labelled data unknown": None})
    assert [f"- {part}: {licence or 'not stated'}" for part, licence in stated.items()] == [
        line for line in text[text.index("## Licence") : text.index("## Lineage")].splitlines() if line[:2] == "- "
    ]


def test_sample_is_the_source_of_that_name() -> None:
    from eibert.ingest.sources import SAMPLE

    assert licences.of_source({"source": SAMPLE, "files": {}}) == "apache-2.0"
    assert licences.of_source({"source": "../rows", "files": {}}) is None


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
