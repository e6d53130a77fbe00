"""Ends runs at random moments in five ways; the next run must mend everything by itself.

    PYTHONPATH=. python benchmarks/chaos.py --kill 50 --terminate 10 --interrupt 10 --full-disk 10 --read-only 10

A tiny model in a scratch copy of the project is run once undisturbed. Each trial starts from nothing, is disturbed, and
is run again without a manual step: it must end well, with the same digests as the undisturbed run, and `eibert verify
--all` must find everything sound before and after; outputs not yet recorded or signed may lie there before. Full
disks and read-only folders are mounts and need root on Linux. With --forks commands and stages are forks of processes
that have imported everything, and Prefect's server is one for all, which no signal hits: five times as many trials in
an hour. Prints one line for each trial, at last one JSON object.
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
from forks import Command
from two_runs import COMMAND, copy_project, surroundings

from flows import environment
from tests.flows.warm import warm_stages
from tests.toy import letters_and, random_teacher

MODEL = "models/m"
STAGES = ("code", "ingest", "validate", "finetune", "pretrain", "prune", "distill", "quantize", "export", "evaluate")
UNFINISHED = ("dvc.lock does not record it", "neither signed nor in the trail")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("play", "stop", "the", "song", "call", "now")
TINY = {
    "teacher.model": '"../../teacher"', "teacher.sha256": "null", "validate.min_rows": "20", "finetune.epochs": "1",
    "finetune.max_tokens": "16", "pretrain.student.layers": "1", "pretrain.student.hidden": "12",
    "pretrain.student.heads": "3", "pretrain.student.feed_forward": "24", "pretrain.student.embedding": "8",
    "pretrain.student.positions": "32", "pretrain.epochs": "2", "pretrain.max_tokens": "16", "pretrain.texts_min": "0",
    "prune.keep": "70", "distill.epochs": "2", "distill.max_tokens": "16", "distill.variants": "50",
    "export.min_agreement": "0.5", "evaluate.static_dimensions": "[4]",
    "evaluate.rival_regularizations": "[1.0]",
}  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One disturbed run: how, when or where, its exit code, whether it said why in one line, and what came after."""

    way: str
    moment: str
    code: int
    told: bool
    sound: bool
    mended: bool
    same: bool

    @property
    def well(self) -> bool:
        """Whether nothing was lost, and a run that could speak said what was wrong."""
        return self.sound and self.mended and self.same and (self.way == "kill" or (self.told and self.code != 0))


class EndedBeforeError(Exception):
    """A run that was to be disturbed ended well: the machine was less busy than before, or the disk had room."""


class Copy:
    """A copy of the project with one tiny model that has not been run."""

    stages: Path | None = None
    """Where stages come from that are forks; None: they are processes of their own, as ever."""
    run_bytes = 0
    """What a whole run takes of the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def start(self, *arguments: str) -> "subprocess.Popen[str] | Command":
        """Starts a command of the copy's own code in a session of its own."""
        if self.stages:
            return Command(arguments, self.root, self.stages)
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.root, env=surroundings(self.root), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *options: str) -> tuple[int, str]:
        """Returns exit code and standard error of a run."""
        process = self.start("run", "-C", MODEL, *options)
        said = process.communicate()[1]
        return process.returncode, said

    def is_sound(self, *, broken_off: bool = False) -> bool:
        """Returns whether `eibert verify --all` finds nothing, telling what it finds.

        Args:
            broken_off: A run was: outputs that it did not come to record are no fault.
        """
        answer, complaint = self.start("verify", "-C", MODEL, "--all", "--json").communicate()
        verdict = json.loads(answer or '{"findings": [{"problem": "no answer"}]}')
        faults = [found for found in verdict["findings"] if not (broken_off and found["problem"] in UNFINISHED)]
        if faults:
            print(*faults, complaint, sep="\n", file=sys.stderr)
        return not faults

    def size_bytes(self) -> int:
        """Returns what the copy takes of the disk; DVC links files to its cache."""
        found = {status.st_ino: status.st_blocks for status in (path.lstat() for path in self.root.rglob("*"))}
        return 512 * sum(found.values())

    def digests(self) -> dict[str, str]:
        """Returns the SHA-256 of each stage's manifest, which names those of all its files."""
        from eibert.artifact import sha256

        data = self.root / MODEL / "data"
        paths = {stage: data / stage / "manifest.json" for stage in STAGES}
        return {stage: sha256(path) for stage, path in paths.items() if path.is_file()}


def make(root: Path) -> Copy:
    """Writes the copy, its teacher and its rows."""
    copy_project(root)
    random_teacher(root / "teacher", letters_and(WORDS))
    (root / "rows").mkdir()
    for place, (split, count) in enumerate({"train": 400, "dev": 60, "test": 60}.items()):
        texts = [
            f"{WORDS[n % 3]} the song {LETTERS[n // 26 % 26]}{LETTERS[n % 26]}{LETTERS[place]}" for n in range(count)
        ]
        rows = "".join(f"{text},{text.split()[0]}\n" for text in texts)
        (root / "rows" / f"{split}.csv").write_text(f"text,label\n{rows}")
    sets = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    command = [*COMMAND, "new", MODEL, "--data", "rows", *sets]
    subprocess.run(command, cwd=root, check=True, env=surroundings(root), stdout=subprocess.DEVNULL)
    return Copy(root)


def signalled(number: signal.Signals) -> Callable[[Copy, float, random.Random], tuple[str, int, str]]:
    """Returns what sends a signal after a share of the undisturbed run's seconds; SIGKILL goes to every process."""

    def disturb(copy: Copy, seconds: float, draw: random.Random) -> tuple[str, int, str]:  # noqa: ARG001
        process = copy.start("run", "-C", MODEL)
        until = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if process.poll() == 0:
            raise EndedBeforeError(process.communicate()[1])
        stage = _at_work(copy)
        stages = stages_at_work() if copy.stages else []
        for hit in [*stages, *(below(psutil.Process(process.pid)) if number is signal.SIGKILL else ())]:
            with contextlib.suppress(psutil.Error):
                hit.send_signal(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        said = process.communicate()[1]
        return f"{seconds:.1f} s, {stage}", process.returncode, said

    return disturb


def stages_at_work() -> list[psutil.Process]:
    """Returns the forks in which stages run, and all that they have started."""
    servers = [one for one in psutil.Process().children() if any(part.endswith("warm.py") for part in one.cmdline())]
    return [fork for server in servers for fork in below(server)]


def below(process: psutil.Process) -> list[psutil.Process]:
    """Returns all processes that a process has started, and they."""
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def full_disk(copy: Copy, seconds: float, draw: random.Random) -> tuple[str, int, str]:  # noqa: ARG001
    """Runs where the disk has fewer bytes left than a run takes, by a random number."""
    left = draw.randrange(copy.run_bytes)
    subprocess.run(["mount", "-o", f"remount,size={copy.size_bytes() + left}", str(copy.root)], check=True)
    code, said = copy.run()
    subprocess.run(["mount", "-o", "remount,size=2g", str(copy.root)], check=True)
    if code == 0:
        raise EndedBeforeError(said)  # it was space enough
    return f"{left:,} bytes left, {_at_work(copy)}", code, said


def read_only(copy: Copy, seconds: float, draw: random.Random) -> tuple[str, int, str]:  # noqa: ARG001
    """Runs with artifacts that cannot be written, from a random stage on."""
    until = draw.choice(STAGES[:-1])
    copy.run("--until", until)
    data = copy.root / MODEL / "data"
    subprocess.run(["mount", "--bind", str(data), str(data)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(data)], check=True)
    try:
        code, said = copy.run()
    finally:
        subprocess.run(["umount", str(data)], check=True)
    return f"after {until}", code, said


WAYS = {
    "kill": signalled(signal.SIGKILL), "terminate": signalled(signal.SIGTERM), "interrupt": signalled(signal.SIGINT),
    "full-disk": full_disk, "read-only": read_only,
}  # fmt: skip


@contextlib.contextmanager
def fresh(template: Path, folder: Path) -> Iterator[Copy]:
    """Yields a copy of the template on a disk of its own where that can be mounted, else in a folder."""
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


def attempt(way: str, copy: Copy, seconds: float, expected: dict[str, str], draw: random.Random) -> Trial:
    """Disturbs one run and returns what came of it."""
    moment, code, said = WAYS[way](copy, seconds, draw)
    last = (said.strip().splitlines() or [""])[-1]
    told = "Traceback" not in said and (last.startswith("error: ") or "interrupted" in last)
    sound = copy.is_sound(broken_off=True)
    again, complaint = copy.run()
    same = copy.digests() == expected
    trial = Trial(way, moment, code, told, sound, again == 0 and copy.is_sound(), same)
    if not trial.well:
        print(said, complaint, sep="\n--\n", file=sys.stderr)
    return trial


def undisturbed(copy: Copy) -> dict[str, str]:
    """Returns the digests that a run leaves which nothing disturbs."""
    code, said = copy.run()
    assert code == 0, said
    return copy.digests()


def _at_work(copy: Copy) -> str:
    logs = sorted((copy.root / MODEL / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    return logs[-1].stem if logs else "before the first stage"


def main() -> None:
    """Runs the trials of this process's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for way in WAYS:
        parser.add_argument(f"--{way}", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--forks", action="store_true")
    wanted = vars(parser.parse_args())
    draw = random.Random(wanted["seed"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
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
                shutil.copytree(copy.root / ".prefect", template / ".prefect")  # which takes Prefect 20 s to make
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
                        trial = attempt(way, copy, seconds, expected, draw)
                    seconds *= 0.8
                print("well" if trial.well else "NOT WELL", asdict(trial), flush=True)
                trials.append(trial)
    counts = {way: [sum(t.well for t in trials if t.way == way), sum(t.way == way for t in trials)] for way in WAYS}
    print(json.dumps({"undisturbed_seconds": round(whole, 1), "well_of": counts}))
    sys.exit(any(not trial.well for trial in trials))


if __name__ == "__main__":
    main()
