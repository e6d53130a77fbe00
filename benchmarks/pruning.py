"""Score against vocabulary size: a student distilled with the full vocabulary, its embedding table cut afterwards.

    python benchmarks/pruning.py banking77

Nothing is trained after a cut, so the scores show the cost of the cut alone; the pipeline prunes before it distils. The
student is the ablation's base, with a row budget below the preset's. Scores are on dev, in fp32.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from ablation import BUDGET
from workspaces import DATASETS, PROJECT, UNLABELLED, Task, run

from eibert.batches import encode, predict
from eibert.corpus import Split, read_spec, read_split
from eibert.params.load import load
from eibert.params.prune import Importance, PruneParams
from eibert.prune import Importances, choose, slice_student
from eibert.scores import score
from eibert.student import Student, load_student

WHOLE = BUDGET | {"prune.keep": 30_522, "prune.importance": "attention"}
SIZES = (2_500, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 30_522)
"""Entries kept; even the smallest exceeds the 1,999 mandatory special tokens and characters."""


def importances(path: Path, tokens: Sequence[str]) -> Importances:
    """Returns the importances that `prune` found, in the order of the student's tokens.

    Args:
        path: The stage's scores.parquet: one row per entry of the teacher's vocabulary.
        tokens: The student's vocabulary, a subset of the teacher's.
    """
    columns = pq.read_table(path).to_pydict()
    row_of = {token: row for row, token in enumerate(columns["token"])}
    rows = [row_of[token] for token in tokens]
    return Importances(*(np.array(columns[name])[rows] for name in ("score", "count")))


def cuts(
    student: Student, found: Importances, dev: Split, metric: str, params: PruneParams, sizes: Sequence[int]
) -> Iterator[tuple[Importance, list[tuple[float, float]]]]:
    """Yields, for each importance measure, dev score and mean tokens per text at each size.

    Args:
        student: Distilled with the full vocabulary.
        found: Importances of its entries.
        dev: Rows to score.
        metric: The task's metric.
        params: Section `prune`; its `keep` is replaced.
        sizes: Numbers of entries to keep.
    """
    for importance in Importance:
        points = []
        for size in sizes:
            keeping = params.model_copy(update={"keep": min(size, len(student.tokens))})
            kept = choose(student.tokens, found.ranked_by(importance), student.shape.embedding + 4, keeping)
            cut = slice_student(student, kept)
            answers = predict(cut, dev, batch_size=64)
            lengths = encode(cut.tokenizer, dev.texts, dev.texts_b, max_tokens=cut.max_tokens).lengths
            points.append((score(metric, answers, dev.targets), float(lengths.mean())))
        yield importance, points


def main() -> None:
    """Prints one Markdown table: dev score and tokens per text by importance measure and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(UNLABELLED))
    parser.add_argument("--preset", default="default")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--datasets", type=Path, default=DATASETS)
    arguments = parser.parse_args()
    folder = Task(arguments.name, arguments.seed, arguments.preset, arguments.datasets).workspace("whole", WHOLE)
    run(folder, "--until", "distill")
    data, params = PROJECT / folder / "data", load(PROJECT / folder / "params.yaml").prune
    spec, student = read_spec(data / "ingest"), load_student(data / "distill")
    found = importances(data / "prune" / "scores.parquet", student.tokens)
    dev = read_split(data / "ingest", "dev", spec)
    print("| importance | " + " | ".join(f"{size:,}" for size in SIZES) + " |\n|" + "---|" * (len(SIZES) + 1))
    for importance, points in cuts(student, found, dev, spec.metric, params, SIZES):
        cells = [f"{100 * reached:.1f} ({length:.1f})" for reached, length in points]
        print(f"| {importance.value} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
