"""The story of a model in service: what is promoted, rejected, stopped and flagged, and what is left alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from eibert.errors import RunError
from flows import history, promote
from flows import stage as stages
from flows.alone import retraining
from flows.history import Outcome, Retraining
from flows.retrain import retrain
from flows.workspace import Workspace, set_params
from tasks import packing, registry
from tasks.drift import Look, look
from tests import learner
from tests.flows.conftest import PROJECT, command, server_address
from tests.flows.warm import warm_stages

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(900)]

STAGE_ENVIRONMENT = stages._environment
FEW = learner.WORDS[:42]
MOST = learner.WORDS[:57]


class Stream:
    """A stream of rows without repeated texts."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._seed = 0

    def take(self, words: tuple[str, ...], count: int, *, length: int = 2) -> list[tuple[str, str]]:
        """The next rows, with true labels."""
        self._seed += 1
        found = learner.texts(words, count, seed=self._seed, words=length, without=self._seen)
        self._seen |= set(found)
        return learner.labelled(found)


def turned(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The rows, each labelled with the next class."""
    return [(text, learner.LABELS[(learner.LABELS.index(label) + 1) % 3]) for text, label in rows]


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    """A folder whose `eibert` runs the learner's stages."""
    with tempfile.TemporaryDirectory() as folder, warm_stages(Path(folder), PROJECT, "tests.learner") as found:
        yield found


@pytest.fixture
def _warm(commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def environment(mark: Path, *, share_terminal: bool) -> dict[str, str]:
        found = STAGE_ENVIRONMENT(mark, share_terminal=share_terminal)
        return found | {"PATH": os.pathsep.join([str(commands), found["PATH"]])}

    monkeypatch.setattr(stages, "_environment", environment)


def repository(root: Path, teacher: Path, database: Path, *names: str) -> list[Workspace]:
    found = learner.make_repository(root, teacher, *names)
    shutil.copy(database, root / "mlflow.db")
    return found


@pytest.mark.usefixtures("sequential", "_warm")
def test_story_of_a_model_in_service(tmp_path: Path, teacher_folder: Path, database: Path) -> None:
    [place] = repository(tmp_path / "root", teacher_folder, database, "models/w")
    rows, stream = place.folder / "rows", Stream()
    test, dev = stream.take(learner.WORDS, 240), stream.take(learner.WORDS, 90)
    one = stream.take(FEW, 150)
    two = one + stream.take(MOST, 150)

    # Version 1 has seen only a third of the words.
    learner.write_rows(rows, train=one, dev=dev, test=test)
    first = retrain(place)
    assert (first.outcome, first.version, first.drift) == (Outcome.PROMOTED, 1, None)
    shipped = {path.name: path.read_bytes() for path in (place.folder / "data/export/bundle").iterdir()}
    assert retrain(place).reason == "nothing changed: version 1 is in service"

    # Better data: version 2, and the new words are flagged.
    learner.write_rows(rows, train=two)
    second = retrain(place)
    assert (second.outcome, second.version) == (Outcome.PROMOTED, 2)
    assert {shift["name"] for shift in second.drift["shifts"] if shift["beyond"]} >= {"vocabulary"}  # type: ignore[index]
    assert second.drift["new_rows"] == 150  # type: ignore[index]

    # Without the new rows the bundle is version 1's again; nobody rolled that back, so it is judged.
    learner.write_rows(rows, train=one)
    earlier = retrain(place)
    assert (earlier.outcome, earlier.version) == (Outcome.KEPT, 2)
    assert earlier.reason.startswith("metric: accuracy -0.")

    # Poisoned labels: on known texts the data gate reports them, on new ones the version in service does.
    learner.write_rows(rows, train=two + turned(two[:20]))
    known = retrain(place)
    assert (known.outcome, known.version, known.drift) == (Outcome.STOPPED, 2, None)
    assert "contradictions (train): 12.5 % vs at most 2 %, 40 rows" in known.reason
    learner.write_rows(rows, train=two + turned(stream.take(MOST, 80)))
    new = retrain(place)
    assert (new.outcome, new.drifted, new.version) == (Outcome.STOPPED, True, 2)
    assert "of 240 judged and 0.0% of 80 new rows" in new.reason

    # A subtle degradation: the remaining rows are fine, but some words are gone.
    gone = set(learner.WORDS[:12])
    learner.write_rows(rows, train=[row for row in two if not set(row[0].split()) & gone])
    kept = retrain(place)
    assert (kept.outcome, kept.version) == (Outcome.KEPT, 2)
    assert kept.reason.startswith("metric: accuracy -0.")
    again = retrain(place)
    assert again.outcome is Outcome.UNCHANGED
    assert f"this challenger was rejected on {kept.when}" in again.reason

    # Drift: much longer texts with very few classes; what is learnt about the last words is good nevertheless.
    longer = [row for row in stream.take(learner.WORDS, 240, length=9) if row[1] != "neutral"]
    learner.write_rows(rows, train=two + longer)
    drifted = retrain(place)
    assert (drifted.outcome, drifted.drifted, drifted.version) == (Outcome.PROMOTED, True, 3)
    beyond = {shift["name"] for shift in drifted.drift["shifts"] if shift["beyond"]}  # type: ignore[index]
    assert {"labels", "lengths"} <= beyond
    assert "agreement" not in beyond

    # A person rolls it back: the same bytes are in service again, and no night promotes the others again.
    assert promote.rollback(place, 1).promoted
    (tmp_path / "fetched").mkdir()
    fetched = registry.fetch(place.root, place.name, 1, tmp_path / "fetched") / packing.BUNDLE
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == shipped
    assert retrain(place).reason == "nothing changed: version 3, which was rolled back to version 1"
    champion = registry.champion(place.root, place.name)
    assert champion is not None
    assert champion.number == 1
    outcomes = [one.outcome.value for one in history.read(place)]
    assert outcomes == [
        "promoted", "unchanged", "promoted", "kept", "stopped", "stopped", "kept", "unchanged", "promoted", "unchanged"
    ]  # fmt: skip
    _look_at_the_page(place)


def _look_at_the_page(place: Workspace) -> None:
    from flows.history_page import write

    page = write(place).read_text()
    assert "Version 1, registered on " in page
    assert page.count("<svg") == 2 + 5  # score and bytes over versions; five distances over the drift checks
    assert page.count('<span class="promoted">') == 3
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.usefixtures("sequential", "_warm")
def test_rows_that_come_while_it_learns_pass_both_gates_before_it_is_judged(
    tmp_path: Path, teacher_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [place] = repository(tmp_path / "root", teacher_folder, database, "models/w")
    rows, stream = place.folder / "rows", Stream()
    train = stream.take(FEW, 150)
    learner.write_rows(rows, train=train, dev=stream.take(FEW, 60), test=stream.take(FEW, 120))
    set_params(place.folder, ["judge.margin=0.05"])  # 120 rows with equal answers show no smaller one
    assert retrain(place).outcome is Outcome.PROMOTED

    def night(begins: list[tuple[str, str]], *come: list[tuple[str, str]]) -> tuple[Retraining, int]:
        """A retraining with more rows arriving after each drift check; also returns the number of checks."""
        learner.write_rows(rows, train=begins)
        looks = 0

        def looked(*given: Any) -> Look:
            nonlocal looks
            found = look(*given)
            learner.write_rows(rows, train=sum(come[: looks + 1], begins))
            looks += 1
            return found

        monkeypatch.setattr("flows.retrain.look", looked)
        return retrain(place), looks

    more = train + stream.take(FEW, 60)
    poisoned, looks = night(more, turned(stream.take(FEW, 80)))
    assert (poisoned.outcome, poisoned.version, looks) == (Outcome.STOPPED, 1, 2)
    assert "of 120 judged and" in poisoned.reason
    refused, _ = night(more + stream.take(FEW, 1), turned(train[:20]))
    assert (refused.outcome, refused.version) == (Outcome.STOPPED, 1)
    assert "contradictions (train)" in refused.reason
    grown, looks = night(more + stream.take(FEW, 2), stream.take(MOST, 60))
    assert (grown.outcome, grown.version, looks) == (Outcome.PROMOTED, 2, 2)
    assert grown.drift["new_rows"] == 60 + 2 + 60  # type: ignore[index]


FULL_DISK = """
import sys, types

def run(*_):
    raise OSError(28, "No space left on device", "data/validate")

sys.modules["tasks.validate"] = types.SimpleNamespace(run=run)
from flows.cli import main

main()
"""


@pytest.mark.usefixtures("sequential", "_warm")
@pytest.mark.parametrize(
    ("fault", "said"), [("kill -9 $$", "was killed"), ("exec {python} -c '{script}' \"$@\"", "No space left on device")]
)
def test_gate_that_could_not_look_is_no_gate_that_refuses(
    tmp_path: Path, teacher_folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    [place] = repository(tmp_path / "root", teacher_folder, database, "models/w")
    stream = Stream()
    test, dev = stream.take(FEW, 120), stream.take(FEW, 60)
    learner.write_rows(place.folder / "rows", train=stream.take(FEW, 120), dev=dev, test=test)
    learner.write_rows(tmp_path / "arriving", train=stream.take(FEW, 60))
    set_params(place.folder, [f"retrain.incoming={tmp_path / 'arriving'}"])
    (tmp_path / "faulty").mkdir()
    path, fault = tmp_path / "faulty" / "eibert", fault.format(python=sys.executable, script=FULL_DISK)
    warm = stages._environment
    with monkeypatch.context() as patch:
        patch.setattr(
            stages, "_environment", lambda *a, **k: (f := warm(*a, **k)) | {"PATH": f"{path.parent}:{f['PATH']}"}
        )
        patch.setenv("PYTHONPATH", str(PROJECT))
        path.write_text(f"""#!/bin/sh\n[ $2 = validate ] && {fault}\nPATH=${{PATH#*:}} exec eibert "$@"\n""")
        path.chmod(0o755)
        found = retrain(place)
    assert found.outcome is Outcome.FAILED
    assert said in found.reason
    assert not [note for note in found.notes if "fix them" in note]
    assert retrain(place).outcome is Outcome.PROMOTED


@pytest.mark.usefixtures("server", "_warm")
def test_one_that_fails_stops_none_of_three(
    tmp_path: Path, teacher_folder: Path, database: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.retrain_flow import run_many

    root = tmp_path / "root"
    places = repository(root, teacher_folder, database, "models/a", "models/b", "models/c")
    stream = Stream()
    test, dev, train = stream.take(FEW, 120), stream.take(FEW, 60), stream.take(FEW, 120)
    for place in places:
        learner.write_rows(place.folder / "rows", train=train, dev=dev, test=test)
    (places[1].folder / "rows" / "train.csv").write_text("nothing,of,use\n")
    hook = f"sh -c 'cat >> {tmp_path / 'told'}; sleep 600'"
    for place in places:
        set_params(place.folder, [f'notify.command="{hook}"', "notify.timeout_s=1.0"])
    for name, value in server_address().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setattr("sys.executable", _interpreter(tmp_path, commands))
    found = run_many([place.folder for place in places], parallel=2)
    assert [one.outcome for one in found] == [Outcome.PROMOTED, Outcome.FAILED, Outcome.PROMOTED]
    assert "train.csv" in found[1].reason
    for one in found:  # the hook hung each time, at the cost of a note
        assert [note for note in one.notes if note.startswith("notify")] == [
            "notify.command: sh did not finish within 1 s and was stopped"
        ]
    told = [json.loads(line) for line in (tmp_path / "told").read_text().replace("}{", "}\n{").splitlines()]
    assert sorted((one["workspace"], one["outcome"]) for one in told) == [
        ("models/a", "promoted"), ("models/b", "failed"), ("models/c", "promoted"),
    ]  # fmt: skip
    _look_at_prefect(found)


def _interpreter(folder: Path, commands: Path) -> str:
    """An interpreter whose DVC finds the preloaded stages; only `eibert retrain` is started with it."""

    path = folder / "python"
    start = (
        "import os,sys; sys.argv=sys.argv[1:]; from flows import stage; before=stage._environment; "
        f"stage._environment=lambda *a,**k: before(*a,**k)|{{'PATH':{str(commands)!r}+os.pathsep+os.environ['PATH']}}; "
        "from flows.cli import main; main()"
    )
    path.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -W ignore -c "{start}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def _look_at_prefect(found: list[Retraining]) -> None:
    """Checks that each run left its page and none is still running."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        runs: list[Any] = [run for run in client.read_flow_runs() if "eibert" in run.tags]  # not another test's
        pages = {page.key: page.data for page in client.read_artifacts()}
    names = [run.state.name for run in runs if run.name.startswith("retrain ")]
    assert sorted(names) == ["Failed", "Promoted", "Promoted"]
    assert not [run.name for run in runs if run.state.is_running()]
    assert "| metric |" in pages["retraining-models-a"]
    assert pages["retrainings"].startswith("# 2 promoted, 1 failed")
    assert all(one.workspace in pages["retrainings"] for one in found)


def test_second_retraining_of_a_model_is_refused_or_waits(unbuilt: Workspace) -> None:
    with retraining(unbuilt, wait=False):
        done = command(
            "retrain", "--no-wait", "--json", folder=unbuilt.folder, PREFECT_API_URL="http://127.0.0.1:9/api"
        )
    assert done.returncode == 1
    assert "is running here" in json.loads(done.stdout)["error"]
    with (
        retraining(unbuilt, wait=False),
        pytest.raises(RunError, match="is running here"),
        retraining(unbuilt, wait=False),
    ):
        raise AssertionError


@pytest.mark.usefixtures("server")
def test_flow_run_whose_process_was_killed_is_marked_as_crashed() -> None:
    import socket
    import sys

    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from flows.flow_runs import OURS, process_tag, sweep, tag_of

    alive = process_tag()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        dead = tag_of(psutil.Process(process.pid))
        process.kill()
    elsewhere = dead.replace(socket.gethostname(), "another-machine")

    @flow(name="other")
    def other() -> None: ...

    with get_client(sync_client=True) as client:
        made = {
            mark: client.create_flow_run(other, tags=[OURS, mark], state=Running()) for mark in (alive, dead, elsewhere)
        }
        sweep()
        found = {mark: client.read_flow_run(run.id).state for mark, run in made.items()}
    names = {mark: state.name for mark, state in found.items() if state is not None}
    assert names == {alive: "Running", dead: "Crashed", elsewhere: "Running"}


@pytest.mark.usefixtures("server")
def test_flow_runs_that_ended_before_a_moment_go_with_their_pages_and_no_others() -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import ArtifactCreate
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
    from prefect.states import Completed, Running

    from flows.flow_runs import forget

    @flow(name="retrain")
    def retrained() -> None: ...

    @flow(name="other")
    def other() -> None: ...

    with get_client(sync_client=True) as client:
        old = client.create_flow_run(retrained, state=Completed())
        foreign = client.create_flow_run(other, state=Completed())
        moment = datetime.now(UTC)
        young = client.create_flow_run(retrained, state=Completed())
        ids = [run.id for run in (old, foreign, young, client.create_flow_run(retrained, state=Running()))]
        for one in ids:
            client.create_artifact(ArtifactCreate(key="verdict", type="markdown", data="page", flow_run_id=one))
        forget(moment)
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=ids)))
        pages = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=ids)))
    assert {run.id for run in runs} == {page.flow_run_id for page in pages} == set(ids[1:])
