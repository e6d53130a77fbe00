"""Writes a built bundle elsewhere, in the layout its readers expect."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Any

from eibert import artifact, atomic
from eibert.errors import BundleError, EibertError, RunError
from eibert.hub import write_hub
from eibert.runtime.bundle import CONFIGURATION, read_bundle
from eibert.trail import Record
from flows.trace import find
from tasks import card
from tasks.facts import digest_of


class Layout(StrEnum):
    """How the files are laid out."""

    BUNDLE = "bundle"
    HUB = "hub"


def write(bundle: Path, layout: Layout, out: Path, repository: Path) -> dict[str, Any]:
    """Writes a bundle into a new folder, atomically.

    Args:
        bundle: Folder of a bundle.
        layout: `bundle`: the files that ship; `hub`: what transformers, optimum and transformers.js read, plus a card.
        out: Target folder; must not exist, or be empty.
        repository: A folder in the repository whose trail may know the bundle.

    Returns:
        `folder`, `layout`, `bytes` and `record` (digest of the record behind the model card, or None).

    Raises:
        BundleError: the bundle is missing, altered or of an unknown format.
        RunError: the folder is taken, the current one, or lies inside an artifact.
    """
    if not bundle.is_dir():
        raise BundleError(f"{bundle}: no bundle there; run `eibert run`, or name one with --bundle")
    try:
        _check_place(out)
        with atomic.folder(out.absolute()) as part:
            record = _write(bundle, layout, part, repository, out.absolute().name)
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror}); name another folder with -o") from error
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {"folder": str(out), "layout": layout.value, "bytes": size, "record": record and record.digest}


def _check_place(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise RunError(f"{out}: already exists; name a new folder with -o, or remove it")
    if out.exists() and out.samefile("."):  # would be replaced by another folder of its name
        raise RunError(f"{out}: is the current folder; name a new one with -o")
    for parent in out.absolute().parents:
        if artifact.is_artifact(parent):
            raise RunError(f"{out}: is inside the artifact {parent}, which must not change; name a folder elsewhere")


def _write(bundle: Path, layout: Layout, part: Path, repository: Path, name: str) -> Record | None:
    read_bundle(bundle)
    names = (CONFIGURATION, *artifact.read_json(bundle / CONFIGURATION)["files"])
    digest = digest_of({name: artifact.sha256(bundle / name) for name in names})
    match layout:
        case Layout.BUNDLE:
            for each in names:
                shutil.copyfile(bundle / each, part / each)
            return None
        case Layout.HUB:
            record = _record(repository, digest)
            card.write(part, write_hub(bundle, part), digest, record, name=name)
            return record


def _record(repository: Path, digest: str) -> Record | None:
    """The record of a bundle, or None; the card then says that there is none."""
    try:
        return find(repository, digest)[1].record
    except EibertError:
        return None
