"""A retraining's page in Prefect, in Markdown: outcome, gates, drift, size and quality, history."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flows.history import Outcome, Retraining

_SHOWN = 20
_SIGNS = {True: "passed", False: "**failed**", None: "not applicable"}


def markdown(found: Retraining, earlier: Sequence[Retraining], picture: str = "") -> str:
    """Returns the page of one retraining.

    Args:
        found: The retraining.
        earlier: All known retrainings of the workspace including this one, oldest first.
        picture: URL of the plot of size against quality; empty if there is none.
    """
    drifted = " · drifted" if found.drifted else ""
    lines = [f"# {found.workspace}: {found.outcome.value}{drifted}", "", _cell(found.reason), ""]
    lines += [f"In service: {_version(found.version)}. {found.when}, {found.seconds:.0f} s.", ""]
    if found.verdict:
        lines += ["## Gates", "", *_table(["gate", "value", "bound", "verdict", "note"], _gates(found.verdict)), ""]
        figures = found.verdict.get("figures") or {}
        rows = [[name.replace("_", " "), _number(value)] for name, value in figures.items()]
        plot = [f"![Size against quality of the challenger and its rivals]({picture})", ""] if picture else []
        lines += ["## Size and quality", "", *plot, *_table(["figure", "value"], rows), ""] if rows else []
    if found.drift:
        title = f"## Drift of {found.drift['compared']} ({found.drift['new_rows']:,} new)"
        lines += [title, "", *_table(["distance", "value", "bound", "", "found"], _shifts(found.drift)), ""]
    if found.notes:
        lines += ["## Notes", "", *(f"- {_cell(note)}" for note in found.notes), ""]
    rows = [
        [one.when, one.outcome.value, "drifted" if one.drifted else "", _version(one.version), _cell(one.reason)]
        for one in reversed(earlier[-_SHOWN:])
    ]
    lines += ["## History", "", *_table(["when", "outcome", "", "in service", "why"], rows)]
    return "\n".join(lines) + "\n"


def overview(found: Iterable[Retraining]) -> str:
    """Returns the page of many retrainings."""
    listed = list(found)
    counts = {kind: sum(one.outcome is kind for one in listed) for kind in Outcome}
    said = ", ".join(f"{count} {kind.value}" for kind, count in counts.items() if count)
    rows = [
        [one.workspace, one.outcome.value, "drifted" if one.drifted else "", _version(one.version), _cell(one.reason)]
        for one in listed
    ]
    return "\n".join([f"# {said}", "", *_table(["model", "outcome", "", "in service", "why"], rows)]) + "\n"


def _gates(verdict: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            gate["name"],
            _number(gate["value"]),
            "" if gate["bound"] is None else f"{'≥' if gate.get('at_least') else '≤'} {_number(gate['bound'])}",
            _SIGNS[gate["passed"]],
            _cell(gate.get("note", "")),
        ]
        for gate in verdict["gates"]
    ]


def _shifts(drift: Mapping[str, Any]) -> list[list[str]]:
    return [
        [
            shift["name"],
            _number(shift["value"]),
            f"≤ {_number(shift['bound'])}",
            f"**{'stops' if shift['reaction'] == 'fail' else 'flagged'}**" if shift["beyond"] else "",
            _cell(shift["note"]),
        ]
        for shift in drift["shifts"]
    ]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """The text on one line, with Markdown and HTML escaped."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, {"<": "&lt;", ">": "&gt;"}.get(sign, f"\\{sign}"))
    return " ".join(text.split())


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.4g}"
