"""Repeatedly starts two `eibert run` at once in one repository: both must succeed and leave everything sound.

    PYTHONPATH=. python benchmarks/two_runs.py --repetitions 20

Works in a scratch copy of the project with two tiny models. Both runs go through the whole pipeline, each with a fresh
seed, so both build a bundle, append to the trail and sign. Odd repetitions run twice in one workspace, even ones in
two. Afterwards the trail must be sound and have exactly one new record per run, of the bundle it built, and `eibert
verify --all` must pass in both workspaces. Commands and stages are forks of preloaded processes and share one Prefect
server. Prints one line per repetition, then a JSON object.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import forks
from tiny import Copy, make

from eibert import trail
from flows import environment
from tasks import keys
from tests.flows.warm import warm_stages

MODELS = ("models/a", "models/b")
FIRST_SEED = 1000


@dataclass(frozen=True)
class Repetition:
    """Outcome of two concurrent runs.

    Attributes:
        one_workspace: Both ran in the same workspace.
        exit_codes: Their exit codes.
        warned: One of them gave a warning.
        waited: One of them said that it waits for the other.
        recorded: The trail is sound and has exactly one new record per run.
        sound: `eibert verify --all` passed.
        seconds: Time until both had ended.
    """

    one_workspace: bool
    exit_codes: tuple[int, ...]
    warned: bool
    waited: bool
    recorded: bool
    sound: bool
    seconds: float

    @property
    def well(self) -> bool:
        """Whether both succeeded, nothing was lost, and a run that had to wait said so."""
        said = self.waited or not self.one_workspace
        return not any(self.exit_codes) and not self.warned and said and self.recorded and self.sound


def repeat(copy: Copy, number: int) -> Repetition:
    """Starts two runs at once and returns their outcome."""
    models = (MODELS[0], MODELS[0] if number % 2 else MODELS[1])
    seeds = (FIRST_SEED + 2 * number, FIRST_SEED + 2 * number + 1)
    before = len(trail.read(copy.root / keys.TRAIL))
    started = time.monotonic()
    runs = [copy.start("run", "-C", model, "--set", f"seed={seed}") for model, seed in zip(models, seeds, strict=True)]
    said = [run.communicate()[1] for run in runs]
    seconds = time.monotonic() - started
    recorded = not keys.check_trail(copy.root) and _recorded(copy, before) == sorted(zip(models, seeds, strict=True))
    found = Repetition(
        one_workspace=models[0] == models[1],
        exit_codes=tuple(run.returncode for run in runs),
        warned=any("warning: " in text for text in said),
        waited=any("waits for process" in text for text in said),
        recorded=recorded,
        sound=all(copy.is_sound(model) for model in MODELS if (copy.root / model / "dvc.lock").is_file()),
        seconds=round(seconds, 1),
    )
    if not found.well:
        print(*said, *keys.check_trail(copy.root), _recorded(copy, before), sep="\n--\n", file=sys.stderr)
    return found


def _recorded(copy: Copy, before: int) -> list[tuple[str, int]]:
    """Returns workspace and seed of each record after the first `before`."""
    later = [record.body for record in trail.read(copy.root / keys.TRAIL)[before:]]
    return sorted((body["folder"], body["stages"]["ingest"]["params"]["seed"]) for body in later)


def main() -> None:
    """Runs the benchmark with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    wanted = parser.parse_args().repetitions
    with contextlib.ExitStack() as stack:
        folder, short = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        copy = make(folder / "root", MODELS)
        Copy.stages = stack.enter_context(warm_stages(short, copy.root))
        environment.prepare(folder)
        from flows.server import free_port, server

        stack.enter_context(server(free_port()))
        forks.begin()
        found = []
        for number in range(wanted):
            found.append(repeat(copy, number))
            print("well" if found[-1].well else "NOT WELL", asdict(found[-1]), flush=True)
    well = sum(one.well for one in found)
    print(json.dumps({"repetitions": wanted, "ended_well": well, "most_seconds": max(one.seconds for one in found)}))
    sys.exit(well < wanted)


if __name__ == "__main__":
    main()
