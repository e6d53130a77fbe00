"""The private key of this machine, the public keys of a repository, and the signature on the trail's head.

<root>/.eibert/keys/signing.pem      the private key, unless EIBERT_SIGNING_KEY names another; never in git
<root>/trail/keys/<fingerprint>.pem  the public keys, in git
"""

import os
from pathlib import Path

from eibert import atomic, envelope, trail
from eibert.errors import SignatureError
from eibert.trail import Unseal

TRAIL = "trail"
"""Folder of the trail in a repository; it belongs in git."""
KEY_VARIABLE = "EIBERT_SIGNING_KEY"
PRIVATE = ".eibert"
_KEYS = "keys"
_HEAD = "application/vnd.eibert.trail.v1+json"


def private_key(root: Path) -> Path:
    """Returns the private key's file, creating it on first use; publishes its public key in the trail.

    Raises:
        SignatureError: EIBERT_SIGNING_KEY names no usable key.
    """
    if given := os.environ.get(KEY_VARIABLE):
        path = Path(given).expanduser().absolute()
    else:
        path = root / PRIVATE / _KEYS / "signing.pem"
        envelope.make_key(path)
        hidden = path.with_name(".gitignore")
        if not hidden.is_file():
            hidden.write_text("*\n")
    pem = envelope.public_pem(path)
    public = public_key(root / TRAIL, envelope.fingerprint(pem))
    if not public.is_file() or public.read_bytes() != pem:
        public.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(public, pem)
    return path


def public_key(folder: Path, fingerprint: str) -> Path:
    """Returns the path of a public key in a trail's folder."""
    return folder / _KEYS / f"{fingerprint}.pem"


def seal_head(line: bytes, key: Path) -> bytes:
    """Returns the content of the trail's head: its newest line, signed."""
    return envelope.seal(line, _HEAD, key)


def head_opener(folder: Path) -> Unseal:
    """Returns a function that verifies and opens a trail's head with the key it names, read from the trail's folder."""

    def opened(content: bytes) -> bytes:
        path = folder / trail.HEAD
        try:
            public = public_key(folder, signer := envelope.signer(content))
            pem = public.read_bytes()
            if envelope.fingerprint(pem) != signer:
                raise SignatureError(f"{public} does not match the fingerprint in its name")
            return envelope.unseal(content, _HEAD, pem)
        except FileNotFoundError as error:
            raise SignatureError(f"{path}: signed with a key that is not there ({public}); get it from git") from error
        except SignatureError as error:
            raise SignatureError(f"{path}: {error}; restore the folder from git, or from a copy you trust") from error

    return opened


def check_trail(root: Path) -> list[str]:
    """Returns the problems of a repository's trail, one line each; [] if it is sound or not yet begun."""
    folder = root / TRAIL
    return trail.check(folder, head_opener(folder))
