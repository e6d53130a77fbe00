"""Artifacts are complete or absent, and altered ones are never used."""

import hashlib
import json
from pathlib import Path

import pytest

from eibert.artifact import MANIFEST, problems, read_json, read_manifest, sha256, verified, write_json, writing
from eibert.errors import CorruptArtifactError, MissingArtifactError


def build(workspace: Path, text: str = "one") -> Path:
    with writing(workspace, "prune", params={"keep": 3}, inputs={"ingest/x": "00"}) as out:
        (out / "deep").mkdir()
        (out / "deep" / "a.txt").write_text(text)
        write_json(out / "metrics.json", {"covered": 0.5})
    return workspace / "data" / "prune"


def test_manifest_describes_params_inputs_metrics_and_files(tmp_path: Path) -> None:
    build(tmp_path)
    manifest = read_manifest(tmp_path, "prune")
    assert manifest["params"] == {"keep": 3}
    assert manifest["inputs"] == {"ingest/x": "00"}
    assert manifest["metrics"] == {"covered": 0.5}
    assert manifest["files"]["deep/a.txt"] == {"bytes": 3, "sha256": hashlib.sha256(b"one").hexdigest()}


def test_equal_artifacts_have_equal_manifests(tmp_path: Path) -> None:
    manifests = [(build(tmp_path / name) / MANIFEST).read_bytes() for name in ("a", "b")]
    assert manifests[0] == manifests[1]


def test_a_failed_write_leaves_the_earlier_artifact_and_nothing_else(tmp_path: Path) -> None:
    before = (build(tmp_path) / MANIFEST).read_bytes()
    with pytest.raises(RuntimeError), writing(tmp_path, "prune", params={}, inputs={}) as out:  # noqa: PT012
        (out / "half.txt").write_text("half")
        raise RuntimeError
    assert (tmp_path / "data" / "prune" / MANIFEST).read_bytes() == before
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["prune"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "data" / ".prune.part-4194305").mkdir(parents=True)
    build(tmp_path)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["prune"]


def test_verified_gives_digests_of_files_and_of_the_whole(tmp_path: Path) -> None:
    folder = build(tmp_path)
    assert verified(tmp_path, "prune/deep/a.txt", "prune") == {
        "prune/deep/a.txt": sha256(folder / "deep" / "a.txt"),
        "prune": sha256(folder / MANIFEST),
    }


def test_an_altered_file_is_not_used(tmp_path: Path) -> None:
    (build(tmp_path) / "deep" / "a.txt").write_text("two")
    with pytest.raises(CorruptArtifactError, match=r"a\.txt: altered"):
        verified(tmp_path, "prune/deep/a.txt")
    with pytest.raises(CorruptArtifactError, match=r"a\.txt: altered"):
        verified(tmp_path, "prune")


def test_a_deleted_file_or_artifact_is_named(tmp_path: Path) -> None:
    (build(tmp_path) / "deep" / "a.txt").unlink()
    with pytest.raises(MissingArtifactError, match=r"a\.txt: missing"):
        verified(tmp_path, "prune")
    with pytest.raises(MissingArtifactError, match="not in its manifest"):
        verified(tmp_path, "prune/other.txt")
    with pytest.raises(MissingArtifactError, match="--until quantize"):
        verified(tmp_path, "quantize")


def test_problems_names_each_file_that_is_altered_missing_or_foreign(tmp_path: Path) -> None:
    folder = build(tmp_path)
    assert problems(tmp_path, "prune") == []
    (folder / "deep" / "a.txt").write_text("two")
    (folder / "metrics.json").unlink()
    (folder / "stray").write_text("x")
    found = problems(tmp_path, "prune")
    assert [line.partition(": ")[0].rpartition("/")[2] for line in found] == ["a.txt", "metrics.json", "stray"]


def test_a_broken_manifest_is_not_believed(tmp_path: Path) -> None:
    (build(tmp_path) / MANIFEST).write_text("{")
    with pytest.raises(CorruptArtifactError, match="not valid JSON"):
        read_manifest(tmp_path, "prune")
    (tmp_path / "data" / "prune" / MANIFEST).write_text("[]")
    with pytest.raises(CorruptArtifactError, match="not a manifest"):
        read_manifest(tmp_path, "prune")


def test_json_is_written_whole_and_without_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "é"})
    assert read_json(tmp_path / "x.json") == json.loads((tmp_path / "x.json").read_text())
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))
    assert read_json(tmp_path / "x.json") == {"a": "é", "b": 1}
    with pytest.raises(MissingArtifactError):
        read_json(tmp_path / "y.json")
