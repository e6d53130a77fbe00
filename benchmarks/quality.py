"""Quality on eight real tasks (and cola, separately): the bundle, its teacher, and rivals of the bundle's size.

    python benchmarks/quality.py trec6 snips --seeds 17 18 19

    python benchmarks/quality.py sst2 --set distill.threads=2

One workspace under models/<preset>/ per task, seed and setting; what is up to date there is not rebuilt. Records are
added to benchmarks/quality.json as they are measured. Those of the current parameters and settings are printed as
tables, with verdicts on the rivals; others stay in the file and are only counted.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fasttext_rival
from workspaces import DATASETS, PROJECT, UNLABELLED, Task, run, scores, setting

from eibert.artifact import write_json
from eibert.corpus import read_spec, read_split

RECORDS = PROJECT / "benchmarks" / "quality.json"
UNDISTILLED: dict[str, Any] = {
    "distill.logits_weight": 0.0,
    "distill.hidden_weight": 0.0,
    "distill.token_weight": 0.0,
    "distill.head_reuse": False,
    "distill.teacher_rows": 0,
    "distill.unlabelled_limit": 0,
    "distill.variants": 0,
    "distill.rows_limit": 300_000,
    "distill.control": False,
}
"""The same student, pre-trained and pruned, trained on the labels alone; its best epoch on dev is taken."""
RIVALS = ("control", "undistilled", "static", "fasttext", "tfidf")
MODELS = ("teacher", "student", "bundle", *RIVALS)
"""`student` is the bundle before quantization, `control` the same student after plain distillation."""
TITLES = {
    "control": "plain distillation", "undistilled": "the undistilled student", "static": "the static table",
    "fasttext": "fastText", "tfidf": "TF-IDF",
}  # fmt: skip
DERIVED = ("retention", "above the best rival", "lost by INT8", "agreement")
APART = "cola"
LEAD = 3.0
"""Target for the bundle's mean lead over the best rival, in points."""
TIE = 0.05
"""Difference in points below which two scores count as a tie."""
CAPTION = (
    "Per cent on the test split, means over seeds. `teacher`, `student` and `control` (plain distillation of the same "
    "student) are measured in fp32 and weigh what fp32 takes; `bundle` and `undistilled` in INT8 through onnxruntime."
)


def measure(task: Task) -> dict[str, Any]:
    """Returns the record of a task and seed: test and dev scores and bytes per model, and minutes.

    Minutes are null unless one call ran every stage.
    """
    folder = task.workspace()
    said, seconds = run(folder)
    found = said["metrics"]
    record = {
        "task": task.name, "seed": task.seed, "preset": task.preset, "digest": task.digest(),
        "settings": dict(task.settings), "metric": found["metric"],
        "minutes": seconds / 60 if all(state == "Completed" for state in said["stages"].values()) else None,
        "dev": found["dev"], "test": found["test"], "bytes": found["bytes"], "agreement": found["agreement"]["student"],
    }  # fmt: skip
    plain = task.workspace("undistilled", UNDISTILLED)
    run(plain, "--until", "export")
    rivals = {"undistilled": scores(plain)}
    ingest = PROJECT / folder / "data" / "ingest"
    spec = read_spec(ingest)
    splits = [read_split(ingest, name, spec) for name in ("train", "dev", "test")]  # type: ignore[arg-type]
    rivals["fasttext"] = asdict(fasttext_rival.measure(spec, *splits, budget=found["bytes"]["bundle"]))
    for name, rival in rivals.items():
        for part in ("dev", "test", "bytes"):
            record[part][name] = rival[part]
    return record


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
    """Yields one sentence for each task on which a rival beats or ties with the bundle, and one on the mean lead.

    Args:
        rows: Task → scores per model and derived figures, per cent.
    """
    for name, row in rows.items():
        leads = sorted((row["bundle"] - row[rival], rival) for rival in RIVALS if rival in row)
        if met := [f"{TITLES[rival]} ({row[rival]:.1f}) {_stands(lead)}" for lead, rival in leads if lead < TIE]:
            best = TITLES[leads[0][1]]
            yield f"- {name}: against the bundle ({row['bundle']:.1f}), {', '.join(met)}; recommended there: {best}."
    leads_of_all = [row["above the best rival"] for name, row in rows.items() if name != APART]
    if leads_of_all:
        lead = statistics.mean(leads_of_all)
        said = "reached" if lead >= LEAD else "not reached"
        tasks = f"{len(leads_of_all)} of {len(UNLABELLED) - 1} tasks"
        yield f"- Mean lead over the best rival of each task: {lead:+.1f} points over {tasks}; {LEAD} points {said}."


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


def present(records: Sequence[dict[str, Any]], preset: str, datasets: Path, settings: Mapping[str, str]) -> list[Any]:
    """Returns the records that match the current parameters, sources and settings."""
    return [
        record
        for record in records
        if record["preset"] == preset
        and record.get("digest") == Task(record["task"], record["seed"], preset, datasets, settings).digest()
    ]


def main() -> None:
    """Measures what is requested and prints tables of all records of the current parameters and settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *UNLABELLED])
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--preset", default="default")
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="KEY=VALUE", dest="settings")
    arguments = parser.parse_args()
    settings = dict(arguments.settings)
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    for name in arguments.names:
        for seed in arguments.seeds:
            found = measure(Task(name, seed, arguments.preset, arguments.datasets, settings))
            identity = {key: found[key] for key in ("task", "seed", "preset", "digest")}
            earlier = [record for record in records if identity.items() <= record.items()]
            if earlier and found["minutes"] is None:
                found["minutes"] = earlier[0]["minutes"]
            records = [record for record in records if record not in earlier] + [found]
            write_json(RECORDS, records)
            took = "resumed" if found["minutes"] is None else f"{found['minutes']:.1f} min"
            print(f"{name}, seed {seed}: {took}", file=sys.stderr)
    shown = present(records, arguments.preset, arguments.datasets, settings)
    print(table(shown))
    if others := len(records) - len(shown):
        print(f"{RECORDS.name}: {others} records of other parameters, presets or settings left out", file=sys.stderr)


if __name__ == "__main__":
    main()
