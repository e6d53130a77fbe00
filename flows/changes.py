"""What changed since a stage was built, one line per cause."""

from collections.abc import Iterator, Mapping
from typing import Any

from eibert.redact import shown

_MISSING = object()


def params_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns one line per changed parameter, named by its dotted key."""
    return [f"params {line}" for line in _differences("", before, after)]


def code_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Returns one line per changed definition, data file beside the code, or library version.

    Args:
        before: Digests as `eibert.code.CodeReader.digests` returns them.
        after: The same, as of now.
    """
    modules = [line for path, old, new in _pairs(before, after, "modules") for line in _module_changes(path, old, new)]
    files = [f"code {path}" for path, _, _ in _pairs(before, after, "data")]
    libraries = [
        f"library {name} {old or 'unused'} → {new or 'unused'}" for name, old, new in _pairs(before, after, "libraries")
    ]
    return modules + files + libraries


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any], part: str) -> Iterator[tuple[str, Any, Any]]:
    old, new = before.get(part, {}), after.get(part, {})
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _module_changes(path: str, before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> list[str]:
    if before is None or after is None:
        return [f"code {path} {'added' if before is None else 'no longer used'}"]
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    return [f"code {path}:{name}" if name else f"code {path}" for name in names]


def _differences(key: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*after, *(name for name in before if name not in after)]:
            inner = f"{key}.{name}" if key else str(name)
            yield from _differences(inner, before.get(name, _MISSING), after.get(name, _MISSING))
    elif before is _MISSING:
        yield f"{key} added"
    elif after is _MISSING:
        yield f"{key} removed"
    elif _plain(before) != _plain(after):
        yield f"{key} {_shown(before)} → {_shown(after)}"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else shown(str(value))
    return text if len(text) <= 60 else f"{text[:57]}…"
