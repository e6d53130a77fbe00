"""Promotion: a challenger is judged, registered and put in service; or an earlier version is put back.

`flows/journal.py` describes the order of effects and how a kill is survived.
"""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eibert import artifact
from eibert.errors import EibertError, RunError, TeacherError
from eibert.evaluate.conclusion import BUNDLE
from eibert.judge import Gate, Verdict
from eibert.redact import redacted, shown
from eibert.trail import Record
from flows import environment, service
from flows.alone import alone
from flows.journal import Journal, finish, is_open, open_journal, settle, undo
from flows.workspace import Workspace
from tasks import facts, git, packing, promotions, registry, signing
from tasks import judge as court
from tasks.progress import say
from tasks.registry import SupersededError, Version


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion or a rollback.

    Attributes:
        promoted: Whether another version is in service now.
        version: The version in service; None if there is none.
        before: Number of the version that was in service before; None if there was none.
        verdict: The gates' verdict; None for a rollback.
        warning: What the next call still has to finish, in one line; empty if nothing.
    """

    promoted: bool
    version: Version | None
    before: int | None
    verdict: Verdict | None
    warning: str = ""

    @property
    def kept_out(self) -> bool:
        """Whether a gate kept the challenger out."""
        return not self.promoted and self.verdict is not None and not self.verdict.passed

    def as_object(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return {
            "promoted": self.promoted,
            "version": self.version.number if self.version else None,
            "bundle": self.version.digest if self.version else None,
            "before": self.before,
            "verdict": self.verdict.as_object() if self.verdict else None,
            "warning": self.warning,
        }


def judge(workspace: Workspace) -> Verdict:
    """Returns the verdict that `promote` would reach, and changes nothing.

    Takes the workspace's lock (`flows/alone.py`), so it must not be called while holding it.

    Raises:
        RegistryError: MLflow does not answer.
        RunError: a promotion was interrupted and is not settled yet.
        ArtifactError: the bundle or its evaluation is missing, altered or not up to date.
    """
    environment.prepare(workspace.root)
    with alone(workspace, wait=True):
        if is_open(workspace):
            raise RunError(
                f"{workspace.name}: a promotion was interrupted, and --dry-run changes nothing; `eibert run` "
                "finishes or undoes it, and so does `eibert promote`"
            )
        champion = registry.champion(workspace.root, workspace.name)
        return _in_service(workspace, champion) or _judged(workspace, champion)


def promote(workspace: Workspace, *, override: str | None = None) -> Promotion:
    """Judges a workspace's bundle, and puts it in service if it passes the gates.

    A bundle already in service stays there and is not judged. Takes the workspace's lock, as `judge` does. Other clones
    of the same MLflow server do not know that lock, so the version in service is read again just before it is replaced;
    MLflow has no compare-and-set, so a small window remains (`registry.set_champion`).

    Args:
        workspace: Where.
        override: Why to put it in service although a gate failed; kept in the trail for ever.

    Raises:
        RunError: the reason is empty, or the trail has no record of the bundle.
        RegistryError: MLflow does not answer.
        SupersededError: another version came into service meanwhile.
        ArtifactError: the bundle or its evaluation is missing, altered or not up to date.
        TrailError: the trail is altered.
    """
    if override is not None and not override.strip():
        raise RunError("--override: found no reason, expected one; it stays in the trail forever")
    with _alone(workspace):
        champion = registry.champion(workspace.root, workspace.name)
        before = champion.number if champion else None
        if same := _in_service(workspace, champion):
            return Promotion(False, champion, before, same)
        verdict = _judged(workspace, champion)
        if override is not None and not verdict.passed:
            verdict = replace(verdict, override=shown(override.strip()))
        if not verdict.passed and verdict.override is None:
            return Promotion(False, champion, before, verdict)
        version, warning = _registered(workspace, before, verdict)
    return Promotion(True, version, before, verdict, warning)


def rollback(workspace: Workspace, number: int | None = None) -> Promotion:
    """Puts an earlier version back in service after checking its files. Locks and reads again as `promote` does.

    Args:
        workspace: Where.
        number: The version; None: the one that the version in service replaced.

    Raises:
        RegistryError: there is no such version, or MLflow does not answer.
        SupersededError: another version came into service meanwhile.
        RunError: that version is already in service, no version is, or the one in service replaced none.
        CorruptArtifactError: the version's files do not match its tags, the trail or their signature.
        TrailError: the trail is altered, or does not know the version.
    """
    with _alone(workspace):
        root, name = workspace.root, workspace.name
        champion = registry.champion(root, name)
        if champion is None:
            raise RunError(f"{name}: no version is in service; run `eibert promote` first")
        wanted = number if number is not None else service.replaced_by(workspace, champion.number)
        if wanted == champion.number:
            raise RunError(f"{name}: version {wanted} is already in service; name another")
        target = registry.find(root, name, wanted)
        with tempfile.TemporaryDirectory() as place:
            promoted = service.checked(workspace, target, Path(place))
        kept = {key: promoted.body[key] for key in ("build", "bundle", "files")}
        body = _body(workspace, promotions.ROLLED_BACK, champion.number) | kept
        journal = _journal(workspace, body, wanted)
        version, warning = _carried_out(workspace, journal, lambda: target)
    return Promotion(True, version, champion.number, None, warning)


def recover(workspace: Workspace) -> str:
    """Finishes or undoes an interrupted promotion or rollback; returns what it did in one line, or "".

    Takes the workspace's lock, as `judge` does. Contacts MLflow only if there is something to do.

    Raises:
        RegistryError: MLflow does not answer.
        TrailError: the trail is altered.
    """
    environment.prepare(workspace.root)
    with alone(workspace, wait=True):
        return settle(workspace)[0]


@contextlib.contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Holds the workspace's lock, after settling an interrupted promotion."""
    environment.prepare(workspace.root)
    with alone(workspace, wait=True):
        if done := settle(workspace)[0]:
            say("promote", done)
        yield


def _in_service(workspace: Workspace, champion: Version | None) -> Verdict | None:
    """Returns a verdict without judgement if the workspace's bundle is the champion's."""
    if champion is None or champion.digest != packing.digest(facts.bundle_folder(workspace.folder)):
        return None
    same = Gate("champion", None, None, passed=None, note="this bundle is already in service")
    return Verdict((same,), champion.number)


def _judged(workspace: Workspace, champion: Version | None) -> Verdict:
    params = workspace.params()
    with tempfile.TemporaryDirectory() as place:
        held = service.champion(workspace, champion, Path(place))
        return court.judge(workspace.folder, held, params.judge, params.shared, root=workspace.root)


def _registered(workspace: Workspace, before: int | None, verdict: Verdict) -> tuple[Version, str]:
    """Registers the bundle and puts it in service; returns its version, and a warning or ""."""
    bundle = facts.bundle_folder(workspace.folder)
    record = court.build_of(workspace.root, workspace.folder, bundle)
    if record is None:
        raise RunError(f"{bundle}: not recorded in the trail, so a promotion cannot name it; run `eibert run` first")
    event = promotions.PROMOTED if verdict.passed else promotions.OVERRIDDEN
    with tempfile.TemporaryDirectory() as place:
        contents, papers = Path(place) / "contents", artifact.folder(workspace.folder, signing.PAPERS)
        profile = _profile(workspace, Path(place) / packing.PROFILE)
        files = packing.pack(bundle, papers, court.taught(workspace.folder), contents, profile=profile)
        body = _body(workspace, event, before) | {
            "build": {"sequence": record.sequence, "digest": record.digest},
            "bundle": {key: record.body["bundle"][key] for key in ("sha256", "bytes")},
            "files": files,
            "verdict": verdict.as_object(),
        }
        journal = _journal(workspace, body, None)
        tags = _tags(record, files, journal.id)
        return _carried_out(
            workspace, journal, lambda: registry.register(workspace.root, workspace.name, contents, tags)
        )


def _profile(workspace: Workspace, target: Path) -> Path | None:
    """Writes the data's profile; None if the teacher is unavailable: drift from this version then cannot be checked."""
    from tasks import drift

    params = workspace.params()
    try:
        drift.keep(workspace.folder, params.drift, params.shared, target)
    except TeacherError as error:
        say("promote", shown(f"the version gets no profile, so drift from it cannot be measured: {error}"))
        return None
    return target


def _carried_out(workspace: Workspace, journal: Journal, registered: Callable[[], Version]) -> tuple[Version, str]:
    """Carries out what a journal announces; returns the version in service, and a warning or ""."""
    open_journal(workspace, journal)
    try:
        version = registered()
        registry.set_champion(workspace.root, workspace.name, version.number, before=journal.body["before"])
    except SupersededError:
        with contextlib.suppress(EibertError):  # left for the next command to settle
            undo(workspace, journal)
        raise
    except Exception:  # only the registry knows how far it got
        try:
            found = settle(workspace)[1]
        except EibertError:
            found = None  # left for the next command to settle
        if found is None:
            raise
        return found, ""
    aliases = tuple(sorted({*version.aliases, registry.CHAMPION}))
    version, warning = replace(version, aliases=aliases), ""
    try:
        finish(workspace, journal, version.number)
    except (EibertError, OSError) as error:
        warning = f"version {version.number} is in service, but not in the trail until the next command here: {error}"
    return version, shown(warning)


def _journal(workspace: Workspace, body: Mapping[str, Any], number: int | None) -> Journal:
    known = registry.versions(workspace.root, workspace.name)
    challenger = next((version.number for version in known if registry.CHALLENGER in version.aliases), None)
    return Journal(
        uuid.uuid4().hex, number, challenger, redacted(body, os.environ), store=registry.store(workspace.root)
    )


def _body(workspace: Workspace, event: str, before: int | None) -> dict[str, Any]:
    return {
        "event": event,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": git.identity(workspace.root),
        "workspace": workspace.name,
        "folder": promotions.place(workspace.root, workspace.folder),
        "model": registry.model_name(workspace.name),
        "before": before,
    }


def _tags(record: Record, files: str, promotion: str) -> dict[str, str]:
    body = record.body
    metrics, figures = body["metrics"], {"bytes": body["bundle"]["bytes"]}
    if "metric" in metrics:
        figures |= {"metric": metrics["metric"], "score": metrics["test"][BUNDLE]}
    manifests = {f"eibert.manifest.{stage}": found["manifest_sha256"] for stage, found in body["stages"].items()}
    return {
        registry.BUNDLE_TAG: body["bundle"]["sha256"],
        registry.FILES_TAG: files,
        registry.RECORD_TAG: record.digest,
        registry.PROMOTION_TAG: promotion,
        "eibert.commit": str(body["git"]["commit"]),
        **{f"eibert.{name}": str(value) for name, value in figures.items()},
        **manifests,
    }
