"""Checks signatures for `trace` and the judge: that of the trail's head, and those in a bundle's papers."""

from dataclasses import dataclass
from pathlib import Path

from eibert import artifact, envelope, trail
from eibert.errors import SignatureError
from tasks import facts, keys, signing
from tasks.lookup import Found


@dataclass(frozen=True)
class Signature:
    """The state of a signature.

    Attributes:
        state: `sound`, `altered`, or `absent` if no papers of this bundle are available.
        detail: What was checked, or what is wrong.
        key: Fingerprint of the signing key, if known.
    """

    state: str
    detail: str
    key: str | None = None


def of_trail(root: Path) -> Signature:
    """Returns the state of the trail's head."""
    folder = root / keys.TRAIL
    problems = keys.check_trail(root)
    if problems:
        return Signature("altered", problems[0])
    head = (folder / trail.HEAD).read_bytes()
    return Signature("sound", "the chain of records is intact; the newest is signed", envelope.signer(head))


def of_bundle(root: Path, found: Found) -> Signature:
    """Returns the state of the signature of a record's bundle, as far as its papers are available."""
    workspace = root / found.record.body["folder"]
    places = signing.papers_beside(found.path) if found.path else []
    reason = ""
    for papers in [*places, artifact.folder(workspace, signing.PAPERS)]:
        if not papers.is_dir():
            continue
        try:
            signer = signing.signer_of(papers)
            key = keys.public_key(root / keys.TRAIL, signer)
            if not key.is_file():
                return Signature("altered", f"{papers}: signed with a key that is not in trail/keys", signer)
            statement = signing.read_statement(papers, key.read_bytes())
        except SignatureError as error:
            return Signature("altered", str(error))
        if statement["predicate"]["runDetails"]["metadata"]["invocationId"] != found.record.digest:
            reason = f"{_name(papers, root)} belongs to another record"
            continue
        signed = {subject["digest"]["sha256"] for subject in statement["subject"]}
        return _checked(root, found, papers, key, signed)
    covered = "the record itself is covered by the trail's signed head"
    return Signature("absent", f"{reason or 'its provenance is not available'}; {covered}")


def _checked(root: Path, found: Found, papers: Path, key: Path, signed: set[str]) -> Signature:
    signer = key.stem
    given, built = found.path, facts.bundle_folder(root / found.record.body["folder"])
    bundle = given if given and given.is_dir() else built
    if given and given.is_file() and given.resolve().parent != built.resolve():
        # A lone file: the record knows its digest, and the signed statement names the record.
        file = "this file and the record" if found.sha256 in signed else "the record that lists this file"
        return Signature("sound", f"{_name(papers, root)} names {file}", signer)
    if not bundle.is_dir():
        return Signature("sound", f"{_name(papers, root)} names the record; the bundle is not here", signer)
    problems = signing.check_signature(bundle, papers, key)
    if problems:
        return Signature("altered", problems[0], signer)
    return Signature("sound", f"every byte of {_name(bundle, root)} matches the signature", signer)


def _name(path: Path, root: Path) -> str:
    """A path relative to the repository if inside it, else unchanged."""
    absolute = path.absolute()
    return str(absolute.relative_to(root) if absolute.is_relative_to(root) else path)
