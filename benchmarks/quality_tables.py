"""Tables of the records in benchmarks/quality.json, and verdicts on the rivals."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workspaces import UNLABELLED

RIVALS = ("control", "undistilled", "scratch", "static", "fasttext", "tfidf")
MODELS = ("teacher", "student", "bundle", *RIVALS)
"""`student` is the bundle before quantization, `control` the same student after plain distillation."""
TITLES = {
    "control": "plain distillation", "undistilled": "the undistilled student", "scratch": "distillation from scratch",
    "static": "the static table", "fasttext": "fastText", "tfidf": "TF-IDF",
}  # fmt: skip
DERIVED = ("retention", "above the best rival", "lost by INT8", "agreement")
APART = "cola"
LEAD = 3.0
"""Target for the bundle's mean lead over the best rival, in points."""
TIE = 0.05
"""Difference in points below which two scores count as a tie."""
CAPTION = (
    "Per cent on the test split, means over seeds. `teacher`, `student` and `control` (plain distillation of the same "
    "student) are measured in fp32 and weigh what fp32 takes; `bundle`, `undistilled` and `scratch` (a new student of "
    "that shape, distilled on the labelled rows alone) in INT8 through onnxruntime."
)


def table(records: Sequence[dict[str, Any]]) -> str:
    """Returns Markdown tables of scores and bytes for all records; the means are over the eight tasks."""
    chosen = {name: [record for record in records if record["task"] == name] for name in UNLABELLED}
    rows = {name: _means(found) for name, found in chosen.items() if found}
    lines = [_row("task", "metric", "seeds", *MODELS, *DERIVED), "|" + "---|" * (3 + len(MODELS) + len(DERIVED))]
    for name, row in rows.items():
        tests = [
            _cell([100 * record["test"][model] for record in chosen[name]]) if model in row else "–" for model in MODELS
        ]
        lines.append(_row(name, chosen[name][0]["metric"], len(chosen[name]), *tests, *_derived(row)))
    judged = [row for name, row in rows.items() if name != APART]
    if judged:
        mean = {
            key: statistics.mean(row[key] for row in judged) for key in judged[0] if all(key in row for row in judged)
        }
        means = (f"{mean[model]:.1f}" if model in mean else "–" for model in MODELS)
        lines.append(_row("mean", "", "", *means, *_derived(mean)))
    lines += ["", CAPTION, "", *verdicts(rows)]
    lines += ["", _row("bytes", *MODELS), "|" + "---|" * (1 + len(MODELS))]
    for name in rows:
        sizes = chosen[name][0]["bytes"]
        lines.append(_row(name, *(f"{sizes[model]:,}" if model in sizes else "" for model in MODELS)))
    return "\n".join(lines)


def verdicts(rows: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yields a sentence for each task on which a rival beats or ties with the bundle, then two on the mean leads.

    Args:
        rows: Task → scores per model and derived figures, per cent.
    """
    for name, row in rows.items():
        leads = sorted((row["bundle"] - row[rival], rival) for rival in RIVALS if rival in row)
        if met := [f"{TITLES[rival]} ({row[rival]:.1f}) {_stands(lead)}" for lead, rival in leads if lead < TIE]:
            best = TITLES[leads[0][1]]
            yield f"- {name}: against the bundle ({row['bundle']:.1f}), {', '.join(met)}; recommended there: {best}."
    judged = [row for name, row in rows.items() if name != APART]
    if judged:
        lead = statistics.mean(row["above the best rival"] for row in judged)
        said = "reached" if lead >= LEAD else "not reached"
        tasks = f"{len(judged)} of {len(UNLABELLED) - 1} tasks"
        yield f"- Mean lead over the best rival of each task: {lead:+.1f} points over {tasks}; {LEAD} points {said}."
        leads = {rival: [row["bundle"] - row[rival] for row in judged if rival in row] for rival in RIVALS}
        told = [f"{TITLES[rival]} {statistics.mean(leads[rival]):+.1f}" for rival in RIVALS if leads[rival]]
        yield f"- Mean lead over each: {', '.join(told)}."


def _stands(lead: float) -> str:
    return "ties" if lead > -TIE else f"is above by {-lead:.1f} points"


def _means(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Test scores per model and derived figures, per cent, means over seeds; only models measured for all seeds."""
    models = [model for model in MODELS if all(model in record["test"] for record in records)]
    row = {model: statistics.mean(100 * record["test"][model] for record in records) for model in models}
    best = max(row[rival] for rival in RIVALS if rival in row)
    agreement = 100 * statistics.mean(record["agreement"] for record in records)
    return row | {
        "retention": 100 * row["bundle"] / row["teacher"], "above the best rival": row["bundle"] - best,
        "lost by INT8": row["student"] - row["bundle"], "agreement": agreement,
    }  # fmt: skip


def _derived(row: dict[str, float]) -> list[str]:
    return [f"{row['retention']:.1f}", *(f"{row[name]:+.1f}" for name in DERIVED[1:3]), f"{row['agreement']:.2f}"]


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _cell(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"
