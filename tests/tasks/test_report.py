"""The page, from synthetic results of realistic size."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup

from eibert import artifact
from eibert.corpus import Split, TaskSpec
from eibert.evaluate.cost import Cost
from eibert.evaluate.judgement import judge
from eibert.params.evaluate import EvaluateParams
from tasks import plots
from tasks.report import Background, read_background, render

PARAMS = EvaluateParams(
    batch_size=1, bootstrap_samples=100, tie_confidence=0.95, rival_rows=1,
    rival_regularizations=(1.0,), static_dimensions=(), static_regularizations=(1.0,), threads=1,
)  # fmt: skip
BYTES = {"teacher": 91_456_012, "student": 6_612_004, "bundle": 1_702_311, "tfidf": 1_702_240, "control": 6_612_004}
NOISE = {"teacher": 0.8, "student": 0.95, "bundle": 0.96, "tfidf": 1.5, "control": 1.05}


@cache
def evidence(spec: TaskSpec, rows: int = 400) -> tuple[Split, dict[str, Any], dict[str, Any]]:
    """Test rows, logits and metrics of models that err more the noisier they are."""
    generator = np.random.default_rng(0)
    if spec.regression:
        targets: Any = generator.uniform(0, 5, rows).astype(np.float32)
        truth = targets[:, None]
    else:
        targets = generator.integers(spec.outputs, size=rows)
        truth = 3 * np.eye(spec.outputs)[targets]
    shared = generator.normal(size=truth.shape)
    answers = {
        name: (truth + noise * (shared + 0.3 * generator.normal(size=truth.shape))).astype(np.float32)
        for name, noise in NOISE.items()
    } | {"majority": np.zeros_like(truth, np.float32)}
    texts = [
        f"Where is the {row}th of all the streets that lead from the old market to the river?" for row in range(rows)
    ]
    split = Split(texts, texts[::-1] if spec.pair else None, targets)
    costs = dict.fromkeys(("student", "bundle"), Cost(1_341_261, 26_485_760)) | {
        "teacher": Cost(22_565_376, 345_005_568)
    }
    dev = {name: logits[: rows // 2] for name, logits in answers.items()}
    targets_of = {"test": targets, "dev": targets[: rows // 2]}
    figures = judge(spec, {"test": answers, "dev": dev}, targets_of, BYTES, costs, PARAMS, 1)
    figures["bundle_files"] = {"eibert.json": 812, "model.onnx": 1_640_100, "vocab.txt": 61_399}
    figures["tfidf"] = {"grams": "both", "buckets": 243_176, "regularization": 10.0}
    return split, answers, figures


def background() -> Background:
    """The material that other stages of a real run provide."""
    steps = range(1, 7)
    kinds = ("qkv", "attention_output", "feed_forward_input", "feed_forward_output")
    names = ["table", "embedding_projection", "positions", "segments"]
    names += [f"layers.{layer}.{kind}" for layer in range(4) for kind in kinds] + ["head"]
    records = [
        {"step": 160 * s, "loss": 2.1 / s, "dev_score": 1 - 0.4 / s, "task": 1.4 / s, "logits": 0.9 / s} for s in steps
    ]
    return Background(
        dataset={"sources": [{"source": "sample", "files": {"train.jsonl": "3f21" * 16}}]},
        histories={
            "finetune": [{"step": 160 * s, "loss": 1.1 / s, "dev_score": 0.95 - 0.1 / s} for s in (1, 2)],
            "pretrain": [{"step": 600 * s, "token": 1 / s, "sentence": 0.6 / s} for s in (1, 2, 3)],
            "distill": records,
            "control": [{**record, "dev_score": record["dev_score"] - 0.02} for record in records],
        },
        modules=[
            {"module": name, "kind": "attention", "bits": 8, "bytes": 49_152 + 512 * at, "sqnr_db": 38.0 + at % 5,
             "max_error": 0.0021 + at / 1e5, "agreement": 0.999 - at / 1e4}
            for at, name in enumerate(names)
        ],
        coverage={
            "before": {"covered": 1.0, "unknown": 0.0001, "tokens_per_text": 12.31},
            "after": {"covered": 0.9912, "unknown": 0.0002, "tokens_per_text": 12.74},
            "importance": "attention",
            "curve": [
                {"importance": name, "kept": k, "covered": 1 - less / k, "tokens_per_text": 12.3 + less / k}
                for name, less in (("attention", 800), ("mean_attention", 1500), ("frequency", 700))
                for k in (2500, 4000, 8000, 16000, 30522)
            ],
        },
        shaped_by={"seed": 17, "evaluate": PARAMS.model_dump(mode="json")},
        inputs=dict.fromkeys(("ingest", "finetune", "distill", "quantize", "export"), "ab12" * 16),
    )  # fmt: skip


def page(spec: TaskSpec, found: Background | None = None) -> str:
    split, answers, figures = evidence(spec)
    return render(spec, split, answers, figures, background() if found is None else found)


def table(text: str, attribute: str) -> list[list[str]]:
    """The cells of the table with an attribute, without its head."""
    rows = text.split(attribute)[1].split("</table>")[0].split("<tbody>")[1].split("</tr>")[:-1]
    return [[re.sub("<[^>]+>", "", cell) for cell in re.findall("<t[hd].*?</t[hd]>", row)] for row in rows]


def classes(count: int) -> TaskSpec:
    return TaskSpec("toy", pair=False, labels=tuple(f"class_{index:03d}" for index in range(count)), metric="accuracy")


NUMBERS = TaskSpec("numbers", pair=True, labels=(), metric="spearman")


def test_figures_stand_in_the_page() -> None:
    _, _, figures = evidence(classes(6))
    text = page(classes(6))
    for model in BYTES:
        assert f"{figures['test'][model]:.4f}" in text
        assert f"{BYTES[model]:,}" in text
    assert figures["headline"] in text
    assert "1.34 M<small>teacher 22.6 M" in text
    assert "26.5 M<small>teacher 345.0 M" in text
    assert text.count("<td>26,485,760</td>") == 2
    assert f"fp32 agreement</dt><dd>{figures['agreement']['student']:.2%}<" in text
    assert f"teacher agreement {figures['agreement']['teacher']:.1%}<" in text


def test_every_model_stands_with_its_test_and_its_dev_score() -> None:
    _, _, figures = evidence(classes(6))
    shown = [row[1:3] for row in table(page(classes(6)), 'aria-describedby="models-note"')]
    wanted = [[f"{figures[split][model]:.4f}" for split in ("test", "dev")] for model in figures["test"]]
    assert sorted(shown) == sorted(wanted)


def rendered(spec: TaskSpec, targets: Any, bundle: Any, teacher: Any) -> str:
    answers = {"bundle": np.array(bundle, np.float32), "teacher": np.array(teacher, np.float32)}
    return render(spec, Split(["A", "B", "C", "D"], None, np.array(targets)), answers, evidence(spec)[2], Background())


def four_answers(count: int) -> str:
    """Three rows of class 0, of which A and C are answered 1, with 60% and 80%; a row of class 1, answered rightly."""
    rest = [-99.0] * (count - 3)
    bundle = [[math.log(share), math.log(1 - share), -99.0, *rest] for share in (0.4, 0.9, 0.2, 0.3)]
    return rendered(classes(count), [0, 0, 0, 1], bundle, [[0.0, 0.0, 1.0, *rest]] * 4)


def test_confusion_matrix_has_a_row_per_true_class() -> None:
    assert table(four_answers(3), 'aria-describedby="matrix-note"') == [
        ["class_000", "1", "2", ""], ["class_001", "", "1", ""], ["class_002", "", "", ""]
    ]  # fmt: skip


def test_confusion_is_counted_among_the_rows_of_the_true_class() -> None:
    assert table(four_answers(31), 'aria-label="Most frequent confusions"') == [["class_000", "class_001", "2", "3"]]


def test_mistakes_are_listed_from_the_most_confident_one() -> None:
    assert table(four_answers(3), 'class="examples"') == [
        ["C", "class_000", "class_001 80%", "class_002"], ["A", "class_000", "class_001 60%", "class_002"]
    ]  # fmt: skip


def test_errors_are_listed_and_drawn_from_targets_to_predictions() -> None:
    text = rendered(NUMBERS, [1.0, 2.0, 3.0, 4.0], [[1], [4], [3.5], [1]], [[1.5], [2.5], [4.5], [5.5]])
    assert table(text, 'class="examples"') == [
        ["D", "4", "1", "5.5"], ["B", "2", "4", "2.5"], ["C", "3", "3.5", "4.5"], ["A", "1", "1", "1.5"]
    ]  # fmt: skip
    across, down = zip(*re.findall('class="cloud" cx="(.*?)" cy="(.*?)"', text), strict=True)
    assert sorted(across, key=float) == list(across)
    assert sorted(range(4), key=lambda row: -float(down[row])) == [0, 3, 2, 1]
    assert re.search(r'transform="">target<.* transform="rotate[^>]*>prediction<', text)


def test_coverage_is_drawn_in_per_cent() -> None:
    text = page(classes(3))  # 1 − 800 / 2500 to 1 − 800 / 30522
    assert re.search(r"token occurrences kept, %\. attention: from 68 to 97\.38;", text)


def test_small_task_shows_every_cell_of_the_confusion_matrix() -> None:
    assert page(classes(6)).count('<td class="cell') == 36


def test_task_of_many_classes_lists_its_commonest_confusions() -> None:
    text = page(classes(150))
    assert '<td class="cell' not in text
    assert "The most frequent confusions" in text


def test_numbers_are_drawn_as_a_cloud() -> None:
    assert page(NUMBERS).count('class="cloud"') == 400


def test_hostile_texts_and_labels_are_escaped() -> None:
    spec = TaskSpec(
        "<b>name</b>", pair=True, labels=('<script>alert("a")</script>', "'\"><img src=x>"), metric="accuracy"
    )
    split, answers, figures = evidence(spec)
    hostile = Split(["<script>alert(1)</script>"] * len(split), ["</td><svg onload=x>"] * len(split), split.targets)
    found = background()
    found.modules[0]["module"] = "<i>module</i>"
    found.dataset["sources"] = ["</code><script>"]
    text = render(spec, hostile, answers, figures, found)
    assert not re.search(r"<script|<img|<svg onload|<i>|<b>", text)
    assert "&lt;script&gt;alert(1)" in text


def test_page_without_any_background_has_the_figures() -> None:
    text = page(classes(3), Background())
    assert "Test accuracy" in text
    for heading in ("Training", "Quantization by module", "Vocabulary"):
        assert f">{heading}</h2>" not in text


@pytest.mark.parametrize("history", [[{"loss": 1.0}] * 2, [{"step": 3, "words": "x"}], [{"step": 1, "loss": 2}] * 50])
def test_odd_histories_are_drawn_or_left_out(history: list[dict[str, Any]]) -> None:
    text = page(classes(3), Background(histories={"finetune": history}))
    assert ("<polyline" in text) == ("loss" in history[0])


def test_equal_evidence_gives_an_equal_page() -> None:
    assert page(classes(6)) == page(classes(6))


def test_background_of_empty_artifacts_is_empty(tmp_path: Path) -> None:
    assert read_background(tmp_path, {}, {}).modules == []
    artifact.folder(tmp_path, "quantize").mkdir(parents=True)
    artifact.write_json(artifact.folder(tmp_path, "quantize") / "modules.json", {"not": "a list"})
    assert read_background(tmp_path, {}, {}).modules == []


def _labels(svg: Markup) -> list[tuple[float, float, float, float]]:
    return [box for _, box in _named(svg)]


def _named(svg: Markup) -> list[tuple[str, tuple[float, float, float, float]]]:
    found = re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)"(?: text-anchor="(\w+)")?>([^<]+)</text>', svg)
    shares = {"": 0.0, "start": 0.0, "middle": 0.5, "end": 1.0}
    return [
        (text, (left := float(x) - shares[anchor] * 6.6 * len(text), float(y) - 11, left + 6.6 * len(text), float(y)))
        for x, y, anchor, text in found
    ]


@pytest.mark.parametrize("seed", range(8))
def test_labels_of_the_size_plot_do_not_overlap(seed: int) -> None:
    generator = np.random.default_rng(seed)
    points = {f"m{i}": (float(10 ** generator.uniform(6, 8)), generator.uniform(0.8, 0.9)) for i in range(5)}
    points["m5"] = points["m0"]  # two models at the same point
    boxes = _labels(plots.sizes(points, dict.fromkeys(points, "Plain distillation"), "accuracy"))
    assert len(boxes) == 6
    for at, one in enumerate(boxes):
        for other in boxes[:at]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart
        assert one[0] >= 52
        assert one[2] <= 480


RIVALS = {"static": (1.4e6, 0.83), "tfidf": (1.4e6, 0.839), "teacher": (91e6, 0.892)}
CONSTELLATIONS = {
    "two coincide": {"student": (5.6e6, 0.879), "control": (5.6e6, 0.879), "bundle": (1.4e6, 0.879)},
    "two within a pixel": {"student": (5.6e6, 0.879), "control": (5.6e6, 0.8788), "bundle": (1.4e6, 0.879)},
    "three near": {"student": (1.5e6, 0.892), "control": (1.45e6, 0.8875), "bundle": (1.4e6, 0.883)},
    "at the edges": {"student": (91e6, 0.83), "control": (91e6, 0.83), "bundle": (1.4e6, 0.892)},
    "a column": {"student": (5.6e6, 0.85), "control": (5.6e6, 0.848), "bundle": (5.6e6, 0.846), "m": (5.6e6, 0.844)},
}


def _gap(at: tuple[float, float], box: tuple[float, float, float, float]) -> float:
    x, y = at
    return math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3]))


@pytest.mark.parametrize("near", CONSTELLATIONS.values(), ids=list(CONSTELLATIONS))
def test_label_is_nearest_to_its_own_dot_or_a_line_leads_there(near: dict[str, tuple[float, float]]) -> None:
    points = RIVALS | near
    svg = plots.sizes(points, {name: f"The model {name}" for name in points}, "accuracy")
    dots = {
        name: (float(x), float(y)) for name, x, y in re.findall(r'class="dot (\w+)" cx="([\d.]+)" cy="([\d.]+)"', svg)
    }
    pattern = r'class="pointer" x1="([\d.-]+)" y1="([\d.-]+)" x2="([\d.-]+)" y2="([\d.-]+)"'
    lines = [tuple(map(float, each)) for each in re.findall(pattern, svg)]
    boxes = {text.removeprefix("The model "): box for text, box in _named(svg)}
    assert dots.keys() == boxes.keys() == points.keys()
    for name, box in boxes.items():
        same = [other for other in dots if math.dist(dots[name], dots[other]) <= 5]
        shared = [boxes[other] for other in same]
        away = _gap(dots[name], box)
        if any(
            math.dist(line[:2], dots[name]) < 11.1 and min(_gap(line[2:], each) for each in shared) < 5
            for line in lines
        ):
            continue  # it starts at the dot, or one that looks the same, and ends at the label
        assert away <= 14.5 + 14 * (len(same) - 1)
        assert all(_gap(dots[other], box) > away + 2 for other in dots if other not in same)


def test_models_at_one_point_share_a_label_of_several_lines() -> None:
    points = RIVALS | CONSTELLATIONS["two coincide"]
    boxes = dict(_named(plots.sizes(points, {name: name for name in points}, "accuracy")))
    (left, top, *_), (other_left, other_top, *_) = boxes["student"], boxes["control"]
    assert (left, other_top) == (other_left, top + 14)


def test_place_of_a_value_is_linear_between_the_edges() -> None:
    frame = plots.Frame(200, 100, (0, 10), (0, 1), left=50, bottom=20, top=10, right=30)
    assert frame.place(0, 0) == (50, 80)
    assert frame.place(10, 1) == (170, 10)
    assert frame.place(5, 0.5) == (110, 45)


def test_nothing_is_a_share_of_a_teacher_worse_than_chance() -> None:
    test, answers, figures = evidence(NUMBERS)
    figures["test"]["teacher"] = -0.2
    text = render(NUMBERS, test, answers, figures, Background())
    assert {row[3] for row in table(text, 'aria-describedby="models-note"')} == {"–"}
