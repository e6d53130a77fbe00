"""A child process: its result, its errors, its death, and its end when nobody waits for it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert.errors import DataError, EibertError, RunError
from tasks.beside import Beside, beside
from tasks.progress import PLAIN

ROOT = Path(__file__).resolve().parents[2]


def doubled(number: int) -> int:
    return 2 * number


def refused(text: str) -> None:
    raise DataError(f"{text}: unreadable")


def misread() -> None:
    refused("rows.csv")


def killed() -> None:
    os._exit(9)


def broken() -> None:
    raise ValueError("a defect")


def slow(marks: Path) -> None:
    (marks / f"started-{os.getpid()}").touch()
    time.sleep(60)


def started(marks: Path) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in marks.iterdir():
            return int(path.name.removeprefix("started-"))
        time.sleep(0.05)
    raise AssertionError("it never started")


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_result_comes_back_and_bars_are_off_meanwhile() -> None:
    before = os.environ.get(PLAIN)
    with beside(doubled, 21) as other:
        assert os.environ[PLAIN]
        assert other.result() == 42
        assert other.result() == 42  # on every call
    assert os.environ.get(PLAIN) == before


def test_its_error_is_raised_where_it_is_waited_for() -> None:
    with pytest.raises(DataError, match=r"rows\.csv: unreadable"), beside(refused, "rows.csv") as other:
        other.result()


@pytest.mark.parametrize("function", [killed, broken])
def test_a_death_is_told_in_one_line(function: object) -> None:
    with pytest.raises(RunError, match="its process died"), beside(function, *()) as other:  # type: ignore[arg-type]
        other.result()


def work_beside(function: Callable[[], None], checks: list[float]) -> None:
    with beside(function) as other:
        while len(checks) < 6000:
            other.check()
            checks.append(time.monotonic())
            time.sleep(0.01)


@pytest.mark.parametrize(("function", "error"), [(killed, RunError), (broken, RunError), (misread, DataError)])
def test_a_failure_shows_while_the_caller_works(function: Callable[[], None], error: type[EibertError]) -> None:
    checks: list[float] = []
    with pytest.raises(error):
        work_beside(function, checks)
    assert checks  # it was still running, and nobody waited for it


def test_a_check_waits_for_nothing_and_takes_no_result_away() -> None:
    here, there = multiprocessing.Pipe(duplex=False)
    other = Beside("doubled", here)
    other.check()
    there.send((None, 42))
    other.check()
    other.check()
    assert other.result() == 42


def test_ctrl_c_is_left_to_the_caller(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job may ignore it
    try:
        with beside(slow, tmp_path):
            pid = started(tmp_path)
            os.kill(pid, signal.SIGINT)
            time.sleep(0.3)
            os.kill(pid, 0)  # still there
        assert gone(pid)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_is_stopped_where_the_body_fails(tmp_path: Path) -> None:
    def fails() -> None:
        with beside(slow, tmp_path):
            started(tmp_path)
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        fails()
    assert gone(started(tmp_path))


def test_it_ends_where_its_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from tasks.beside import beside; from tests.tasks.test_beside import slow\n"
        f"if __name__ == '__main__':\n with beside(slow, Path({str(tmp_path)!r})) as other: other.result()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    pid = started(tmp_path)
    parent.kill()
    parent.wait()
    assert gone(pid)
