"""Every change to a signed bundle or its attestations is detected."""

import dataclasses
import json
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from eibert import envelope
from eibert.errors import SignatureError
from tasks import bom, keys, signing
from tests.recorded import key_of, record, sign

FLIPS = 300


def folders(root: Path) -> tuple[Path, Path]:
    return root / "w" / "data" / "export" / "bundle", root / "w" / "data" / "provenance"


def check(root: Path) -> list[str]:
    return signing.check_signature(*folders(root), key_of(root))


def test_untouched_bundle_is_sound(signed: Path) -> None:
    assert check(signed) == []


def test_every_flipped_bit_is_found(signed: Path) -> None:
    generator = random.Random(17)
    files = [path for folder in folders(signed) for path in sorted(folder.iterdir())]
    contents = {path: path.read_bytes() for path in files}
    for number in range(FLIPS):
        path = files[number % len(files)]
        good = contents[path]
        position, bit = generator.randrange(len(good)), generator.randrange(8)
        path.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
        assert check(signed), f"{path.name} byte {position} bit {bit}"
        path.write_bytes(good)
    assert check(signed) == []


def link(path: Path) -> None:
    """Replaces a file by a link to the same content."""
    path.rename(path.parents[2] / path.name)
    path.symlink_to(path.parents[2] / path.name)


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    "added to the bundle": lambda bundle, _: (bundle / "more.txt").write_text("x"),
    "hidden file added": lambda bundle, _: (bundle / ".gitignore").write_text("x"),
    "folder added": lambda bundle, _: (bundle / "empty").mkdir(),
    "removed": lambda bundle, _: (bundle / "vocab.txt").unlink(),
    "renamed": lambda bundle, _: (bundle / "vocab.txt").rename(bundle / "words.txt"),
    "link": lambda bundle, _: link(bundle / "vocab.txt"),
    "emptied": lambda bundle, _: (bundle / "vocab.txt").write_text(""),
    "bundle gone": lambda bundle, _: bundle.rename(bundle.with_name("other")),
    "added to the papers": lambda _, papers: (papers / "more.json").write_text("{}"),
    "signature gone": lambda _, papers: (papers / signing.SIGNATURE).unlink(),
    "signature truncated": lambda _, papers: os.truncate(papers / signing.SIGNATURE, 700),
    "signature empty": lambda _, papers: os.truncate(papers / signing.SIGNATURE, 0),
    "provenance truncated": lambda _, papers: os.truncate(papers / signing.PROVENANCE, 700),
    "bill truncated": lambda _, papers: os.truncate(papers / signing.BOM, 700),
    "papers swapped": lambda _, papers: (papers / signing.BOM).write_bytes((papers / signing.SIGNATURE).read_bytes()),
    "papers gone": lambda _, papers: papers.rename(papers.with_name("other")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_is_found(signed: Path, change: str) -> None:
    CHANGES[change](*folders(signed))
    found = check(signed)
    assert found
    assert all("\n" not in line for line in found)


def test_signature_of_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    envelope.make_key(tmp_path / "other.pem")
    (tmp_path / "other.pub").write_bytes(envelope.public_pem(tmp_path / "other.pem"))
    found = signing.check_signature(*folders(signed), tmp_path / "other.pub")
    assert len(found) == 2
    assert "a key other than" in found[0]


def test_key_is_private_and_made_once(signed: Path) -> None:
    path = keys.private_key(signed)
    assert path == signed / ".eibert" / "keys" / "signing.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = path.read_bytes()
    assert keys.private_key(signed) == path
    assert path.read_bytes() == content
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert b"PRIVATE" not in key_of(signed).read_bytes()


def test_key_of_ones_own_is_taken(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    envelope.make_key(tmp_path / "mine.pem")
    monkeypatch.setenv(keys.KEY_VARIABLE, str(tmp_path / "mine.pem"))
    fingerprint = envelope.fingerprint(envelope.public_pem(tmp_path / "mine.pem"))
    sign(signed, record(signed))
    assert signing.signer_of(folders(signed)[1]) == fingerprint
    assert signing.check_signature(*folders(signed), signed / "trail" / "keys" / f"{fingerprint}.pem") == []


@pytest.mark.parametrize("content", [None, "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_unusable_key_is_told_in_one_line(
    signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    if content:
        (tmp_path / "bad.pem").write_text(content)
    monkeypatch.setenv(keys.KEY_VARIABLE, str(tmp_path / "bad.pem"))
    with pytest.raises(SignatureError, match=r"bad\.pem") as caught:
        keys.private_key(signed)
    assert "\n" not in str(caught.value)


def test_head_of_the_trail_is_signed(signed: Path) -> None:
    assert keys.check_trail(signed) == []
    head = signed / "trail" / "head.json"
    good = head.read_bytes()
    generator = random.Random(3)
    for _ in range(100):
        position, bit = generator.randrange(len(good)), generator.randrange(8)
        head.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
        assert keys.check_trail(signed), f"byte {position} bit {bit}"
    head.write_bytes(good)
    key_of(signed).write_text("x")
    assert "not a public key" in keys.check_trail(signed)[0]
    key_of(signed).unlink()
    assert "a key that is not there" in keys.check_trail(signed)[0]


@pytest.mark.parametrize("name", ["f" * 300, "a\0b", "../../x", "\x1b[8m", "F" * 64])
def test_key_that_is_named_by_no_fingerprint_is_told_in_one_line(signed: Path, name: str) -> None:
    head = signed / "trail" / "head.json"
    envelope = json.loads(head.read_bytes())
    envelope["signatures"][0]["keyid"] = name
    head.write_text(json.dumps(envelope))
    [problem] = keys.check_trail(signed)
    assert "head.json: altered: its key is not named by a fingerprint; " in problem


def test_provenance_and_bill_name_the_record(signed: Path) -> None:
    papers = folders(signed)[1]
    found = record(signed)
    statement = signing.read_statement(papers, key_of(signed).read_bytes())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["predicate"]["runDetails"]["metadata"]["invocationId"] == found.digest
    assert {subject["name"] for subject in statement["subject"]} == {"eibert.json", "model.onnx", "vocab.txt"}
    bill = json.loads((papers / signing.BOM).read_text())
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"] == [{"alg": "SHA-256", "content": found.body["bundle"]["sha256"]}]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "test.bundle", "value": "0.9"} in metrics
    components = {component["bom-ref"]: component for component in bill["components"]}
    assert components["teacher"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert components["data/source/0"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert components["teacher"]["hashes"][0]["content"] == "cd" * 32
    assert components["data/source/0"]["components"][0]["hashes"][0]["content"] == "ab" * 32
    assert "library/mlflow" in components


def test_bill_states_this_projects_licence_for_the_sample(signed: Path) -> None:
    found = record(signed)
    body = json.loads(json.dumps(found.body))
    (source,) = body["data"]["sources"]
    del source["licence"]
    licences = {}
    for name in ("sample", "../rows.csv"):
        source["source"] = name
        parts = json.loads(bom.bill(dataclasses.replace(found, body=body)))["components"]
        (part,) = [part for part in parts if part["bom-ref"] == "data/source/0"]
        licences[name] = part.get("licenses")
    assert licences == {"sample": [{"license": {"id": "Apache-2.0"}}], "../rows.csv": None}
