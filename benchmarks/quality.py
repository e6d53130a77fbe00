"""Quality over eight real tasks (and cola, apart): the bundle, its teacher, and everything else of its size.

    python benchmarks/quality.py trec6 snips --seeds 17 18 19

One workspace under models/<preset>/ for each task and seed; what is up to date there is not built again. Records are
added to benchmarks/quality.json as they come, and the tables of all records are printed.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fasttext_rival
from workspaces import DATASETS, PROJECT, UNLABELLED, Task, run, scores

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
    "distill.control": False,
}
"""The same student, pre-trained and pruned, learns from the labels alone."""
RIVALS = ("control", "undistilled", "static", "fasttext", "tfidf")
MODELS = ("teacher", "student", "bundle", *RIVALS)
"""`student` is the bundle before quantization, `control` the same student after plain distillation."""
DERIVED = ("retention", "above the best rival", "lost by INT8", "agreement")
APART = "cola"


def measure(task: Task) -> dict[str, Any]:
    """Returns the record of a task and seed: test and dev scores and bytes by model, and the minutes it took."""
    folder = task.workspace()
    said, seconds = run(folder)
    found = said["metrics"]
    record = {
        "task": task.name, "seed": task.seed, "preset": task.preset, "metric": found["metric"], "minutes": seconds / 60,
        "ran": sum(state == "Completed" for state in said["stages"].values()),
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
    """Returns the Markdown tables of all records: scores and bytes; the means are those of the eight tasks."""
    chosen = {name: [record for record in records if record["task"] == name] for name in UNLABELLED}
    rows = {name: _means(found) for name, found in chosen.items() if found}
    lines = [_row("task", "metric", "seeds", *MODELS, *DERIVED), "|" + "---|" * (3 + len(MODELS) + len(DERIVED))]
    for name, row in rows.items():
        tests = [_cell([100 * record["test"][model] for record in chosen[name]]) for model in MODELS]
        lines.append(_row(name, chosen[name][0]["metric"], len(chosen[name]), *tests, *_derived(row)))
    judged = [row for name, row in rows.items() if name != APART]
    if judged:
        mean = {key: statistics.mean(row[key] for row in judged) for key in judged[0]}
        lines.append(_row("mean", "", "", *(f"{mean[model]:.1f}" for model in MODELS), *_derived(mean)))
    lines += ["", _row("bytes", *MODELS), "|" + "---|" * (1 + len(MODELS))]
    for name in rows:
        sizes = chosen[name][0]["bytes"]
        lines.append(_row(name, *(f"{sizes[model]:,}" if model in sizes else "" for model in MODELS)))
    return "\n".join(lines)


def _means(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Scores on test by model and what follows from them, per cent, means over seeds."""
    row = {model: statistics.mean(100 * record["test"][model] for record in records) for model in MODELS}
    best = max(row[rival] for rival in RIVALS)
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


def main() -> None:
    """Measures what is asked for and prints the table of all records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *UNLABELLED])
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--preset", default="default")
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    arguments = parser.parse_args()
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    for name in arguments.names:
        for seed in arguments.seeds:
            found = measure(Task(name, seed, arguments.preset, arguments.datasets))
            identity = {key: found[key] for key in ("task", "seed", "preset")}
            earlier = [record for record in records if identity.items() <= record.items()]
            if earlier and found["ran"] == 0:
                found["minutes"] = earlier[0]["minutes"]
            records = [record for record in records if record not in earlier] + [found]
            write_json(RECORDS, records)
            print(f"{name}, seed {seed}: {found['minutes']:.1f} min", file=sys.stderr)
    print(table([record for record in records if record["preset"] == arguments.preset]))


if __name__ == "__main__":
    main()
