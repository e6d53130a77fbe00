"""Disrupts runs at random moments in five ways; the next run must repair everything by itself.

    PYTHONPATH=. python benchmarks/chaos.py --kill 50 --terminate 10 --interrupt 10 --full-disk 10 --read-only 10

A tiny model in a scratch copy of the project is run once undisturbed. Each trial starts from scratch, is disturbed, and
is rerun without manual intervention: the rerun must succeed with the digests of the undisturbed run, and `eibert verify
--all` must pass before and after it; before, outputs that are not yet recorded or signed are allowed. Full disks and
read-only folders are mounts and need root on Linux. With --forks, commands and stages are forks of preloaded processes
and share one Prefect server, which receives no signals: five times as many trials per hour. Prints one line per trial,
then a JSON object.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import forks
import psutil
from tiny import MODEL, STAGES, Copy, make

from flows import environment
from tests.flows.warm import warm_stages

READ_ONLY = (f"{MODEL}/data", "trail", f"{MODEL}/.eibert", ".eibert", ".dvc", f"{MODEL}/logs")
"""Folders that a run writes to; the trials take them in turn."""


@dataclass(frozen=True)
class Trial:
    """One disturbed run: how, when or where, its exit code, whether it gave a one-line reason, and the aftermath."""

    way: str
    moment: str
    code: int
    told: bool
    sound: bool
    mended: bool
    same: bool

    @property
    def well(self) -> bool:
        """Whether nothing was lost and the run, unless killed, failed with a clear message."""
        return self.sound and self.mended and self.same and (self.way == "kill" or (self.told and self.code != 0))


class EndedBeforeError(Exception):
    """The run succeeded before it was disturbed: it was faster than expected, or the disk had room."""


@dataclass(frozen=True)
class Moment:
    """When or where to disturb a run.

    Attributes:
        number: Index of the trial within its way.
        seconds: Delay after the run's start.
        draw: Random generator for everything else.
    """

    number: int
    seconds: float
    draw: random.Random


def signalled(number: signal.Signals) -> Callable[[Copy, Moment], tuple[str, int, str]]:
    """Returns a disturbance that sends a signal at the given moment; SIGKILL goes to every process of the run."""

    def disturb(copy: Copy, moment: Moment) -> tuple[str, int, str]:
        process = copy.start("run", "-C", MODEL)
        until = time.monotonic() + moment.seconds
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if process.poll() == 0:
            said = process.communicate()[1]
            _check_whether_it_ended_well(copy, said)
            return f"{moment.seconds:.1f} s, ended", 0, said
        stage = _at_work(copy)
        stages = stages_at_work() if copy.stages else []
        for hit in [*stages, *(below(psutil.Process(process.pid)) if number is signal.SIGKILL else ())]:
            with contextlib.suppress(psutil.Error):
                hit.send_signal(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        said = process.communicate()[1]
        return f"{moment.seconds:.1f} s, {stage}", process.returncode, said

    return disturb


def stages_at_work() -> list[psutil.Process]:
    """Returns the forks in which stages run, and their descendants."""
    servers = [one for one in psutil.Process().children() if any(part.endswith("warm.py") for part in one.cmdline())]
    return [fork for server in servers for fork in below(server)]


def below(process: psutil.Process) -> list[psutil.Process]:
    """Returns all descendants of a process."""
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def full_disk(copy: Copy, moment: Moment) -> tuple[str, int, str]:
    """Runs on a disk with a random number of free bytes, fewer than a run needs."""
    left = moment.draw.randrange(copy.run_bytes)
    subprocess.run(["mount", "-o", f"remount,size={copy.size_bytes() + left}", str(copy.root)], check=True)
    code, said = copy.run()
    subprocess.run(["mount", "-o", "remount,size=2g", str(copy.root)], check=True)
    if code == 0:
        _check_whether_it_ended_well(copy, said)
    return f"{left:,} bytes left, {_at_work(copy)}", code, said


def read_only(copy: Copy, moment: Moment) -> tuple[str, int, str]:
    """Runs with a read-only folder, from a random stage on."""
    until = moment.draw.choice(STAGES[:-1])
    copy.run("--until", until)
    name = READ_ONLY[moment.number % len(READ_ONLY)]
    folder = copy.root / name
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    try:
        code, said = copy.run()
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    return f"{name}, after {until}", code, said


def _check_whether_it_ended_well(copy: Copy, said: str) -> None:
    """Accepts a successful run as a trial only if it warned or left something unrecorded.

    Raises:
        EndedBeforeError: the run really succeeded, so this was no trial.
    """
    if "warning: " not in said and copy.is_sound():
        raise EndedBeforeError(said)


WAYS = {
    "kill": signalled(signal.SIGKILL), "terminate": signalled(signal.SIGTERM), "interrupt": signalled(signal.SIGINT),
    "full-disk": full_disk, "read-only": read_only,
}  # fmt: skip


@contextlib.contextmanager
def fresh(template: Path, folder: Path) -> Iterator[Copy]:
    """Yields a copy of the template on a tmpfs of its own if it can be mounted, else in a plain folder."""
    root = folder / "trial"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(root)], capture_output=True)
    try:
        shutil.copytree(template, root, dirs_exist_ok=True, symlinks=True)
        yield Copy(root)
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(root)], check=True)
        shutil.rmtree(root, ignore_errors=True)


def attempt(way: str, copy: Copy, moment: Moment, expected: dict[str, str]) -> Trial:
    """Disturbs one run, reruns it, and returns the outcome."""
    told_moment, code, said = WAYS[way](copy, moment)
    last = (said.strip().splitlines() or [""])[-1]
    told = "Traceback" not in said and (last.startswith("error: ") or "interrupted" in last)
    sound = copy.is_sound(broken_off=True)
    again, complaint = copy.run()
    same = copy.digests() == expected
    trial = Trial(way, told_moment, code, told, sound, again == 0 and copy.is_sound(), same)
    if not trial.well:
        print(said, complaint, sep="\n--\n", file=sys.stderr)
    return trial


def undisturbed(copy: Copy) -> dict[str, str]:
    """Returns the digests after an undisturbed run."""
    code, said = copy.run()
    assert code == 0, said
    return copy.digests()


def _at_work(copy: Copy) -> str:
    logs = sorted((copy.root / MODEL / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1].stem if logs else "before the first stage"


def main() -> None:
    """Runs the trials requested on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for way in WAYS:
        parser.add_argument(f"--{way}", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--forks", action="store_true")
    wanted = vars(parser.parse_args())
    draw = random.Random(wanted["seed"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start with it ignored
    with contextlib.ExitStack() as stack:
        folder, short = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        template = make(folder / "template").root
        if wanted["forks"]:
            Copy.stages = stack.enter_context(warm_stages(short, template))
            environment.prepare(folder)
            from flows.server import free_port, server

            stack.enter_context(server(free_port()))
            forks.begin()
        with fresh(template, folder) as copy:
            expected = undisturbed(copy)
            if not wanted["forks"]:
                shutil.copytree(copy.root / ".prefect", template / ".prefect")  # Prefect takes 20 s to create it
        with fresh(template, folder) as copy:
            before, started = copy.size_bytes(), time.monotonic()
            assert undisturbed(copy) == expected
            whole, Copy.run_bytes = time.monotonic() - started, copy.size_bytes() - before
        trials = []
        for way in WAYS:
            count = wanted[way.replace("-", "_")]
            for number in range(count):
                seconds = whole * (number + draw.random()) / count
                trial = None
                while trial is None:
                    with fresh(template, folder) as copy, contextlib.suppress(EndedBeforeError):
                        trial = attempt(way, copy, Moment(number, seconds, draw), expected)
                    seconds *= 0.8
                print("well" if trial.well else "NOT WELL", asdict(trial), flush=True)
                trials.append(trial)
    counts = {way: [sum(t.well for t in trials if t.way == way), sum(t.way == way for t in trials)] for way in WAYS}
    print(json.dumps({"undisturbed_seconds": round(whole, 1), "well_of": counts}))
    sys.exit(any(not trial.well for trial in trials))


if __name__ == "__main__":
    main()
