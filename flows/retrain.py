"""One retraining of one workspace: new data, the two gates, what learns between them, and who is told.

    recover → refresh → ingest, validate → drift → all stages → judge → promote or keep

Nothing is trained where nothing changed, and nothing learns from data that a gate refuses. Rows that came while it
learnt are looked at before the judge is asked. The record of how it ended stays in the workspace (`flows/history.py`).
Knows no orchestrator: `flows/retrain_flow.py` makes a Prefect flow of it.
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
    """Retrains a workspace where something changed; whatever happens is an outcome, not an exception.

    The caller holds `flows.alone.retraining`.
    """
    started = time.time()
    environment.prepare(workspace.root)
    attempt = None
    try:
        attempt = _Attempt(workspace)
        found = attempt.made()
    except Exception as error:  # noqa: BLE001 — the outcome says it, and the other models go on
        name, reason = workspace.name, _reason(workspace, error)
        found = attempt.failed(reason) if attempt else Retraining(name, Outcome.FAILED, reason)
    found = _without_refused_rows(workspace, found)
    found = dataclasses.replace(found, when=_utc(started), seconds=round(time.time() - started, 1))
    return told(workspace, found)


class _Attempt:
    """What is known of one retraining while it goes on."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.params = workspace.params()
        self.notes: list[str] = []
        self.champion: Version | None = None
        self.drift: Look | None = None
        self.looked = ""  # digest of the data that drift was looked for in

    def made(self) -> Retraining:
        """Goes through all steps until one of them ends it."""
        self._note(promote.recover(self.workspace))
        self.champion = registry.champion(self.workspace.root, self.workspace.name)
        with alone(self.workspace, wait=True):  # no run reads rows that are being exchanged
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
            return self._ended(Outcome.UNCHANGED, f"the new data makes the same bundle: {same}")
        return self._stopped() or self._judged()

    def failed(self, reason: str) -> Retraining:
        """Returns how it ended where a step could not be done, with what is known by then."""
        return self._ended(Outcome.FAILED, reason)

    def _run(self, selection: Selection) -> Result:
        result = run(self.workspace, selection)
        self._note(result.warning)
        return result

    def _broken(self, built: Result) -> Retraining | None:
        """How it ends where a run broke off: the data gate refused the rows, or a stage failed."""
        if not built.error:
            return None
        gate = built.outcomes.get(GATE)
        return self._ended(Outcome.STOPPED if gate and gate.refused else Outcome.FAILED, built.error)

    def _is_up_to_date(self) -> bool:
        return not any(causes(self.workspace, read_graph(self.workspace, mending=True)).values())

    def _repeated(self) -> str:
        """Why what is there needs no judgement, or ""."""
        return repeats.known(self.workspace, self.champion) or repeats.kept_out(self.workspace, self.champion)

    def _stopped(self) -> Retraining | None:
        """How it ends where the data is too far from that of the version in service; equal data is looked at once."""
        digest = artifact.sha256(artifact.folder(self.workspace.folder, "ingest") / artifact.MANIFEST)
        if digest == self.looked:
            return None
        self.looked = digest
        self._look()
        if self.drift and (stopping := self.drift.stopping):
            return self._ended(Outcome.STOPPED, "drift: " + "; ".join(map(str, stopping)))
        return None

    def _look(self) -> None:
        """Compares the data with that of the version in service."""
        if self.champion is None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            root, name = self.workspace.root, self.workspace.name
            files = registry.fetch(root, name, self.champion.number, Path(scratch))
            kept = files / packing.PROFILE
            if not kept.is_file():
                self._note(f"version {self.champion.number} was registered without a profile: no drift was looked for")
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
    """The retraining after rows that arrived for it were put back out, unless both gates had let them in."""
    if not is_undecided(workspace):
        return found
    try:
        with alone(workspace, wait=True):
            back = put_back(workspace)
        if back:
            note = "what had arrived was put back out of the rows; "
            if found.outcome is Outcome.STOPPED:
                note += "mend it where it arrives, it is read again next time"
            else:  # it may be sound
                note += "it is read again next time"
            return dataclasses.replace(found, notes=[*found.notes, note])
    except (EibertError, OSError) as error:  # the next refresh puts it back
        return dataclasses.replace(found, notes=[*found.notes, shown(f"what arrived stays for now: {error}")])
    return found


def told(workspace: Workspace, found: Retraining) -> Retraining:
    """Returns the retraining after it was told to whom it concerns, what is old was collected, and it was written down.

    The caller holds `flows.alone.retraining`.
    """
    notes = list(found.notes)
    try:
        params = workspace.params()
    except EibertError:  # which is why it failed: nobody can be told, and nothing is known of bounds
        return _written(workspace, found, None)
    effects: list[Callable[[], list[str]]] = [
        lambda: notify(found, params.notify),
        lambda: _collected(workspace, found),
    ]
    for effect in effects:
        try:
            notes += effect()
        except Exception as error:  # noqa: BLE001 — neither a hook nor old files cost a promotion
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
    except OSError:  # the disk may be what is full
        return text
    return f"{text}; the traceback is in {log}"


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
