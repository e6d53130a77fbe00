"""Many scheduled retrainings of a tiny model, some of them broken on purpose; what must hold is looked at all the time.

    PYTHONPATH=. python benchmarks/soak.py --count 200 --failures 0.1

Each night the data is as it was, better, worse or poisoned, and `eibert retrain` runs in a process of its own (a fork
of one that has imported everything) against one Prefect server. Broken nights: a stage crashes, the retraining is
killed with what it started, MLflow is not there, or the disk is full (no file may grow beyond 24 kB). The model is the
tests' learner, which takes a moment to learn, so that it is the machinery that is tried. Looked at: nothing worse is
ever put in service; every fiftieth of a second one version exactly is; no flow run is left running; the disk does not
fill. After ten nights the records of Prefect and MLflow are made ten days older, so that there is what to collect.
Prints one line a night, then one JSON object.
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
from typing import Any

import forks
from forks import Command

from eibert.runtime.model import Model
from flows import environment
from flows.workspace import Workspace, set_params
from tests import learner
from tests.flows.warm import warm_stages
from tests.toy import letters_and, random_teacher

PROJECT = Path(__file__).resolve().parents[1]
WAYS = ("crash", "kill", "no MLflow", "full disk")
LIMIT_BYTES = 24_000
DAYS = 10
"""Of so many nights: then all that MLflow and Prefect have written is made as much older, and each night was one."""
VACUUM = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 86400),
}
"""An hour, a day and 90 days in earnest: in the minutes of a soak the server's vacuum would not come round."""
SETTINGS = [
    "retention.versions=5",
    "retention.days=0",
    "retention.runs_days=30",
    "retention.retrainings=50",
    "judge.margin=0.02",
]


class Data:
    """The rows of each night, and the truth about them."""

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
        """New rows with true labels."""
        found = learner.texts(words, count, seed=self.chance.randrange(10**5), words=3, without=self.used)
        self.used |= set(found)
        return learner.labelled(found)

    def night(self) -> str:
        """Changes the rows of train; returns how."""
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
        """Share of right answers on rows that no model ever saw."""
        found = Model.load(bundle).predict(self.held_out)
        return sum(one.label == learner.label_of(text) for one, text in zip(found, self.held_out, strict=True)) / 300


class Watch(threading.Thread):
    """Looks into the registry's database at short intervals: how many versions are in service?"""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database = database
        self.looks, self.without = 0, 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Looks until it is told to end; before the first promotion nothing is expected."""
        begun = False
        while not self.ended.wait(0.02):
            try:
                with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5) as store:
                    query = "select count(*) from registered_model_aliases where alias = 'champion'"
                    [(count,)] = store.execute(query).fetchall()
            except sqlite3.Error:  # not made yet
                continue
            begun = begun or count == 1
            self.looks += begun
            self.without += begun and count != 1


def retrain(place: Workspace, commands: Path, way: str, seconds: float) -> tuple[int, dict[str, Any], float]:
    """Runs one retraining, disturbed in a way or not (""), and returns its exit code, its answer and its time."""
    (place.folder / learner.CRASH).touch() if way == "crash" else (place.folder / learner.CRASH).unlink(missing_ok=True)
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


def in_service(place: Workspace, data: Data) -> tuple[int | None, float]:
    """Returns the version in service, whose files are checked on the way, and its share of right answers."""
    from tasks import packing, registry

    champion = registry.champion(place.root, place.name)
    if champion is None:
        return None, 0.0
    with tempfile.TemporaryDirectory() as folder:
        files = registry.fetch(place.root, place.name, champion.number, Path(folder))
        return champion.number, data.score(files / packing.BUNDLE)


def grow_older(root: Path, days: int) -> None:
    """Moves every date in the databases of Prefect and MLflow back, as if the days had passed."""
    with contextlib.closing(sqlite3.connect(root / ".prefect" / "prefect.db", timeout=60)) as store, store:
        tables = [name for (name,) in store.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            columns = [row[1] for row in store.execute(f"pragma table_info({table})") if row[2] == "DATETIME"]
            for column in {*columns} - {"total_run_time"}:  # a length of time, kept as a date
                moved = f"datetime(substr({column}, 1, 19), '-{days} days') || substr({column}, 20)"
                store.execute(f"update {table} set {column} = {moved} where {column} is not null")
    with contextlib.closing(sqlite3.connect(root / "mlflow.db", timeout=60)) as store, store:
        passed = days * 86_400_000
        for column in ("start_time", "end_time", "deleted_time"):
            store.execute(f"update runs set {column} = {column} - ?", (passed,))


def size_bytes(root: Path) -> dict[str, int]:
    """Returns the bytes of the repository's parts."""
    parts = {
        "cache": ".dvc/cache",
        "versions": "mlartifacts",
        "MLflow": "mlflow.db",
        "Prefect": ".prefect",
        "trail": "trail",
    }
    found = {}
    for name, part in parts.items():
        paths = [root / part] if (root / part).is_file() else (root / part).rglob("*")
        found[name] = sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())
    return found


def soak(place: Workspace, commands: Path, count: int, failures: float, seed: int) -> dict[str, Any]:
    """Returns what was seen over so many nights."""
    from flows.flow_runs import sweep
    from flows.promote import recover

    chance, root = random.Random(seed), place.root
    data = Data(place.folder / "rows", chance)
    watch = Watch(root / "mlflow.db")
    watch.start()
    outcomes: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    wrong, sizes, usual, before = [], [], 10.0, (None, 0.0)
    for night in range(count):
        kind = data.night() if night else "better"
        way = chance.choice(WAYS) if night and chance.random() < failures else ""
        code, answer, took = retrain(place, commands, way, chance.uniform(1.0, usual))
        usual = usual if way else 0.5 * (usual + took)
        recover(place)  # what the next command does first
        after = in_service(place, data)
        outcome = answer.get("outcome", "error" if answer else f"exit {code}")
        outcomes[outcome] += 1
        ways.update([way] if way else [])
        worse = before[0] is not None and after[1] < before[1] - 0.05
        if (after[0] is None and night) or worse or (kind == "poisoned" and after[0] != before[0]):
            wrong.append({"night": night, "data": kind, "way": way, "before": before, "after": after})
        before = after
        if night % DAYS == DAYS - 1:
            sizes.append(size_bytes(root))
            grow_older(root, DAYS)
        print(f"{night:>4} {kind:<9}{way:<10}{outcome:<10} version {after[0]} {after[1]:.3f} {took:.1f} s", flush=True)
    watch.ended.set()
    watch.join()
    sweep()
    return {
        "nights": count, "outcomes": dict(outcomes), "disturbed": dict(ways), "wrong": wrong, "looks": watch.looks,
        "looks_without_one_champion": watch.without, "unfinished_flow_runs": unfinished(), f"bytes_every_{DAYS}": sizes,
    }  # fmt: skip


def unfinished() -> int:
    """Returns how many flow runs say that they are still running or about to."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return sum(not run.state.is_final() for run in client.read_flow_runs(limit=200) if run.state is not None)


def main() -> None:
    """Runs the benchmark of this process's arguments."""
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
        from flows.server import free_port, server

        forks.begin()
        with warm_stages(Path(short), PROJECT, "tests.learner") as commands, server(free_port()):
            found = soak(place, commands, wanted.count, wanted.failures, wanted.seed)
    print(json.dumps(found, indent=2))
    sys.exit(bool(found["wrong"] or found["looks_without_one_champion"] or found["unfinished_flow_runs"]))


if __name__ == "__main__":
    main()
