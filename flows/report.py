"""What the commands print about a run, the stages' status, and the environment."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from eibert import artifact
from eibert.errors import MissingArtifactError
from eibert.redact import shown
from flows.terminal import print_facts, print_json, print_lines, print_table
from flows.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from eibert.trail import Record
    from flows.doctor import Finding
    from flows.run import Result
    from flows.status import Cause


def print_result(workspace: Workspace, result: "Result", *, as_json: bool) -> None:
    """Prints how a run's stages ended and where its results are; warnings and errors go to standard error."""
    from flows.run import facts
    from tasks.mlflow_store import store

    found = facts(workspace)
    if as_json:
        failure = {"error": result.error} if result.error else {}
        told = {"warning": result.warning or None, "record": result.record and _record(result.record)}
        print_json({"stages": result.states, **found, **told, **failure})
    elif result.outcomes:
        rows = [
            [name, outcome.state, f"{outcome.seconds:.1f} s" if outcome.seconds else "", "; ".join(outcome.reasons)]
            for name, outcome in result.outcomes.items()
        ]
        print_table(["stage", "state", "time", "why"], rows)
    else:
        print_lines([f"all {len(result.cached)} stages up to date"])
    if not as_json and not result.error:
        size = f"{found['bytes']:,} bytes" if found["bytes"] else None
        places = {"bundle": found["bundle"], "size": size, "report": found["report"]}
        print_facts(places | {"MLflow": shown(store(workspace.root)), "record": _recorded(result.record)})
    _print_trouble(result)


def _record(record: "Record") -> dict[str, object]:
    return {"sequence": record.sequence, "digest": record.digest, "dirty": record.body["git"]["dirty"]}


def _recorded(record: "Record | None") -> str | None:
    if record is None:
        return None
    of = "built from uncommitted files: commit them and run again, so that others can rebuild it"
    return f"{record.sequence} in the trail{f', {of}' if record.body['git']['dirty'] else ''}"


def print_status(found: "Mapping[str, Sequence[Cause]]", *, as_json: bool) -> None:
    """Prints whether and why each stage would run."""
    reasons = {stage: [cause.text for cause in causes] for stage, causes in found.items()}
    if as_json:
        print_json({"stages": {stage: {"would_run": bool(texts), "why": texts} for stage, texts in reasons.items()}})
        return
    print_lines([f"{stage}: {text}" for stage, texts in reasons.items() for text in texts or ["up to date"]])


def print_findings(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Prints the findings about the environment."""
    if as_json:
        print_json({"findings": [vars(finding) for finding in findings], "ready": not any(f.stops for f in findings)})
        return
    marks = {True: "stops", False: ""}
    rows = [[finding.what, finding.found, marks[finding.stops], finding.remedy] for finding in findings]
    print_table(["what", "found", "", "remedy"], rows)


def report_path(workspace: Workspace) -> "Path":
    """Returns the path of the report.

    Raises:
        MissingArtifactError: `evaluate` has not run.
    """
    path = artifact.folder(workspace.folder, "evaluate") / "report.html"
    if not path.is_file():
        raise MissingArtifactError(f"{path}: missing; run `eibert run`")
    return path


def _print_trouble(result: "Result") -> None:
    for kind, text in (("warning", result.warning), ("error", result.error)):
        if text:
            sys.stderr.write(f"{kind}: {text}\n")
