"""Ablation study: one model per ingredient removed or added, all else equal.

    python benchmarks/ablation.py sst2 banking77 mrpc
    python benchmarks/ablation.py trec6 --group cross-distillation --seeds 17 18 19

Workspaces are under models/<preset>/; stages that a change does not affect are restored from DVC's cache, and the
teacher's outputs are computed once. The row budget is below the preset's, so that this many models fit an evening.
Scores are on dev; the test split is never used.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workspaces import DATASETS, PROJECT, UNLABELLED, Task, run, scores

from eibert.params.load import load

BUDGET: dict[str, Any] = {
    "distill.rows_limit": 96_000,
    "distill.unlabelled_limit": 20_000,
    "distill.teacher_rows": 0,
    "distill.control": False,
}
BASE = "base"
INGREDIENTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "no-head-reuse": {"distill.head_reuse": False},
    "with-teacher-update": {"distill.teacher_rows": 6000},
    "no-mse": {"distill.hidden_weight": 0.0, "distill.token_weight": 0.0},
    "no-sentence-mse": {"distill.hidden_weight": 0.0},
    "no-word-mse": {"distill.token_weight": 0.0},
    "no-kl": {"distill.logits_weight": 0.0},
    "no-unlabelled": {"ingest.unlabelled": []},
    "no-unlabelled-in-distill": {"distill.unlabelled_limit": 0},
    "no-variants": {"distill.variants": 0},
    "no-inheritance": {"pretrain.inherit_tokens": 0},
    "one-pretraining-step": {"pretrain.rows_limit": 32},
    "neither": {"pretrain.inherit_tokens": 0, "pretrain.rows_limit": 32},
    "frequency-pruning": {"prune.importance": "frequency"},
    "mean-attention-pruning": {"prune.importance": "mean_attention"},
    "no-piece-fallback": {"prune.keep_characters": False},
    "larger-vocabulary": {"prune.keep": 12_000},
    "wider-table": {"pretrain.student.feed_forward": 384, "pretrain.student.embedding": 128},
    "four-bit-table": {"quantize.embedding.bits": 4, "quantize.embedding.granularity": "group"},
    "four-bit-table-tuned": {
        "quantize.embedding.bits": 4,
        "quantize.embedding.granularity": "group",
        "quantize.tune_rows": 32_000,
        "quantize.tune_learning_rate": 3e-4,
    },
}
SMALLER: dict[str, Any] = {
    "pretrain.student.layers": 2,
    "pretrain.student.hidden": 64,
    "pretrain.student.heads": 2,
    "pretrain.student.feed_forward": 256,
}
"""A student further from its teacher."""
CROSS: dict[str, dict[str, Any]] = {
    BASE: {},
    "update": {"distill.teacher_rows": 6000},
    "update-rising": {"distill.teacher_rows": 6000, "distill.teacher_feedback": "rising"},
    "update-short": {"distill.teacher_rows": 1500},
    "update-long": {"distill.teacher_rows": 24_000},
    "update-slow": {"distill.teacher_rows": 6000, "distill.teacher_learning_rate": 2e-6},
    "update-fast": {"distill.teacher_rows": 6000, "distill.teacher_learning_rate": 5e-5},
    "update-all-layers": {"distill.teacher_rows": 6000, "distill.teacher_layers": 6},
    "temperature-1": {"distill.temperature": 1.0},
    "update-temperature-1": {"distill.teacher_rows": 6000, "distill.temperature": 1.0},
    "temperature-4": {"distill.temperature": 4.0},
    "update-temperature-4": {"distill.teacher_rows": 6000, "distill.temperature": 4.0},
    "smaller-student": SMALLER,
    "update-smaller-student": SMALLER | {"distill.teacher_rows": 6000},
}
"""When updating the teacher pays: how long, at which rate, how many layers, which temperature, for which student."""
GROUPS = {"ingredients": INGREDIENTS, "cross-distillation": CROSS}
VARIANTS = INGREDIENTS | CROSS


def is_no_op(changes: Mapping[str, Any], folder: Path) -> bool:
    """Returns whether changes have no effect on a workspace's model: its parameters already have these values."""
    params = load(PROJECT / folder / "params.yaml")
    found = params.model_dump(mode="json", by_alias=True)
    if not params.ingest.unlabelled:
        found["distill"]["unlabelled_limit"] = 0  # without texts the limit has no effect

    def value(key: str) -> Any:
        section, _, rest = key.partition(".")
        place = found[section]
        for part in rest.split("."):
            place = place[part]
        return place

    return bool(changes) and all(value(key) == wanted for key, wanted in changes.items())


def measure(task: Task, variant: str) -> dict[str, float] | None:
    """Returns dev score and bytes of a variant; None if it changes nothing in this workspace."""
    if is_no_op(VARIANTS[variant], task.workspace(f"ablation-{BASE}", BUDGET)):
        return None
    folder = task.workspace(f"ablation-{variant}", BUDGET | VARIANTS[variant])
    _, seconds = run(folder, "--until", "export")
    print(f"{task.name} {variant}, seed {task.seed}: {seconds / 60:.1f} min", file=sys.stderr)
    return scores(folder, ("dev",))


def row(name: str, variant: str, found: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]]) -> str:
    """Returns a variant's table row: dev score and difference from the base in per cent, mean ± deviation over seeds.

    Args:
        name: The task.
        variant: Name of the variant.
        found: One result of `measure` per seed.
        base: The base's results for the same seeds; empty if it was not measured.
    """
    scored = [100 * one["dev"] for one in found]
    above = [score - 100 * one["dev"] for score, one in zip(scored, base, strict=True)] if base else []
    compared = _cell(above, "+.1f") if above and variant != BASE else "–"
    size = round(statistics.mean(one["bytes"] for one in found))
    return f"| {name} | {variant} | {len(found)} | {_cell(scored, '.1f')} | {compared} | {size:,} |"


def _cell(values: Sequence[float], form: str) -> str:
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{spread}"


def main() -> None:
    """Prints a Markdown table row for each variant as it finishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=list(UNLABELLED))
    parser.add_argument("--group", choices=list(GROUPS), default="ingredients")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), help="in place of the whole group")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[17])
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    arguments = parser.parse_args()
    print("| task | variant | seeds | dev | above the base | bytes |\n|---|---|---|---|---|---|")
    for name in arguments.names:
        tasks = [Task(name, seed, arguments.preset, arguments.datasets) for seed in arguments.seeds]
        base: list[dict[str, float]] = []
        for variant in arguments.variants or GROUPS[arguments.group]:
            found = [one for task in tasks if (one := measure(task, variant)) is not None]
            base = found if variant == BASE else base
            print(row(name, variant, found, base) if found else _nothing(name, variant), flush=True)


def _nothing(name: str, variant: str) -> str:
    return f"| {name} | {variant} | – | changes nothing here, left out | – | – |"


if __name__ == "__main__":
    main()
