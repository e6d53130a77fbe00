"""A fastText classifier no larger than the bundle, selected on dev.

A pair becomes one line: the first text, a separator, and the second text with prefixed words, so that a linear model
over word n-grams can tell the sides apart.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

from eibert.corpus import Split, TaskSpec
from eibert.scores import score

LABEL = "__label__"
SPLIT = re.compile(r"\w+|[^\w\s]")
EPOCHS, GRAMS, LETTERS = (10, 30), (1, 2), (0, 5)
"""Passes, words per n-gram, and the most letters per character n-gram (0: none)."""
DIMENSIONS = (100, 200)
BUCKETS = 100_000
CUTOFFS = (24_000, 20_000, 16_000, 12_000, 8_000, 4_000)


@dataclass(frozen=True)
class FastTextRival:
    """A quantized fastText model as measured: its scores on dev and test, its bytes, and the chosen settings."""

    dev: float
    test: float
    bytes: int
    chosen: dict[str, Any]


def measure(spec: TaskSpec, train: Split, dev: Split, test: Split, budget: int) -> FastTextRival:
    """Returns the best model on dev, quantized to at most `budget` bytes; test is scored only once.

    Args:
        spec: The task, a classification.
        train: Labelled rows.
        dev: Rows that select epochs and n-grams before quantization, the dimension after it.
        test: Rows of the final score.
        budget: Largest size of the `.ftz` file in bytes.

    Raises:
        ValueError: no cutoff gives a file that small.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines, path = Path(folder) / "train.txt", Path(folder) / "model.ftz"
        texts = [f"{LABEL}{target} {line}" for target, line in zip(train.targets, _lines(train), strict=True)]
        lines.write_text("\n".join(texts) + "\n", encoding="utf-8")

        def trained(chosen: dict[str, Any]) -> Any:
            return fasttext.train_supervised(str(lines), lr=0.5, thread=1, seed=17, verbose=0, bucket=BUCKETS, **chosen)

        def fitting(chosen: dict[str, Any]) -> Iterator[tuple[float, dict[str, Any], Any, int]]:
            """Yields dev score, settings, model and bytes of the largest quantized model within the budget, if any."""
            for cutoff in CUTOFFS:
                model = trained(chosen)
                model.quantize(str(lines), retrain=True, cutoff=cutoff, qnorm=True, thread=1, verbose=0)
                model.save_model(str(path))
                if (size := path.stat().st_size) <= budget:
                    yield _score(model, spec, dev), chosen | {"cutoff": cutoff}, model, size
                    return

        grid = [
            {"epoch": epochs, "wordNgrams": words, "minn": 2 if letters else 0, "maxn": letters}
            for epochs, words, letters in product(EPOCHS, GRAMS, LETTERS)
        ]
        best = max(grid, key=lambda each: _score(trained(each | {"dim": DIMENSIONS[0]}), spec, dev))
        found = [each for dimension in DIMENSIONS for each in fitting(best | {"dim": dimension})]
        if not found:
            raise ValueError(f"no fastText model fits {budget} bytes")
        dev_score, chosen, model, size = max(found, key=lambda each: each[0])
        return FastTextRival(dev_score, _score(model, spec, test), size, chosen)


def _score(model: Any, spec: TaskSpec, split: Split) -> float:
    logits = np.full((len(split), len(spec.labels)), -np.inf, np.float32)
    for row, line in enumerate(_lines(split)):
        for chance, label in model.f.predict(f"{line}\n", 1, 0.0, "strict"):  # the wrapper breaks with numpy 2
            logits[row, int(label.removeprefix(LABEL))] = chance
    return score(spec.metric, logits, split.targets)


def _lines(split: Split) -> list[str]:
    firsts = [" ".join(_words(text)) for text in split.texts]
    if split.texts_b is None:
        return firsts
    seconds = [" ".join(f"b_{word}" for word in _words(text)) for text in split.texts_b]
    return [f"{first} | {second}" for first, second in zip(firsts, seconds, strict=True)]


def _words(text: str) -> Sequence[str]:
    return SPLIT.findall(text.lower())
