"""All models of a repository at a glance, and the output of promotions."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eibert.judge import Gate, Verdict
from flows import environment, history
from flows.history import Retraining
from flows.last_run import last_run
from flows.terminal import print_json, print_lines, print_table
from flows.workspace import Workspace, repository

if TYPE_CHECKING:
    from flows.promote import Promotion

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(frozen=True)
class Model:
    """One model of the repository; unknown values are None.

    Attributes:
        name: Name of its workspace.
        version: Number of the version in service.
        registered: When that version was registered, UTC.
        metric: The metric it is judged by.
        score: Its value on the test split when the version was built.
        bytes: Size of its bundle.
        last_run: When the pipeline or a retraining last ran, UTC; a retraining counts even if there was nothing to do.
        last_outcome: How that ended, as in `flows.last_run.LastRun`.
        drift: Drift distances beyond their bounds in the last check; empty if none.
    """

    name: str
    version: int | None
    registered: datetime | None
    metric: str | None
    score: float | None
    bytes: int | None
    last_run: datetime | None
    last_outcome: str | None
    drift: tuple[str, ...] | None

    def as_object(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        moments = {name: getattr(self, name) for name in ("registered", "last_run")}
        return vars(self) | {name: moment.isoformat() if moment else None for name, moment in moments.items()}


def models(folder: Path) -> list[Model]:
    """Returns all models of the repository a folder is in, the root's own first.

    Raises:
        RunError: the folder is not in a repository.
        RegistryError: MLflow does not answer.
    """
    from flows.verify import workspaces

    root = repository(folder)
    environment.prepare(root)
    return [_model(workspace) for workspace in workspaces(root)]


def print_models(found: Sequence[Model], *, as_json: bool) -> None:
    """Prints a table of models."""
    if as_json:
        print_json({"models": [model.as_object() for model in found]})
        return
    columns = ["model", "version", "age", "metric", "score", "bytes", "last run", "drift"]
    print_table(columns, [_row(model) for model in found])


def print_promotion(found: "Promotion", *, as_json: bool) -> None:
    """Prints the result of a promotion or rollback: the gates, and which version is in service."""
    if as_json:
        print_json(found.as_object())
    else:
        if found.verdict and (found.promoted or found.kept_out):
            print_verdict(found.verdict)
        print_lines([_outcome(found)])
    if found.warning:
        sys.stderr.write(f"warning: {found.warning}\n")


def print_judged(verdict: Verdict, *, as_json: bool) -> None:
    """Prints what `promote` would decide: the gates, and whether all passed."""
    if as_json:
        print_json(verdict.as_object())
        return
    if not verdict.judged:
        print_lines([_nothing_to_do(verdict.champion)])
        return
    print_verdict(verdict)
    print_lines(["would be promoted" if verdict.passed else "would be kept out"])


def print_verdict(verdict: Verdict) -> None:
    """Prints one line per gate."""
    print_table(["gate", "", "found", "bound", ""], [_gate(gate) for gate in verdict.gates])


def _gate(gate: Gate) -> list[str]:
    said = {True: "passed", False: "FAILED", None: "–"}[gate.passed]
    sign = "≥" if gate.at_least else "≤"
    bound = "" if gate.bound is None else f"{sign} {_number(gate.bound)}"
    return [gate.name, said, "" if gate.value is None else _number(gate.value), bound, gate.note]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _outcome(found: "Promotion") -> str:
    number = found.version.number if found.version else None
    if found.promoted:
        after = f"in place of version {found.before}" if found.before else "the first one"
        return f"version {number} is in service now, {after}"
    stays = f"version {number} stays in service" if number else "no version is in service"
    if not found.kept_out:
        return _nothing_to_do(number)
    return f'{stays}; `eibert promote --override "REASON"` promotes it anyway'


def _nothing_to_do(number: int | None) -> str:
    return f"nothing to do: this bundle is version {number}, already in service"


def _model(workspace: Workspace) -> Model:
    from tasks import registry

    champion = registry.champion(workspace.root, workspace.name)
    tags = champion.tags if champion else {}
    retrainings = history.read(workspace)
    last = last_run(workspace, retrainings)
    return Model(
        name=workspace.name,
        version=champion.number if champion else None,
        registered=champion.created if champion else None,
        metric=tags.get("eibert.metric"),
        score=float(tags["eibert.score"]) if "eibert.score" in tags else None,
        bytes=int(tags["eibert.bytes"]) if "eibert.bytes" in tags else None,
        last_run=last.when if last else None,
        last_outcome=last.outcome if last else None,
        drift=_drift(retrainings),
    )


def _drift(retrainings: Sequence[Retraining]) -> tuple[str, ...] | None:
    looked = [one.drift for one in retrainings if one.drift]
    return tuple(shift["name"] for shift in looked[-1]["shifts"] if shift["beyond"]) if looked else None


def _row(model: Model) -> list[str]:
    drift = "unknown" if model.drift is None else ", ".join(model.drift) or "none"
    return [
        model.name,
        "none" if model.version is None else str(model.version),
        _age(model.registered),
        model.metric or "",
        "" if model.score is None else f"{model.score:.4f}",
        "" if model.bytes is None else f"{model.bytes:,}",
        _last_run(model),
        drift,
    ]


def _last_run(model: Model) -> str:
    if model.last_run is None:
        return "never"
    age = _age(model.last_run)
    when = age if age == "now" else f"{age} ago"
    return f"{when}, {model.last_outcome}" if model.last_outcome else when


def _age(moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return next((f"{seconds / size:.0f} {unit}" for unit, size in _UNITS if seconds >= size), "now")
