"""Compares answers of the oldest supported onnxruntime with those of the installed one; exits 1 if they differ.

    python benchmarks/onnxruntime_versions.py BUNDLE TEXTS [TEXTS...] [--versions 1.17.3]

TEXTS are JSONL files, plain or gzipped, with `text` and, for pairs, `text_b`. The old version gets its own environment
with only the oldest numpy and tokenizers that `pyproject.toml` allows; exit code 75: that cannot be created.
"""

import argparse
import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import environments

from eibert.runtime.model import Model

PROJECT = Path(__file__).resolve().parents[1]
OLDEST = {"onnxruntime": "1.17.0", "numpy": "1.26.0", "tokenizers": "0.15.0"}
CLOSE = 1e-5
UNAVAILABLE = 75
ANSWER = """
import json, sys

import numpy, onnxruntime, tokenizers
from eibert.runtime.model import Model

model = Model.load(sys.argv[1])
rows = [tuple(text) if isinstance(text, list) else text for text in json.load(sys.stdin)]
found = model.predict(rows, top_k=max(1, len(model.bundle.labels)))
versions = [onnxruntime.__version__, numpy.__version__, tokenizers.__version__]
print(json.dumps({"versions": versions, "answers": [[each.label, each.score, dict(each.scores)] for each in found]}))
"""


def requirements(version: str) -> list[str]:
    """Returns pip's arguments for the three packages alone: the given onnxruntime, the oldest of the others."""
    return ["--no-deps", *(f"{name}=={found}" for name, found in (OLDEST | {"onnxruntime": version}).items())]


def answers(python: Path, bundle: Path, texts: Sequence[Any]) -> dict[str, Any]:
    """Returns library versions and answers from another environment."""
    done = subprocess.run(
        [python, "-c", ANSWER, bundle], input=json.dumps(texts), cwd="/", capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    if done.returncode:
        raise environments.UnavailableError(done.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compare(python: Path, bundle: Path, texts: Sequence[Any]) -> tuple[list[str], int, float]:
    """Returns that environment's versions, how many labels differ, and the largest difference in a score."""
    found = answers(python, bundle, texts)
    model = Model.load(bundle)
    rows = [tuple(text) if isinstance(text, list) else text for text in texts]
    expected = model.predict(rows, top_k=max(1, len(model.bundle.labels)))
    different, largest = 0, 0.0
    for (label, score, scores), wanted in zip(found["answers"], expected, strict=True):
        different += label != wanted.label
        pairs = [(scores[name], value) for name, value in wanted.scores] or [(score, wanted.score)]
        largest = max(largest, *(abs(one - other) for one, other in pairs))
    return found["versions"], different, largest


def read(paths: Sequence[Path]) -> list[Any]:
    """Returns the texts, pairs as lists of two."""
    found = []
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        found += [[row["text"], row["text_b"]] if row.get("text_b") is not None else row["text"] for row in rows]
    return found


def main() -> None:
    """Prints one line per version; exits 1 if a label differs, or a score by more than CLOSE."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--versions", nargs="+", default=[OLDEST["onnxruntime"], "1.17.3"])
    options = parser.parse_args()
    texts, wrong = read(options.texts), False
    for version in options.versions:
        try:
            python = environments.python(requirements(version))
            (runtime, numpy, tokenizers), different, largest = compare(python, options.bundle.resolve(), texts)
        except environments.UnavailableError as error:
            print(f"onnxruntime {version} cannot be had: {error}", file=sys.stderr)
            sys.exit(UNAVAILABLE)
        print(
            f"onnxruntime {runtime}, numpy {numpy}, tokenizers {tokenizers}: "
            f"{different} of {len(texts)} labels differ, scores by {largest:.2g} at most"
        )
        wrong |= bool(different) or largest > CLOSE
    sys.exit(wrong)


if __name__ == "__main__":
    main()
