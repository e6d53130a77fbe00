"""Interleaved timing of several models, so that other load on the machine affects all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def medians_ms(
    answers: Mapping[str, Callable[[Any], object]], inputs: Sequence[Any], *, rounds: int
) -> dict[str, float]:
    """Returns the median time per call in ms, by name.

    Args:
        answers: Name → function that answers one input.
        inputs: Given to all functions in turn; each function first answers the first one untimed, as a warm-up.
        rounds: Timed calls of each function.
    """
    for answer in answers.values():
        answer(inputs[0])
    names = list(answers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        given = inputs[turn % len(inputs)]
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]  # rotates, so that none always follows the same one
            start = time.perf_counter()
            answers[name](given)
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(found)) * 1000 for name, found in seconds.items()}
