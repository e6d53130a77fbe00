"""Reports how a retraining ended to a webhook or a command, whose failing or hanging costs only a warning."""

import json
import os
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from eibert.params.notify import Event, NotifyParams
from eibert.redact import redacted
from flows.history import Retraining

_FIELDS = ("workspace", "outcome", "reason", "drifted", "version", "when", "seconds")


def notify(found: Retraining, params: NotifyParams, *, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Notifies of a retraining's end; returns a warning for each target that could not be notified.

    Args:
        found: The retraining.
        params: Whom to notify, and of which events.
        environment: Holds the webhook's address if `params` names a variable.
    """
    events = {Event(found.outcome.value)} | ({Event.DRIFTED} if found.drifted else set())
    if not events & set(params.events):
        return []
    told = {name: getattr(found, name) for name in _FIELDS} | {"text": _line(found)}
    body = json.dumps(redacted(told, environment), ensure_ascii=False).encode()
    warnings = []
    if params.webhook:
        warnings.append(_post(params.webhook, body, params.timeout_s, environment))
    if params.command:
        warnings.append(_call(params.command, body, params.timeout_s))
    return [warning for warning in warnings if warning]


def _line(found: Retraining) -> str:
    drifted = ", drifted" if found.drifted else ""
    return f"{found.workspace}: {found.outcome.value}{drifted}: {found.reason}"


def _post(webhook: str, body: bytes, timeout_s: float, environment: Mapping[str, str]) -> str:
    """Posts the body; the warning holds neither the address nor a response, which may repeat it."""
    name = webhook.removeprefix("$")
    address = environment.get(name, "") if webhook.startswith("$") else webhook
    try:
        place = urlsplit(address)
        if place.scheme not in ("http", "https") or not place.hostname:
            found = f"the environment variable {name}" if webhook.startswith("$") else "notify.webhook"
            return f"notify.webhook: {found} contains no http or https URL; set it"
        headers = {"Content-Type": "application/json", "User-Agent": "eibert"}
        request = urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 — scheme checked
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            answer.read(0)
    except Exception as error:  # noqa: BLE001 — whatever a hook does, the retraining stands
        code: Any = getattr(error, "code", "")
        host = urlsplit(address).hostname if "place" in locals() else "the address"
        return f"notify.webhook: {host} was not notified ({type(error).__name__}{f' {code}' if code else ''})"
    return ""


def _call(command: str, body: bytes, timeout_s: float) -> str:
    try:
        words = shlex.split(command)
        process = subprocess.Popen(  # noqa: S603 — the command is the user's own
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:
        return f"notify.command: cannot be started ({type(error).__name__}); correct it"
    try:
        process.communicate(body, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # children included
        process.wait()
        return f"notify.command: {words[0]} did not finish within {timeout_s:g} s and was stopped"
    return f"notify.command: {words[0]} exited with code {process.returncode}" if process.returncode else ""
