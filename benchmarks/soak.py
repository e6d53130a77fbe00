"""Soak test: many scheduled retrainings of a tiny model, some broken on purpose, with invariants checked throughout.

    PYTHONPATH=. python benchmarks/soak.py --count 200 --failures 0.1

Each night the data is unchanged, better, worse or poisoned, and `eibert retrain` runs in its own process (a fork of a
preloaded one) against one Prefect server. After every ten nights, everything that Prefect, MLflow and the history have
written is backdated by ten days, so that there is something to collect; then a real `eibert schedule` starts, catches
up once on the days it missed, and serves its deployment for one more night. On broken nights a stage crashes, the
retraining is killed with its children (under the schedule it alone is killed, and the schedule reports it), MLflow is
down, or the disk is full (no file may grow beyond 24 kB). The model is the tests' learner, which trains in a moment, so
that the machinery is what is tested. Invariants: no worse model is ever put in service; exactly one version is in
service, polled every 20 ms; no flow run is left running after an unbroken night; the disk does not fill up. Prints one
line per night, then a JSON object.
"""

import argparse
import contextlib
import json
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import forks
from forks import Command
from records import grow_older, size_bytes

from eibert.runtime.model import Model
from flows import environment, history
from flows.workspace import Workspace, set_params
from tests import learner
from tests.flows.warm import warm_stages
from tests.toy import letters_and, random_teacher

if TYPE_CHECKING:
    from schedules import Schedule

PROJECT = Path(__file__).resolve().parents[1]
WAYS = ("crash", "kill", "no MLflow", "full disk")
LIMIT_BYTES = 24_000
DAYS = 10
"""After this many nights, everything written is backdated by as many days, so that each night counts as a day."""
VACUUM = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 86400),
}
"""In production an hour, a day and 90 days; in the minutes of a soak test the server's vacuum would never run."""
SETTINGS = [
    "retention.versions=5",
    "retention.days=0",
    "retention.runs_days=30",
    "retention.retrainings=50",
    "judge.margin=0.02",
]


class Data:
    """The rows of each night, and their true labels."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.held_out = learner.texts(learner.WORDS, 300, seed=10**6, words=2)
        test = learner.texts(learner.WORDS, 240, seed=10**6 + 1, words=2, without=self.held_out)
        dev = learner.texts(learner.WORDS, 60, seed=10**6 + 2, words=2, without={*self.held_out, *test})
        self.used = {*self.held_out, *test, *dev}
        self.good = self.rows(learner.WORDS[:42], 120)
        learner.write_rows(folder, train=self.good, dev=learner.labelled(dev), test=learner.labelled(test))

    def rows(self, words: tuple[str, ...], count: int) -> list[tuple[str, str]]:
        """Returns new rows with true labels."""
        found = learner.texts(words, count, seed=self.chance.randrange(10**5), words=3, without=self.used)
        self.used |= set(found)
        return learner.labelled(found)

    def night(self) -> str:
        """Changes the training rows; returns in which way."""
        kind = self.chance.choices(["same", "better", "worse", "poisoned"], [3, 4, 2, 2])[0]
        train = self.good
        if kind == "better":
            seen = self.chance.randrange(42, len(learner.WORDS) + 1)
            self.good = train = [*self.good[-240:], *self.rows(learner.WORDS[:seen], 60)]
        elif kind == "worse":
            gone = set(self.chance.sample(learner.WORDS, 20))
            train = [row for row in self.good if not set(row[0].split()) & gone]
        elif kind == "poisoned":
            fresh = self.rows(learner.WORDS[:42], 60)
            train = [
                *self.good,
                *((text, learner.LABELS[(learner.LABELS.index(label) + 1) % 3]) for text, label in fresh),
            ]
        learner.write_rows(self.folder, train=train)
        return kind

    def score(self, bundle: Path) -> float:
        """Returns the accuracy on rows that no model ever saw."""
        found = Model.load(bundle).predict(self.held_out)
        return sum(one.label == learner.label_of(text) for one, text in zip(found, self.held_out, strict=True)) / 300


class Watch(threading.Thread):
    """Polls the registry's database for the number of versions in service."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database = database
        self.looks, self.without = 0, 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Polls until `ended` is set; nothing is expected before the first promotion."""
        begun = False
        while not self.ended.wait(0.02):
            try:
                with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5) as store:
                    query = "select count(*) from registered_model_aliases where alias = 'champion'"
                    [(count,)] = store.execute(query).fetchall()
            except sqlite3.Error:  # not created yet
                continue
            begun = begun or count == 1
            self.looks += begun
            self.without += begun and count != 1


def crash_if(place: Workspace, way: str) -> None:
    """Makes a stage crash if that is the way to fail, else removes an earlier crash."""
    crash = place.folder / learner.CRASH
    crash.touch() if way == "crash" else crash.unlink(missing_ok=True)


def retrain(place: Workspace, commands: Path, way: str, seconds: float) -> tuple[int, dict[str, Any], float]:
    """Runs one retraining, disturbed or not (""), and returns its exit code, its JSON answer and its seconds."""
    crash_if(place, way)
    started = time.monotonic()
    command = Command(
        ["retrain", "-C", str(place.folder), "--json"], place.root, commands,
        variables={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"} if way == "no MLflow" else None,
        most_bytes=LIMIT_BYTES if way == "full disk" else None,
    )  # fmt: skip
    answer, complaint = command.communicate(seconds if way == "kill" else 600)
    with (place.root / "soak.log").open("a") as log:
        log.write(complaint)
    try:
        found = json.loads(answer)
    except ValueError:
        found = {}
    return command.returncode, found, time.monotonic() - started


def retrained(schedule: "Schedule", commands: Path, how: str, way: str, seconds: float) -> tuple[str, float]:
    """Runs one retraining, by command or schedule, disturbed or not; returns its outcome and its seconds."""
    if how == "command":
        schedule.close()
        code, answer, took = retrain(schedule.place, commands, way, seconds)
        return answer.get("outcome", "error" if answer else f"exit {code}"), took
    crash_if(schedule.place, way)
    before = history.read(schedule.place)
    schedule.begin()
    if how == "deployment":
        schedule.ask()
    found, took = schedule.retrained(before, seconds if way == "kill" else None)
    return found.outcome.value, took


def through(night: int) -> str:
    """Returns what triggers a night's retraining."""
    if night < DAYS:
        return "command"
    return {0: "catch-up", 1: "deployment"}.get(night % DAYS, "command")


def in_service(place: Workspace, data: Data) -> tuple[int | None, float]:
    """Returns the version in service, after verifying its files, and its accuracy."""
    from tasks import packing, registry

    champion = registry.champion(place.root, place.name)
    if champion is None:
        return None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        files = registry.fetch(place.root, place.name, champion.number, Path(folder))
        return champion.number, data.score(files / packing.BUNDLE)


def soak(schedule: "Schedule", commands: Path, count: int, failures: float, seed: int) -> dict[str, Any]:
    """Returns the observations over `count` nights of the schedule's workspace."""
    from schedules import unfinished

    from flows.promote import recover

    chance, place = random.Random(seed), schedule.place
    root = place.root
    data = Data(place.folder / "rows", chance)
    watch = Watch(root / "mlflow.db")
    watch.start()
    outcomes: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    throughs: Counter[str] = Counter()
    wrong, sizes, left, usual, before = [], [], 0, 10.0, (None, 0.0)
    for night in range(count):
        kind = data.night() if night else "better"
        how = through(night)
        ways_here = WAYS if how == "command" else WAYS[:2]
        broken = 0 < night < count - 1 and chance.random() < failures  # nothing would clean up after the last
        way = chance.choice(ways_here) if broken else ""
        outcome, took = retrained(schedule, commands, how, way, chance.uniform(1.0, usual))
        usual = usual if way or how != "command" else 0.5 * (usual + took)
        left = max(left, 0 if way else unfinished())
        recover(place)  # as the next command would do first
        after = in_service(place, data)
        outcomes[outcome] += 1
        throughs[how] += 1
        ways.update([way] if way else [])
        worse = before[0] is not None and after[1] < before[1] - 0.05
        if (after[0] is None and night) or worse or (kind == "poisoned" and after[0] != before[0]):
            wrong.append({"night": night, "data": kind, "way": way, "before": before, "after": after})
        before = after
        if night % DAYS == DAYS - 1:
            sizes.append(size_bytes(root))
            grow_older(root, DAYS)
        said = f"{night:>4} {kind:<9}{how:<11}{way:<10}{outcome:<10} version {after[0]} {after[1]:.3f} {took:.1f} s"
        print(said, flush=True)
    watch.ended.set()
    watch.join()
    return {
        "nights": count, "through": dict(throughs), "outcomes": dict(outcomes), "disturbed": dict(ways), "wrong": wrong,
        "looks": watch.looks, "looks_without_one_champion": watch.without, "unfinished_flow_runs": left,
        f"bytes_every_{DAYS}": sizes,
    }  # fmt: skip


def main() -> None:
    """Runs the benchmark with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--failures", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=17)
    wanted = parser.parse_args()
    os.environ.update(VACUUM)
    os.environ["PYTHONPATH"] = str(PROJECT)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as short:
        root = Path(scratch, "root")
        os.environ["DVC_SITE_CACHE_DIR"] = str(Path(scratch, "dvc"))
        [place] = learner.make_repository(root, random_teacher(Path(scratch, "teacher"), letters_and()), "models/w")
        set_params(place.folder, SETTINGS)
        environment.prepare(root)
        from schedules import Schedule

        from flows.server import free_port, server

        forks.begin()
        with warm_stages(Path(short), PROJECT, "tests.learner") as commands, server(free_port()):
            graph = place.folder / "dvc.yaml"  # also for processes that are not forks
            graph.write_text(graph.read_text().replace("cmd: eibert", f"cmd: {commands}/eibert"))
            with contextlib.closing(Schedule(place, root / "soak.log")) as schedule:
                found = soak(schedule, commands, wanted.count, wanted.failures, wanted.seed)
    print(json.dumps(found, indent=2))
    sys.exit(bool(found["wrong"] or found["looks_without_one_champion"] or found["unfinished_flow_runs"]))


if __name__ == "__main__":
    main()
