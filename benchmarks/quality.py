"""Quality on eight real tasks (and cola, separately): the bundle, its teacher, and rivals of the bundle's size.

    python benchmarks/quality.py trec6 snips --seeds 17 18 19

    python benchmarks/quality.py sst2 --set distill.threads=2
    python benchmarks/quality.py sst2 --rivals scratch    # measured again and added to the record that is there

One workspace under models/<preset>/ per task, seed and setting; what is up to date there is not rebuilt. Records are
added to benchmarks/quality.json as they are measured. Those of the current parameters and settings are printed as
tables, with verdicts on the rivals (`quality_tables.py`); others stay in the file and are only counted.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fasttext_rival
from quality_tables import table
from workspaces import DATASETS, PROJECT, UNLABELLED, Task, run, scores, setting

from eibert.artifact import write_json
from eibert.corpus import read_spec, read_split

RECORDS = PROJECT / "benchmarks" / "quality.json"
LABELLED_ROWS: dict[str, Any] = {
    "distill.hidden_weight": 0.0,
    "distill.token_weight": 0.0,
    "distill.head_reuse": False,
    "distill.teacher_rows": 0,
    "distill.unlabelled_limit": 0,
    "distill.variants": 0,
    "distill.rows_limit": 300_000,
    "distill.control": False,
}
"""A new head, logits and labels, the labelled rows alone, up to half of the bundle's rows; best epoch on dev."""
UNDISTILLED = LABELLED_ROWS | {"distill.logits_weight": 0.0}
"""The same student, pre-trained and pruned, trained on the labels alone."""
SCRATCH = LABELLED_ROWS | {
    "ingest.unlabelled": [],
    "pretrain.inherit_tokens": 0,
    "pretrain.texts_limit": 32,
    "pretrain.texts_min": 0,
    "pretrain.rows_limit": 32,
    "prune.importance": "frequency",
    "distill.epochs": 30,
}
"""What a distillation script without eibert's stages gives: a new student of the same shape over the most frequent
tokens, its weights random but for one pre-training step of at most 0.001 each."""
TRAINED = {"undistilled": UNDISTILLED, "scratch": SCRATCH}
MEASURED = (*TRAINED, "fasttext")
"""Rivals that a run of the pipeline does not measure itself."""


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
    return with_rivals(record, task, MEASURED)


def with_rivals(record: dict[str, Any], task: Task, names: Sequence[str]) -> dict[str, Any]:
    """Returns a task's record with the scores and bytes of rivals, measured now; the others of the record stay."""
    parts: dict[str, dict[str, Any]] = {part: dict(record[part]) for part in ("dev", "test", "bytes")}
    for name in names:
        found = _trained(task, name) if name in TRAINED else _fasttext(task, record["bytes"]["bundle"])
        for part, values in parts.items():
            values[name] = found[part]
    return record | parts


def _trained(task: Task, name: str) -> dict[str, float]:
    folder = task.workspace(name, TRAINED[name])
    run(folder, "--until", "export")
    return scores(folder)


def _fasttext(task: Task, budget: int) -> dict[str, float]:
    folder = task.workspace()
    run(folder, "--until", "ingest")
    ingest = PROJECT / folder / "data" / "ingest"
    spec = read_spec(ingest)
    splits = [read_split(ingest, name, spec) for name in ("train", "dev", "test")]  # type: ignore[arg-type]
    return asdict(fasttext_rival.measure(spec, *splits, budget=budget))


def present(records: Sequence[dict[str, Any]], preset: str, datasets: Path, settings: Mapping[str, str]) -> list[Any]:
    """Returns the records that match the current parameters, sources and settings."""
    return [
        record for record in records if _is_of(record, Task(record["task"], record["seed"], preset, datasets, settings))
    ]


def _is_of(record: Mapping[str, Any], task: Task) -> bool:
    named = (record["task"], record["seed"], record["preset"])
    return named == (task.name, task.seed, task.preset) and record.get("digest") == task.digest()


def main() -> None:
    """Measures what is requested and prints tables of all records of the current parameters and settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *UNLABELLED])
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--preset", default="default")
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    parser.add_argument(
        "--rivals", nargs="+", choices=MEASURED,
        help="measure only these, and add them to the records of the current parameters",
    )  # fmt: skip
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="KEY=VALUE", dest="settings")
    arguments = parser.parse_args()
    settings = dict(arguments.settings)
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    for name in arguments.names:
        for seed in arguments.seeds:
            task = Task(name, seed, arguments.preset, arguments.datasets, settings)
            earlier = next((record for record in records if _is_of(record, task)), None)
            if arguments.rivals and earlier is None:
                sys.exit(f"{name}, seed {seed}: not in {RECORDS.name}; measure it without --rivals first")
            found = with_rivals(earlier, task, arguments.rivals) if arguments.rivals and earlier else measure(task)
            if earlier and found["minutes"] is None:
                found["minutes"] = earlier["minutes"]
            records = [record for record in records if record is not earlier] + [found]
            write_json(RECORDS, records)
            print(f"{name}, seed {seed}: measured", file=sys.stderr)
    shown = present(records, arguments.preset, arguments.datasets, settings)
    print(table(shown))
    if others := len(records) - len(shown):
        print(f"{RECORDS.name}: {others} records of other parameters, presets or settings left out", file=sys.stderr)


if __name__ == "__main__":
    main()
