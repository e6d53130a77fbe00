"""The runtime on a model small enough for hand arithmetic: logits are the mean of the tokens' rows."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from eibert.errors import BundleError, EibertError, ShapeError
from eibert.runtime.model import Model, Prediction
from eibert.runtime.tokenizer import SPECIALS, Encoder, wordpiece
from tests.toy import graph

TOKENS = [*SPECIALS, "good", "bad", "plain", "##ly", "!"]
LABELS = ["negative", "neutral", "positive"]
ROWS = {"good": (0, 0, 6), "bad": (6, 0, 0), "plain": (0, 6, 0), "##ly": (1, 1, 1), "!": (3, 0, 3), "[UNK]": (0, 1, 0)}

Make = Callable[..., Path]


def model(width: int) -> bytes:
    """The tiny model with the given number of logits; the second text pulls towards the last of three."""
    return graph(TOKENS, ROWS, width)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a bundle; keywords replace keys of eibert.json, `files` replaces contents."""

    def write(*, labels: list[str] = LABELS, contents: dict[str, bytes] | None = None, **changed: Any) -> Path:
        files = {"model.onnx": model(len(labels) or 1), "vocab.txt": "".join(f"{t}\n" for t in TOKENS).encode()}
        files |= contents or {}
        facts = {
            "format": 1, "name": "toy", "pair": False, "labels": labels, "metric": "accuracy", "max_tokens": 8,
            "lowercase": True, "strip_accents": None,
            "files": {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in files.items()},
        }  # fmt: skip
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        kept = {key: value for key, value in (facts | changed).items() if value != "absent"}
        (tmp_path / "eibert.json").write_text(json.dumps(kept), encoding="utf-8")
        return tmp_path

    return write


def test_logits_are_those_of_hand_arithmetic(make: Make) -> None:
    found = Model.load(make()).logits(["Good !", "badly", "what"])
    # [CLS] good ! [SEP]; [CLS] bad ##ly [SEP]; [CLS] [UNK] [SEP]
    expected = [[3 / 4, 0, 9 / 4], [7 / 4, 1 / 4, 1 / 4], [0, 1 / 3, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_second_text_of_a_pair_has_its_own_segment(make: Make) -> None:
    found = Model.load(make(pair=True)).logits([("good", "bad")])
    np.testing.assert_allclose(found, [[6 / 5, 0, 6 / 5 + 2 / 5]], rtol=1e-6)  # [CLS] good [SEP] bad [SEP]


def test_prediction_holds_softmax_of_the_logits(make: Make) -> None:
    model = Model.load(make())
    (found,) = model.predict(["good !"], top_k=2)
    exponentials = np.exp([0.75, 0.0, 2.25])
    probabilities = exponentials / exponentials.sum()
    assert found.label == "positive"
    assert found.score == pytest.approx(probabilities[2], rel=1e-6)
    assert [label for label, _ in found.scores] == ["positive", "negative"]
    assert found.scores[1][1] == pytest.approx(probabilities[0], rel=1e-6)
    assert found.value is None


def test_more_classes_than_there_are_give_all_of_them(make: Make) -> None:
    (found,) = Model.load(make()).predict(["good"], top_k=99)
    assert len(found.scores) == 3
    assert sum(score for _, score in found.scores) == pytest.approx(1, rel=1e-6)


def test_regression_gives_a_value_and_no_label(make: Make) -> None:
    (found,) = Model.load(make(labels=[])).predict(["bad"])
    assert found == Prediction(None, 2.0, (), 2.0)  # 6 / 3 tokens


def test_order_is_kept_and_batches_change_nothing(make: Make) -> None:
    model = Model.load(make())
    words = ["good", "bad", "plain", "badly", "!", ""]
    texts = [" ".join(words[(i * j) % 6] for j in range(i % 7)) for i in range(300)]
    together = model.logits(texts)
    alone = np.concatenate([model.logits([text]) for text in texts])
    np.testing.assert_array_equal(together, alone)


def test_threads_may_share_a_model(make: Make) -> None:
    model = Model.load(make())
    texts = [f"good {'!' * (i % 5)} bad" for i in range(64)]
    expected = model.logits(texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.logits(texts), range(8)):
            np.testing.assert_array_equal(found, expected)


def test_no_texts_give_no_answers(make: Make) -> None:
    model = Model.load(make())
    assert model.predict([]) == []
    assert model.logits([]).shape == (0, 3)


@pytest.mark.parametrize(
    "text", ["", "\0", "\ud800", "a\udfffb", "\ud83d\ude00", "good " * 200_000, "x" * 1_000_000, " \u2028 ", "\ufeff"]
)
def test_strange_text_gets_finite_probabilities(make: Make, text: str) -> None:
    (found,) = Model.load(make()).predict([text])
    assert 0 <= found.score <= 1


def test_any_string_gets_an_answer(make: Make) -> None:
    model = Model.load(make())

    @settings(max_examples=150, deadline=None, database=None)
    @given(st.lists(st.text(st.characters(codec=None, categories=None), max_size=40), max_size=5))
    def answered(texts: list[str]) -> None:
        assert np.isfinite(model.logits(texts)).all()

    answered()


def test_long_text_is_cut_to_the_models_longest_input(make: Make) -> None:
    model = Model.load(make())
    np.testing.assert_array_equal(model.logits(["good " * 50]), model.logits(["good " * 6]))  # 8 less [CLS], [SEP]


WORDS = st.lists(st.sampled_from(["good", "badly", "!", "Plain", "?"]), max_size=12).map(" ".join)


@given(text=WORDS, text_b=st.none() | WORDS, max_tokens=st.integers(4, 20))
@settings(deadline=None, database=None)
def test_ids_are_cut_as_the_tokenizer_itself_cuts_them(text: str, text_b: str | None, max_tokens: int) -> None:
    options: dict[str, Any] = {"lowercase": True, "strip_accents": None, "max_tokens": max_tokens}
    expected = wordpiece(TOKENS, **options).encode(text, text_b)
    ids, first = Encoder(TOKENS, **options)(text, text_b)
    assert ids == expected.ids
    assert [0] * first + [1] * (len(ids) - first) == expected.type_ids


@pytest.mark.parametrize(
    ("pair", "texts", "told"),
    [
        (False, [("a", "b")], "expected one string"),
        (True, ["a"], r"texts\[0\]: found str, expected a pair"),
        (True, [("a", "b"), ("a", "b", "c")], r"texts\[1\]: found \(str, str, str\)"),
        (True, [("a", None)], r"found \(str, NoneType\)"),
        (False, ["a", 3], r"texts\[1\]: found int"),
        (False, [None], "found NoneType"),
        (False, [b"a"], "found bytes"),
        (False, "one text", r"write \[text\]"),
        (False, [("a",)], r"found \(str\), expected one string"),
        (False, [()], r"found \(\), expected one string"),
    ],
)
def test_input_of_another_shape_is_refused(make: Make, pair: bool, texts: Any, told: str) -> None:
    model = Model.load(make(pair=pair))
    with pytest.raises(ShapeError, match=told):
        model.predict(texts)
    with pytest.raises(ValueError, match=told):
        model.logits(texts)


def test_top_k_below_one_is_refused(make: Make) -> None:
    with pytest.raises(ShapeError, match="top_k: found 0"):
        Model.load(make()).predict(["good"], top_k=0)


@pytest.mark.parametrize("name", ["model.onnx", "vocab.txt"])
def test_altered_file_is_refused_and_named(make: Make, name: str) -> None:
    folder = make()
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: altered"):
        Model.load(folder)


@pytest.mark.parametrize("name", ["model.onnx", "vocab.txt", "eibert.json"])
def test_missing_file_is_refused_and_named(make: Make, name: str) -> None:
    folder = make()
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: missing"):
        Model.load(str(folder))


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EibertError, match="missing"):
        Model.load(tmp_path / "nowhere")


def test_file_in_place_of_the_folder_is_refused(make: Make) -> None:
    with pytest.raises(BundleError, match="not readable"):
        Model.load(make() / "vocab.txt")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"format": 2}, "format is 2, this version of eibert reads 1"),
        ({"format": "1"}, "format is '1'"),
        ({"format": True}, "format is True"),
        ({"format": "absent"}, "found no `format`"),
        ({"labels": "absent"}, "labels: found nothing"),
        ({"max_tokens": True}, "max_tokens: found True"),
        ({"max_tokens": 2}, "max_tokens: found 2"),
        ({"strip_accents": "yes"}, "expected bool or null"),
        ({"files": {}}, "model.onnx is not named"),
        ({"pair": 1}, "pair: found 1, expected bool"),
    ],
)
def test_unusable_configuration_is_refused(make: Make, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        Model.load(make(**changed))


def test_repeated_labels_are_refused(make: Make) -> None:
    with pytest.raises(BundleError, match="labels: expected distinct strings"):
        Model.load(make(labels=["a", "a", "b"]))


@pytest.mark.parametrize("name", ["../secret", "..", ".", "", "a/b", "a\\b", "a\0b"])
def test_file_outside_the_folder_is_refused(name: str, make: Make) -> None:
    folder = make()
    facts = json.loads((folder / "eibert.json").read_text())
    facts["files"][name] = {"bytes": 1, "sha256": "0"}
    (folder / "eibert.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="expected a plain name"):
        Model.load(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000], ids=["cut", "list", "binary", "deep"])
def test_configuration_that_is_no_json_object_is_refused(make: Make, content: bytes) -> None:
    folder = make()
    (folder / "eibert.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"eibert\.json: "):
        Model.load(folder)


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        ({"model.onnx": b"nothing"}, "cannot load it"),
        ({"model.onnx": model(2)}, "2 logits for 3 outputs"),
        ({"vocab.txt": b"[PAD]\n[UNK]\n"}, r"special tokens \[CLS\], \[SEP\], \[MASK\] are not in it"),
        ({"vocab.txt": "\n".join([*TOKENS, "good"]).encode()}, "stands in it twice"),
        ({"vocab.txt": b"\xff"}, "not UTF-8"),
    ],
)
def test_files_that_do_not_make_a_model_are_refused(make: Make, contents: dict[str, bytes], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        Model.load(make(contents=contents))


def test_graph_with_other_inputs_is_refused(make: Make) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["logits"])]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 3]) for name in ("x", "logits")]
    made = helper.make_model(
        helper.make_graph(nodes, "other", value[:1], value[1:]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    with pytest.raises(BundleError, match="are no bundle's"):
        Model.load(make(contents={"model.onnx": made.SerializeToString()}))


def test_file_the_configuration_does_not_name_is_ignored(make: Make) -> None:
    folder = make()
    (folder / "README").write_text("x")
    assert Model.load(folder).predict(["good"])[0].label == "positive"


def test_runtime_imports_three_packages_and_nothing_of_the_pipeline() -> None:
    code = (
        "import sys; import eibert.runtime.model; "
        "heavy = {'torch', 'transformers', 'pydantic', 'pandas', 'pyarrow', 'onnx', 'sklearn', 'scipy', 'mlflow', "
        "'prefect', 'dvc', 'great_expectations', 'typer', 'matplotlib'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
