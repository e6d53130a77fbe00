"""All figures of all models on one task: the content of the stage's metrics.json."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from eibert.corpus import TaskSpec
from eibert.evaluate.bootstrap import compare
from eibert.evaluate.conclusion import BUNDLE, conclude, retention
from eibert.evaluate.cost import TOKENS, Cost
from eibert.evaluate.metrics import quality
from eibert.params.evaluate import EvaluateParams
from eibert.scores import agreement

Array = np.ndarray[Any, Any]
Answers = dict[str, dict[str, Array]]
"""Split → model → logits, float32 (N, C)."""

RIVALS = ("majority", "tfidf", "static", "control")


def judge(
    spec: TaskSpec,
    answers: Answers,
    targets: Mapping[str, Array],
    sizes: Mapping[str, int],
    costs: Mapping[str, Cost],
    params: EvaluateParams,
    seed: int,
) -> dict[str, Any]:
    """Returns every figure by name; figures per model are mappings by model name.

    Args:
        spec: The task.
        answers: For splits `test` and `dev`; models `teacher`, `student`, `bundle` and any of RIVALS.
        targets: Split → targets (N,).
        sizes: Model → bytes.
        costs: Model → cost, for neural networks only.
        params: Section `evaluate`.
        seed: Seed of the bootstrap.
    """
    test = answers["test"]
    every = {
        split: {name: quality(spec, logits, targets[split]) for name, logits in found.items()}
        for split, found in answers.items()
    }
    scores = {split: {name: found[spec.metric] for name, found in every[split].items()} for split in every}
    comparisons = compare(
        spec.metric, test[BUNDLE], {name: test[name] for name in RIVALS if name in test}, targets["test"],
        samples=params.bootstrap_samples, confidence=params.tie_confidence, seed=seed,
    )  # fmt: skip
    conclusion = conclude(spec.metric, scores["test"], comparisons, sizes)
    return {
        "metric": spec.metric,
        "test": scores["test"],
        "dev": scores["dev"],
        "quality": every["test"],
        "agreement": {
            name: agreement(test[name], test[BUNDLE], regression=spec.regression) for name in ("student", "teacher")
        },
        "retention": retention(scores["test"]),
        "bytes": dict(sizes),
        "parameters": {name: cost.parameters for name, cost in costs.items()},
        "multiply_adds": {name: cost.multiply_adds for name, cost in costs.items()},
        "multiply_adds_tokens": TOKENS,
        "verdicts": {name: comparison.verdict.value for name, comparison in comparisons.items()},
        "differences": {
            name: {"difference": found.difference, "low": found.low, "high": found.high}
            for name, found in comparisons.items()
        },
        "recommended": conclusion.recommended,
        "headline": conclusion.headline,
        "details": list(conclusion.details),
    }
