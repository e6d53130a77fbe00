"""Wherever a promotion is killed, one champion, old or new, is in service; the next call finishes or undoes it."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
BEFORE = {"first": [], "second": [1], "undo": [1], "finish": [2], "rollback": [2]}
AFTER = {"first": [1], "second": [2], "undo": [1], "finish": [2], "rollback": [1]}
EVENTS = {
    "first": [["promoted", 1]],
    "second": [["promoted", 1], ["promoted", 2]],
    "undo": [["promoted", 1]],
    "finish": [["promoted", 1], ["promoted", 2]],
    "rollback": [["promoted", 1], ["promoted", 2], ["rolled back", 1]],
}

Kill = dict[str, Any]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory, database: Path) -> dict[str, list[Kill]]:
    """Scenario → outcome of each kill."""
    script = Path(__file__).with_name("kills.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path_factory.mktemp("kills")), str(database)],
        env=environment | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, list[Kill]] = {name: [] for name in BEFORE}
    for line in done.stdout.splitlines():
        kill = json.loads(line)
        found[kill["scenario"]].append(kill)
    return found


def told(kill: Kill) -> str:
    return f"killed before {kill['line']}"


@pytest.mark.parametrize("scenario", BEFORE)
def test_every_line_was_tried(scenario: str, kills: dict[str, list[Kill]]) -> None:
    tried = kills[scenario]
    assert all(kill["killed"] for kill in tried)
    assert len(tried) == len({kill["line"] for kill in tried}) >= (5 if scenario in {"undo", "finish"} else 20)


@pytest.mark.parametrize("scenario", BEFORE)
def test_a_kill_leaves_the_old_champion_or_the_new_one(scenario: str, kills: dict[str, list[Kill]]) -> None:
    moments = [kill["left"]["champions"] for kill in kills[scenario]]
    assert {tuple(moment) for moment in moments} == {tuple(BEFORE[scenario]), tuple(AFTER[scenario])}
    # The old champion up to the commit point, the new one from there on.
    changes = sum(one != other for one, other in pairwise(moments))
    assert changes == (BEFORE[scenario] != AFTER[scenario])


@pytest.mark.parametrize("scenario", BEFORE)
def test_the_next_call_finishes_or_undoes(scenario: str, kills: dict[str, list[Kill]]) -> None:
    for kill in kills[scenario]:
        left, after, whole = kill["left"], kill["after"], kill["whole"]
        assert after["champions"] == left["champions"], told(kill)
        assert after["journal"] is False, told(kill)
        if after["champions"] == AFTER[scenario]:
            assert after == whole, told(kill)
        else:
            assert after["trail"] == EVENTS[scenario][:-1], told(kill)
            assert after["stored"] == len(after["versions"]) == max(BEFORE[scenario], default=0), told(kill)
            assert after["challengers"] == BEFORE[scenario], told(kill)


@pytest.mark.parametrize("scenario", BEFORE)
def test_what_is_settled_is_settled_once(scenario: str, kills: dict[str, list[Kill]]) -> None:
    assert {kill["again"] for kill in kills[scenario]} == {""}
    assert kills[scenario][0]["whole"]["trail"] == EVENTS[scenario]
    for kill in kills[scenario]:
        assert bool(kill["told"]) == kill["left"]["journal"], told(kill)
