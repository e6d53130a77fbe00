"""What is measured, regardless of the times themselves: the models' answers agree, and times and bytes add up."""

import io
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.utils import murmurhash3_32

from eibert.batches import predict
from eibert.bench.linear import Linear, _pieces, murmur
from eibert.bench.measure import BARE, Start, measure_cells, measure_starts
from eibert.bench.onnx_model import OnnxModel
from eibert.bench.profile import multiply_adds, profile
from eibert.bench.rivals import tiny, write_linear, write_teacher
from eibert.bench.texts import of_length
from eibert.bench.worker import Kind, main, peak_memory_mb, turn
from eibert.bench.workers import Contestant, working
from eibert.corpus import Split, TaskSpec
from eibert.errors import BundleError, RunError
from eibert.evaluate.cost import cost_of
from eibert.evaluate.features import Grams
from eibert.evaluate.rivals import fit_chosen, fit_linear
from eibert.export import write_bundle
from eibert.latency import medians_ms
from eibert.params.bench import BenchParams
from eibert.params.load import Params
from eibert.quantize.post_training import quantize
from eibert.runtime.tokenizer import Encoder
from eibert.student import Student
from eibert.teacher import Teacher
from eibert.teacher_files import load_base, load_teacher, save_teacher
from tests.conftest import TOKENS

SMALL = BenchParams(lengths=(8,), batches=(1, 2), threads=(1,), texts=3, rounds=2, turn=2, cell_seconds=60.0, starts=1)


@pytest.fixture
def bundle(student: Student, spec: TaskSpec, rows: Split, params: Params, tmp_path: Path) -> Path:
    student.fold()
    folder = tmp_path / "bundle"
    folder.mkdir()
    write_bundle(student, quantize(student, spec, rows, params.quantize)[1], spec, params.export, folder)
    return folder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that pass only when a test adds to them."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("kind", ["word", "char"])
@pytest.mark.parametrize("text", ["Hello, a  world  of É! x", "", " ", "a", "ab cd\tef\n\n gh", "don't 12,5 漢字"])
def test_pieces_are_scikit_learns(kind: str, text: str) -> None:
    analyzer, grams = ("word", (1, 2)) if kind == "word" else ("char_wb", (2, 4))
    cut = HashingVectorizer(analyzer=analyzer, ngram_range=grams, token_pattern=r"\w+|[^\w\s]").build_analyzer()
    assert sorted(_pieces(text.lower(), kind)) == sorted(cut(text))


def test_hashes_are_murmurs() -> None:
    generator = np.random.default_rng(0)
    pieces = [generator.bytes(size) for size in range(40)]
    assert murmur(pieces).tolist() == [murmurhash3_32(piece, seed=0, positive=True) for piece in pieces]


@pytest.mark.parametrize("grams", Grams)
@pytest.mark.parametrize(("pair", "labels"), [(False, ("a", "b", "c")), (True, ("a", "b")), (True, ())])
def test_linear_model_answers_as_evaluate_does(
    grams: Grams, pair: bool, labels: tuple[str, ...], rows: Split, tmp_path: Path
) -> None:
    spec = TaskSpec("toy", pair, labels, "accuracy" if labels else "spearman")
    targets = rows.targets % len(labels) if labels else rows.targets.astype(np.float32)
    split = Split(rows.texts, rows.texts[::-1] if pair else None, targets)
    rival = fit_chosen(spec, split, grams=grams, buckets=300, regularization=3.0)
    write_linear(rival, tmp_path)
    shown = Split(
        [*rows.texts[:9], "", "an unknown word"], [*rows.texts[3:12], "now", ""] if pair else None, targets[:11]
    )
    model = Linear.load(tmp_path)
    texts: list[Any] = list(zip(shown.texts, shown.texts_b, strict=True)) if shown.texts_b else shown.texts
    np.testing.assert_allclose(model.forward(model.encode(texts)), rival.logits(shown), atol=2e-5)


def test_chosen_rival_is_fitted_again_as_it_was(spec: TaskSpec, rows: Split) -> None:
    first = fit_linear(spec, rows, rows, budget_bytes=5000, regularizations=(1.0, 3.0), selection_rows=1000, seed=0)
    again = fit_chosen(
        spec, rows, grams=first.text.grams, buckets=first.text.buckets, regularization=first.regularization
    )
    np.testing.assert_array_equal(again.codes, first.codes)


def test_missing_linear_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"linear\.npz: not a linear model"):
        Linear.load(tmp_path)


def test_quantized_teacher_answers_nearly_as_in_torch(teacher: Teacher, rows: Split, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "written").mkdir()
    small = tiny(teacher, 3, seed=0)
    save_teacher(small, tmp_path / "saved")
    loaded = load_teacher(tmp_path / "saved", attentions=True)
    write_teacher(loaded, tmp_path / "written")
    found = OnnxModel.load(tmp_path / "written")
    answers = found.forward(found.encode(rows.texts))
    expected = predict(loaded, rows, batch_size=16)
    # Rounded activations, and products that saturate on some CPUs: close, not equal.
    assert np.corrcoef(answers.ravel(), expected.ravel())[0, 1] > 0.97
    names = {path.name for path in (tmp_path / "written").iterdir()}
    assert names == {"model.onnx", "tokenizer.json"}
    kinds = {node.op_type for node in onnx.load(tmp_path / "written" / "model.onnx").graph.node}
    assert "MatMulInteger" in kinds


def test_texts_have_the_length_that_was_asked_for() -> None:
    encode = Encoder(TOKENS, lowercase=True, strip_accents=None, max_tokens=512)

    def count(text: str) -> int:
        return encode(text, None)[1] - 2

    words = ["singing", "play", "the", "mum", "light", "unheardof"]
    for tokens in (4, 9, 33):
        texts = of_length(tokens, words, count, texts=6, pair=False, seed=1)
        assert [encode(text, None)[1] for text in texts] == [tokens] * 6
        pairs = of_length(tokens, words, count, texts=6, pair=True, seed=1)
        assert [len(encode(*pair)[0]) for pair in pairs] == [tokens] * 6


def test_counted_products_are_the_students(student: Student, bundle: Path) -> None:
    assert multiply_adds((bundle / "model.onnx").read_bytes(), 32) == cost_of(student).multiply_adds


def test_profile_has_every_operator_of_the_loaded_graph(student: Student, bundle: Path, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "loaded.onnx"), 3
    ort.InferenceSession(bundle / "model.onnx", options, providers=["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node]
    found = profile(bundle, tokens=8, rounds=3)
    assert {one.name: one.calls for one in found.operators} == {name: nodes.count(name) for name in nodes}
    assert found.tokens == 8
    assert [one.microseconds for one in found.operators] == sorted(
        (one.microseconds for one in found.operators), reverse=True
    )


def test_floor_is_the_products_share_of_a_timed_square_product(
    student: Student, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eibert.bench.profile.medians_ms", lambda *_, **__: {"forward": 5.0, "product": 2.0})
    found = profile(bundle, tokens=32, rounds=1)
    assert found.forward_ms == 5.0
    assert found.floor_ms == pytest.approx(2.0 * cost_of(student).multiply_adds / 56_623_104)  # 384³


class _Told:
    def __init__(self, clock: list[float]) -> None:
        self.seen: list[Any] = []
        self._clock = clock

    def encode(self, texts: Any) -> Any:
        self.seen.append(texts)
        self._clock[0] += 1
        return texts

    def forward(self, rows: Any) -> Any:
        self._clock[0] += 3
        return rows


def test_turn_answers_each_batch_once_and_times_both_steps(clock: list[float]) -> None:
    model = _Told(clock)
    assert turn(model, [["a"], ["b", "c"]]) == {"encode": [1, 1], "forward": [3, 3]}
    assert model.seen == [["a"], ["b", "c"]]


def test_medians_are_of_turns_in_another_order_each(clock: list[float]) -> None:
    seen = []

    def taking(name: str, seconds: float) -> Any:
        def answer(given: int) -> None:
            seen.append((name, given))
            clock[0] += seconds * given

        return answer

    found = medians_ms({"a": taking("a", 1.0), "b": taking("b", 2.0)}, [1, 2, 3], rounds=3)
    assert found == pytest.approx({"a": 2000, "b": 4000})
    assert seen == [("a", 1), ("b", 1), ("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)]


def test_every_model_has_its_place_in_every_cell(bundle: Path, spec: TaskSpec, rows: Split, tmp_path: Path) -> None:
    linear = tmp_path / "linear"
    linear.mkdir()
    write_linear(fit_chosen(spec, rows, grams=Grams.WORD, buckets=300, regularization=3.0), linear)
    contestants = [Contestant("bundle", Kind.BUNDLE, bundle), Contestant("tfidf", Kind.LINEAR, linear)]
    texts = {8: ["play the song", "call mum", "stop"]}
    cells = measure_cells(contestants, texts, SMALL)
    assert [(cell.length, cell.batch, cell.threads) for cell in cells] == [(8, 1, 1), (8, 2, 1)]
    for cell in cells:
        assert cell.rounds == 2
        assert cell.models["bundle"].ratio == 1.0
        assert 0 < cell.models["tfidf"].p50_ms <= cell.models["tfidf"].p95_ms
    starts = measure_starts(contestants, texts, SMALL)
    assert set(starts) == {BARE.name, "bundle", "tfidf"}
    assert starts[BARE.name].above_import_mb == 0
    assert 0 < starts["bundle"].above_import_mb < starts["bundle"].memory_mb < 250
    assert contestants[1].size_bytes == (linear / "linear.npz").stat().st_size


class _Timed:
    """Encodes each batch in 1 ms and answers the first in 1 ms, the second in 2 ms and so on; all times `slowness`."""

    def __init__(self, slowness: float) -> None:
        self._slowness = slowness
        self.started = {"import_ms": 90 * slowness, "load_ms": 30 * slowness}

    def take_turn(self, batches: Sequence[Any], *, threads: int) -> dict[str, Any]:  # noqa: ARG002
        second = 0.001 * self._slowness
        forward = [second * at for at in range(1, len(batches) + 1)]
        return {"encode": [second] * len(batches), "forward": forward, "memory_mb": 100 * self._slowness}


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[Contestant]:
    """The bundle and a rival half as fast."""
    slowness = {BARE.name: 0.5, "bundle": 1.0, "rival": 2.0}
    monkeypatch.setattr("eibert.bench.measure.working", lambda one: nullcontext(_Timed(slowness[one.name])))
    return [Contestant(name, Kind.BUNDLE, Path()) for name in ("bundle", "rival")]


def test_latencies_are_in_ms_and_relative_to_the_bundle(timed: list[Contestant]) -> None:
    params = SMALL.model_copy(update={"batches": (1,), "rounds": 1, "turn": 21})
    [cell] = measure_cells(timed, {8: ["stop"]}, params)
    own = {"p50_ms": 12, "p95_ms": 21, "encode_ms": 1, "forward_ms": 11, "ratio": 1}
    assert asdict(cell.models["bundle"]) == pytest.approx(own)
    assert asdict(cell.models["rival"]) == pytest.approx({name: 2 * value for name, value in own.items()})


def test_start_has_import_load_peak_and_excess_over_onnxruntime(timed: list[Contestant]) -> None:
    starts = measure_starts(timed, {8: ["stop"]}, SMALL)
    assert starts == {
        BARE.name: Start(45, 15, 50, 0), "bundle": Start(90, 30, 100, 50), "rival": Start(180, 60, 200, 150)
    }  # fmt: skip


def test_worker_times_import_and_load_apart(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: Any) -> None:
        clock[0] += 3

    def imported(_: Kind) -> Any:
        clock[0] += 9
        return load

    monkeypatch.setattr("eibert.bench.worker.loader", imported)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    main(Kind.NOTHING, Path())
    assert json.loads(capsys.readouterr().out) == {"import_ms": 9000, "load_ms": 3000}


def test_peak_memory_is_in_millions_of_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmPeak:\t  300000 kB\nVmHWM:\t   80000 kB\nVmRSS:\t   70000 kB\n")
    monkeypatch.setattr("eibert.bench.worker.Path", lambda _: tmp_path / "status")
    assert peak_memory_mb() == 81.92


def test_memory_is_the_workers_own(bundle: Path) -> None:
    ballast = np.ones(40_000_000)  # 320 MB that a child process must not inherit
    with working(Contestant("bundle", Kind.BUNDLE, bundle)) as process:
        assert process.take_turn([["play"]], threads=1)["memory_mb"] < 250
    assert ballast.sum() == 40_000_000


def test_model_that_cannot_be_loaded_is_told_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=r"eibert\.json: missing") as caught,
        working(Contestant("bundle", Kind.BUNDLE, tmp_path)),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_base_of_a_tiny_teacher_has_the_published_shape(teacher_folder: Path) -> None:
    from eibert.params.section import Pooling

    small = tiny(load_base(teacher_folder, Pooling.MEAN), 2, seed=0)
    embeddings = (30_522 + 512 + 2 + 2) * 128
    layer = 4 * (128 * 128 + 128) + 2 * 128 * 512 + 512 + 128 + 4 * 128
    assert cost_of(small).parameters == embeddings + 2 * layer + 2 * 128 + 2


def test_worker_speaks_json_lines(bundle: Path) -> None:
    with working(Contestant("bundle", Kind.BUNDLE, bundle)) as process:
        assert set(process.started) == {"import_ms", "load_ms"}
        found = process.take_turn([["play the"], ["stop", "call"]], threads=2)
        assert len(found["encode"]) == len(found["forward"]) == 2
        assert json.dumps(found)
