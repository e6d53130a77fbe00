"""Redacts secrets in what is stored or shown: credentials in URLs, tokens of known formats, secret variables.

Redaction by format alone is the same on every machine, so artifacts may contain its result; logs, records and messages
also have the values of the environment's secret variables redacted.
"""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from eibert.errors import RunError

BLOT = "***"

_WORDS = r"token|secret|passw(?:or)?d|passphrase|credentials?|api[_-]?key|access[_-]?key|private[_-]?key|signature"
_ADDRESS = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(rf"(?i)([?&;][\w.-]*(?:{_WORDS}|sig|auth|key)[\w.-]*=)[^&\s#\"']+")
_NAMED = re.compile(
    rf"(?i)\b((?:[a-z]+[_-])*(?:{_WORDS}|authorization)[\"']?\s*[=:]\s*[\"']?)(?:(bearer|basic)\s+)?[^\s\"',}}]{{8,}}"
)
_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<![A-Za-z0-9])(?:"
    r"(?:hf_|npm_|pypi-|gh[pousr]_|sk-|dapi)(?P<body>[\w-]{12,})"
    r"|(?:dckr_pat_|glpat-|github_pat_|xox[abeprs]-)[\w-]{12,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{20,}|eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?)",
    re.DOTALL | re.ASCII,
)
_WORD = re.compile(r"[A-Z]?[a-z]{1,20}[0-9]{0,8}|[A-Z]{1,8}[0-9]{0,8}|[0-9]{1,8}[a-z]{0,4}|[a-z0-9]{1,4}|")
"""Part of a readable name, such as `banking77`, `NLU`, `2024` or `b2b`; shorter than what follows any such prefix."""

_NAME_DIGITS = 10
"""More digits than this are those of a random key, such as a UUID."""

_VARIABLE = re.compile(
    r"(?i)(?:^|_)(?:token|secret|passw(?:or)?d|pass|passphrase|credentials?|key|apikey|pat|auth|dsn|cookie)(?:_|$)"
)
_LEAST_CHARS = 8
"""Shorter values of variables are kept: they would match inside ordinary words."""


def redacted(value: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Returns a value with the secrets in its strings redacted, including those in keys and nested values.

    Args:
        value: A string, or nested mappings and lists; anything else is returned unchanged.
        environment: Variables whose values are secret if their names say so; None: redact by format alone.
    """
    return _redacted(value, _secrets(environment or {}))


def shown(text: str) -> str:
    """Returns a text for a log or message with all secrets redacted, including those in this process's environment."""
    return str(redacted(text, os.environ))


def identity(name: str) -> str:
    """Returns the name of a workspace, or its folder's in the trail, by which records are found again.

    Raises:
        RunError: redaction would alter it, so that a record could name it only by giving away what may be a secret.
    """
    if (told := shown(name)) != name:
        raise RunError(
            f"{told}: this name contains what looks like a token, a password or the value of a secret variable, which "
            "no record may contain; choose another name for the folder"
        )
    return name


def _redacted(value: Any, secrets: list[str]) -> Any:
    match value:
        case str():
            return _text(value, secrets)
        case Mapping():
            return {_redacted(key, secrets): _redacted(inner, secrets) for key, inner in value.items()}
        case list() | tuple():
            return [_redacted(inner, secrets) for inner in value]
        case _:
            return value


def _text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, BLOT)
    text = _ADDRESS.sub(f"{BLOT}@", text)
    text = _QUERY.sub(rf"\g<1>{BLOT}", text)
    text = _NAMED.sub(rf"\g<1>{BLOT}", text)
    return _FORMS.sub(lambda found: found[0] if _is_name(found["body"]) else BLOT, text)


def _is_name(body: str | None) -> bool:
    """Returns whether what follows a token's prefix is readable, as in `hf_banking77_intents`, rather than random."""
    if body is None or sum(map(str.isdigit, body)) > _NAME_DIGITS:
        return False
    return all(_WORD.fullmatch(part) for part in re.split("[-_]", body))


def _secrets(environment: Mapping[str, str]) -> list[str]:
    found = set()
    for name, value in environment.items():
        if _VARIABLE.search(name) and not value.startswith((".", os.sep)):  # a path to a secret is not secret
            found |= {value, unquote(value)}
        if "://" in value and "@" in value:
            found |= _of_address(value)
    return sorted((value for value in found if len(value) >= _LEAST_CHARS), key=len, reverse=True)


def _of_address(address: str) -> set[str]:
    try:
        password = urlsplit(address).password
    except ValueError:  # not a URL after all
        return set()
    return {password, unquote(password)} if password else set()
