"""Compares champion and challenger on the same test rows, answered afresh.

Rows that either has trained on are left out: if test is carved out of growing data, or sources are replaced, the
champion may have seen the answers.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eibert import judge as measures
from eibert import paired
from eibert.corpus import Split, TaskSpec
from eibert.errors import BundleError, EibertError
from eibert.judge import Array, Gate
from eibert.matching import HeldOut
from eibert.params.judge import JudgeParams
from eibert.runtime.model import Model, Text
from eibert.scores import predicted, score
from tasks import packing

_COMPARED = ("metric", "classes", "latency")
"""Gates that need the champion's answers."""


@dataclass(frozen=True)
class Champion:
    """The version in service.

    Attributes:
        number: Its number in the registry.
        folder: Its files, as `packing.pack` wrote them.
        problem: Why they cannot be used; empty if they can.
    """

    number: int
    folder: Path
    problem: str = ""


@dataclass(frozen=True)
class Challenger:
    """The candidate in a workspace.

    Attributes:
        model: Its bundle, loaded.
        spec: Its task.
        test: The rows to judge on.
        seen: The rows it was trained on or selected by.
        logits: Its outputs on all of test, float32 (N, C).
    """

    model: Model
    spec: TaskSpec
    test: Split
    seen: HeldOut
    logits: Array


def against(
    challenger: Challenger, champion: Champion | None, params: JudgeParams, seed: int
) -> tuple[list[Gate], dict[str, float]]:
    """Returns the gates on the comparable rows and on the champion, and the figures behind them."""
    spec, test, logits = challenger.spec, challenger.test, challenger.logits
    used, model, seen = _loaded(champion)
    unseen = np.array([not (challenger.seen.has(*row) or seen.has(*row)) for row in test.pairs], bool)
    figures = {"rows": float(unseen.sum()), "rows_left_out": float((~unseen).sum())}
    task, shared = _task(spec, model, challenger.model) if model else (None, None)
    held = unseen if shared is None or spec.regression else unseen & np.isin(test.targets, shared)
    rows = measures.rows(
        int(held.sum()), _which(challenger, seen, unseen, held), params,
        metric=None if shared is None else spec.metric,
    )  # fmt: skip
    if unseen.any():
        figures["challenger"] = score(spec.metric, logits[unseen], test.targets[unseen])
    if model is None or shared is None:
        why = "no champion yet" if champion is None else "the champion cannot answer these rows"
        missing = () if task else ("task",)
        return [rows, used, *filter(None, [task]), *(_not_applicable(n, why) for n in (*missing, *_COMPARED))], figures
    assert task is not None
    if not held.any():
        return [rows, used, task, *(_not_applicable(name, "no rows to compare") for name in _COMPARED)], figures
    chosen = test.take(np.flatnonzero(held))
    new, old = (
        _padded(spec, logits[held], spec.labels),
        _padded(spec, model.logits(chosen.inputs), model.bundle.labels),
    )
    metric, difference = measures.non_inferiority(spec.metric, new, old, chosen.targets, params, seed)
    classes, counts = _classes(spec, new, old, chosen.targets, params)
    ratios, medians = _side_by_side(challenger.model, model, chosen.inputs[: params.latency_rows], params.warmup_rows)
    figures |= counts | medians | {
        "rows_compared": float(held.sum()), "challenger": score(spec.metric, new, chosen.targets, of_targets=True),
        "champion": score(spec.metric, old, chosen.targets, of_targets=True), "difference": difference.difference,
        "low": difference.low, "high": difference.high,
    }  # fmt: skip
    return [rows, used, task, metric, classes, measures.latency(ratios, params)], figures


def _not_applicable(name: str, why: str) -> Gate:
    return Gate(name, None, None, passed=None, note=why)


def _loaded(champion: Champion | None) -> tuple[Gate, Model | None, HeldOut]:
    """Returns the gate on whether the champion is usable, the champion, and the rows it has seen."""
    if champion is None:
        return _not_applicable("champion", "none yet: this would be the first version"), None, HeldOut()
    try:
        if champion.problem:
            raise BundleError(champion.problem)
        model, seen = Model.load(champion.folder / packing.BUNDLE), packing.read_seen(champion.folder)
    except EibertError as error:
        return Gate("champion", None, None, passed=False, note=f"cannot be used: {error}"), None, HeldOut()
    return Gate("champion", None, None, passed=True, note=f"version {champion.number}, as registered"), model, seen


def _which(challenger: Challenger, seen: HeldOut, unseen: Array, held: Array) -> str:
    """Describes which test rows count, and why the others do not."""
    test, learnt = challenger.test, {"challenger": challenger.seen, "champion": seen}
    left = [
        f"{known} that the {name} was trained or tuned on"
        for name, rows in learnt.items()
        if (known := sum(rows.has(*row) for row in test.pairs))
    ]
    if added := int((unseen & ~held).sum()):
        left.append(f"{added} with labels unknown to the champion")
    return f"{int(held.sum()):,} of {len(test):,} test rows" + (f"; left out: {', '.join(left)}" if left else "")


def _task(spec: TaskSpec, champion: Model, challenger: Model) -> tuple[Gate, list[int] | None]:
    """Returns the gate on whether the tasks match, and the classes both know; None if the tasks differ in kind."""
    old, new = champion.bundle, challenger.bundle
    for what, before, now in (("a pair task", old.pair, spec.pair), ("a regression", not old.labels, spec.regression)):
        if before != now:
            kinds = f"the champion's task {'is' if before else 'is not'} {what}, this one {'is' if now else 'is not'}"
            return Gate("task", None, None, passed=False, note=kinds), None
    gone, added = sorted(set(old.labels) - set(new.labels)), sorted(set(new.labels) - set(old.labels))
    notes = [f"{word} {', '.join(labels)}" for word, labels in (("removed:", gone), ("new:", added)) if labels]
    if old.metric != spec.metric:
        notes.append(f"both scored by {spec.metric} here, though the champion was judged by {old.metric}")
    shared = [index for index, label in enumerate(spec.labels) if label in old.labels]
    return Gate("task", None, None, not gone, "; ".join(notes) or "same task and labels"), shared


def _padded(spec: TaskSpec, logits: Array, labels: Sequence[str]) -> Array:
    """Returns logits in the order of the task's labels, plus one column for all labels the task does not have."""
    if spec.regression:
        return logits
    columns = np.full((len(logits), len(spec.labels) + 1), -np.inf, np.float32)
    for index, label in enumerate(labels):
        at = spec.labels.index(label) if label in spec.labels else -1
        columns[:, at] = np.maximum(columns[:, at], logits[:, index])
    return columns


def _classes(
    spec: TaskSpec, new: Array, old: Array, targets: Array, params: JudgeParams
) -> tuple[Gate, dict[str, float]]:
    if spec.regression:
        return _not_applicable("classes", "not defined for a regression"), {}
    said, before = predicted(new, regression=False), predicted(old, regression=False)
    gained, lost = paired.changed(said, before, targets)
    counts = {"gained": float(gained), "lost": float(lost), "mcnemar_p": paired.mcnemar(gained, lost)}
    return measures.class_floor(spec.labels, said, before, targets, params), counts


def _side_by_side(
    challenger: Model, champion: Model, texts: Sequence[Text], warmup_rows: int
) -> tuple[list[float], dict[str, float]]:
    """Returns the latency ratio of each row, and both medians in ms; the models alternate in going first."""
    for index in range(warmup_rows):
        for model in (challenger, champion):
            model.predict([texts[index % len(texts)]])
    seconds: dict[str, list[float]] = {"challenger": [], "champion": []}
    order = [("challenger", challenger), ("champion", champion)]
    for text in texts:
        order.reverse()
        for name, model in order:
            start = time.perf_counter()
            model.predict([text])
            seconds[name].append(time.perf_counter() - start)
    ratios = [new / old for new, old in zip(seconds["challenger"], seconds["champion"], strict=True)]
    return ratios, {f"{name}_ms": float(np.median(found)) * 1000 for name, found in seconds.items()}
