"""What each ingredient is worth: one model for each thing left out or added, all else equal.

    python benchmarks/ablation.py sst2 banking77 mrpc

Workspaces lie under models/<preset>/; stages that a change leaves alone are restored from DVC's cache, and the
teacher's answers are read once. The budget of rows is smaller than the preset's, so that sixteen models fit an evening.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from workspaces import DATASETS, UNLABELLED, Task, run, scores

BUDGET: dict[str, Any] = {
    "distill.rows_limit": 96_000,
    "distill.unlabelled_limit": 20_000,
    "distill.teacher_rows": 0,
    "distill.control": False,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "no-head-reuse": {"distill.head_reuse": False},
    "with-teacher-update": {"distill.teacher_rows": 6000},
    "no-mse": {"distill.hidden_weight": 0.0},
    "no-words": {"distill.token_weight": 0.0},
    "no-kl": {"distill.logits_weight": 0.0},
    "no-unlabelled": {"distill.unlabelled_limit": 0},
    "no-variants": {"distill.variants": 0},
    "no-inheritance": {"pretrain.inherit_tokens": 0},
    "one-pretraining-step": {"pretrain.rows_limit": 32},
    "neither": {"pretrain.inherit_tokens": 0, "pretrain.rows_limit": 32},
    "frequency-pruning": {"prune.importance": "frequency"},
    "mean-attention-pruning": {"prune.importance": "mean_attention"},
    "no-piece-fallback": {"prune.keep_characters": False},
    "four-bit-table": {"quantize.embedding.bits": 4, "quantize.embedding.granularity": "group"},
    "four-bit-table-tuned": {
        "quantize.embedding.bits": 4,
        "quantize.embedding.granularity": "group",
        "quantize.tune_rows": 32_000,
        "quantize.tune_learning_rate": 3e-4,
    },
}


def main() -> None:
    """Prints one line of Markdown for each variant as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=list(UNLABELLED))
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--preset", default="default")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    arguments = parser.parse_args()
    print("| task | variant | dev | test | bytes |\n|---|---|---|---|---|")
    for name in arguments.names:
        task = Task(name, arguments.seed, arguments.preset, arguments.datasets)
        for variant in arguments.variants:
            folder = task.workspace(f"ablation-{variant}", BUDGET | VARIANTS[variant])
            _, seconds = run(folder, "--until", "export")
            found = scores(folder)
            figures = f"{100 * found['dev']:.1f} | {100 * found['test']:.1f} | {found['bytes']:,}"
            print(f"| {name} | {variant} | {figures} |", flush=True)
            print(f"{name} {variant}: {seconds / 60:.1f} min", file=sys.stderr)


if __name__ == "__main__":
    main()
