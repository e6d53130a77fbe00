"""Builds a bundle for each named real data set with the default preset and prints one Markdown table of figures.

    python benchmarks/real_data.py trec6 sst2 sick

Models lie in models/<name>; what is up to date there is not built again. Wall times are those of the stages that ran.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from workspaces import COMMAND, DATASETS, PROJECT, run

COLUMNS = ("teacher", "bundle", "control", "tfidf", "static", "majority")


def build(name: str, datasets: Path) -> tuple[dict[str, Any], float]:
    """Returns what `eibert run --json` says of a data set's model, and the seconds it took."""
    folder = Path("models") / name
    if not (PROJECT / folder / "params.yaml").exists():
        subprocess.run([COMMAND, "new", folder, "--data", datasets / name], cwd=PROJECT, check=True, stdout=sys.stderr)
    return run(folder)


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
        said, seconds = build(name, arguments.datasets)
        lines.append(row(name, said))
        print(f"{name}: {seconds / 60:.1f} min, {said['stages']}", file=sys.stderr)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
