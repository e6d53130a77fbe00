"""Kills promotions at every line between two side effects, and reports what was left and what the next call did.

`python kills.py FOLDER DATABASE` prints one JSON line per kill. Each attempt is a fork of this process, which has
done everything once; it calls os._exit before some line, without any clean-up.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from eibert import artifact, atomic, trail
from eibert.judge import Verdict
from eibert.matching import HeldOut
from flows import alone, journal, promote, service
from flows.workspace import Workspace
from tasks import facts, git, judge, packing, promotions, registry
from tests import toy

KILLED = 9
EFFECTS: list[Callable[..., Any]] = [
    promote._carried_out, journal.open_journal, journal.finish, journal.close_journal, artifact.write_json,
    registry.register, registry.set_champion, promotions.enter, trail.append, trail._write_line,
    atomic.file.__wrapped__,  # type: ignore[attr-defined]
]  # fmt: skip
"""Functions that have side effects, or call functions that have."""
SETTLING: list[Callable[..., Any]] = [
    journal.settle, journal.undo, journal.finish, journal.close_journal, registry.clear,
]  # fmt: skip


class Lines:
    """Counts the distinct lines about to run in some functions, and ends the process before one of them."""

    def __init__(self, functions: list[Callable[..., Any]], last: int | None) -> None:
        self.seen: list[str] = []
        self._codes = {function.__code__ for function in functions}
        self._last = last

    def __enter__(self) -> "Lines":
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, *_: object) -> Any:
        return self._line if frame.f_code in self._codes else None

    def _line(self, frame: FrameType, event: str, *_: object) -> Any:
        if event == "line":
            place = _place(frame)
            if place not in self.seen:
                self.seen.append(place)
                if len(self.seen) == self._last:
                    os._exit(KILLED)
        return self._line


def _place(frame: FrameType) -> str:
    """The line about to run; for a line in a shared writer, together with its caller."""
    place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    inner, caller = frame, frame
    while Path(caller.f_code.co_filename).name in {"atomic.py", "artifact.py", "contextlib.py"}:
        assert caller.f_back is not None
        inner, caller = caller, caller.f_back
    return place if inner is caller else f"{place} for {caller.f_code.co_name}"


def in_fork(work: Callable[[], Any]) -> Any:
    """Runs some work in a fork and returns its result; None if the fork was killed."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        code = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.wait()[1])
    assert code in (0, KILLED), f"a fork ended with {code}"
    return json.loads(said) if code == 0 else None


def state(workspace: Workspace) -> dict[str, Any]:
    """What is in service according to the registry and to the trail."""
    known = registry.versions(workspace.root, workspace.name)
    entered = promotions.promotions(promotions.read(workspace.root))
    return {
        "champions": [version.number for version in known if registry.CHAMPION in version.aliases],
        "challengers": [version.number for version in known if registry.CHALLENGER in version.aliases],
        "versions": [version.number for version in known],
        "trail": [[record.body["event"], record.body["version"]] for record in entered],
        "journal": (workspace.private() / "promotion.json").exists(),
        "stored": len(list((workspace.root / "mlartifacts").rglob("MLmodel"))),
    }


class Scenario:
    """A promotion or a rollback from one state of a repository."""

    def __init__(self, name: str, workspace: Workspace, action: Callable[[], Any]) -> None:
        self.name, self._workspace, self._action = name, workspace, action
        self._backup = workspace.root.with_name(f"{name}-backup")
        shutil.copytree(workspace.root, self._backup)

    def kill_everywhere(self, functions: list[Callable[..., Any]]) -> None:
        """Kills at every line in turn, and prints the outcomes."""
        lines = in_fork(lambda: self.acted(functions, None))
        whole = state(self._workspace)
        for number, line in enumerate(lines, start=1):
            self.restore()
            killed = in_fork(lambda at=number: self.acted(functions, at)) is None
            left, told = state(self._workspace), promote.recover(self._workspace)
            after, again = state(self._workspace), promote.recover(self._workspace)
            found = {"scenario": self.name, "line": line, "killed": killed, "left": left, "told": told}
            sys.stdout.write(json.dumps(found | {"after": after, "again": again, "whole": whole}) + "\n")
            sys.stdout.flush()
        self.restore()

    def restore(self) -> None:
        """Restores the initial state."""
        shutil.rmtree(self._workspace.root)
        shutil.copytree(self._backup, self._workspace.root)

    def acted(self, functions: list[Callable[..., Any]], last: int | None) -> list[str]:
        """Performs the action and returns the lines that ran in some functions; dies before line number `last`."""
        with Lines(functions, last) as lines:
            self._action()
        return lines.seen


def quicken(workspace: Workspace) -> None:
    """Skips what is irrelevant here: every bundle passes, and every version has the files of this bundle."""
    contents = workspace.root.with_name("contents")
    papers = workspace.folder / "data" / "provenance"
    files = packing.pack(facts.bundle_folder(workspace.folder), papers, HeldOut(), contents)
    packing.pack = lambda *given, **_: (shutil.copytree(contents, given[3]), files)[1]
    promote._judged = lambda *_: Verdict((), None)
    judge.build_of = lambda root, *_: promotions.builds(promotions.read(root))[-1]
    judge.taught = lambda _: HeldOut()
    git.identity = lambda _: None
    alone._end_orphans = lambda _: None
    service.checked = lambda place, version, _: service.history(place)[version.number - 1]


def main(folder: Path, database: Path) -> None:
    """Runs all scenarios."""
    # Without a pool no connection outlives its use, and the forks inherit what is compiled.
    os.environ["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"
    root = folder / "root"
    workspace = toy.make_repository(root)
    shutil.copy(database, root / "mlflow.db")
    toy.build(workspace, wrong={0, 1, 2})
    quicken(workspace)
    first = Scenario("first", workspace, lambda: promote.promote(workspace))
    promote.promote(workspace)  # once here, so that the forks need not import anything
    first.restore()
    first.kill_everywhere(EFFECTS)
    promote.promote(workspace)
    toy.build(workspace)
    second = Scenario("second", workspace, lambda: promote.promote(workspace))
    second.kill_everywhere(EFFECTS)
    # A promotion killed before its alias moves is undone by the next call, after that finished; kill that call, too.
    for name, function in (("undo", registry.set_champion), ("finish", promotions.enter)):
        second.restore()
        assert in_fork(lambda at=function: second.acted([at], 1)) is None
        Scenario(name, workspace, lambda: promote.recover(workspace)).kill_everywhere(SETTLING)
    second.restore()
    promote.promote(workspace)
    Scenario("rollback", workspace, lambda: promote.rollback(workspace)).kill_everywhere(EFFECTS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
