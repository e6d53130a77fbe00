"""Parameters of notifications."""

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from eibert.params.section import Section
from eibert.redact import redacted

_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")


class Event(StrEnum):
    """What a notification can report."""

    PROMOTED = "promoted"
    KEPT = "kept"
    UNCHANGED = "unchanged"
    STOPPED = "stopped"
    FAILED = "failed"
    DRIFTED = "drifted"


class NotifyParams(Section):
    """Who is notified of the outcome of a retraining."""

    webhook: str | None = Field(
        description="URL that receives a JSON object by POST, or `$NAME` for the environment variable that holds it."
    )
    command: str | None = Field(
        min_length=1, description="Command that receives the JSON object on standard input; run without a shell."
    )
    events: Annotated[tuple[Annotated[Event, Field(strict=False)], ...], Field(strict=False)] = Field(
        description="Outcomes of a retraining that are reported."
    )
    timeout_s: float = Field(gt=0.0, le=300.0, description="Timeout of a webhook or command, in seconds.")

    @model_validator(mode="after")
    def _no_secret(self) -> Self:
        if self.webhook is None or _VARIABLE.fullmatch(self.webhook):
            return self
        if not self.webhook.startswith(("http://", "https://")):
            raise ValueError("webhook must be null, an http or https URL, or $NAME of an environment variable")
        if redacted(self.webhook) != self.webhook:
            raise ValueError("webhook holds a secret; put the URL in an environment variable and write $NAME")
        return self
