"""The hub layout: transformers produces the same tokens, and the graph accepts them and returns our labels."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoTokenizer

from eibert.artifact import sha256
from eibert.corpus import Split, TaskSpec
from eibert.errors import BundleError
from eibert.export import write_bundle
from eibert.hub import write_hub
from eibert.params.load import Params
from eibert.quantize.post_training import quantize
from eibert.runtime.model import Model, _encodable
from eibert.runtime.tokenizer import wordpiece
from eibert.student import Student

TEXTS = [
    "", " ", "Play the SONG", "[CLS] play [SEP] [MASK]", "naïve café İstanbul ΣΊΣΥΦΟΣ", "漢字かな 각", "👨‍👩‍👧 🏳️‍🌈",
    "\0\x85\u2028",
    "قَالَ مُحَمَّدٌ", "a" + "\u0301" * 500, "x" * 101, "playing " * 40, "don't e-mail ##ing [unused0]",
]  # fmt: skip


def made(student: Student, spec: TaskSpec, rows: Split, params: Params, folder: Path) -> tuple[Path, Path]:
    """Writes a bundle, and its export in hub layout."""
    model = deepcopy(student)
    model.fold()
    bundle, hub = folder / "bundle", folder / "hub"
    bundle.mkdir()
    hub.mkdir()
    write_bundle(model, quantize(model, spec, rows, params.quantize)[1], spec, params.export, bundle)
    write_hub(bundle, hub)
    return bundle, hub


@pytest.fixture
def both(student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path) -> tuple[Path, Path]:
    return made(student, spec, rows, params, tmp_path)


@pytest.mark.parametrize(("lowercase", "strip_accents"), [(True, None), (False, None), (True, False), (False, True)])
def test_tokens_of_transformers_are_ours(
    lowercase: bool,
    strip_accents: bool | None,
    student: Student,
    spec: TaskSpec,
    rows: Split,
    params: Params,
    tmp_path: Path,
) -> None:
    student.shape = replace(student.shape, lowercase=lowercase, strip_accents=strip_accents)
    bundle, hub = made(student, spec, rows, params, tmp_path)
    found = Model.load(bundle).bundle
    ours = wordpiece(found.tokens, lowercase=lowercase, strip_accents=strip_accents, max_tokens=found.max_tokens)
    theirs = AutoTokenizer.from_pretrained(hub)
    assert theirs.model_max_length == found.max_tokens

    def compare(text: str, other: str) -> None:
        text, other = _encodable(text), _encodable(other)
        for expected, pair in ((ours.encode(text), ()), (ours.encode(text, other), ([other],))):
            encoded = theirs([text], *pair, truncation=True)  # transformers treats a lone empty second text as absent
            assert encoded["input_ids"] == [expected.ids]
            assert encoded["token_type_ids"] == [expected.type_ids]
            assert encoded["attention_mask"] == [expected.attention_mask]

    for text, other in zip(TEXTS, TEXTS[::-1], strict=True):
        compare(text, other)
    strings = st.text(st.characters(codec=None, categories=None), max_size=60)
    settings(max_examples=60, deadline=None, database=None)(given(strings, strings)(compare))()


def test_graph_takes_what_the_tokenizer_gives_and_gives_our_labels(both: tuple[Path, Path], rows: Split) -> None:
    bundle, hub = both
    tokenizer, config = AutoTokenizer.from_pretrained(hub), AutoConfig.from_pretrained(hub)
    session = ort.InferenceSession(hub / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    assert {node.name for node in session.get_inputs()} == set(tokenizer.model_input_names)
    encoded = tokenizer(rows.texts, truncation=True, padding=True, return_tensors="np")
    (logits,) = session.run(["logits"], {name: value.astype(np.int64) for name, value in encoded.items()})
    expected = Model.load(bundle)
    assert [config.id2label[index] for index in logits.argmax(1)] == [p.label for p in expected.predict(rows.texts)]
    np.testing.assert_allclose(logits, expected.logits(rows.texts), atol=1e-5)


def test_configuration_shows_the_students_sizes(both: tuple[Path, Path], student: Student) -> None:
    config, shape = AutoConfig.from_pretrained(both[1]), student.shape
    assert config.model_type == "bert"
    assert (config.hidden_size, config.num_hidden_layers) == (shape.hidden, shape.layers)
    assert (config.num_attention_heads, config.intermediate_size) == (shape.heads, shape.feed_forward)
    assert (config.max_position_embeddings, config.vocab_size) == (shape.positions, len(student.tokens))
    assert config.problem_type == "single_label_classification"
    assert config.label2id == {"call": 0, "play": 1, "stop": 2}


def test_graph_and_vocabulary_are_the_bundles_and_origin_is_named(both: tuple[Path, Path]) -> None:
    bundle, hub = both
    assert (hub / "onnx" / "model.onnx").read_bytes() == (bundle / "model.onnx").read_bytes()
    assert (hub / "vocab.txt").read_bytes() == (bundle / "vocab.txt").read_bytes()
    origin = json.loads((hub / "config.json").read_text())["eibert"]["bundle"]
    assert origin == {path.name: sha256(path) for path in bundle.iterdir()}


def test_regression_has_one_output_that_is_a_value(
    student: Student, rows: Split, params: Params, tmp_path: Path
) -> None:
    spec = TaskSpec("numbers", pair=False, labels=(), metric="spearman")
    data = Split(rows.texts, None, rows.targets.astype(np.float32))
    model = Student(replace(student.shape, outputs=1), student.tokens).eval()
    _, hub = made(model, spec, data, params, tmp_path)
    config = AutoConfig.from_pretrained(hub)
    assert (config.problem_type, config.num_labels, config.id2label) == ("regression", 1, {0: "value"})


def test_altered_bundle_is_not_written(both: tuple[Path, Path], tmp_path: Path) -> None:
    (both[0] / "vocab.txt").write_text("altered")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(BundleError, match=r"vocab\.txt: altered"):
        write_hub(both[0], out)
    assert list(out.iterdir()) == []


def test_equal_bundles_give_equal_bytes(both: tuple[Path, Path], tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    write_hub(both[0], again)

    def contents(folder: Path) -> dict[str, Any]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert contents(again) == contents(both[1])


@pytest.mark.parametrize(
    ("found", "told"),
    [(b"\xff" * 40, "not an ONNX graph"), (b"", None), (b"\x3a\x08\x2a\x06\x08\x01\x42\x02\xff\xfe", None)],
    ids=["no graph", "empty graph", "a name that is no text"],
)
def test_graph_of_a_stranger_is_copied_or_refused(
    both: tuple[Path, Path], tmp_path: Path, found: bytes, told: str | None
) -> None:
    bundle = both[0]
    (bundle / "model.onnx").write_bytes(found)
    facts = json.loads((bundle / "eibert.json").read_text())
    facts["files"]["model.onnx"] = {"bytes": len(found), "sha256": sha256(bundle / "model.onnx")}
    (bundle / "eibert.json").write_text(json.dumps(facts))
    (tmp_path / "out").mkdir()
    if told:
        with pytest.raises(BundleError, match=told):
            write_hub(bundle, tmp_path / "out")
        return
    write_hub(bundle, tmp_path / "out")
    assert (tmp_path / "out" / "onnx" / "model.onnx").read_bytes() == found
