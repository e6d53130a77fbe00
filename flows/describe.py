"""Generates docs/params.md from the parameter models: `python -m flows.describe > docs/params.md`."""

import json
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from eibert.params.load import Params
from tasks.notes import flat

_WIDTH = 32
_ROOT = Path(__file__).resolve().parents[1]

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "pattern": "like"}


def markdown() -> str:
    """Returns a table of all keys with type, bounds, values and meaning, section by section."""
    sample, default = (_values(_ROOT / name) for name in ("params.yaml", "presets/default.yaml"))
    lines = [
        "# Parameters",
        "",
        "Every key of `params.yaml`; unknown keys are rejected, and no key has a hidden default. *sample* is the value",
        "in the repository's own `params.yaml`, for the built-in sample; *default*: that of preset `default` if other.",
        "",
    ]
    lines += ["| key | type | bounds | sample | default | meaning |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{key}` | {kind} | {bounds} | {sample[key]} | {default.get(key, '')} | {meaning} |"
        for key, kind, bounds, meaning in _rows(Params, "")
    ]
    return "\n".join(lines) + "\n"


def _values(path: Path) -> dict[str, str]:
    """Returns the values of a YAML file by dotted key."""
    values = flat(yaml.safe_load(path.read_text(encoding="utf-8")))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return {key: f"`{text if len(text) <= _WIDTH else text[:_WIDTH] + '…'}`" for key, text in texts.items()}


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        key, kind = prefix + (field.alias or name), field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _rows(kind, f"{key}.")
        else:
            yield key, _kind(kind), _bounds(field), (field.description or "").replace("|", "\\|")


def _kind(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " \\| ".join(f"`{member.value}`" for member in kind)
    if get_origin(kind) is tuple:
        return f"list of {_kind(get_args(kind)[0])}"
    if get_origin(kind) is Annotated:
        base, *marks = get_args(kind)
        bounds = [_bounds(mark) for mark in marks if isinstance(mark, FieldInfo)]
        return " ".join([_kind(base), *bounds])
    name = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    return name.replace("typing.", "").replace("|", "or").replace("NoneType", "null").replace("None", "null")


def _bounds(field: FieldInfo) -> str:
    found = [
        (sign, getattr(part, name)) for part in field.metadata for name, sign in _BOUNDS.items() if hasattr(part, name)
    ]
    return ", ".join(f"{sign} {value}" for sign, value in found if value is not None).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(markdown())
