"""`eibert trace`: the record behind a bundle, a single file or a digest, and its message if there is none."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from eibert import artifact, trail
from eibert.errors import SignatureError, TrailError
from flows import trace
from tasks import facts
from tests.flows.conftest import command
from tests.recorded import commit, record, sign


def bundle(root: Path) -> Path:
    return facts.bundle_folder(root / "w")


def test_bundle_is_found_with_a_sound_signature(signed: Path) -> None:
    found = trace.trace(signed, str(bundle(signed)))
    assert found.found.what == "bundle"
    assert found.found.record.sequence == found.records == 1
    assert (found.trail.state, found.bundle.state) == ("sound", "sound")


def test_one_shipped_file_is_enough(signed: Path, tmp_path: Path) -> None:
    shutil.copy(bundle(signed) / "model.onnx", tmp_path / "lonely.bin")
    found = trace.trace(signed / "w", str(tmp_path / "lonely.bin"))
    assert found.found.what == "bundle/model.onnx"
    assert found.bundle.state == "sound"
    assert found.bundle.detail == "w/data/provenance names this file and the record"
    shutil.rmtree(signed / "w" / "data")
    found = trace.trace(signed, str(tmp_path / "lonely.bin"))
    assert found.bundle.state == "absent"
    assert "covered by the trail's signed head" in found.bundle.detail


@pytest.mark.parametrize("name", ["data/finetune/model.safetensors", "data/evaluate/manifest.json"])
def test_any_artifact_is_found_by_digits(signed: Path, name: str) -> None:
    digest = artifact.sha256(signed / "w" / name)
    for target in (digest, digest[:8], digest[:12].upper()):
        assert trace.trace(signed, target).found.what == name


def test_graph_that_was_changed_since_still_tells_of_what_it_was_made(signed: Path, tmp_path: Path) -> None:
    lineage = artifact.sha256(signed / "w" / "data" / "finetune" / "manifest.json")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "optimised", [], []))
    onnx.helper.set_model_props(model, {"eibert.lineage": lineage})
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(TrailError, match=f"lineage it states belongs to record 1: `eibert trace {lineage}`"):
        trace.trace(signed, str(tmp_path / "model.onnx"))
    assert trace.trace(signed, lineage).found.what == "data/finetune/manifest.json"


def test_source_and_teacher_are_found(signed: Path) -> None:
    assert trace.trace(signed, "ab" * 8).found.what == "../rows.csv"
    assert trace.trace(signed, "cd" * 8).found.what == "teacher/model.safetensors"


def test_newest_record_tells_and_earlier_ones_are_named(signed: Path) -> None:
    with artifact.writing(signed / "w", "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"test": {"bundle": 0.8}})
    second = record(signed)
    found = trace.trace(signed, str(bundle(signed)))
    assert found.found.record == second
    assert found.found.also == (1,)
    assert found.bundle.state == "absent"  # signed for the first record only
    sign(signed, second)
    assert trace.trace(signed, str(bundle(signed))).bundle.state == "sound"


def told_of_mlflow(root: Path, target: str) -> tuple[str, object]:
    """The line about MLflow, and the same as JSON."""
    found = trace.trace(root, target)
    [line] = [line for line in trace.lines(found) if line.strip().startswith("MLflow")]
    return line.split(maxsplit=1)[1], json.loads(json.dumps(found.to_json()))["mlflow"]


def test_record_for_which_nothing_ran_is_told_with_the_run_of_the_same_bundle(signed: Path) -> None:
    (signed / "w" / "params.yaml").write_text("seed: 18\n")  # uncommitted, so a run after the commit adds a record
    shutil.rmtree(signed / "trail")
    assert record(signed, run="a" * 32).body["git"]["dirty"]
    commit(signed)
    second = record(signed, run=None, note=None)
    assert (second.sequence, second.body["mlflow"]) == (2, {"note": None, "run": None})
    said = f"run {'a' * 32}, note n (record 1, the same bundle)"
    assert told_of_mlflow(signed, str(bundle(signed))) == (said, {"run": "a" * 32, "note": "n", "record": 1})
    (bundle(signed) / "vocab.txt").write_text("[PAD]\n[UNK]\nother\n")
    manifest = artifact.read_json(signed / "w" / "data" / "export" / "manifest.json")
    entry = {"bytes": 18, "sha256": artifact.sha256(bundle(signed) / "vocab.txt")}
    manifest["files"]["bundle/vocab.txt"] = entry
    artifact.write_json(signed / "w" / "data" / "export" / "manifest.json", manifest)
    assert record(signed, run=None, note=None).sequence == 3  # another bundle: no run is known to have made it
    assert told_of_mlflow(signed, str(bundle(signed))) == ("run unknown, note none", None)


def test_own_run_is_told_before_an_earlier_one(signed: Path) -> None:
    with artifact.writing(signed / "w", "evaluate", params={}, inputs={}) as part:
        artifact.write_json(part / "metrics.json", {"test": {"bundle": 0.8}})
    record(signed, run=None, note="undelivered")
    told = {"run": None, "note": "undelivered", "record": 2}
    assert told_of_mlflow(signed, str(bundle(signed))) == ("run unknown, note undelivered", told)
    first = trail.read(signed / "trail")[0].digest  # known to the first record only
    assert told_of_mlflow(signed, first) == ("run r, note n", {"run": "r", "note": "n", "record": 1})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("0123456789", "SHA-256 0123456789: not in any of the 1 records"),
        ("1234567", "no such file or folder, and not a SHA-256"),
        ("no/such/file", "no such file or folder"),
    ],
)
def test_unknown_target_is_one_clear_line(signed: Path, target: str, message: str) -> None:
    with pytest.raises(TrailError, match=re.escape(message)) as caught:
        trace.trace(signed, target)
    assert "\n" not in str(caught.value)


def test_digits_that_fit_two_digests_ask_for_more(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import lookup

    [one] = trail.read(signed / "trail")
    monkeypatch.setattr(lookup, "digests", lambda _: iter([("a", "ab" * 32), ("b", "ab" * 31 + "cd")]))
    with pytest.raises(TrailError, match="matches 2 digests"):
        lookup.find([one], "ab" * 6)


def test_mixed_bundle_says_which_file_is_strange(signed: Path) -> None:
    (bundle(signed) / "vocab.txt").write_text("x")
    with pytest.raises(TrailError, match=r"model\.onnx belongs to record 1; unknown: vocab\.txt"):
        trace.trace(signed, str(bundle(signed)))


def test_altered_trail_is_told_and_nothing_else(signed: Path) -> None:
    path = signed / "trail" / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"toy"', b'"joy"'))
    with pytest.raises(TrailError, match=r"records\.jsonl:1: altered"):
        trace.trace(signed, str(bundle(signed)))
    shutil.rmtree(signed / "trail" / "keys")
    path.write_bytes(path.read_bytes().replace(b'"joy"', b'"toy"'))
    with pytest.raises(SignatureError, match="a key that is not there"):
        trace.trace(signed, str(bundle(signed)))


def test_altered_papers_are_told(signed: Path) -> None:
    path = signed / "w" / "data" / "provenance" / "bom.cdx.json"
    path.write_text(path.read_text().replace("eibert", "eibort", 1))
    found = trace.trace(signed, str(bundle(signed)))
    assert found.bundle.state == "altered"
    assert "bom.cdx.json" in found.bundle.detail


def test_lines_are_for_people(signed: Path) -> None:
    said = list(trace.lines(trace.trace(signed, str(bundle(signed)))))
    assert max(map(len, said)) <= 100
    text = "\n".join(said)
    for word in ("bundle of w, record 1 of 1", "stage finetune", "../rows.csv", "Ship the bundle.", "lengths (train)"):
        assert word in text


def test_command_answers_from_a_clone_without_the_heavy_libraries(signed: Path, tmp_path: Path) -> None:
    shutil.copy(bundle(signed) / "model.onnx", tmp_path)
    done = command("trace", "model.onnx", "-C", signed, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["found"]["what"] == "bundle/model.onnx"
    assert found["record"]["teacher"]["files"] == {"model.safetensors": "cd" * 32}
    assert found["signatures"]["trail"]["state"] == "sound"
    done = command("trace", "0123456789", "-C", signed, folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: 0123456789: ")
    assert done.stderr.count("\n") == 1
    code = (
        "import sys; from pathlib import Path; from flows.trace import trace\n"
        f"trace(Path({str(signed)!r}), {str(bundle(signed))!r})\n"
        "print(sorted({'dvc', 'mlflow', 'torch', 'prefect', 'pyarrow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
