"""Times of several ways to answer, measured in turns, so that what else the machine does falls on all alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def medians_ms(
    answers: Mapping[str, Callable[[Any], object]], inputs: Sequence[Any], *, rounds: int
) -> dict[str, float]:
    """Returns the median time of one answer in ms by name.

    Args:
        answers: Name → what answers one input.
        inputs: Given one after the other to all of them; each answers the first once before anything is timed.
        rounds: Turns of each.
    """
    for answer in answers.values():
        answer(inputs[0])
    names = list(answers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        given = inputs[turn % len(inputs)]
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]  # nobody always follows the same one
            start = time.perf_counter()
            answers[name](given)
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(found)) * 1000 for name, found in seconds.items()}
