"""Keys and sealed envelopes: an EC P-256 key, and bytes signed with it in a canonical DSSE envelope.

An envelope is accepted only byte for byte as it was written, so every flipped bit is detected.
"""

import hashlib
import json
import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from eibert.errors import SignatureError

_PRIVATE_MODE = 0o600
_FINGERPRINT = re.compile("[0-9a-f]{64}")


def make_key(path: Path) -> None:
    """Atomically creates a private key readable only by its owner, unless one exists."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    part = path.with_name(f".{path.name}.part-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE), "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        os.link(part, path)
    except FileExistsError:
        pass  # created by another process meanwhile
    finally:
        part.unlink(missing_ok=True)


def public_pem(private_key: Path) -> bytes:
    """Returns the public half of a private key, as PEM.

    Raises:
        SignatureError: the file is not a usable key.
    """
    return _public_pem(_private(private_key).public_key())


def fingerprint(pem: bytes) -> str:
    """Returns the fingerprint of a public key: the SHA-256 of its PEM form.

    Raises:
        SignatureError: it is not a public P-256 key in PEM form.
    """
    return hashlib.sha256(_public_pem(_public(pem))).hexdigest()


def seal(payload: bytes, kind: str, private_key: Path) -> bytes:
    """Returns a signed envelope of bytes.

    Args:
        payload: The bytes to sign.
        kind: Media type of the payload; signed too.
        private_key: File with a P-256 key in PEM form.

    Raises:
        SignatureError: the file is not a usable key.
    """
    key = _private(private_key)
    envelope = Envelope(payload, kind, {})
    envelope.sign(CryptoSigner(key, _known(_public_pem(key.public_key()))))
    return _text(envelope)


def unseal(content: bytes, kind: str, public_key: bytes) -> bytes:
    """Returns the payload of an envelope after verifying its signature.

    Args:
        content: What `seal` returned.
        kind: Expected media type.
        public_key: PEM.

    Raises:
        SignatureError: the envelope is altered, of another kind or signed with another key.
    """
    known = _known(public_key)
    try:
        envelope = Envelope.from_dict(json.loads(content))
        if _text(envelope) != content:
            raise SignatureError("altered: not in its original form")
        if envelope.payload_type != kind:
            raise SignatureError(f"holds {envelope.payload_type[:60]}, expected {kind}")
        envelope.verify([known], 1)
    except SignatureError:
        raise
    except Exception as error:
        raise SignatureError(f"not a valid signature of this content by key {known.keyid[:12]}…") from error
    return bytes(envelope.payload)


def signer(content: bytes) -> str:
    """Returns the fingerprint of the key that an envelope claims to be signed with; nothing is verified.

    Raises:
        SignatureError: it is not an envelope.
    """
    try:
        found = str(json.loads(content)["signatures"][0]["keyid"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise SignatureError("truncated or altered signed envelope") from error
    if not _FINGERPRINT.fullmatch(found):  # it comes from a file that anyone may have written, and names another file
        raise SignatureError("altered: its key is not named by a fingerprint")
    return found


def _text(envelope: Envelope) -> bytes:
    return json.dumps(envelope.to_dict(), sort_keys=True).encode() + b"\n"


def _known(pem: bytes) -> SSlibKey:
    key = _public(pem)
    return SSlibKey.from_crypto(key, keyid=hashlib.sha256(_public_pem(key)).hexdigest())


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _public(pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError("not a public key in PEM form; restore trail/keys from git") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SignatureError("wrong kind of public key, expected EC P-256")
    return key


def _private(path: Path) -> ec.EllipticCurvePrivateKey:
    remedy = "expected an unencrypted EC P-256 key in PEM form; `openssl ecparam -name prime256v1 -genkey` makes one"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SignatureError(f"{path}: not readable ({error.strerror}); point EIBERT_SIGNING_KEY at a key") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{path}: unusable private key; {remedy}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise SignatureError(f"{path}: wrong kind of private key; {remedy}")
    return key
