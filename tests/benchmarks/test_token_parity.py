"""The token comparison has three sides, and detects a difference on any of them."""

import json
import subprocess
from typing import Any

import pytest

from eibert.runtime.tokenizer import SPECIALS

TOKENS = [*SPECIALS, "good", "bad"]
READING = (True, None, 5)
LINES = ["good bad good bad", ["good bad good", "bad bad"]]
RIGHT = [[[2, 5, 6, 5, 3], [0] * 5], [[2, 5, 3, 6, 3], [0, 0, 0, 1, 1]]]


def answer(monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> None:
    """Replaces Node's answers."""
    said = "".join(f"{json.dumps(each)}\n" for each in answers)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, said))


def test_three_sides_that_agree_differ_nowhere(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script = benchmark("token_parity")
    answer(monkeypatch, RIGHT)
    assert script.differences(TOKENS, LINES, script.Reading(*READING))[0] == []


def test_typescript_that_differs_is_seen(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script = benchmark("token_parity")
    answer(monkeypatch, [RIGHT[0], RIGHT[0]])
    (found,) = script.differences(TOKENS, LINES, script.Reading(*READING))[0]
    assert (found["line"], found["python"], found["typescript"]) == (LINES[1], RIGHT[1], RIGHT[0])


def test_run_time_half_that_cuts_otherwise_is_seen(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script = benchmark("token_parity")
    answer(monkeypatch, RIGHT)
    monkeypatch.setattr("eibert.runtime.tokenizer.kept", lambda *counts: (0, counts[2]))
    (found,) = script.differences(TOKENS, LINES, script.Reading(*READING))[0]
    assert (found["expected"], found["typescript"]) == (RIGHT[1], RIGHT[1])
    assert found["python"] == [[2, 3, 6, 6, 3], [0, 0, 1, 1, 1]]
