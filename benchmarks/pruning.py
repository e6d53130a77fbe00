"""Score against the size of the vocabulary: a student distilled over the whole vocabulary, its table cut afterwards.

    python benchmarks/pruning.py banking77

No training follows a cut here, so the figures are what a cut alone costs; the pipeline cuts first and distils after.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from workspaces import DATASETS, PROJECT, UNLABELLED, Task, run

from eibert.batches import encode, predict
from eibert.corpus import read_spec, read_split
from eibert.params.load import load
from eibert.params.prune import Importance
from eibert.prune import Importances, choose, slice_student
from eibert.scores import score
from eibert.student import load_student

WHOLE = {"prune.keep": 30_522, "prune.importance": "attention", "distill.control": False}
SIZES = (2_500, 3_000, 4_000, 6_000, 8_000, 12_000, 16_000, 30_522)


def main() -> None:
    """Prints one Markdown table: dev score and tokens a text by importance and size."""
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
    dev = read_split(data / "ingest", "dev", spec)
    columns = pq.read_table(data / "prune" / "scores.parquet").to_pydict()
    place = {token: index for index, token in enumerate(student.tokens)}
    rows = [place.get(token, -1) for token in columns["token"]]
    found = Importances(*(np.array(columns[name])[np.argsort(rows)[rows.count(-1) :]] for name in ("score", "count")))
    print("| importance | " + " | ".join(f"{size:,}" for size in SIZES) + " |\n|" + "---|" * (len(SIZES) + 1))
    for importance in Importance:
        cells = []
        for size in SIZES:
            keeping = params.model_copy(update={"keep": min(size, len(student.tokens))})
            kept = choose(student.tokens, found.ranked_by(importance), student.shape.embedding + 4, keeping)
            cut = slice_student(student, kept)
            reached = score(spec.metric, predict(cut, dev, batch_size=64), dev.targets)
            lengths = encode(cut.tokenizer, dev.texts, dev.texts_b, max_tokens=cut.max_tokens).lengths
            cells.append(f"{100 * reached:.1f} ({lengths.mean():.1f})")
        print(f"| {importance.value} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
