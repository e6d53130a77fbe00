"""A stream of real data: successive slices of sst2, then a slice of imdb sentences as drift.

    python benchmarks/stream.py --data ../shared/datasets --rows 3000 --preset fast

Makes a scratch copy of the project with one model, delivers a slice to `retrain.incoming` each night, and runs `eibert
retrain`. Dev and test are those of sst2 throughout. The slices are followed by a night without new data, a slice with
swapped labels, and the slice of imdb. Prints a Markdown table of the outcomes.
"""

import argparse
import gzip
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tiny import COMMAND, copy_project, surroundings

MODEL = "models/stream"
SLICES = 5
_SENTENCE = re.compile(r"(?<=[.!?])\s+|<br />")
_LONGEST_CHARS = 400

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    """Returns the rows of a gzipped JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def sentences(reviews: list[Row], labels: dict[str, str], count: int, chance: random.Random) -> list[Row]:
    """Returns one sentence from each of a sample of reviews, with the review's label under sst2's name for it."""
    found = []
    for review in chance.sample(reviews, min(len(reviews), 2 * count)):
        whole = [part.strip() for part in _SENTENCE.split(review["text"]) if 40 <= len(part.strip()) <= _LONGEST_CHARS]
        if whole:
            found.append({"text": chance.choice(whole), "label": labels[review["label"]]})
    return found[:count]


def deliver(folder: Path, name: str, rows: list[Row]) -> None:
    """Replaces the previous delivery with one new file."""
    for path in folder.glob("*.jsonl"):
        path.unlink()
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def eibert(root: Path, *arguments: str) -> dict[str, Any]:
    """Runs a command and returns the JSON object it prints."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--json"], cwd=root, env=surroundings(root), stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        sys.exit(found["error"])
    return found


def prepare(root: Path, data: Path, preset: str, assignments: list[str]) -> tuple[list[Row], Path]:
    """Creates the copy and its model; returns the rows to deliver, in order, and the folder to deliver them to."""
    copy_project(root)
    rows, arriving = root / MODEL / "rows", root / "arriving"
    arriving.mkdir()
    train = read(data / "sst2" / "train.jsonl.gz")
    first = root / "first"
    first.mkdir()
    for split in ("dev", "test"):
        shutil.copyfile(next((data / "sst2").glob(f"{split}*.jsonl.gz")), first / f"{split}.jsonl.gz")
    shutil.copyfile(data / "sst2" / "dataset.json", first / "dataset.json")
    (first / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in train[:100]))
    eibert(root, "new", MODEL, "--data", "first", "--preset", preset)
    first.rename(rows)
    (rows / "train.jsonl").unlink()
    settings = ["ingest.source=rows", "retrain.incoming=../../arriving", *assignments]
    from flows.workspace import set_params

    set_params(root / MODEL, settings)
    return train, arriving


def stream(root: Path, wanted: argparse.Namespace) -> list[list[str]]:
    """Returns one table row per night."""
    chance = random.Random(17)
    train, arriving = prepare(root, wanted.data, wanted.preset, wanted.set)
    slices = [train[at * wanted.rows : (at + 1) * wanted.rows] for at in range(SLICES + 1)]
    names = sorted({row["label"] for row in train})
    turn = dict(zip(names, reversed(names), strict=True))
    reviews = read(wanted.data / "imdb" / "train.jsonl.gz")
    theirs = dict(zip(sorted({row["label"] for row in reviews}), names, strict=True))
    nights = [(f"sst2, slice {at + 1} of {SLICES}", part) for at, part in enumerate(slices[:SLICES])]
    nights += [
        ("nothing new", slices[SLICES - 1]),
        ("sst2, labels turned round", [row | {"label": turn[row["label"]]} for row in slices[SLICES]]),
        ("imdb, sentences", sentences(reviews, theirs, wanted.rows, chance)),
    ]
    table = []
    for number, (name, rows) in enumerate(nights):
        deliver(arriving, f"night{number}", rows)
        found = eibert(root, "retrain", "-C", MODEL)
        beyond = [shift["name"] for shift in (found["drift"] or {"shifts": []})["shifts"] if shift["beyond"]]
        figures = (found["verdict"] or {}).get("figures", {})
        score = next((f"{figures[key]:.4f}" for key in ("challenger", "score") if key in figures), "")
        table.append(
            [
                name,
                found["outcome"],
                ", ".join(beyond),
                str(found["version"]),
                score,
                f"{found['seconds']:.0f}",
                found["reason"],
            ]
        )
        print("|", " | ".join(table[-1]), "|", file=sys.stderr, flush=True)
    return table


def main() -> None:
    """Runs the benchmark with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--rows", type=int, default=3000, help="rows of a slice")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    wanted = parser.parse_args()
    wanted.data = wanted.data.resolve()
    with tempfile.TemporaryDirectory() as folder:
        table = stream(Path(folder, "root"), wanted)
    print("| arrives | outcome | beyond its bound | in service | accuracy | seconds | why |\n" + "|---" * 7 + "|")
    for row in table:
        print("|", " | ".join(row), "|")


if __name__ == "__main__":
    main()
