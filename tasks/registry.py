"""The MLflow registry: one registered model per workspace, one version per challenger that passed, two aliases.

`champion` is in service; `challenger` is the newest candidate. `tasks/packing.py` packs a version's files.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eibert import artifact
from eibert.errors import CorruptArtifactError, EibertError, RegistryError
from eibert.redact import redacted, shown
from tasks import facts, mlflow_store, packing, tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
BUNDLE_TAG, FILES_TAG, RECORD_TAG = "eibert.bundle", "eibert.files", "eibert.record"
PROMOTION_TAG, WORKSPACE_TAG = "eibert.promotion", "eibert.workspace"
REPLACED_TAG = "eibert.replaced"
"""Of a version that was in service when another was about to replace it."""

_SECONDS_TO_CREATE = 30
_ROOT = "REPOSITORY"
"""Stands for the repository's folder, which may be moved, in the address of a store."""


class SupersededError(RegistryError):
    """Another version came into service meanwhile."""


@dataclass(frozen=True)
class Version:
    """One version of a registered model.

    Attributes:
        number: Version number, from 1.
        digest: SHA-256 of the whole bundle.
        created: Time of registration, UTC.
        run: Id of the MLflow run that holds its files.
        tags: Digests and figures by name.
        aliases: Aliases that currently point to it.
    """

    number: int
    digest: str
    created: datetime
    run: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...] = ()


def model_name(name: str) -> str:
    """Returns the name of a workspace's registered model; MLflow rejects / and :, and cannot search for a '."""
    return re.sub("[/:']", ".", name)


def store(root: Path) -> str:
    """Returns the address of MLflow's store without credentials, the same wherever the repository lies."""
    return str(redacted(mlflow_store.store(root).replace(f"{root}/", f"{_ROOT}/")))


def store_here(address: str, root: Path) -> str:
    """Returns an address that `store` returned, for a message about the repository in this place."""
    return address.replace(f"{_ROOT}/", f"{root}/")


def champion(root: Path, name: str) -> Version | None:
    """Returns the version in service; None: there is none yet.

    Args:
        root: Folder of the repository.
        name: Name of the workspace.

    Raises:
        RegistryError: MLflow does not answer, or the model of that name belongs to another workspace.
    """
    return next((version for version in versions(root, name) if CHAMPION in version.aliases), None)


def versions(root: Path, name: str) -> list[Version]:
    """Returns all versions, oldest first; raises as `champion` does. Does not create a missing store."""
    if mlflow_store.is_absent(root):
        return []
    with connected(root) as client:
        aliases = _aliases(client, name)
        found = client.search_model_versions(f"name='{model_name(name)}'") if aliases is not None else []
        read = [_version(version, aliases or {}) for version in found]
    return sorted(read, key=lambda version: version.number)


def find(root: Path, name: str, number: int) -> Version:
    """Returns one version; raises as `champion` does, and RegistryError if there is no such version."""
    found = versions(root, name)
    if wanted := next((version for version in found if version.number == number), None):
        return wanted
    known = ", ".join(str(version.number) for version in found) or "none"
    raise RegistryError(f"{model_name(name)}: no version {number}; existing versions: {known}")


def register(root: Path, name: str, contents: Path, tags: Mapping[str, str]) -> Version:
    """Registers a version and gives it the alias `challenger`; raises as `champion` does.

    Args:
        root: Folder of the repository.
        name: Name of the workspace.
        contents: Folder written by `packing.pack`.
        tags: Tags of the version; PROMOTION_TAG identifies what a killed registration leaves behind.
    """
    with connected(root) as client:
        place = mlflow_store.experiment(client, root, name)
        mlflow_store.check_place(root, client.get_experiment(place).artifact_location)
        if _aliases(client, name) is None:
            client.create_registered_model(model_name(name), tags={WORKSPACE_TAG: name})
        run = client.create_run(place, tags={PROMOTION_TAG: tags[PROMOTION_TAG]}, run_name="version").info
        client.log_artifacts(run.run_id, str(contents))
        client.set_terminated(run.run_id)
        made = client.create_model_version(
            model_name(name), source=f"{run.artifact_uri}/{packing.MODEL}", run_id=run.run_id, tags=dict(tags),
            await_creation_for=_SECONDS_TO_CREATE,
        )  # fmt: skip
        client.set_registered_model_alias(model_name(name), CHALLENGER, made.version)
        return _version(made, {CHALLENGER: made.version})


def set_champion(root: Path, name: str, number: int, *, before: int | None) -> None:
    """Puts a version in service in one registry transaction, provided that the version in service is as expected.

    Before that, the one in service gets REPLACED_TAG: a killed promotion that nobody settled yet then counts as made.

    Processes that share a database file exclude each other. A server has no compare-and-set: what another machine puts
    in service between this check and the transaction is overwritten.

    Args:
        root: Folder of the repository.
        name: Name of the workspace.
        number: Version number.
        before: Number of the version expected in service; None: none.

    Raises:
        RegistryError: as `champion` does.
        SupersededError: another version is in service.
    """
    with connected(root) as client:
        found = (_aliases(client, name) or {}).get(CHAMPION)
        if str(found) != str(before):
            raise SupersededError(
                f"{model_name(name)}: found {_told(found)} in service, expected {_told(before)}: it was replaced "
                "meanwhile, perhaps from another clone; get the newest trail from git, and repeat the command"
            )
        if before is not None:
            client.set_model_version_tag(model_name(name), str(before), REPLACED_TAG, "true")
        client.set_registered_model_alias(model_name(name), CHAMPION, str(number))


def last_run(root: Path, name: str) -> tuple[datetime, str | None] | None:
    """Returns when the pipeline last ran in a workspace and how that ended, as `tracking.last_run` does.

    None: it never did. Raises as `champion` does.
    """
    if mlflow_store.is_absent(root):
        return None
    with connected(root) as client:
        return tracking.last_run(client, name)


def fetch(root: Path, name: str, number: int, into: Path) -> Path:
    """Downloads a version's files as `packing.pack` wrote them, verifies them against its tags, and returns `into`.

    Args:
        root: Folder of the repository.
        name: Name of the workspace.
        number: Version number.
        into: Existing empty folder.

    Raises:
        RegistryError: MLflow does not answer, has no such version, or keeps its files in another repository.
        CorruptArtifactError: files are missing or altered.
    """
    version = find(root, name, number)
    with connected(root) as client:
        mlflow_store.check_place(root, client.get_run(version.run).info.artifact_uri)
        client.download_artifacts(version.run, "", str(into))
    packing.clean(into)
    found, bundle = packing.digest(into), into / packing.BUNDLE
    held = {path.name: artifact.sha256(path) for path in bundle.glob("*") if path.is_file()}
    for what, tag, digest in (("files", FILES_TAG, found), ("bundle", BUNDLE_TAG, facts.digest_of(held))):
        if version.tags.get(tag) != digest:
            raise CorruptArtifactError(
                f"version {number} of {model_name(name)}: {what} missing or altered (SHA-256 {digest[:12]}…, "
                f"registered {version.tags.get(tag, 'none')[:12]}…); restore the artifacts, or take another version"
            )
    return into


def clear(root: Path, name: str, promotion: str, challenger: int | None) -> None:
    """Removes the remains of an unfinished registration and restores the alias `challenger`; raises as `champion` does.

    Args:
        root: Folder of the repository.
        name: Name of the workspace.
        promotion: PROMOTION_TAG of the registration.
        challenger: Number of the version that held the alias before, if any.
    """
    left = [version for version in versions(root, name) if version.tags.get(PROMOTION_TAG) == promotion]
    with connected(root) as client:
        for version in left:
            if CHALLENGER in version.aliases and challenger is not None:
                client.set_registered_model_alias(model_name(name), CHALLENGER, str(challenger))
            client.delete_model_version(model_name(name), str(version.number))
        place = mlflow_store.experiment(client, root, name)
        for run in client.search_runs([place], filter_string=f"tags.`{PROMOTION_TAG}` = '{promotion}'"):
            _delete_run(client, root, run.info)


def discard(root: Path, name: str, number: int) -> None:
    """Deletes a version and its files, unless an alias points to it.

    Raises:
        RegistryError: MLflow does not answer, has no such version or its files elsewhere, or an alias points to it.
    """
    version = find(root, name, number)
    if version.aliases:
        raise RegistryError(f"version {number} of {model_name(name)} is {' and '.join(version.aliases)}; not deleted")
    with connected(root) as client:
        run = client.get_run(version.run).info
        mlflow_store.check_place(root, run.artifact_uri)
        client.delete_model_version(model_name(name), str(number))
        _delete_run(client, root, run)


def _told(number: int | str | None) -> str:
    return "no version" if number is None else f"version {number}"


def _version(found: Any, aliases: Mapping[str, str]) -> Version:
    named = tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(found.version)))
    created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return Version(int(found.version), found.tags.get(BUNDLE_TAG, ""), created, found.run_id, dict(found.tags), named)


def _aliases(client: "MlflowClient", name: str) -> Mapping[str, str] | None:
    """Returns alias → version number of a workspace's registered model; None: no such model."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(model_name(name))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if (owner := model.tags.get(WORKSPACE_TAG)) != name:
        raise RegistryError(
            f"registered model {model_name(name)} belongs to {owner or 'someone else'}, not to workspace {name}; "
            "rename one of them, or use another MLflow store"
        )
    return dict(model.aliases)


def _delete_run(client: "MlflowClient", root: Path, run: Any) -> None:
    """Deletes a run and its files; MLflow itself only marks the run as deleted."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    mlflow_store.check_place(root, run.artifact_uri)
    with suppress(OSError, NotImplementedError):
        get_artifact_repository(run.artifact_uri, mlflow_store.store(root)).delete_artifacts()
    client.delete_run(run.run_id)


@contextmanager
def connected(root: Path) -> Iterator["MlflowClient"]:
    """Yields a client of the store; must not be nested.

    Raises:
        RegistryError: MLflow does not answer as expected.
    """
    try:
        with mlflow_store.connected(root) as client:
            yield client
    except EibertError:
        raise
    except Exception as error:  # whatever MLflow raises becomes one message
        said = f"MLflow at {mlflow_store.store(root)} did not answer as expected ({mlflow_store.reason(error)})"
        raise RegistryError(
            f"{shown(said)}; nothing is left half done: start it or fix MLFLOW_TRACKING_URI, then repeat the command"
        ) from error
