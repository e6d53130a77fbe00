"""One retraining of one workspace: new data, the data gate and drift check, training, the judge, notifications.

    recover → refresh → ingest, validate → drift → all stages → judge → promote or keep

Nothing is trained if nothing changed, or on data that a gate refuses. Rows that arrive during training pass both gates
before the judge runs. The outcome is kept in the workspace (`flows/history.py`). Knows no orchestrator:
`flows/retrain_flow.py` wraps it in a Prefect flow.
"""

import dataclasses
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from eibert import artifact
from eibert.errors import EibertError
from eibert.redact import shown
from flows import environment, history, promote, repeats
from flows.adapter import first_line
from flows.alone import alone
from flows.graph import read_graph
from flows.history import Outcome, Retraining
from flows.notify import notify
from flows.refresh import accept, is_undecided, put_back, refresh
from flows.retention import collect
from flows.run import Result, Selection, run
from flows.status import causes
from flows.workspace import Workspace
from tasks import packing, registry
from tasks.drift import Look, look
from tasks.progress import say
from tasks.registry import Version

GATE = "validate"


def retrain(workspace: Workspace) -> Retraining:
    """Retrains a workspace if something changed; whatever happens becomes an outcome, not an exception.

    The caller holds `flows.alone.retraining`.
    """
    started = time.time()
    environment.prepare(workspace.root)
    attempt = None
    try:
        attempt = _Attempt(workspace)
        found = attempt.made()
    except Exception as error:  # noqa: BLE001 — reported in the outcome; other models continue
        name, reason = workspace.name, _reason(workspace, error)
        found = attempt.failed(reason) if attempt else Retraining(name, Outcome.FAILED, reason)
    found = _without_refused_rows(workspace, found)
    found = dataclasses.replace(found, when=_utc(started), seconds=round(time.time() - started, 1))
    return told(workspace, found)


class _Attempt:
    """The state of one retraining in progress."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.params = workspace.params()
        self.notes: list[str] = []
        self.champion: Version | None = None
        self.drift: Look | None = None
        self.looked = ""  # digest of the data last checked for drift

    def made(self) -> Retraining:
        """Runs the steps until one of them ends the retraining."""
        self._note(promote.recover(self.workspace))
        self.champion = registry.champion(self.workspace.root, self.workspace.name)
        with alone(self.workspace, wait=True):  # so that no run reads rows being swapped
            arrived = refresh(self.workspace, self.params)
        self._note(arrived)
        if broken := self._broken(self._run(Selection(until=GATE))):
            return broken
        if self._is_up_to_date() and (same := self._repeated()):
            accept(self.workspace)
            return self._ended(Outcome.UNCHANGED, f"nothing changed: {same}")
        if stopped := self._stopped():
            return stopped
        accept(self.workspace)
        if broken := self._broken(self._run(Selection())):
            return broken
        if same := repeats.known(self.workspace, self.champion):
            return self._ended(Outcome.UNCHANGED, f"the new data produces the same bundle: {same}")
        return self._stopped() or self._judged()

    def failed(self, reason: str) -> Retraining:
        """Returns the failed retraining, with what is known so far."""
        return self._ended(Outcome.FAILED, reason)

    def _run(self, selection: Selection) -> Result:
        result = run(self.workspace, selection)
        self._note(result.warning)
        return result

    def _broken(self, built: Result) -> Retraining | None:
        """The ended retraining if the data gate refused the rows or a stage failed, else None."""
        if not built.error:
            return None
        gate = built.outcomes.get(GATE)
        return self._ended(Outcome.STOPPED if gate and gate.refused else Outcome.FAILED, built.error)

    def _is_up_to_date(self) -> bool:
        return not any(causes(self.workspace, read_graph(self.workspace, mending=True)).values())

    def _repeated(self) -> str:
        """Why the current bundle needs no judgement, or ""."""
        return repeats.known(self.workspace, self.champion) or repeats.kept_out(self.workspace, self.champion)

    def _stopped(self) -> Retraining | None:
        """The stopped retraining if the data drifted too far, else None; equal data is checked only once."""
        digest = artifact.sha256(artifact.folder(self.workspace.folder, "ingest") / artifact.MANIFEST)
        if digest == self.looked:
            return None
        self.looked = digest
        self._look()
        if self.drift and (stopping := self.drift.stopping):
            return self._ended(Outcome.STOPPED, "drift: " + "; ".join(map(str, stopping)))
        return None

    def _look(self) -> None:
        """Checks the data for drift from that of the version in service."""
        if self.champion is None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            root, name = self.workspace.root, self.workspace.name
            files = registry.fetch(root, name, self.champion.number, Path(scratch))
            kept = files / packing.PROFILE
            if not kept.is_file():
                self._note(f"version {self.champion.number} was registered without a profile: drift was not checked")
                return
            self.drift = look(
                self.workspace.folder, self.params.drift, self.params.shared, kept, files / packing.BUNDLE
            )
        for shift in self.drift.shifts:
            if shift.beyond:
                say("drift", str(shift))

    def _judged(self) -> Retraining:
        champion, key = self.champion, repeats.key(self.workspace, self.champion)
        promotion = promote.promote(self.workspace)
        self._note(promotion.warning)
        self.champion = promotion.version
        verdict = promotion.verdict
        outcome = Outcome.PROMOTED if promotion.promoted else Outcome.KEPT
        ended = self._ended(outcome, verdict.reason if verdict else "")
        key = key if verdict and repeats.lasts(verdict, champion) else ""
        return dataclasses.replace(ended, key=key, verdict=verdict.as_object() if verdict else None)

    def _ended(self, outcome: Outcome, reason: str) -> Retraining:
        return Retraining(
            workspace=self.workspace.name,
            outcome=outcome,
            reason=shown(" ".join(reason.split())),
            drifted=bool(self.drift and self.drift.drifted),
            version=self.champion.number if self.champion else None,
            drift=self.drift.to_json() if self.drift else None,
            notes=self.notes,
        )

    def _note(self, text: str) -> None:
        if text and shown(text) not in self.notes:
            self.notes.append(shown(text))


def _without_refused_rows(workspace: Workspace, found: Retraining) -> Retraining:
    """The retraining, after removing the rows that arrived for it unless both gates accepted them."""
    if not is_undecided(workspace):
        return found
    try:
        with alone(workspace, wait=True):
            back = put_back(workspace)
        if back:
            note = "the incoming rows were taken out again; "
            if found.outcome is Outcome.STOPPED:
                note += "fix them in `retrain.incoming`, they are read again next time"
            else:  # the delivery may be sound
                note += "they are read again next time"
            return dataclasses.replace(found, notes=[*found.notes, note])
    except (EibertError, OSError) as error:  # the next refresh restores the rows
        return dataclasses.replace(found, notes=[*found.notes, shown(f"the incoming rows stay for now: {error}")])
    return found


def told(workspace: Workspace, found: Retraining) -> Retraining:
    """Notifies of the retraining, collects what is old and writes the history; returns it with notes added.

    The caller holds `flows.alone.retraining`.
    """
    notes = list(found.notes)
    try:
        params = workspace.params()
    except EibertError:  # why it failed: neither recipients nor limits are known
        return _written(workspace, found, None)
    effects: list[Callable[[], list[str]]] = [
        lambda: notify(found, params.notify),
        lambda: _collected(workspace, found),
    ]
    for effect in effects:
        try:
            notes += effect()
        except Exception as error:  # noqa: BLE001 — neither a hook nor clean-up may fail a promotion
            notes.append(shown(f"{type(error).__name__}: {first_line(error)}"))
    return _written(workspace, dataclasses.replace(found, notes=notes), params.retention.retrainings)


def _written(workspace: Workspace, found: Retraining, limit: int | None) -> Retraining:
    try:
        history.add(workspace, found, limit=limit)
    except OSError as error:
        return dataclasses.replace(found, notes=[*found.notes, f"the history was not written: {error}"])
    return found


def _collected(workspace: Workspace, found: Retraining) -> list[str]:
    if found.outcome is Outcome.FAILED or not workspace.params().retention.collect:
        return []
    return collect(workspace, running=True)


def _reason(workspace: Workspace, error: Exception) -> str:
    if isinstance(error, EibertError):
        return shown(" ".join(str(error).split()))
    log = workspace.folder / "logs" / "retrain.log"
    text = shown(f"{type(error).__name__}: {first_line(error)}")
    try:
        log.parent.mkdir(exist_ok=True)
        log.write_text(shown("".join(traceback.format_exception(error))), encoding="utf-8")
    except OSError:  # the disk may be full
        return text
    return f"{text}; the traceback is in {log}"


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
