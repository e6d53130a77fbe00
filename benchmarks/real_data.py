"""Builds a bundle for each named real data set with the default preset and prints one Markdown table of figures.

    python benchmarks/real_data.py trec6 sst2 sick

Models lie under models/default/; what is up to date there is not built again. No unlabelled text is used. Wall times
are those of the stages that ran.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from workspaces import DATASETS, Task, run

COLUMNS = ("teacher", "bundle", "control", "tfidf", "static", "majority")
SEED = 17


def row(name: str, said: dict[str, Any]) -> str:
    """Returns a model's line of the table."""
    found = said["metrics"]
    scores = [f"{100 * found['test'][model]:.1f}" if model in found["test"] else "–" for model in COLUMNS]
    agreement = f"{100 * found['agreement']['student']:.2f}"
    cells = [name, found["metric"], *scores, f"{said['bytes']:,}", agreement]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    arguments = parser.parse_args()
    lines = [
        "| data | metric | teacher | **bundle** | plain distillation | TF-IDF + linear, same bytes "
        "| static table + linear, same bytes | majority "
        "| bytes | agreement with fp32, % |",
        "|" + "---|" * 10,
    ]
    for name in arguments.names:
        said, seconds = run(Task(name, SEED, "default", arguments.datasets, {"ingest.unlabelled": "[]"}).workspace())
        lines.append(row(name, said))
        print(f"{name}: {seconds / 60:.1f} min, {said['stages']}", file=sys.stderr)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
