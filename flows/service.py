"""What is in service, by registry and trail: both must agree before either is believed."""

from collections.abc import Iterable
from pathlib import Path

from eibert.errors import CorruptArtifactError, EibertError, RegistryError, RunError, TrailError
from eibert.trail import Record
from flows.workspace import Workspace
from tasks import keys, packing, promotions, registry, signing
from tasks.comparison import Champion
from tasks.registry import Version


def champion(workspace: Workspace, version: Version | None, into: Path) -> Champion | None:
    """Returns the version in service for the judge, its files fetched into a folder and checked.

    If the trail names a champion but the registry has none, the result is an unusable champion: an empty registry must
    not open the gates.

    Raises:
        RegistryError: MLflow does not answer.
    """
    if version is None:
        try:
            last = in_effect(history(workspace))[-1:]
        except EibertError:
            return None  # the gate `trail` says why
        if not last:
            return None
        number = last[0].body["version"]
        problem = (
            f"the trail says that version {number} is in service, but the registry has none; restore MLflow's record"
        )
        return Champion(number, into, problem)
    try:
        checked(workspace, version, into)
    except RegistryError:
        raise
    except EibertError as error:
        return Champion(version.number, into, str(error))
    return Champion(version.number, into)


def checked(workspace: Workspace, version: Version, into: Path) -> Record:
    """Fetches a version's files into a folder and checks them; returns the record that first put it in service.

    Raises:
        RegistryError: MLflow does not answer.
        CorruptArtifactError: the files do not match the version's tags, the trail or their signature.
        TrailError: the trail is altered, or does not know the version.
        SignatureError: the trail's head is not sound, or the papers cannot be read.
    """
    registry.fetch(workspace.root, workspace.name, version.number, into)
    # Matched by promotion id, not only by number: a new registry counts from 1 again.
    named = (version.tags.get(registry.PROMOTION_TAG), version.number)
    known = (record for record in history(workspace) if (record.body["id"], record.body["version"]) == named)
    promoted = next(known, None)
    what = f"version {version.number} of {registry.model_name(workspace.name)}"
    if promoted is None:
        raise TrailError(
            f"{what}: the trail has no record that it was ever put in service; get the newest trail from git"
        )
    found = {"files": packing.digest(into), "bundle": packing.digest(into / packing.BUNDLE)}
    for name, digest in {"files": promoted.body["files"], "bundle": promoted.body["bundle"]["sha256"]}.items():
        if found[name] != digest:
            raise CorruptArtifactError(
                f"{what}: {name} altered (SHA-256 {found[name][:12]}…, record {promoted.sequence} of the trail says "
                f"{digest[:12]}…); restore the artifact store, or choose another version"
            )
    papers = into / packing.PAPERS
    if papers.is_dir():
        key = keys.public_key(workspace.root / keys.TRAIL, signing.signer_of(papers))
        if problems := signing.check_signature(into / packing.BUNDLE, papers, key):
            raise CorruptArtifactError(f"{what}: {problems[0]}; choose another version")
    return promoted


def history(workspace: Workspace) -> list[Record]:
    """Returns the records of a workspace's promotions and rollbacks, in order.

    Raises:
        TrailError: records are altered or missing.
        SignatureError: the trail's head is not sound.
    """
    folder = promotions.place(workspace.root, workspace.folder)
    return promotions.promotions(promotions.read(workspace.root), folder)


def in_effect(records: Iterable[Record]) -> list[Record]:
    """Returns records of `history` without late ones, whose version was replaced before: the last says what serves."""
    return [record for record in records if not record.body.get(promotions.REPLACED)]


def replaced_by(workspace: Workspace, number: int) -> int:
    """Returns the version that was in service when version `number` was last promoted.

    Raises:
        RunError: there was none.
        TrailError: the trail is altered.
    """
    found = (record.body for record in reversed(history(workspace)) if record.body["version"] == number)
    promoted = next((body for body in found if body["event"] != promotions.ROLLED_BACK), None)
    if promoted is None or promoted["before"] is None:
        raise RunError(f"{workspace.name}: nothing was in service before version {number}; name the version you want")
    return int(promoted["before"])
