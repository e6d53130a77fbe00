"""Hostile texts and corrupted bundles get an answer or one clear error from everything that reads them."""

import hashlib
import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eibert.corpus import Split, TaskSpec
from eibert.errors import BundleError
from eibert.export import write_bundle
from eibert.params.load import Params
from eibert.quantize.post_training import quantize
from eibert.runtime import bundle as reader
from eibert.runtime.model import Model
from eibert.student import Student

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder(student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path) -> Path:
    """A sound bundle of a tiny student."""
    model = deepcopy(student)
    model.fold()
    made = tmp_path / "bundle"
    made.mkdir()
    write_bundle(model, quantize(model, spec, rows, params.quantize)[1], spec, params.export, made)
    return made


def vouch(folder: Path, **changed: object) -> Path:
    """Updates sizes and digests in eibert.json to match the files, as a deliberate forger would."""
    facts = json.loads((folder / "eibert.json").read_text()) | changed
    for name in facts["files"]:
        content = (folder / name).read_bytes()
        facts["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "eibert.json").write_text(json.dumps(facts))
    return folder


def alter(folder: Path, tensor: str, value: np.ndarray) -> Path:
    """Replaces a tensor in the graph."""
    model = onnx.load(folder / "model.onnx")
    found = next(each for each in model.graph.initializer if each.name == tensor)
    found.CopyFrom(numpy_helper.from_array(value, tensor))
    onnx.save(model, folder / "model.onnx")
    return vouch(folder)


def test_short_fuzz_finds_nothing(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / "benchmarks" / "fuzz.py", folder, "--texts", "200", "--bundles", "100"],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 texts, 100 bundles: 0 neither answered nor refused" in done.stdout


@pytest.mark.parametrize("name", ["eibert.json", "model.onnx", "vocab.txt"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_unread(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    with pytest.raises(BundleError, match=rf"{name}: not readable \(no regular file\)"):
        Model.load(folder)


@pytest.mark.parametrize("name", ["eibert.json", "model.onnx"])
def test_file_larger_than_any_bundle_is_refused_unread(folder: Path, name: str) -> None:
    with (folder / name).open("r+b") as file:
        file.truncate(1 << 40)  # a sparse file, larger than any disk or memory
    with pytest.raises(BundleError, match=rf"{name}: 1099511627776 bytes, more than any bundle has"):
        Model.load(folder)


def test_digests_are_compared_before_onnxruntime_sees_the_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("the graph was handed over"))
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match=r"model\.onnx: altered"):
        Model.load(folder)


@pytest.mark.parametrize("place", ["secret.bin", "../secret.bin", "/etc/hostname"])
def test_weights_in_another_file_are_not_read(folder: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "secret.bin").write_bytes(bytes(1 << 20))
    monkeypatch.chdir(folder)
    model = onnx.load(folder / "model.onnx")
    table = next(each for each in model.graph.initializer if each.name == "table")
    size = len(table.raw_data)
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("length", str(size))):
        table.external_data.add(key=key, value=value)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="weights are in another file"):
        Model.load(vouch(folder))


def test_graph_that_cannot_be_run_is_told(folder: Path) -> None:
    lines = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("".join(f"{each}\n" for each in [*lines, "zebra"]))  # one row more than the table
    model = Model.load(vouch(folder))
    assert model.predict(["play the song"])[0].label
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime .* cannot run it"):
        model.predict(["zebra"])


def test_logits_that_are_no_numbers_are_told(folder: Path) -> None:
    model = Model.load(alter(folder, "head.bias", np.full(3, np.nan, np.float32)))
    with pytest.raises(BundleError, match=r"found logits \(1, 3\), expected \(1, 3\) finite ones"):
        model.predict(["play"])


def test_logits_of_another_shape_are_told(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    graph.graph.output[0].type.tensor_type.shape.ClearField("dim")
    graph.graph.node[-1].CopyFrom(helper.make_node("NonZero", ["attention_mask"], ["places"]))
    graph.graph.node.append(helper.make_node("Cast", ["places"], ["logits"], to=TensorProto.FLOAT))
    onnx.save(graph, folder / "model.onnx")
    with pytest.raises(BundleError, match=r"found logits \(2, 3\), expected \(1, 3\)"):
        Model.load(vouch(folder)).predict(["play"])  # [CLS] play [SEP]: three places


@pytest.mark.parametrize("found", [3, 2**13 + 1, 10**40, -1])
def test_longest_input_has_bounds(folder: Path, found: int) -> None:
    with pytest.raises(BundleError, match=rf"max_tokens: found {found}, expected 4 to 8192"):
        Model.load(vouch(folder, max_tokens=found))


@pytest.mark.parametrize("name", ["C:x", "x\ud800", "x" * 5000], ids=["drive", "surrogate", "long"])
def test_names_that_no_file_system_holds_are_refused(folder: Path, name: str) -> None:
    facts = json.loads((folder / "eibert.json").read_text())
    facts["files"][name] = {"bytes": 0, "sha256": hashlib.sha256().hexdigest()}
    (folder / "eibert.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=r"expected a plain name|not readable|half a surrogate pair"):
        Model.load(folder)


@pytest.mark.parametrize(
    "entry", [{"bytes": "1", "sha256": "0"}, {"bytes": 1, "sha256": None}, {"bytes": -1, "sha256": ""}]
)
def test_entries_have_their_types(folder: Path, entry: dict[str, object]) -> None:
    facts = json.loads((folder / "eibert.json").read_text())
    facts["files"]["more.bin"] = entry
    (folder / "eibert.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=r"files\.more\.bin: expected a plain name with bytes and sha256"):
        Model.load(folder)


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"a.bin": 2**27, "b.bin": 2**27, "model.onnx": 1, "vocab.txt": 0}, "all files together 268435457 bytes"),
        ({"model.onnx": 1, "vocab.txt": 2**24 + 1}, r"vocab\.txt 16777217 bytes"),
    ],
)
def test_files_larger_than_any_are_refused_unread(folder: Path, sizes: dict[str, int], told: str) -> None:
    vouch(folder)
    facts = json.loads((folder / "eibert.json").read_text())
    facts["files"] = {name: {"bytes": size, "sha256": ""} for name, size in sizes.items()}
    (folder / "eibert.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=rf"files: {told}, more than any bundle has"):
        Model.load(folder)


def test_command_reads_bytes_that_are_no_text(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "predict", "--json", "--bundle", folder],
        cwd=PROJECT, input=b"play \xff\xfe\ncall\xed\xa0\x80\n", capture_output=True, check=False,
        env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)["predictions"]
    assert [answer["text"] for answer in answers] == ["play ��", "call���"]
    direct = Model.load(folder).predict(["play ��", "call���"])
    assert [answer["label"] for answer in answers] == [answer.label for answer in direct]


def test_command_writes_what_no_terminal_can_show(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "predict", "--bundle", folder, b"play \xff"],
        cwd=PROJECT, capture_output=True, check=False, env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rb"play \udcff" in done.stdout


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "\udfff"), ("metric", "a\ud83d"), ("labels", ["\ud800", "b", "c"]), ("files", {"\ud800": {}})],
)
def test_half_a_surrogate_pair_is_refused_where_it_would_be_shown(folder: Path, field: str, value: object) -> None:
    facts = json.loads((folder / "eibert.json").read_text())
    facts[field] = facts[field] | value if isinstance(value, dict) else value
    (folder / "eibert.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match=rf"eibert\.json: {field}: found half a surrogate pair, expected text"):
        Model.load(folder)


def test_a_whole_surrogate_pair_is_a_character(folder: Path) -> None:
    vouch(folder, labels=["👍🏽", "b", "c"])  # JSON writes each as two surrogates
    assert r"\ud83d\udc4d" in (folder / "eibert.json").read_text()
    assert reader.read_bundle(folder)[0].labels[0] == "👍🏽"


@pytest.mark.parametrize("layout", ["bundle", "hub"])
def test_export_of_a_hostile_label_ends_in_one_message(folder: Path, layout: str, tmp_path: Path) -> None:
    vouch(folder, labels=["\ud800", "b", "c"])
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "export", "--bundle", folder, "--layout", layout, "-o", tmp_path / "out"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert "half a surrogate pair" in done.stderr
    assert not (tmp_path / "out").exists()
