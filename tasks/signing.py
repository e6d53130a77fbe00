"""Signs a bundle and its attestations, and verifies both; the files lie beside the bundle, not in it.

data/provenance/bundle.sig               signature of the folder, OpenSSF model-signing
data/provenance/provenance.intoto.json   in-toto statement with SLSA provenance in a DSSE envelope
data/provenance/bom.cdx.json             CycloneDX; its digest is in the provenance
"""

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eibert import artifact, atomic, envelope, trail
from eibert.errors import SignatureError

SIGNATURE, PROVENANCE, BOM = "bundle.sig", "provenance.intoto.json", "bom.cdx.json"
PAPERS = "provenance"
"""Folder of these three: an artifact's, and beside a copied bundle."""
IN_TOTO = "application/vnd.in-toto+json"


def sign(bundle: Path, target: Path, key: Path, bom: str, statement: Mapping[str, Any]) -> None:
    """Signs a bundle and writes its signature and attestations: all three files or none.

    Args:
        bundle: Folder that ships.
        target: Folder for the files, replaced as a whole.
        key: The private key.
        bom: CycloneDX as JSON.
        statement: in-toto statement; names the bundle's files and the digest of `bom`.

    Raises:
        SignatureError: the key cannot be used, or the bundle contains links.
    """
    from model_signing import signing  # imports sigstore, which takes half a second

    with atomic.folder(target) as part:
        try:
            config = signing.Config().use_elliptic_key_signer(private_key=key)
            config.set_hashing_config(_hashing()).sign(bundle, part / SIGNATURE)
        except (ValueError, OSError) as error:
            raise SignatureError(f"{bundle}: cannot be signed: {error}") from error
        (part / BOM).write_text(bom, encoding="utf-8")
        (part / PROVENANCE).write_bytes(envelope.seal(trail.canonical(statement), IN_TOTO, key))


def papers_beside(path: Path) -> list[Path]:
    """Returns the folders of a bundle's papers: copied along with it, or where it was built; may be empty.

    Args:
        path: The bundle's folder, or a file in it.
    """
    folder = (path if path.is_dir() else path.parent).resolve()
    places = (folder.parent / PAPERS, folder.parent.parent / PAPERS)
    return [place for place in places if any((place / name).exists() for name in (SIGNATURE, PROVENANCE, BOM))]


def check_signature(bundle: Path, provenance: Path, key: Path) -> list[str]:
    """Returns the problems of a signed bundle, one line each; [] if every byte is as signed.

    Args:
        bundle: Folder that ships.
        provenance: Folder written by `sign`.
        key: File with the trusted public key.
    """
    found = _strangers(bundle, None) + _strangers(provenance, {SIGNATURE, PROVENANCE, BOM})
    if found:
        return found
    try:
        pem = key.read_bytes()
        envelope.fingerprint(pem)
    except (OSError, SignatureError) as error:
        return [f"{key}: not a usable public key ({error}); get it from git"]
    return _check_model(bundle, provenance / SIGNATURE, key, pem) + _check_statement(bundle, provenance, pem)


def read_statement(provenance: Path, pem: bytes) -> dict[str, Any]:
    """Returns the in-toto statement of a bundle after verifying its signature.

    Raises:
        SignatureError: the statement is missing, altered or signed with another key.
    """
    path = provenance / PROVENANCE
    try:
        statement: dict[str, Any] = json.loads(envelope.unseal(path.read_bytes(), IN_TOTO, pem))
    except OSError as error:
        raise SignatureError(f"{path}: not readable ({error.strerror})") from error
    except SignatureError as error:
        raise SignatureError(f"{path}: {error}") from error
    return statement


def signer_of(provenance: Path) -> str:
    """Returns the fingerprint of the key that a bundle's provenance names, without verifying anything.

    Raises:
        SignatureError: there is no provenance, or it cannot be read.
    """
    path = provenance / PROVENANCE
    try:
        return envelope.signer(path.read_bytes())
    except OSError as error:
        raise SignatureError(f"{path}: not readable ({error.strerror})") from error
    except SignatureError as error:
        raise SignatureError(f"{path}: {error}") from error


def _strangers(folder: Path, expected: set[str] | None) -> list[str]:
    """Lists entries that are not plain files and, given `expected`, missing and unexpected files."""
    if not folder.is_dir():
        return [f"{folder}: no such folder"]
    entries = sorted(folder.iterdir())
    found = [f"{path}: not a regular file" for path in entries if path.is_symlink() or not path.is_file()]
    if expected is None:
        return found
    names = {path.name for path in entries}
    found += [f"{folder / name}: missing" for name in sorted(expected - names)]
    return found + [f"{folder / name}: not among the signed files" for name in sorted(names - expected)]


def _check_model(bundle: Path, path: Path, key: Path, pem: bytes) -> list[str]:
    from model_signing import verifying
    from sigstore_models.bundle.v1 import Bundle

    try:
        # The library ignores unknown fields and unused bits; accept only the exact form it writes itself.
        text = path.read_text(encoding="utf-8")
        kept = Bundle.from_json(text)
        named = kept.verification_material.public_key
        if kept.to_json() != text or named is None or named.hint != envelope.fingerprint(pem):
            return [f"{path}: altered, or signed with a key other than {key}"]
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            config.set_hashing_config(_hashing()).verify(bundle, path)
    except Exception as error:  # noqa: BLE001 — an altered byte may break any part of the parsing
        reason = " ".join(str(error).split()) or type(error).__name__
        return [f"{bundle}: does not match {path.name}: {reason[:300]}"]
    return []


def _check_statement(bundle: Path, provenance: Path, pem: bytes) -> list[str]:
    path = provenance / PROVENANCE
    try:
        statement = read_statement(provenance, pem)
        signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
        products = statement["predicate"]["runDetails"]["byproducts"]
        bom = next(product["digest"]["sha256"] for product in products if product["name"] == BOM)
    except SignatureError as error:
        return [str(error)]
    except (LookupError, TypeError, StopIteration):
        return [f"{path}: not a statement written by eibert"]
    found = {path.name: artifact.sha256(path) for path in sorted(bundle.iterdir())}
    lines = [
        f"{bundle / name}: does not match {path.name}"
        for name in sorted(signed.keys() | found.keys())
        if signed.get(name) != found.get(name)
    ]
    altered = artifact.sha256(provenance / BOM) != bom
    return lines + ([f"{provenance / BOM}: does not match {path.name}"] if altered else [])


def _hashing() -> Any:
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)
